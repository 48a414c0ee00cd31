// The registrar toward what a device reports of its voucher and its enrolment (RFC 8995 sections 5.7, 5.8 and 5.9.4).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "codec/printable.h"
#include "proto/brski/registrar_rules.h"
#include "proto/brski/registrar_steps.h"

namespace imprint::brski {

using steps::kNobody;
using steps::tell;

namespace {

constexpr std::size_t kMostText = 1024;

PledgeReport report_of(const Telemetry& telemetry) {
  PledgeReport out{telemetry.status, printable(telemetry.reason).substr(0, kMostText), {}};
  Json context = Json::object();
  for (const auto& [name, text] : telemetry.context) {
    context[name] = text;
  }
  if (!context.empty()) {
    out.context = context.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, kMostText);
  }
  return out;
}

// The answer to both reports: it is noted, and nothing follows for the device (RFC 8995 section 5.7).
Response thanks() { return Response{200}; }

// RFC 8995 section 5.7: the server MUST NOT fail on it, and a person hears of a version that is not known.
std::string with_version(std::string reason, const Telemetry& telemetry) {
  return telemetry.version > 1 ? reason + "; the report is of version " + std::to_string(telemetry.version) : reason;
}

// Held because there was no log to judge it by: the device may come back with the same voucher, and report once more.
bool lacked_log(const PledgeRow& row) {
  const bool by_that = row.rule == kLogMissing.id || row.rule == kLogUnreadable.id;
  return row.stage == PledgeStage::imprinted && holds(!row.cleared) && holds(row.held.empty()) && by_that;
}

// The pin as our voucher has it, and whatever else of our chain a voucher may pin.
std::vector<Bytes> own_domains(const RegistrarConfig& config, const PledgeRow& row) {
  std::vector<Bytes> out;
  for (const Certificate& each : config.chain) {
    out.push_back(domain_id(each));
  }
  if (!row.domain_id.empty()) {
    out.push_back(row.domain_id);
  }
  return out;
}

// The path of a log that the MASA has put elsewhere on itself; empty if it is not there.
std::string path_at(const std::string& location, const MasaContact& masa) {
  if (location.starts_with('/') && !location.starts_with("//")) {
    return location;
  }
  const auto uri = Uri::parse(location);
  const bool same = uri && uri->scheme == "https" && holds(uri->authority() == masa.url.authority());
  return same ? uri->path + (uri->query.empty() ? "" : "?" + uri->query) : std::string();
}

Request log_at(const std::string& path) {
  Request out;
  out.method = Method::get;
  out.path = path.substr(0, path.find('?'));
  out.query = path.size() > out.path.size() ? path.substr(out.path.size() + 1) : std::string();
  out.accept = kJsonType;
  return out;
}

}  // namespace

Result<Registrar::Recalling> Registrar::on(const Idle&, const ReportVoucher& m, Turn& t) const {
  CHECK_OR(m.session && m.session->proven, Error{Fault::refused, kNoIdevid});
  return Recalling{m, t.ask(RecallPledge{m.session})};
}

Result<Registrar::Recalling> Registrar::on(const Recalling& s, const Gone& g, Turn&) const {
  CHECK_OR(g.exchange == s.told.from, Error{Fault::stale, "somebody else left"});
  Recalling next = s;
  next.told.from = kNobody;
  return next;
}

Result<OneOf<Registrar::OpeningForLog, Registrar::Idle>> Registrar::on(const Recalling& s,
                                                                       const Done<RecallPledge::Recalled>& d,
                                                                       Turn& t) const {
  if (!d.answer) {
    tell(t, s.told.from, steps::no_record(d.answer.error()));
    return Idle{};
  }
  const Report report{s.told.from, s.told.telemetry, d.answer->row, d.answer->masa};
  if (!holds(s.told.telemetry.status)) {
    t.note(VoucherReported{report.row.id,
                           report.row.device,
                           report_of(report.telemetry),
                           false,
                           std::string(kVoucherRejected.id),
                           with_version(std::string(kVoucherRejected.what), report.telemetry),
                           {},
                           false,
                           report.row.vouchered,
                           report.row.nonce});
    tell(t, s.told.from, thanks());
    return Idle{};
  }
  if (report.row.stage != PledgeStage::vouchered && !lacked_log(report.row)) {  // judged before: it changes nothing
    tell(t, s.told.from, thanks());
    return Idle{};
  }
  if (report.masa.quirks.no_audit_log || report.row.request.empty() || report.masa.url.host.empty()) {
    TRY(Idle idle, concluded(report, std::nullopt, {}, t));
    return idle;
  }
  const auto ticket = t.open(report.masa.url, Trust::anchors, report.masa.anchors, report.masa.as);
  return OpeningForLog{report, ticket};
}

Result<Registrar::OpeningForLog> Registrar::on(const OpeningForLog& s, const Gone& g, Turn&) const {
  CHECK_OR(g.exchange == s.of.from, Error{Fault::stale, "somebody else left"});
  OpeningForLog next = s;
  next.of.from = kNobody;
  return next;
}

Result<OneOf<Registrar::FetchingLog, Registrar::Idle>> Registrar::on(const OpeningForLog& s, const Done<SessionRef>& d,
                                                                     Turn& t) const {
  if (d.answer && steps::is_masa(**d.answer, s.of.masa)) {
    const auto ticket = t.request(**d.answer, steps::log_request(s.of));
    return FetchingLog{s.of, *d.answer, false, {}, ticket};
  }
  if (d.answer) {
    t.close(**d.answer);
  }
  TRY(Idle idle, concluded(s.of, std::nullopt, {}, t));
  return idle;
}

Result<Registrar::FetchingLog> Registrar::on(const FetchingLog& s, const Gone& g, Turn&) const {
  CHECK_OR(g.exchange == s.of.from, Error{Fault::stale, "somebody else left"});
  FetchingLog next = s;
  next.of.from = kNobody;
  return next;
}

Result<OneOf<Registrar::FetchingLog, Registrar::Idle>> Registrar::on(const FetchingLog& s, const Done<Response>& d,
                                                                     Turn& t) const {
  if (d.answer && !s.logged_in) {
    Request again = s.at.empty() ? steps::log_request(s.of) : log_at(s.at);
    if (steps::log_in(again, *d.answer, s.of.masa.login, t.random<16>())) {
      const auto ticket = t.request(*s.masa, std::move(again));
      return FetchingLog{s.of, s.masa, true, s.at, ticket};
    }
  }
  if (d.answer && d.answer->status == 201 && s.at.empty()) {
    const std::string path = path_at(d.answer->location, s.of.masa);
    if (!path.empty()) {
      const auto ticket = t.request(*s.masa, log_at(path));
      return FetchingLog{s.of, s.masa, false, path, ticket};
    }
  }
  t.close(*s.masa);
  std::optional<Result<AuditLog>> log;
  std::string text;
  if (d.answer && d.answer->status == 200) {
    text = as_text(d.answer->body);
    log = parse_audit_log(text, s.of.masa.quirks.registrar_id_log);
  }
  TRY(Idle idle, concluded(s.of, log, log && *log ? text : std::string(), t));
  return idle;
}

// Noted before the device goes on: EST is open to it from then on, or a person has to look.
Result<Registrar::Idle> Registrar::concluded(const Report& report, const std::optional<Result<AuditLog>>& log,
                                             std::string text, Turn& t) const {
  LogPolicy policy = config_->log;
  policy.log_needed = policy.log_needed && !report.masa.quirks.no_audit_log;
  const LogVerdict verdict = judge_log(log, own_domains(*config_, report.row), policy, own_vouchers(report.row));
  // Nothing was found against it: what cannot be asked today may be asked with the next report or voucher.
  const bool passing = verdict.rule == &kLogMissing || verdict.rule == &kLogUnreadable;
  t.note(VoucherReported{report.row.id, report.row.device, report_of(report.telemetry), verdict.cleared,
                         std::string(verdict.rule != nullptr ? verdict.rule->id : std::string_view()),
                         with_version(verdict.reason, report.telemetry), std::move(text), passing, report.row.vouchered,
                         report.row.nonce});
  tell(t, report.from, thanks());
  return Idle{};
}

// ---- the end ----

Result<Registrar::Ending> Registrar::on(const Idle&, const ReportEnrolment& m, Turn& t) const {
  CHECK_OR(m.session && m.session->proven, Error{Fault::refused, kNoIdevid});
  steps::learn_device(*m.session, t);  // by what it was given, if all is well (section 5.9.4)
  return Ending{m, t.ask(RecallPledge{m.session})};
}

Result<Registrar::Ending> Registrar::on(const Ending& s, const Gone& g, Turn&) const {
  CHECK_OR(g.exchange == s.told.from, Error{Fault::stale, "somebody else left"});
  Ending next = s;
  next.told.from = kNobody;
  return next;
}

Result<Registrar::Idle> Registrar::on(const Ending& s, const Done<RecallPledge::Recalled>& d, Turn& t) const {
  if (!d.answer) {
    tell(t, s.told.from, steps::no_record(d.answer.error()));
    return Idle{};
  }
  t.note(EnrolmentReported{d.answer->row.id, d.answer->row.device, d.answer->certificate, report_of(s.told.telemetry)});
  tell(t, s.told.from, thanks());
  return Idle{};
}

}  // namespace imprint::brski
