// The voucher and the voucher request: RFC 8366, RFC 8995 section 3 and draft-ietf-anima-rfc8366bis. One data model,
// with an encoding in JSON and one in CBOR.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/instant.h"
#include "base/result.h"

namespace imprint::brski {

inline constexpr std::size_t kMaxArtifact = std::size_t{64} << 10U;

// What the maker says about the owner (RFC 8366 section 5.3). other: a value that no specification has.
enum class Assertion : std::uint8_t { verified = 0, logged = 1, proximity = 2, agent_proximity = 3, other };
std::string_view name(Assertion assertion);        // "agent-proximity"
Assertion assertion_named(std::string_view name);  // other for unknown names
std::string_view meaning(Assertion assertion);     // one sentence for people

// yang:date-and-time: RFC 3339 with any offset. The text is kept as received.
struct DateTime {
  std::string text;
  Instant at;
  bool operator==(const DateTime&) const = default;

  static Result<DateTime> parse(std::string_view text);
  static DateTime of(Instant when);  // "2026-11-21T19:00:00Z"
};

// JSON text or CBOR bytes. The text is echoed and compared as it is: peers send base64, base64url and hexadecimal.
using Nonce = std::variant<std::string, Bytes>;

// Names (JSON) or SIDs (CBOR).
using Extensions = std::vector<std::variant<std::string, std::uint64_t>>;

// Every leaf that the two have, named as in the YANG modules. Nothing here is verified.
struct Voucher {
  enum class Kind : std::uint8_t { voucher, request };
  Kind kind = Kind::voucher;
  std::optional<Assertion> assertion;
  std::optional<DateTime> created_on;
  std::optional<bool> domain_cert_revocation_checks;
  std::optional<DateTime> expires_on;
  std::optional<Bytes> idevid_issuer;  // as received: issuer_key_id() reduces it
  std::optional<DateTime> last_renewal_date;
  std::optional<Nonce> nonce;
  std::optional<Bytes> pinned_domain_cert;  // DER
  std::optional<Bytes> pinned_domain_pubk;  // DER of a SubjectPublicKeyInfo
  std::optional<Bytes> pinned_domain_pubk_sha256;
  std::optional<std::string> serial_number;
  std::optional<std::string> additional_configuration_url;
  std::optional<std::string> est_domain;
  std::optional<Bytes> manufacturer_proprietary;
  std::optional<Extensions> extensions;
  // Of a request alone.
  std::optional<Bytes> prior_signed_voucher_request;
  std::optional<Bytes> proximity_registrar_cert;
  std::optional<Bytes> proximity_registrar_pubk_sha256;
  std::optional<Bytes> proximity_registrar_pubk;
  std::optional<Bytes> agent_provided_proximity_registrar_cert;
  std::optional<std::vector<Bytes>> agent_sign_cert;
  std::optional<Bytes> agent_signed_data;

  std::vector<std::string> unknown;  // leaves that were passed over (RFC 8995 section 5.6.1), as they were called
  bool operator==(const Voucher&) const = default;
};
std::string_view name(Voucher::Kind kind);  // "voucher" or "voucher request"

// Strict, but for what peers are known to do: booleans as text, leaves under the name of their module, unknown leaves.
// Faults: limit (64 KiB, 64 leaves), malformed (a leaf of another type or size, or twice; no serial number is none of
// these).
Result<Voucher> parse_json_voucher(std::string_view text);
// The same; keys are SIDs, absolute SIDs (tag 47), names, or a mix (draft-ietf-anima-rfc8366bis section 9).
Result<Voucher> parse_cbor_voucher(BytesView in);

// What is unknown is left out. unsupported: Assertion::other; for CBOR also a nonce that is text, for JSON extensions
// that are SIDs, and the other way round.
Result<std::string> encode_json_voucher(const Voucher& voucher);
Result<Bytes> encode_cbor_voucher(const Voucher& voucher);

}  // namespace imprint::brski
