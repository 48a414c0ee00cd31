// fullcmc (RFC 7030 section 4.3): the same enrolment in a signed envelope. The roles below it are those of simpleenroll
// and simplereenroll; here is how a Full PKI Request becomes such a message, and an answer a Full PKI Response.
#pragma once

#include "crypto/signed_data.h"
#include "proto/est/cmc.h"
#include "proto/est/http.h"

namespace imprint::est {

inline constexpr std::string_view kCmcResponseType = "application/pkcs7-mime; smime-type=CMC-response";

// What an answer has to refer to, and what is to be blamed if it is a refusal.
struct FullExchange {
  CmcIds ids;
  std::uint32_t body_part = 0;
  bool no_support = false;
  std::optional<CmcFailure> failure;  // else what the status of the answer says
};

// ---- the server's side ----

// What any HTTP request asks of the server role; `full` is there if the answer goes in an envelope, too. Answers to
// strangers do not: nothing is signed for whoever has proven nothing, and nothing of theirs is verified but a signature
// by a certificate of the owner's. `signs`: the server has a key for such envelopes.
//
// Whoever signed a Full PKI Request has to be who asks: the certificate of the session; one of the owner's, to be
// renewed, if the request is linked to this channel (so that nobody else can use it); or the key in the request, by
// which nothing but its possession is shown. Errors: EST-CMC-*; EST-CSR-POSSESSION is left to the role.
struct HttpRequest {
  std::optional<FullExchange> full;
  Result<ServerMessage> message;
};
HttpRequest parse_http_request(Exchange from, const Request& request, const ServerConfig& config, Instant now,
                               bool signs = true);

// Whether an answer is to be put into its envelope: a challenge is not.
bool wants_envelope(const std::optional<FullExchange>& full, const Response& answer);

// What an error of the role's means to CMC.
void blame(FullExchange& exchange, const Error& error);

// The answer in its envelope, with the status in words and numbers; bodies of refusals become its text. unsupported:
// the signer's key signs no CMS.
Result<Response> to_full_response(const FullExchange& exchange, const Response& answer, const Signer& by,
                                  BytesView nonce, Instant now);

// ---- the client's side ----

// PKIData around a PKCS#10 request for this key, DER; signed by `by`, or by the key itself if that is none (the request
// then names its identifier, RFC 5272 section 3.2).
Result<Bytes> make_full_request(const PrivateKey& key, const RequestTemplate& what, const CmcIds& ids,
                                const std::optional<Signer>& by);

// The certificates of a good answer to `ids`, and who signed it: whether that is anybody is for the caller to find out.
// A simple response (RFC 5272 section 4.1) has no signer; it is the word of the server on this connection.
struct FullAnswer {
  std::optional<Certificate> signer;
  std::vector<Certificate> certificates;
};
Result<FullAnswer> read_full_answer(const Response& answer, const CmcIds& ids);

// What a refusal in an envelope says, for people; empty if it is none. Nothing of it is verified.
std::string full_refusal(const Response& answer);

}  // namespace imprint::est
