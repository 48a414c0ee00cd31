// Routes of what is on record: requests that wait, certificates, runs, audit.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/admin_page.h"
#include "app/admin_routes.h"
#include "app/certificate_search.h"
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
  const Json next = next_of(list_of(call), rows, limit, [](const store::PendingRow& r) {
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

// The filter that a query asks for, or the problem to be answered.
std::variant<store::CertificateFilter, Response> wanted(const Env& env, const Call& call) {
  CertificateSearch search{call.text("text"),        call.text("serial"),    call.text("fingerprint"),
                           call.text("device"),      call.text("profile"),   call.text("state"),
                           call.text("ends_before"), call.text("ends_after")};
  if (call.flag("revoked")) {
    search.state = "revoked";
  }
  auto filter = filter_of(search, env.now);
  if (const auto* const wrong = std::get_if<SearchProblem>(&filter)) {
    std::string part = wrong->part;
    std::ranges::replace(part, '-', '_');
    return problem(Error{Fault::malformed, kApiQuery}, part + ": must be " + wrong->wanted);
  }
  store::CertificateFilter out = std::get<store::CertificateFilter>(std::move(filter));
  out.limit = call.number("limit", kPage);
  return out;
}

Result<Outcome> list_certificates(const Env& env, const Call& call) {
  std::variant<store::CertificateFilter, Response> asked = wanted(env, call);
  if (auto* const refused = std::get_if<Response>(&asked)) {
    return std::move(*refused);
  }
  auto& filter = std::get<store::CertificateFilter>(asked);
  const std::int64_t limit = filter.limit;
  filter.limit = limit + 1;
  TRY(const std::optional<Bytes> place, place_of(call));
  filter.after_serial = place.value_or(Bytes());
  // A search walks every certificate: not on the loop.
  return Work([&store = env.store, filter, limit, list = list_of(call)]() -> Result<Response> {
    TRY(const auto reader, store.read());
    TRY(std::vector<store::CertificateRow> rows, reader->certificates(filter));
    const Json next = next_of(list, rows, limit, [](const store::CertificateRow& r) { return r.serial; });
    Json found = Json::array();
    for (const store::CertificateRow& row : rows) {
      found.push_back(certificate_json(row));
    }
    return json_answer(200, {{"certificates", std::move(found)}, {"next", next}});
  });
}

constexpr std::int64_t kMostExported = 10'000;

// In the order of ExportFormat.
constexpr std::array<std::string_view, 3> kExportTypes{"application/x-pem-file", "application/jsonl",
                                                       "text/csv; charset=utf-8"};

Result<Outcome> export_certificates(const Env& env, const Call& call) {
  std::variant<store::CertificateFilter, Response> asked = wanted(env, call);
  if (auto* const refused = std::get_if<Response>(&asked)) {
    return std::move(*refused);
  }
  const std::optional<Bytes> after = from_hex(call.text("after"));
  if (!after) {
    return problem(Error{Fault::malformed, kApiQuery}, "after: not a serial number in hexadecimal");
  }
  auto& chosen = std::get<store::CertificateFilter>(asked);
  chosen.after_serial = *after;
  chosen.limit = call.number("limit", kMostExported);
  const std::string named = call.text("format");
  const std::optional<ExportFormat> format = export_format_named(named.empty() ? "jsonl" : named);
  if (!format) {
    return problem(Error{Fault::malformed, kApiQuery}, "format: must be pem, jsonl or csv");
  }
  return Work(
      [&store = env.store, filter = std::get<store::CertificateFilter>(asked), format = *format]() -> Result<Response> {
        TRY(const auto reader, store.read());
        TRY(const std::vector<store::CertificateRow> rows, reader->certificates(filter));
        std::string out = export_head(format);
        for (const store::CertificateRow& row : rows) {
          out += export_row(format, row);
        }
        Response answer;
        answer.status = 200;
        answer.content_type = kExportTypes.at(static_cast<std::size_t>(format));
        answer.body = to_bytes(out);
        return answer;
      });
}

Result<Outcome> trace_certificate(const Env& env, const Call& call) {
  const std::optional<Bytes> serial = from_hex(call.id);
  CHECK_OR(serial.has_value(), Error{Fault::refused, site::kCertificateUnknown});
  return Work([&store = env.store, serial = *serial, now = env.now]() -> Result<Response> {
    TRY(const auto reader, store.read());
    TRY(const std::optional<site::Trace> found, site::trace(*reader, serial));
    CHECK_OR(found.has_value(), Error{Fault::refused, site::kCertificateUnknown});
    return json_answer(200, trace_json(*found, now));
  });
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
  const Json next = next_of(list_of(call), runs, limit, place_of_run);
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
  return json_answer(200, whole_run_json(*run));
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
  const Json next = next_of(list_of(call), entries, limit, [](const AuditEntry& e) {
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
constexpr Field kText{"text", Kind::text, "somewhere in the subject or another name; case does not matter"};
constexpr Field kSerial{"serial", Kind::text, "how the serial number begins, hexadecimal"};
constexpr Field kFingerprint{"fingerprint", Kind::text, "SHA-256 of the certificate, hexadecimal"};
constexpr Field kDevice{"device", Kind::text, "of this device only; (server) for the owner's own"};
constexpr Field kProfile{"profile", Kind::text, "of this profile only"};
constexpr Field kState{"state", Kind::text, "good, expired or revoked"};
constexpr Field kEndsBefore{"ends_before", Kind::text, "a time, as 2027-01-31 or 30d from now"};
constexpr Field kEndsAfter{"ends_after", Kind::text, "the same"};
constexpr Field kAfter{"after", Kind::text, "the serial number after which the page begins"};
constexpr std::array kCertificateQuery{
    kText,       kSerial,    kFingerprint, kDevice, Field{"revoked", Kind::flag, "revoked ones only"}, kProfile, kState,
    kEndsBefore, kEndsAfter, kCursor,      kLimit};
constexpr std::array kExportQuery{
    Field{"format", Kind::text, "pem, jsonl (default) or csv"},
    kText,
    kSerial,
    kFingerprint,
    kDevice,
    kProfile,
    kState,
    kEndsBefore,
    kEndsAfter,
    kAfter,
    Field{"limit", Kind::number, "at most so many, 1 to 10,000 (default); as many may not be all: go on after the last",
          false, 1, kMostExported}};
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
                         Route{.pattern = "/v1/certificates/export",
                               .operation = "exportCertificates",
                               .summary = "Certificates on record as PEM, JSON lines or CSV, in order of serial number",
                               .handler = export_certificates,
                               .query = kExportQuery},
                         Route{.pattern = "/v1/certificates/{serial}/trace",
                               .operation = "traceCertificate",
                               .summary = "What led to a certificate: its run, the evidence, the decision",
                               .handler = trace_certificate,
                               .schema = "CertificateTrace"},
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
