// What a device tells its registrar about voucher and enrolment (RFC 8995 sections 5.7 and 5.9.4), in JSON or CBOR.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace imprint::brski {

inline constexpr std::size_t kMaxTelemetry = 16 * 1024;

struct Telemetry {
  std::uint64_t version = 1;  // above 1: read as far as it is known, and a person is told
  bool status = false;
  std::string reason;                          // empty if there is none
  std::map<std::string, std::string> context;  // reason-context: names to what they hold, as JSON text
  std::vector<std::string> unknown;            // members that were passed over
  bool operator==(const Telemetry&) const = default;
};

// Member names are taken in lower case and as IANA has them ("Status", "Reason"). Faults: limit (16 KiB, 32 members, 8
// levels), malformed (no version or status, or of another type, or twice).
Result<Telemetry> parse_json_telemetry(std::string_view text);
// The same; keys of reason-context may be integers.
Result<Telemetry> parse_cbor_telemetry(BytesView in);
// `version_as_text`: not as RFC 8995 section 5.7 has it; some registrars read nothing else.
std::string encode_json_telemetry(const Telemetry& telemetry, bool version_as_text = false);
Bytes encode_cbor_telemetry(const Telemetry& telemetry);

}  // namespace imprint::brski
