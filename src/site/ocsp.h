// What the owner says of the certificates of its CA when somebody asks (RFC 6960).
#pragma once

#include "crypto/ocsp.h"
#include "site/ca.h"
#include "store/store.h"

namespace imprint::site {

// Signs answers in the CA's stead, so that the CA's own key is not at work whenever a stranger asks.
struct OcspSigner {
  PrivateKey key;  // in memory alone: a program that starts anew makes another
  Certificate certificate;
};

// Makes a key and its certificate, which is on record before the answer. Of the CA's type of key; RSA of 2048 bits.
Result<OcspSigner> make_ocsp_signer(const Ca& ca, store::Store& store, Instant now, Rng& rng);

// Whether it may sign: it is the CA's of now, good, and not revoked.
bool may_sign(const OcspSigner& signer, const Ca& ca, store::Reader& store, Instant now);

// Whether half of its time is over: another one is to take its place.
bool is_due(const OcspSigner& signer, Instant now);

// What is on record about each certificate asked for, in that order. One of another issuer, or never issued, is
// unknown. Fault::refused if none is of this CA: we are not the ones to ask.
Result<std::vector<CertificateStatus>> statuses_of(const Certificate& ca, store::Reader& store,
                                                   const OcspRequest& request);

// How long an answer may be believed.
inline constexpr Duration kOcspLifetime = std::chrono::hours(1);

// The signed answer and its end: an hour from now, or the end of the signer's own certificate.
struct OcspAnswer {
  Bytes der;
  Instant since, until;
};
Result<OcspAnswer> sign_statuses(const OcspSigner& signer, std::vector<CertificateStatus> statuses, BytesView nonce,
                                 Instant now);

}  // namespace imprint::site
