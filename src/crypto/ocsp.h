// The Online Certificate Status Protocol (RFC 6960, in the profile of RFC 5019): what relying parties ask, and what a
// responder signs.
#pragma once

#include "crypto/issue.h"

namespace imprint {

// Which certificate is meant: RFC 6960 section 4.1.1.
struct CertId {
  enum class Hash : std::uint8_t { sha1, sha256, other };
  Bytes der;  // as received: the answer repeats it
  Hash hash = Hash::other;
  Bytes issuer_name_hash, issuer_key_hash;
  Bytes serial;  // at most 20 octets, without a leading zero; empty if it is none that a certificate can have
  bool operator==(const CertId&) const = default;

  // Whether the hashes are those of this certificate's subject and key. False for hashes other than SHA-1 and SHA-256.
  bool names_issuer(const Certificate& issuer) const;
};

struct OcspRequest {
  static constexpr std::size_t kMaxBytes = std::size_t{8} * 1024;
  static constexpr std::size_t kMaxAsked = 32;
  static constexpr std::size_t kMaxNonce = 32;  // RFC 8954 section 2.1
  std::vector<CertId> asked;                    // 1 to 32
  Bytes nonce;                                  // 1 to 32 octets; empty: none was sent

  // A signature of the asker is passed over (RFC 5019 section 2.1.1): anybody may ask. Faults: malformed (also a nonce
  // of another length, as RFC 8954 demands), limit, unsupported (a version or a critical extension that we do not
  // know).
  static Result<OcspRequest> parse(BytesView der);
};

// RFC 6960 section 4.2.1: why there is no answer. Not signed.
enum class OcspFailure : std::uint8_t { malformed_request = 1, internal_error = 2, try_later = 3, unauthorized = 6 };
Bytes encode_ocsp_failure(OcspFailure why);

// What is known of one certificate.
struct CertificateStatus {
  enum class Value : std::uint8_t { good, revoked, unknown };
  Bytes cert_id;  // CertId::der
  Value value = Value::unknown;
  Instant revoked;  // with revoked, and why
  RevocationReason reason = RevocationReason::unspecified;
  bool operator==(const CertificateStatus&) const = default;
};

struct OcspTemplate {
  std::vector<CertificateStatus> statuses;
  Instant this_update, next_update;  // it is produced at this_update
  Bytes nonce;                       // repeated; empty: none
};

// The DER of a successful OCSPResponse, signed by a delegate of the CA whose certificate goes along; the responder is
// named by its key (RFC 5019 section 2.2.1).
Result<Bytes> sign_ocsp_response(const PrivateKey& key, const Certificate& signer, const OcspTemplate& what);

}  // namespace imprint
