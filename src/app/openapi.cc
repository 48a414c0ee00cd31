// The OpenAPI 3.1 document: paths from the table of routes, schemas from the tables below.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/admin_once.h"
#include "app/version.h"

namespace imprint::app::admin {
namespace {

// A member of an answer. `type`: string, integer, boolean, object, time, or the name of a schema; "…[]" is an array of
// it, "…?" may be null.
struct Member {
  std::string_view name, type;
};
struct Schema {
  std::string_view name, what;
  std::span<const Member> members;
};

// A schema's members and some more.
template <std::size_t N, class... More>
constexpr std::array<Member, N + sizeof...(More)> with(const std::array<Member, N>& members, More... more) {
  std::array<Member, N + sizeof...(More)> out{};
  std::ranges::copy(members, out.begin());
  std::size_t at = N;
  ((out.at(at++) = more), ...);
  return out;
}

constexpr std::array kDevice{
    Member{"id", "string"},           Member{"model", "string"},     Member{"serial", "string"},
    Member{"label", "string"},        Member{"lifecycle", "string"}, Member{"admission", "string"},
    Member{"identities", "string[]"}, Member{"added", "time"},       Member{"changed", "time"},
    Member{"version", "integer"},     Member{"held", "Hold[]!"}};
constexpr std::array kHold{Member{"device", "string"}, Member{"serial", "string"}, Member{"since", "time"},
                           Member{"last", "time"},     Member{"asked", "integer"}, Member{"why", "string"},
                           Member{"next", "string"},   Member{"rule", "string"}};
constexpr std::array kNewDevice{
    Member{"id", "string"},           Member{"model", "string"},     Member{"serial", "string"},
    Member{"label", "string"},        Member{"lifecycle", "string"}, Member{"admission", "string"},
    Member{"identities", "string[]"}, Member{"added", "time"},       Member{"changed", "time"},
    Member{"version", "integer"},     Member{"token", "string!"}};
constexpr std::array kDeviceList{Member{"devices", "Device[]"}, Member{"next", "string?"}};
constexpr std::array kToken{Member{"device", "string"}, Member{"user", "string"}, Member{"token", "string"}};
constexpr std::array kImportLine{Member{"line", "integer"}, Member{"id", "string"},      Member{"result", "string"},
                                 Member{"rule", "string!"}, Member{"detail", "string!"}, Member{"next", "string!"}};
constexpr std::array kImportResult{Member{"added", "integer"}, Member{"lines", "ImportLine[]"}};
constexpr std::array kCounts{Member{"messages", "integer"},
                             Member{"bytes", "integer"},
                             Member{"round_trips", "integer"},
                             Member{"connections", "integer"},
                             Member{"public_key_operations", "integer"},
                             Member{"persons_acts", "integer"}};
constexpr std::array kRun{Member{"run", "string"},  Member{"protocol", "string"},   Member{"mode", "string"},
                          Member{"role", "string"}, Member{"device", "string"},     Member{"started", "time"},
                          Member{"ended", "time"},  Member{"took_ms", "integer"},   Member{"result", "string"},
                          Member{"rule", "string"}, Member{"obtained", "string[]"}, Member{"counts", "Counts"}};
constexpr std::array kRunWithSteps{
    Member{"run", "string"},   Member{"protocol", "string"},   Member{"mode", "string"},
    Member{"role", "string"},  Member{"device", "string"},     Member{"started", "time"},
    Member{"ended", "time"},   Member{"took_ms", "integer"},   Member{"result", "string"},
    Member{"rule", "string"},  Member{"obtained", "string[]"}, Member{"counts", "Counts"},
    Member{"steps", "Step[]"}, Member{"beliefs", "Belief[]"}};
constexpr std::array kRunList{Member{"runs", "Run[]"}, Member{"next", "string?"}};
constexpr std::array kStep{Member{"run", "string"},   Member{"protocol", "string"}, Member{"mode", "string"},
                           Member{"role", "string"},  Member{"at", "time"},         Member{"state", "string"},
                           Member{"check", "string"}, Member{"took_ms", "integer"}, Member{"fault", "string"},
                           Member{"rule", "string"},  Member{"next", "string"}};
constexpr std::array kBelief{Member{"fate", "string"},      Member{"id", "string"},    Member{"topic", "string"},
                             Member{"statement", "string"}, Member{"until", "time"},   Member{"strength", "string"},
                             Member{"ground", "string"},    Member{"check", "string"}, Member{"because", "string[]"},
                             Member{"replaces", "string"},  Member{"why", "string"}};
constexpr std::array kTimeline{Member{"device", "string"}, Member{"runs", "Run[]"}, Member{"steps", "Step[]"},
                               Member{"next", "string?"}};
constexpr std::array kPending{Member{"key", "string"},   Member{"device", "string"},     Member{"identity", "string"},
                              Member{"label", "string"}, Member{"subject", "string"},    Member{"reason", "string"},
                              Member{"first", "time"},   Member{"last", "time"},         Member{"asked", "integer"},
                              Member{"state", "string"}, Member{"decided_by", "string"}, Member{"decided", "time?"}};
constexpr std::array kPendingList{Member{"pending", "Pending[]"}, Member{"next", "string?"}};
constexpr std::array kCertificate{Member{"serial", "string"},
                                  Member{"device", "string"},
                                  Member{"profile", "string"},
                                  Member{"subject", "string"},
                                  Member{"not_before", "time"},
                                  Member{"not_after", "time"},
                                  Member{"issued", "time"},
                                  Member{"identity", "string"},
                                  Member{"reason", "string"},
                                  Member{"renews", "string"},
                                  Member{"sha256", "string"},
                                  Member{"revoked", "time?"},
                                  Member{"revocation_reason", "string?"},
                                  Member{"names", "string[]"},
                                  Member{"basis", "string"},
                                  Member{"evidence", "string"},
                                  Member{"run", "string"},
                                  Member{"issued_entry", "integer?"},
                                  Member{"revoked_entry", "integer?"}};
constexpr std::array kCertificateWithPem{Member{"serial", "string"},
                                         Member{"device", "string"},
                                         Member{"profile", "string"},
                                         Member{"subject", "string"},
                                         Member{"not_before", "time"},
                                         Member{"not_after", "time"},
                                         Member{"issued", "time"},
                                         Member{"identity", "string"},
                                         Member{"reason", "string"},
                                         Member{"renews", "string"},
                                         Member{"sha256", "string"},
                                         Member{"revoked", "time?"},
                                         Member{"revocation_reason", "string?"},
                                         Member{"names", "string[]"},
                                         Member{"basis", "string"},
                                         Member{"evidence", "string"},
                                         Member{"run", "string"},
                                         Member{"issued_entry", "integer?"},
                                         Member{"revoked_entry", "integer?"},
                                         Member{"pem", "string"}};
constexpr std::array kTrace{Member{"certificate", "CertificateWithPem"},
                            Member{"state", "string"},
                            Member{"issued", "AuditEntry?"},
                            Member{"revoked", "AuditEntry?"},
                            Member{"request", "Pending?"},
                            Member{"admission", "AuditEntry[]"},
                            Member{"run", "RunWithSteps?"},
                            Member{"renewed", "string?"},
                            Member{"successor", "string?"}};
constexpr std::array kCertificateList{Member{"certificates", "Certificate[]"}, Member{"next", "string?"}};
constexpr std::array kAuditEntry{Member{"sequence", "integer"}, Member{"at", "time"},        Member{"actor", "string"},
                                 Member{"action", "string"},    Member{"subject", "string"}, Member{"detail", "object"},
                                 Member{"previous", "string"},  Member{"hash", "string"}};
constexpr std::array kAuditList{Member{"entries", "AuditEntry[]"}, Member{"next", "string?"}};
constexpr std::array kAuditVerdict{Member{"good", "boolean"}, Member{"entries", "integer"},
                                   Member{"first_bad", "integer?"}, Member{"head", "string"}};
constexpr std::array kCa{Member{"subject", "string"},  Member{"serial", "string"},  Member{"key", "string"},
                         Member{"not_before", "time"}, Member{"not_after", "time"}, Member{"sha256", "string"},
                         Member{"pem", "string"}};
constexpr std::array kVersionMembers{Member{"name", "string"}, Member{"version", "string"}, Member{"api", "string"}};
constexpr std::array kHealth{Member{"status", "string"}, Member{"store", "boolean"}, Member{"listeners", "boolean"}};
constexpr std::array kProblem{Member{"type", "string"},   Member{"title", "string"},       Member{"status", "integer"},
                              Member{"detail", "string"}, Member{"id", "string"},          Member{"source", "string"},
                              Member{"next", "string"},   Member{"lines", "ImportLine[]!"}};

constexpr std::array kPledge{
    Member{"pledge", "string"},       Member{"device", "string"},     Member{"serial", "string"},
    Member{"issuer", "string"},       Member{"key_sha256", "string"}, Member{"stage", "string"},
    Member{"held", "boolean"},        Member{"cleared", "boolean"},   Member{"rule", "string"},
    Member{"reason", "string"},       Member{"next", "string"},       Member{"masa", "string"},
    Member{"form", "string"},         Member{"nonce", "string"},      Member{"domain_id", "string"},
    Member{"has_voucher", "boolean"}, Member{"has_log", "boolean"},   Member{"certificate", "string"},
    Member{"run", "string"},          Member{"first", "time"},        Member{"last", "time"},
    Member{"asked", "integer"},       Member{"vouchered", "time?"},   Member{"reported", "time?"},
    Member{"enrolled", "time?"}};
constexpr std::array kPledgeWithVoucher = with(kPledge, Member{"request", "string?"}, Member{"voucher", "string?"});
constexpr std::array kPledgeList{Member{"pledges", "Pledge[]"}, Member{"next", "string?"}};
constexpr std::array kPledgeLog{Member{"pledge", "string"}, Member{"device", "string"}, Member{"serial", "string"},
                                Member{"masa", "string"},   Member{"read", "time?"},    Member{"cleared", "boolean"},
                                Member{"reason", "string"}, Member{"log", "object?"}};
constexpr std::array kRoot{Member{"subject", "string"}, Member{"sha256", "string"}, Member{"not_after", "time"}};
constexpr std::array kCatalogue{Member{"maker", "string"}, Member{"version", "integer"}, Member{"issued", "time"},
                                Member{"expires", "time"}, Member{"rules", "integer"},   Member{"pools", "integer"}};
constexpr std::array kMaker{Member{"name", "string"}, Member{"anchors", "Root[]"}, Member{"rules", "integer"},
                            Member{"catalogue", "Catalogue?"}, Member{"catalogue_url", "string?"}};
constexpr std::array kMakerWithRules{Member{"name", "string"}, Member{"anchors", "Root[]"},
                                     Member{"rules", "MasaRule[]"}, Member{"catalogue", "Catalogue?"},
                                     Member{"catalogue_url", "string?"}};
constexpr std::array kMasaRule{Member{"name", "string"},     Member{"from", "string"},      Member{"match", "string"},
                               Member{"masa", "string?"},    Member{"override", "boolean"}, Member{"orphan", "boolean"},
                               Member{"quirks", "string[]"}, Member{"deprecated", "time?"}, Member{"ends", "time?"}};
constexpr std::array kUnread{Member{"file", "string"}, Member{"why", "string"}};
constexpr std::array kMakerList{Member{"makers", "Maker[]"}, Member{"unread", "Unread[]"}, Member{"next", "string?"}};
constexpr std::array kRegistrar{Member{"service", "string"},
                                Member{"role", "string"},
                                Member{"api", "integer"},
                                Member{"software", "string!"},
                                Member{"specifications", "string[]"},
                                Member{"formats", "string[]"},
                                Member{"bindings", "string[]"},
                                Member{"voucher_first", "boolean"},
                                Member{"nonceless", "boolean"},
                                Member{"bulk", "object"},
                                Member{"telemetry_version", "integer"},
                                Member{"endpoints", "object"},
                                Member{"resources", "object"},
                                Member{"limits", "object"}};

constexpr std::array kSchemas{
    Schema{"Device", "A device of the inventory; its version is its ETag", kDevice},
    Schema{"Hold", "Why a device that took its voucher is not let on, by which rule, and what to do", kHold},
    Schema{"NewDevice", "A device that was just registered, with its one-time token if one was wanted", kNewDevice},
    Schema{"DeviceList", "A page; `next` is the `cursor` of the next one", kDeviceList},
    Schema{"Token", "A one-time token: the password of HTTP Basic, with the device's id as user name", kToken},
    Schema{"ImportLine", "What became of one line: added, unchanged or refused", kImportLine},
    Schema{"ImportResult", "What became of a manifest", kImportResult},
    Schema{"Counts", "What a run took", kCounts},
    Schema{"Run", "One execution of one protocol", kRun},
    Schema{"RunWithSteps", "A run with everything in it", kRunWithSteps},
    Schema{"RunList", "A page of runs, newest first; `next` is the `cursor` of the next one", kRunList},
    Schema{"Step", "One named step of a run", kStep},
    Schema{"Belief", "A belief that came, replaced another, or went", kBelief},
    Schema{"Timeline", "What happened to a device: a page of its runs; `next` is the `cursor` of the next one",
           kTimeline},
    Schema{"Pending", "A request that waits, or waited, for a person", kPending},
    Schema{"PendingList", "A page of requests; `next` is the `cursor` of the next one", kPendingList},
    Schema{"Certificate", "A certificate on record", kCertificate},
    Schema{"CertificateWithPem", "A certificate on record, whole", kCertificateWithPem},
    Schema{"CertificateTrace", "A certificate, and what led to it: run, evidence, decision, audit entries", kTrace},
    Schema{"CertificateList", "A page; `next` is the `cursor` of the next one", kCertificateList},
    Schema{"AuditEntry", "One entry of the audit log, chained to the one before by its hash", kAuditEntry},
    Schema{"AuditList", "A page; `next` is the `cursor` of the next one", kAuditList},
    Schema{"AuditVerdict", "Whether the audit log is whole", kAuditVerdict},
    Schema{"Pledge", "A device that asked for a voucher; `pledge` names it in paths, percent-encoded", kPledge},
    Schema{"PledgeWithVoucher", "The same with our latest request and the voucher, in base64", kPledgeWithVoucher},
    Schema{"PledgeList", "A page; `next` is the `cursor` of the next one", kPledgeList},
    Schema{"PledgeLog", "What the MASA's log said, and what became of it; {\"text\"} if it was no JSON", kPledgeLog},
    Schema{"Root", "A root whose devices are a maker's", kRoot},
    Schema{"Catalogue", "A maker's signed catalogue that counts", kCatalogue},
    Schema{"Maker", "A maker that has a file here, and how many rules there are for its devices", kMaker},
    Schema{"MakerWithRules", "A maker with its rules", kMakerWithRules},
    Schema{"MasaRule", "Which MASA speaks for which devices", kMasaRule},
    Schema{"Unread", "A file or folder that could not be taken: its devices wait until it is mended", kUnread},
    Schema{"MakerList", "A page; `next` is the `cursor` of the next one", kMakerList},
    Schema{"Registrar",
           "What the registrar is and serves; members may be added, and what changes the meaning of one raises `api`",
           kRegistrar},
    Schema{"Ca", "The owner's CA", kCa},
    Schema{"Version", "Which Imprint this is", kVersionMembers},
    Schema{"Health", "Whether the program can do its work", kHealth},
    Schema{"Anything", "An OpenAPI document", {}},
    Schema{"Problem", "RFC 9457, with the id of the rule and what to do next", kProblem}};

Json reference(std::string_view schema) { return {{"$ref", "#/components/schemas/" + std::string(schema)}}; }

Json plain_type(std::string_view type) {
  if (type == "time") {
    return {{"type", "string"}, {"format", "date-time"}};
  }
  const bool known = std::ranges::find(kSchemas, type, &Schema::name) != kSchemas.end();
  return known ? reference(type) : Json{{"type", type}};
}

// Takes off "!" (may be absent), "?" and "[]".
Json member_type(std::string_view type) {
  if (type.ends_with('!')) {
    type.remove_suffix(1);
  }
  if (type.ends_with("[]")) {
    return {{"type", "array"}, {"items", plain_type(type.substr(0, type.size() - 2))}};
  }
  if (type.ends_with('?')) {
    Json out = plain_type(type.substr(0, type.size() - 1));
    if (out.contains("$ref")) {
      return {{"oneOf", Json::array({std::move(out), Json{{"type", "null"}}})}};
    }
    out["type"] = Json::array({out["type"], "null"});
    return out;
  }
  return plain_type(type);
}

Json schema_json(const Schema& schema) {
  Json out{{"type", "object"}, {"description", schema.what}};
  Json required = Json::array();
  for (const Member& member : schema.members) {
    out["properties"][std::string(member.name)] = member_type(member.type);
    if (!member.type.ends_with('!')) {
      required.push_back(member.name);
    }
  }
  if (!required.empty()) {
    out["required"] = std::move(required);
  }
  return out;
}

Json field_type(const Field& field) {
  switch (field.kind) {
    case Kind::flag:
      return {{"type", "boolean"}};
    case Kind::number:
      return {{"type", "integer"}, {"minimum", field.least}, {"maximum", field.most}};
    case Kind::text:
      break;
  }
  return {{"type", "string"}};
}

Json parameter(std::string_view name, std::string_view in, std::string_view what, Json schema) {
  return {{"name", name}, {"in", in}, {"required", in == "path"}, {"description", what}, {"schema", std::move(schema)}};
}

Json parameters(const Route& route) {
  Json out = Json::array();
  if (const std::size_t brace = route.pattern.find('{'); brace != std::string_view::npos) {
    const std::string_view name = route.pattern.substr(brace + 1, route.pattern.find('}') - brace - 1);
    out.push_back(parameter(name, "path", "which one", field_type({})));
  }
  for (const Field& field : route.query) {
    out.push_back(parameter(field.name, "query", field.what, field_type(field)));
  }
  if (route.conditional) {
    out.push_back(parameter("If-Match", "header", "the ETag of the device as it was read; 412 if it has moved on",
                            field_type({})));
  }
  if (route.changes()) {
    out.push_back(parameter("Idempotency-Key", "header",
                            "a name for this change: the same request with it gets the same answer for a day and "
                            "changes nothing; 422 with another request",
                            {{"type", "string"}, {"maxLength", kMostKeyCharacters}}));
  }
  return out;
}

Json body_schema(const Route& route) {
  Json out{{"type", "object"}, {"additionalProperties", false}, {"properties", Json::object()}};
  Json required = Json::array();
  for (const Field& field : route.body) {
    Json type = field_type(field);
    type["description"] = field.what;
    out["properties"][std::string(field.name)] = std::move(type);
    if (field.required) {
      required.push_back(field.name);
    }
  }
  if (!required.empty()) {
    out["required"] = std::move(required);
  }
  return out;
}

Json content(std::string_view type, Json schema) { return {{std::string(type), {{"schema", std::move(schema)}}}}; }

Json operation(const Route& route) {
  Json out{{"operationId", route.operation}, {"summary", route.summary}};
  if (Json list = parameters(route); !list.empty()) {
    out["parameters"] = std::move(list);
  }
  if (!route.takes.empty()) {
    out["requestBody"] = {{"required", true}, {"content", content(route.takes, {{"type", "string"}})}};
  } else if (!route.body.empty()) {
    const bool required = std::ranges::find(route.body, true, &Field::required) != route.body.end();
    out["requestBody"] = {{"required", required}, {"content", content("application/json", body_schema(route))}};
  }
  Json good{{"description", route.summary}};
  if (!route.schema.empty()) {
    good["content"] = content("application/json", reference(route.schema));
  }
  out["responses"][std::to_string(route.status)] = std::move(good);
  out["responses"]["default"] = {{"description", "What went wrong"},
                                 {"content", content("application/problem+json", reference("Problem"))}};
  if (route.open) {
    out["security"] = Json::array();
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

}  // namespace

std::string openapi(std::span<const Route> routes) {
  Json out{{"openapi", "3.1.0"},
           {"info",
            {{"title", "Imprint admin API"},
             {"version", kVersion},
             {"description",
              "Devices, vouchers, makers, certificates, runs and audit of one site. On loopback with the token; beyond "
              "it for those alone who hold an administrator's certificate."}}},
           {"security", Json::array({{{"token", Json::array()}}})}};
  for (const Route& route : routes) {
    out["paths"][std::string(route.pattern)][lower(imprint::name(route.method))] = operation(route);
  }
  for (const Schema& schema : kSchemas) {
    out["components"]["schemas"][std::string(schema.name)] = schema_json(schema);
  }
  out["components"]["securitySchemes"]["token"] = {{"type", "http"}, {"scheme", "bearer"}};
  return out.dump();
}

}  // namespace imprint::app::admin
