// The JSON forms of what the API shows.
#include <nlohmann/json.hpp>

#include "app/admin_routes.h"
#include "app/rules.h"
#include "app/voucher_rules.h"
#include "site/masa_rules.h"
#include "site/operation_rules.h"
#include "site/operations.h"
#include "survey/compare_run.h"

namespace imprint::app::admin {
namespace {

// Not all that an error says is for the asker: errors without a rule get one by their fault.
const Rule& rule_of(const Error& error) {
  if (error.rule != nullptr) {
    return *error.rule;
  }
  switch (error.fault) {
    case Fault::malformed:
    case Fault::unsupported:
    case Fault::limit:
      return kApiBody;
    case Fault::conflict:
      return site::kDeviceChanged;
    case Fault::unreachable:
      return kApiStore;
    case Fault::unexpected:
    case Fault::unauthentic:
    case Fault::refused:
    case Fault::expired:
    case Fault::stale:
    case Fault::internal:
      break;
  }
  return kApiInternal;
}

// 0: none is known.
Json number_or_null(std::int64_t number) { return number == 0 ? Json() : Json(number); }

Json names_json(const store::CertificateRow& row) {
  Json out = Json::array();
  if (const Result<Certificate> certificate = Certificate::parse(row.der)) {
    for (const GeneralName& each : certificate->alt_names) {
      out.push_back(each.text());
    }
  }
  return out;
}

Json time_or_null(bool known, Instant when) { return known ? Json(utc_text(when)) : Json(); }

}  // namespace

int status_of(const Error& error) {
  struct Special {
    const Rule* rule;
    int status;
  };
  static constexpr std::array kSpecial{Special{&site::kDeviceUnknown, 404},
                                       Special{&site::kRequestUnknown, 404},
                                       Special{&site::kCertificateUnknown, 404},
                                       Special{&kRunUnknown, 404},
                                       Special{&kNoPledge, 404},
                                       Special{&kNoRegistrar, 404},
                                       Special{&kApiNoVoucher, 404},
                                       Special{&site::kMakerUnknown, 404},
                                       Special{&kApiPath, 404},
                                       Special{&kApiMethod, 405},
                                       Special{&site::kDeviceChanged, 412},
                                       Special{&site::kManifestRefused, 422},
                                       Special{&site::kTokenWeak, 422},
                                       Special{&kApiToken, 401},
                                       Special{&kApiType, 415},
                                       Special{&kApiKeyReused, 422},
                                       Special{&kApiBusy, 503}};
  const Rule& rule = rule_of(error);
  for (const Special& special : kSpecial) {
    if (special.rule == &rule) {
      return special.status;
    }
  }
  switch (error.fault) {
    case Fault::malformed:
    case Fault::unsupported:
      return 400;
    case Fault::limit:
      return 413;
    case Fault::refused:
    case Fault::unauthentic:
      return error.rule != nullptr ? 403 : 500;
    case Fault::conflict:
      return 409;
    case Fault::unreachable:
      return 503;
    case Fault::unexpected:
    case Fault::expired:
    case Fault::stale:
    case Fault::internal:
      break;
  }
  return 500;
}

site::Act act_of(const Env& env) { return {env.actor, env.now}; }

std::string dumped(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Response json_answer(int status, const Json& json) {
  Response out;
  out.status = status;
  out.content_type = "application/json";
  out.body = to_bytes(dumped(json));
  return out;
}

Json problem_json(const Error& error, const std::string& detail) {
  const Rule& rule = rule_of(error);
  return {{"type", "docs/errors.md#" + std::string(rule.id)},
          {"title", rule.what},
          {"status", status_of(error)},
          {"detail", detail.empty() ? std::string(error.what) : detail},
          {"id", rule.id},
          {"source", rule.source},
          {"next", rule.next}};
}

Response problem(const Error& error, const std::string& detail) {
  Response out = json_answer(status_of(error), problem_json(error, detail));
  out.content_type = "application/problem+json";
  if (out.status == 401) {
    out.authenticate = {"Bearer"};
  }
  if (out.status == 503) {
    out.retry_after_s = 1;
  }
  return out;
}

std::string etag_of(const Device& device) { return "\"" + std::to_string(device.version) + "\""; }

Json device_json(const Device& device) {
  return {{"id", device.id},
          {"model", device.model},
          {"serial", device.serial},
          {"label", device.label},
          {"lifecycle", imprint::name(device.lifecycle)},
          {"admission", imprint::name(device.admission)},
          {"identities", device.identities},
          {"added", utc_text(device.added)},
          {"changed", utc_text(device.changed)},
          {"version", device.version}};
}

Json certificate_json(const store::CertificateRow& row) {
  return {{"serial", hex(row.serial)},
          {"device", row.device},
          {"profile", row.profile},
          {"subject", row.subject},
          {"not_before", utc_text(row.not_before)},
          {"not_after", utc_text(row.not_after)},
          {"issued", utc_text(row.issued)},
          {"identity", row.identity},
          {"reason", row.reason},
          {"renews", hex(row.renews)},
          {"sha256", hex(sha256(row.der))},
          {"revoked", time_or_null(row.revoked.has_value(), row.revoked.value_or(Instant{}))},
          {"revocation_reason", row.revoked ? Json(site::name(row.revocation_reason)) : Json()},
          {"names", names_json(row)},
          {"basis", imprint::name(row.origin.basis)},
          {"evidence", row.origin.evidence},
          {"run", row.origin.run},
          {"issued_entry", number_or_null(row.origin.issued_entry)},
          {"revoked_entry", number_or_null(row.origin.revoked_entry)}};
}

Json pending_json(const store::PendingRow& row) {
  const bool decided = row.state != Admission::waiting;
  return {{"key", hex(row.what.request_key)},
          {"device", row.what.device},
          {"identity", row.what.identity},
          {"label", row.what.label},
          {"subject", row.what.subject},
          {"reason", row.what.reason},
          {"first", utc_text(row.first)},
          {"last", utc_text(row.last)},
          {"asked", row.asked},
          {"state", imprint::name(row.state)},
          {"decided_by", row.decided_by},
          {"decided", time_or_null(decided, row.decided)}};
}

Json run_json(const Run& run) {
  return {{"run", run.id},
          {"protocol", run.protocol},
          {"mode", run.mode},
          {"role", run.role},
          {"device", run.device},
          {"started", utc_text(run.started)},
          {"ended", utc_text(run.ended)},
          {"took_ms", (run.ended - run.started).count()},
          {"result", run.result},
          {"rule", run.rule},
          {"obtained", run.obtained},
          {"counts",
           {{"messages", run.counts.messages},
            {"bytes", run.counts.bytes},
            {"round_trips", run.counts.round_trips},
            {"connections", run.counts.connections},
            {"public_key_operations", run.counts.public_key_operations},
            {"persons_acts", run.counts.persons_acts}}}};
}

Json step_json(const Run& run, const RunStep& step) {
  return {{"run", run.id},           {"protocol", run.protocol},
          {"mode", run.mode},        {"role", run.role},
          {"at", utc_text(step.at)}, {"state", step.state},
          {"check", step.check},     {"took_ms", step.took.count()},
          {"fault", step.fault},     {"rule", step.fault.empty() ? std::string() : run.rule},
          {"next", step.next}};
}

Json whole_run_json(const Run& run) {
  Json out = run_json(run);
  out["steps"] = Json::array();
  for (const RunStep& step : run.steps) {
    out["steps"].push_back(step_json(run, step));
  }
  out["beliefs"] = beliefs_json(run);
  return out;
}

Json beliefs_json(const Run& run) {
  Json out = Json::array();
  for (const survey::BeliefReport& each : survey::report_on(run).beliefs) {
    const BeliefChange& change = each.change;
    out.push_back({{"fate", imprint::name(change.fate)},
                   {"id", change.belief.id},
                   {"topic", imprint::name(change.belief.topic)},
                   {"statement", change.belief.statement},
                   {"until", utc_text(change.belief.until)},
                   {"strength", each.held ? imprint::name(*each.held) : std::string_view("none")},
                   {"ground", imprint::name(change.evidence.ground)},
                   {"check", change.evidence.check},
                   {"because", change.evidence.because},
                   {"replaces", change.replaces},
                   {"why", change.why}});
  }
  return out;
}

Json audit_verdict_json(const AuditVerdict& verdict) {
  return {{"good", !verdict.first_bad},
          {"entries", verdict.entries},
          {"first_bad", verdict.first_bad ? Json(*verdict.first_bad) : Json()},
          {"head", hex(verdict.head)}};
}

Json audit_json(const AuditEntry& entry) {
  Result<Json> detail = parse_json(entry.detail);
  return {{"sequence", entry.sequence},
          {"at", utc_text(entry.at)},
          {"actor", entry.actor},
          {"action", entry.action},
          {"subject", entry.subject},
          {"detail", detail ? *std::move(detail) : Json(entry.detail)},
          {"previous", hex(entry.previous)},
          {"hash", hex(entry.hash)}};
}

}  // namespace imprint::app::admin
