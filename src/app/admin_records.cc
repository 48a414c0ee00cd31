// Routes of what is on record: requests that wait, certificates, runs, audit.
#include <nlohmann/json.hpp>

#include "app/admin_page.h"
#include "app/rules.h"
#include "base/reader.h"
#include "site/operation_rules.h"
#include "site/operations.h"

namespace imprint::app::admin {
namespace {

// ---- requests that wait ----

Result<Outcome> list_pending(const Env& env, const Call& call) {
  const std::int64_t limit = call.number("limit", kPage);
  store::PendingFilter filter;
  filter.decided = call.flag("decided");
  filter.limit = limit + 1;
  TRY(const std::optional<Bytes> place, place_of(call));
  if (place) {
    TRY(TimedPlace last, parse_timed_place(*place));
    filter.after = last.at;
    filter.after_key = std::move(last.id);
  }
  TRY(const auto reader, env.store.read());
  TRY(std::vector<store::PendingRow> rows, reader->pending_page(filter));
  const Json next = next_of(call, rows, limit, [](const store::PendingRow& r) {
    return encode(TimedPlace{r.first, r.what.request_key});
  });
  Json list = Json::array();
  for (const store::PendingRow& row : rows) {
    list.push_back(pending_json(row));
  }
  return json_answer(200, {{"pending", std::move(list)}, {"next", next}});
}

Result<Outcome> decide(const Env& env, const Call& call, Admission verdict) {
  const std::optional<Bytes> key = from_hex(call.id);
  CHECK_OR(key.has_value(), Error{Fault::refused, site::kRequestUnknown});
  Change out;
  out.run = [key = *key, verdict, act = act_of(env)](store::Writer& writer) -> Result<Changed> {
    TRY([[maybe_unused]] const Ok decided, site::decide_request(writer, key, verdict, act));
    TRY(const std::optional<store::PendingRow> row, writer.pending(key));
    CHECK_OR(row.has_value(), Error{Fault::refused, site::kRequestUnknown});
    const Json json = pending_json(*row);
    return Changed{json_answer(200, json), "request.decided", dumped(json)};
  };
  return out;
}

Result<Outcome> approve(const Env& env, const Call& call) { return decide(env, call, Admission::approved); }
Result<Outcome> refuse(const Env& env, const Call& call) { return decide(env, call, Admission::refused); }

// ---- certificates ----

Result<Outcome> list_certificates(const Env& env, const Call& call) {
  store::CertificateFilter filter;
  filter.device = call.text("device");
  const std::int64_t limit = call.number("limit", kPage);
  filter.limit = limit + 1;
  filter.revoked_only = call.flag("revoked");
  TRY(const std::optional<Bytes> place, place_of(call));
  filter.after_serial = place.value_or(Bytes());
  TRY(const auto reader, env.store.read());
  TRY(std::vector<store::CertificateRow> rows, reader->certificates(filter));
  const Json next = next_of(call, rows, limit, [](const store::CertificateRow& r) { return r.serial; });
  Json list = Json::array();
  for (const store::CertificateRow& row : rows) {
    list.push_back(certificate_json(row));
  }
  return json_answer(200, {{"certificates", std::move(list)}, {"next", next}});
}

Result<Json> certificate_with_pem(const store::CertificateRow& row) {
  TRY(const Certificate certificate, Certificate::parse(row.der));
  Json out = certificate_json(row);
  out["pem"] = to_pem(certificate);
  return out;
}

Result<Outcome> show_certificate(const Env& env, const Call& call) {
  const std::optional<Bytes> serial = from_hex(call.id);
  CHECK_OR(serial.has_value(), Error{Fault::refused, site::kCertificateUnknown});
  TRY(const auto reader, env.store.read());
  TRY(const std::optional<store::CertificateRow> row, reader->certificate(*serial));
  CHECK_OR(row.has_value(), Error{Fault::refused, site::kCertificateUnknown});
  TRY(const Json json, certificate_with_pem(*row));
  return json_answer(200, json);
}

Result<Outcome> revoke(const Env& env, const Call& call) {
  const std::optional<Bytes> serial = from_hex(call.id);
  CHECK_OR(serial.has_value(), Error{Fault::refused, site::kCertificateUnknown});
  const std::string wanted = call.text("reason");
  const auto reason = wanted.empty() ? RevocationReason::unspecified : site::revocation_reason_named(wanted);
  if (!reason) {
    return problem(Error{Fault::malformed, kApiBody}, "reason: not one of RFC 5280 section 5.3.1");
  }
  Change out;
  out.run = [serial = *serial, reason = *reason, act = act_of(env)](store::Writer& writer) -> Result<Changed> {
    TRY([[maybe_unused]] const Ok revoked, site::revoke_certificate(writer, serial, reason, act));
    TRY(const std::optional<store::CertificateRow> row, writer.certificate(serial));
    CHECK_OR(row.has_value(), Error{Fault::refused, site::kCertificateUnknown});
    TRY(const Json json, certificate_with_pem(*row));
    return Changed{json_answer(200, json), "certificate.revoked", dumped(certificate_json(*row))};
  };
  return out;
}

// ---- runs ----

Result<Outcome> list_runs(const Env& env, const Call& call) {
  const std::int64_t limit = call.number("limit", kPage);
  TRY(store::RunFilter filter, run_filter(call, limit));
  filter.device = call.text("device");
  TRY(const auto reader, env.store.read());
  TRY(std::vector<Run> runs, reader->runs(filter));
  const Json next = next_of(call, runs, limit, place_of_run);
  Json list = Json::array();
  for (const Run& run : runs) {
    list.push_back(run_json(run));
  }
  return json_answer(200, {{"runs", std::move(list)}, {"next", next}});
}

Result<Outcome> show_run(const Env& env, const Call& call) {
  TRY(const auto reader, env.store.read());
  TRY(const std::optional<Run> run, reader->run(call.id));
  CHECK_OR(run.has_value(), Error{Fault::refused, kRunUnknown});
  Json out = run_json(*run);
  out["steps"] = Json::array();
  for (const RunStep& step : run->steps) {
    out["steps"].push_back(step_json(*run, step));
  }
  out["beliefs"] = beliefs_json(*run);
  return json_answer(200, out);
}

// ---- audit ----

Result<Outcome> list_audit(const Env& env, const Call& call) {
  const std::int64_t limit = call.number("limit", kPage);
  TRY(const std::optional<Bytes> place, place_of(call));
  imprint::Reader sequence(place ? BytesView(*place) : BytesView());
  const auto after = place ? static_cast<std::int64_t>(sequence.u64()) : 0;
  CHECK_OR(sequence.good() && sequence.empty(), Error{Fault::malformed, kApiCursor});
  TRY(const auto reader, env.store.read());
  TRY(std::vector<AuditEntry> entries, reader->audit(after, limit + 1));
  const Json next = next_of(call, entries, limit, [](const AuditEntry& e) {
    imprint::Writer w;
    w.u64(static_cast<std::uint64_t>(e.sequence));
    return std::move(w).out();
  });
  Json list = Json::array();
  for (const AuditEntry& entry : entries) {
    list.push_back(audit_json(entry));
  }
  return json_answer(200, {{"entries", std::move(list)}, {"next", next}});
}

Result<Outcome> verify_audit(const Env& env, const Call& /*call*/) {
  return Work([&store = env.store]() -> Result<Response> {
    TRY(const auto reader, store.read());
    TRY(const std::int64_t entries, reader->count("audit"));
    TRY(const std::optional<std::int64_t> broken, store::verify_audit(*reader));
    TRY(const auto last, reader->audit(entries - 1, 1));
    return json_answer(200, audit_verdict_json({entries, broken, last.empty() ? Sha256{} : last.front().hash}));
  });
}

constexpr std::array kPendingQuery{Field{"decided", Kind::flag, "also those that are decided"}, kCursor, kLimit};
constexpr std::array kCertificateQuery{Field{"device", Kind::text, "of this device only"},
                                       Field{"revoked", Kind::flag, "revoked ones only"}, kCursor, kLimit};
constexpr std::array kRevocation{
    Field{"reason", Kind::text,
          "unspecified (default), key_compromise, ca_compromise, affiliation_changed, superseded, cessation or "
          "privilege_withdrawn"}};
constexpr std::array kRunQuery{Field{"device", Kind::text, "of this device only"}, kCursor, kLimit};
constexpr std::array kAuditQuery{kCursor, kLimit};

const std::array kRoutes{Route{.pattern = "/v1/pending",
                               .operation = "listPending",
                               .summary = "Requests that wait for a person",
                               .handler = list_pending,
                               .schema = "PendingList",
                               .query = kPendingQuery},
                         Route{.method = Method::post,
                               .pattern = "/v1/pending/{key}/approve",
                               .operation = "approveRequest",
                               .summary = "Approve the request, and the device that waits for it",
                               .handler = approve,
                               .schema = "Pending"},
                         Route{.method = Method::post,
                               .pattern = "/v1/pending/{key}/refuse",
                               .operation = "refuseRequest",
                               .summary = "Refuse the request, and the device that waits for it",
                               .handler = refuse,
                               .schema = "Pending"},
                         Route{.pattern = "/v1/certificates",
                               .operation = "listCertificates",
                               .summary = "Certificates on record, in order of serial number",
                               .handler = list_certificates,
                               .schema = "CertificateList",
                               .query = kCertificateQuery},
                         Route{.pattern = "/v1/certificates/{serial}",
                               .operation = "getCertificate",
                               .summary = "One certificate",
                               .handler = show_certificate,
                               .schema = "CertificateWithPem"},
                         Route{.method = Method::post,
                               .pattern = "/v1/certificates/{serial}/revoke",
                               .operation = "revokeCertificate",
                               .summary = "Revoke a certificate",
                               .handler = revoke,
                               .schema = "CertificateWithPem",
                               .body = kRevocation},
                         Route{.pattern = "/v1/runs",
                               .operation = "listRuns",
                               .summary = "Runs, newest first",
                               .handler = list_runs,
                               .schema = "RunList",
                               .query = kRunQuery},
                         Route{.pattern = "/v1/runs/{run}",
                               .operation = "getRun",
                               .summary = "One run with its steps and beliefs",
                               .handler = show_run,
                               .schema = "RunWithSteps"},
                         Route{.pattern = "/v1/audit",
                               .operation = "listAudit",
                               .summary = "The audit log, oldest first",
                               .handler = list_audit,
                               .schema = "AuditList",
                               .query = kAuditQuery},
                         Route{.pattern = "/v1/audit/verify",
                               .operation = "verifyAudit",
                               .summary = "Walk the whole chain of the audit log and say where it breaks",
                               .handler = verify_audit,
                               .schema = "AuditVerdict"}};

}  // namespace

std::span<const Route> record_routes() { return kRoutes; }

}  // namespace imprint::app::admin
