// Certification requests: PKCS#10 (RFC 2986) with the attributes that EST gives a meaning to, and CRMF (RFC 4211).
#pragma once

#include "crypto/x509.h"

namespace imprint {

// What a requester asks for, in our terms; the same struct describes the request to be made.
struct RequestedNames {
  Name subject;
  std::vector<GeneralName> alt_names;
  bool operator==(const RequestedNames&) const = default;
};

// RFC 6402 section 2.8: the names that a renewal asks for in place of the old ones.
struct ChangeSubjectName {
  std::optional<Name> subject;                        // absent: the new certificate's subject is empty
  std::optional<std::vector<GeneralName>> alt_names;  // absent: no subjectAltName
  bool operator==(const ChangeSubjectName&) const = default;
};

// An X.509 extension as bytes.
struct Extension {
  std::string oid;
  bool critical = false;
  Bytes value;  // the content of extnValue
  bool operator==(const Extension&) const = default;
};

// How a key that the server makes is to travel (RFC 7030 section 4.4.1): under which key of the requester's, and by
// which algorithms. Neither identifier: under TLS alone.
struct KeyWrapping {
  std::optional<Bytes> shared_key_id;     // DecryptKeyIdentifier: a symmetric key that both hold
  std::optional<Bytes> own_key_id;        // AsymmetricDecryptKeyIdentifier: a key pair of the requester's
  std::vector<std::string> capabilities;  // OIDs of SMIMECapabilities (RFC 8551 section 2.5.2), best first
  bool operator==(const KeyWrapping&) const = default;
};

// A parsed request. Nothing here is verified; verify_possession() does that.
struct CertificateRequest {
  enum class Form : std::uint8_t { pkcs10, crmf };
  Form form = Form::pkcs10;
  Bytes der;  // as received; of a CRMF message the whole CertReqMsg
  Name subject;
  PublicKey key;
  std::vector<GeneralName> alt_names;  // of the extensionRequest attribute
  Bytes alt_names_der;                 // that extension's value as received; empty if absent
  std::optional<std::uint16_t> usage;
  std::vector<std::string> extended;
  std::vector<Extension> other_extensions;          // as received; policy decides
  std::optional<std::string> challenge_password;    // 1.2.840.113549.1.9.7
  std::optional<std::string> identity_linking;      // estIdentityLinking 1.2.840.113549.1.9.16.2.58, RFC 7894
  std::optional<std::string> otp_challenge;         // .56
  std::optional<std::string> revocation_challenge;  // .57
  std::optional<ChangeSubjectName> change_names;    // 1.3.6.1.5.5.7.7.36
  KeyWrapping wrapping;                             // 1.2.840.113549.1.9.15, .16.2.37, .16.2.54
  bool operator==(const CertificateRequest& o) const { return der == o.der; }

  // Bounded: at most 16 KiB, 32 attributes, 64 names. Text attributes must be one DirectoryString of 1..255 characters;
  // identifiers of keys 1..64 octets; at most 64 capabilities.
  static Result<CertificateRequest> parse(BytesView der);
  // A CertReqMsg (RFC 4211) with a signature as proof of possession; it has names and extensions, no attributes.
  // unsupported: another proof, controls, fields that a requester must leave out.
  static Result<CertificateRequest> parse_crmf(BytesView der);
};

// The request's own signature verifies with the key that it names: whoever made it holds the private key.
Result<Verified<CertificateRequest>> verify_possession(const CertificateRequest& request);

// What a requester puts into a request.
struct RequestTemplate {
  Name subject;
  std::vector<GeneralName> alt_names;
  std::optional<std::uint16_t> usage;
  std::vector<std::string> extended;
  std::vector<Extension> other_extensions;
  std::optional<std::string> challenge_password;
  std::optional<std::string> identity_linking;
  std::optional<std::string> otp_challenge;
  std::optional<ChangeSubjectName> change_names;
  KeyWrapping wrapping = {};
  bool operator==(const RequestTemplate&) const = default;
};

// The DER of a request made and signed with this key.
Result<Bytes> make_request(const PrivateKey& key, const RequestTemplate& what);

}  // namespace imprint
