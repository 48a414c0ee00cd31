// What the command line and the admin API share where certificates are searched, exported and traced.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "codec/json.h"
#include "site/trace.h"
#include "store/store.h"

namespace imprint::app {

// The parts of a search as people write them; empty ones do not count.
struct CertificateSearch {
  std::string text = {}, serial = {}, fingerprint = {}, device = {}, profile = {}, state = {}, ends_before = {},
              ends_after = {};
};

// What is wrong with a search: "--state lost", "one of good, expired, revoked".
struct SearchProblem {
  std::string part, wanted;
};

// Serial numbers and fingerprints are hexadecimal, with or without colons; of a serial number its beginning is enough.
// Times are 2027-01-31, 2027-01-31T12:00:00Z, or 30d and 12h from now.
std::variant<store::CertificateFilter, SearchProblem> filter_of(const CertificateSearch& search, Instant now);

enum class ExportFormat : std::uint8_t { pem, jsonl, csv };
std::optional<ExportFormat> export_format_named(std::string_view name);

// The columns of CSV, and the members of a line of JSON besides `pem`, in this order; later versions add at the end.
std::string export_head(ExportFormat format);
// One certificate: PEM with a line about it before, a line of JSON, or a line of CSV (RFC 4180).
std::string export_row(ExportFormat format, const store::CertificateRow& row);

// The way back from a certificate: as JSON, and for people.
Json trace_json(const site::Trace& trace, Instant now);
std::string trace_text(const site::Trace& trace, Instant now);

}  // namespace imprint::app
