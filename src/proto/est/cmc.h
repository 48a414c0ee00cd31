// The messages of CMC (RFC 5272, RFC 6402) that fullcmc carries: a PKIData with one request, and the PKIResponse to it.
// DER in and out; signatures are around them (crypto/signed_data.h), and nothing here is verified.
#pragma once

#include <optional>
#include <string>

#include "crypto/csr.h"

namespace imprint::est {

// Types of the signed content (RFC 5272 section 3.2).
inline constexpr std::string_view kPkiData = "1.3.6.1.5.5.7.12.2", kPkiResponse = "1.3.6.1.5.5.7.12.3";

// What ties an answer to its request (RFC 5272 section 6.6).
struct CmcIds {
  std::optional<Bytes> transaction;  // transactionId: content octets of an INTEGER
  std::optional<Bytes> nonce;        // senderNonce
  bool operator==(const CmcIds&) const = default;
};

// RFC 5272 sections 6.1.1 and 6.1.4, those that we say.
enum class CmcStatus : std::uint8_t { success = 0, failed = 2, pending = 3, no_support = 4 };
enum class CmcFailure : std::uint8_t {
  bad_algorithm = 0,
  bad_message_check = 1,
  bad_request = 2,
  bad_identity = 7,
  pop_failed = 9,
  internal_ca_error = 11,
  try_later = 12
};

// A request as far as it could be read: even of a bad one the answer has to repeat its ids.
struct PkiData {
  CmcIds ids;
  std::uint32_t body_part = 0;  // of the request; of what is bad in it; 0: the whole
  Result<CertificateRequest> request = Error{Fault::malformed, "cmc: not a PKIData"};
  bool no_support = false;  // several requests, or one of another kind: to be answered noSupport
};
// Bounded by parse_signed(). unsupported: a control that we do not know, which fails the whole (section 3.2.1.1).
PkiData parse_pki_data(BytesView der);
// One PKCS#10 request, with body part 1.
Bytes encode_pki_data(const CmcIds& ids, BytesView pkcs10);

// An answer's meaning.
struct PkiResponse {
  CmcIds ids;                            // transactionId as in the request; a senderNonce of the answerer's own
  std::optional<Bytes> recipient_nonce;  // the request's senderNonce
  CmcStatus status = CmcStatus::success;
  std::optional<CmcFailure> failure;  // with failed
  std::uint32_t body_part = 0;        // what it is about
  std::string text;                   // for people; at most 200 bytes of UTF-8
  std::optional<Instant> pending_until;
};
Bytes encode_pki_response(const PkiResponse& response);
// malformed; unsupported: a status that we do not know.
Result<PkiResponse> parse_pki_response(BytesView der);

std::string_view name(CmcFailure failure);  // "badRequest", as the RFC writes it

}  // namespace imprint::est
