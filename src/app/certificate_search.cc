#include "app/certificate_search.h"

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "app/admin_routes.h"
#include "app/pem_file.h"

namespace imprint::app {
namespace {

// ---- parts of a search ----

std::optional<int> number_in(std::string_view text) {
  int out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty() ? std::optional(out) : std::nullopt;
}

// "30d", "12h" from now.
std::optional<Instant> from_now(std::string_view text, Instant now) {
  const std::optional<int> count = number_in(text.substr(0, text.size() - 1));
  const char unit = text.back();
  if (!count || *count < 0 || (unit != 'd' && unit != 'h')) {
    return std::nullopt;
  }
  return now + std::chrono::hours(std::int64_t{*count} * (unit == 'd' ? 24 : 1));
}

// "2027-01-31" or "2027-01-31T12:00:00Z".
std::optional<Instant> calendar(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00T00:00:00Z";
  if (text.size() != 10 && text.size() != kForm.size()) {
    return std::nullopt;
  }
  std::array<int, 6> n{};
  std::size_t field = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (kForm[i] != '0') {
      if (text[i] != kForm[i]) {
        return std::nullopt;
      }
      ++field;
    } else if (text[i] < '0' || text[i] > '9') {
      return std::nullopt;
    } else {
      n.at(field) = n.at(field) * 10 + (text[i] - '0');
    }
  }
  const std::chrono::year_month_day day{std::chrono::year{n[0]}, std::chrono::month{static_cast<unsigned>(n[1])},
                                        std::chrono::day{static_cast<unsigned>(n[2])}};
  if (!day.ok() || n[3] > 23 || n[4] > 59 || n[5] > 59) {
    return std::nullopt;
  }
  const std::int64_t days = std::chrono::sys_days(day).time_since_epoch().count();
  return Instant{(((days * 24 + n[3]) * 60 + n[4]) * 60 + n[5]) * 1000};
}

std::optional<Instant> time_in(const std::string& text, Instant now) {
  const std::optional<Instant> out = calendar(text);
  return out ? out : from_now(text, now);
}

// ---- CSV ----

// RFC 4180 section 2: in quotes where it has to be.
std::string csv_field(std::string_view text) {
  if (text.find_first_of("\",\r\n") == std::string_view::npos) {
    return std::string(text);
  }
  std::string out = "\"";
  for (const char c : text) {
    out += c == '"' ? "\"\"" : std::string(1, c);
  }
  return out + "\"";
}

constexpr std::array<std::string_view, 19> kColumns{"serial",
                                                    "device",
                                                    "profile",
                                                    "subject",
                                                    "names",
                                                    "not_before",
                                                    "not_after",
                                                    "issued",
                                                    "identity",
                                                    "reason",
                                                    "basis",
                                                    "evidence",
                                                    "run",
                                                    "renews",
                                                    "sha256",
                                                    "revoked",
                                                    "revocation_reason",
                                                    "issued_entry",
                                                    "revoked_entry"};

std::string csv_value(const Json& value) {
  if (value.is_null()) {
    return {};
  }
  if (value.is_array()) {
    std::string out;
    for (const Json& each : value) {
      out += (out.empty() ? "" : " ") + each.get<std::string>();
    }
    return csv_field(out);
  }
  return value.is_string() ? csv_field(value.get<std::string>()) : value.dump();
}

std::string csv_row(const Json& json) {
  std::string out;
  for (const std::string_view column : kColumns) {
    out += (out.empty() ? "" : ",") + csv_value(json.at(std::string(column)));
  }
  return out + "\r\n";
}

std::string pem_in(const store::CertificateRow& row) {
  const Result<Certificate> certificate = Certificate::parse(row.der);
  return certificate ? to_pem(*certificate) : std::string();
}

// ---- the way back ----

Json entry_json(const std::optional<AuditEntry>& entry) { return entry ? admin::audit_json(*entry) : Json(); }

std::string entry_text(const AuditEntry& entry) {
  return entry.action + " by " + entry.actor + " on " + utc_text(entry.at) + ", audit entry " +
         std::to_string(entry.sequence);
}

std::string line(std::string_view name, const std::string& value) {
  std::string out(name);
  out.resize(13, ' ');
  return value.empty() ? std::string() : out + value + "\n";
}

std::string names_of(const store::CertificateRow& row) {
  const Json names = admin::certificate_json(row).at("names");
  std::string out;
  for (const Json& each : names) {
    out += (out.empty() ? "" : ", ") + each.get<std::string>();
  }
  return out;
}

std::string decision_text(const site::Trace& trace) {
  const store::CertificateRow& row = trace.certificate;
  const std::string basis =
      row.origin.basis == Basis::none ? std::string() : std::string(imprint::name(row.origin.basis)) + ": ";
  std::string out = line("decision", basis + row.reason);
  if (trace.request && trace.request->state != Admission::waiting) {
    out += line("", std::string("request ") + std::string(imprint::name(trace.request->state)) + " by " +
                        trace.request->decided_by + " on " + utc_text(trace.request->decided));
  }
  for (const AuditEntry& entry : trace.admission) {
    out += line("", entry_text(entry));
  }
  return out;
}

std::string run_text(const site::Trace& trace) {
  const std::string& id = trace.certificate.origin.run;
  if (id.empty()) {
    return line("run", "none on record");
  }
  if (!trace.run) {
    return line("run", id + " (not kept any more)");
  }
  const Run& run = *trace.run;
  std::string out =
      line("run", id + ", " + run.protocol + " " + run.mode + ", " + utc_text(run.started) + ", " + run.result);
  for (const RunStep& step : run.steps) {
    out += line("", step.state + (step.check.empty() ? "" : ": " + step.check));
  }
  for (const BeliefChange& belief : run.beliefs) {
    out += line("", "believed: " + belief.belief.statement);
  }
  return out;
}

}  // namespace

std::variant<store::CertificateFilter, SearchProblem> filter_of(const CertificateSearch& search, Instant now) {
  store::CertificateFilter out;
  out.text = search.text;
  out.device = search.device;
  out.profile = search.profile;
  out.now = now;
  if (!search.state.empty()) {
    out.state = store::certificate_state_named(search.state);
    if (!out.state) {
      return SearchProblem{"state", "good, expired or revoked"};
    }
  }
  const std::optional<Bytes> serial = from_hex(search.serial);
  if (!serial || serial->size() > 20) {
    return SearchProblem{"serial", "a serial number in hexadecimal, or its beginning"};
  }
  out.serial = *serial;
  const std::optional<Bytes> digest = from_hex(search.fingerprint);
  if (!digest || (!digest->empty() && digest->size() != 32)) {
    return SearchProblem{"fingerprint", "64 hexadecimal digits: the SHA-256 of the certificate"};
  }
  out.sha256 = *digest;
  constexpr std::string_view kTimes = "2027-01-31, 2027-01-31T12:00:00Z, or 30d or 12h from now";
  if (!search.ends_before.empty()) {
    out.ends_before = time_in(search.ends_before, now);
    if (!out.ends_before) {
      return SearchProblem{"ends-before", std::string(kTimes)};
    }
  }
  if (!search.ends_after.empty()) {
    out.ends_after = time_in(search.ends_after, now);
    if (!out.ends_after) {
      return SearchProblem{"ends-after", std::string(kTimes)};
    }
  }
  return out;
}

std::optional<ExportFormat> export_format_named(std::string_view name) {
  return name == "pem"     ? std::optional(ExportFormat::pem)
         : name == "jsonl" ? std::optional(ExportFormat::jsonl)
         : name == "csv"   ? std::optional(ExportFormat::csv)
                           : std::nullopt;
}

std::string export_head(ExportFormat format) {
  if (format != ExportFormat::csv) {
    return {};
  }
  std::string out;
  for (const std::string_view column : kColumns) {
    out += (out.empty() ? "" : ",") + std::string(column);
  }
  return out + "\r\n";
}

std::string export_row(ExportFormat format, const store::CertificateRow& row) {
  if (format == ExportFormat::pem) {
    return "# " + hex(row.serial) + " " + row.device + " " + row.subject + "\n" + pem_in(row);
  }
  Json json = admin::certificate_json(row);
  if (format == ExportFormat::csv) {
    return csv_row(json);
  }
  json["pem"] = pem_in(row);
  return admin::dumped(json) + "\n";
}

Json trace_json(const site::Trace& trace, Instant now) {
  Json admission = Json::array();
  for (const AuditEntry& entry : trace.admission) {
    admission.push_back(admin::audit_json(entry));
  }
  Json certificate = admin::certificate_json(trace.certificate);
  certificate["pem"] = pem_in(trace.certificate);
  return {{"certificate", std::move(certificate)},
          {"state", store::name(store::state_of(trace.certificate, now))},
          {"issued", entry_json(trace.issued)},
          {"revoked", entry_json(trace.revoked)},
          {"request", trace.request ? admin::pending_json(*trace.request) : Json()},
          {"admission", std::move(admission)},
          {"run", trace.run ? admin::whole_run_json(*trace.run) : Json()},
          {"renewed", trace.renewed ? Json(hex(trace.renewed->serial)) : Json()},
          {"successor", trace.successor ? Json(hex(trace.successor->serial)) : Json()}};
}

std::string trace_text(const site::Trace& trace, Instant now) {
  const store::CertificateRow& row = trace.certificate;
  std::string out = line("serial", hex(row.serial)) + line("subject", row.subject) + line("names", names_of(row)) +
                    line("device", row.device) + line("profile", row.profile) +
                    line("valid", utc_text(row.not_before) + " to " + utc_text(row.not_after)) +
                    line("state", std::string(store::name(store::state_of(row, now)))) +
                    line("fingerprint", "SHA-256 " + fingerprint_text(sha256(row.der)));
  out += line("issued", utc_text(row.issued) + (trace.issued ? ", audit entry " + std::to_string(trace.issued->sequence)
                                                             : ", no audit entry known"));
  out += line("asked by", row.identity) + line("evidence", row.origin.evidence);
  out += decision_text(trace) + run_text(trace);
  out += trace.renewed ? line("renews", hex(trace.renewed->serial)) : "";
  out += trace.successor ? line("renewed by", hex(trace.successor->serial)) : "";
  if (row.revoked) {
    out += line("revoked", utc_text(*row.revoked) + ", " + std::string(site::name(row.revocation_reason)) +
                               (trace.revoked ? ": " + entry_text(*trace.revoked) : ""));
  }
  return out;
}

}  // namespace imprint::app
