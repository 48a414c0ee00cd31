// What a certification authority signs: certificates and revocation lists.
#pragma once

#include "crypto/csr.h"

namespace imprint {

// The contents of a certificate to be signed.
struct CertificateTemplate {
  Bytes serial;  // 1..20 octets, positive, without a leading zero
  Name issuer, subject;
  Instant not_before, not_after;
  Bytes spki;
  std::vector<GeneralName> alt_names;  // marked critical when the subject is empty
  std::optional<std::uint16_t> usage;  // critical
  std::vector<std::string> extended;
  bool is_ca = false;
  std::optional<std::uint8_t> path_length;
  Bytes authority_key_id;  // empty: no extension
  std::vector<Extension> other_extensions;
};

// The DER of the signed certificate. A subject key identifier (SHA-1 of the key, RFC 5280 section 4.2.1.2) is added.
Result<Bytes> sign_certificate(const PrivateKey& issuer, const CertificateTemplate& what);

// Where relying parties ask for a certificate's status: authorityInfoAccess with id-ad-ocsp (RFC 5280
// section 4.2.2.1), cRLDistributionPoints (section 4.2.1.13). The URI is visible ASCII.
Extension ocsp_access(std::string_view uri);
Extension list_distribution(std::string_view uri);
// id-pkix-ocsp-nocheck (RFC 6960 section 4.2.2.2.1): nobody asks for the status of whoever signs statuses.
Extension ocsp_no_check();

// The subject key identifier that sign_certificate() gives this key.
Bytes key_identifier(const PublicKey& key);

// Reason codes of RFC 5280 section 5.3.1.
enum class RevocationReason : std::uint8_t {
  unspecified = 0,
  key_compromise = 1,
  ca_compromise = 2,
  affiliation_changed = 3,
  superseded = 4,
  cessation = 5,
  privilege_withdrawn = 9
};

struct Revoked {
  Bytes serial;
  Instant at;
  RevocationReason reason = RevocationReason::unspecified;
};

struct RevocationListTemplate {
  Name issuer;
  std::uint64_t number = 1;
  Instant this_update, next_update;
  Bytes authority_key_id;
  std::vector<Revoked> revoked;
  std::string distribution_uri = {};  // where it is to be had (RFC 5280 section 5.2.5, critical); empty: no extension
};

// The DER of a signed v2 CRL.
Result<Bytes> sign_revocation_list(const PrivateKey& issuer, const RevocationListTemplate& what);

}  // namespace imprint
