// Pieces of DER that certificates, requests and revocation lists share. Private to src/crypto.
#pragma once

#include "codec/der.h"
#include "crypto/csr.h"

namespace imprint::parts {

inline constexpr std::size_t kMaxDer = std::size_t{16} << 10U;  // a certificate or request
inline constexpr std::size_t kMaxExtensions = 32;
inline constexpr std::size_t kMaxNames = 64;
inline constexpr std::size_t kMaxUsages = 32;

// Extensions of RFC 5280 section 4.2.1.
inline constexpr std::string_view kSubjectKeyId = "2.5.29.14", kKeyUsage = "2.5.29.15", kSubjectAltName = "2.5.29.17",
                                  kBasicConstraints = "2.5.29.19", kCrlNumber = "2.5.29.20", kCrlReason = "2.5.29.21",
                                  kIssuingDistributionPoint = "2.5.29.28", kListDistribution = "2.5.29.31",
                                  kAuthorityKeyId = "2.5.29.35", kExtendedKeyUsage = "2.5.29.37",
                                  kAuthorityAccess = "1.3.6.1.5.5.7.1.1";

// RFC 6960 section 4: the access method, extensions and the one type of response that there is.
inline constexpr std::string_view kOcsp = "1.3.6.1.5.5.7.48.1", kOcspBasic = "1.3.6.1.5.5.7.48.1.1",
                                  kOcspNonce = "1.3.6.1.5.5.7.48.1.2", kOcspNoCheck = "1.3.6.1.5.5.7.48.1.5";

// The octets of a positive INTEGER's content without its leading zero; empty if it is negative, zero or not minimal.
BytesView positive(BytesView content);

// The octets of a BIT STRING that must be whole octets; empty if it is not.
BytesView octets_of_bits(BytesView content);

// The octets of subjectPublicKey in a SubjectPublicKeyInfo; empty if the structure is not one.
BytesView key_bits(BytesView spki);

// The three parts of a request that proves possession: what is signed, by which algorithm, the signature.
struct Signed {
  der::Item body;
  BytesView algorithm;
  BytesView signature;
};
Result<Signed> split_crmf(BytesView der);  // of a CertReqMsg (crmf.cc)

// UTCTime or GeneralizedTime in the only forms that RFC 5280 section 4.1.2.5 allows; the reader fails on others.
Instant read_time(der::Reader& in);
Bytes encode_time(Instant when);

// The text of an ASN.1 character string as UTF-8; nothing for other types and for invalid text.
std::optional<std::string> string_text(const der::Item& item);

// The contents of a GeneralNames SEQUENCE, 1 to 64 names.
Result<std::vector<GeneralName>> parse_general_names(BytesView content);
Bytes encode_general_names(const std::vector<GeneralName>& names);

// Extensions as a whole SEQUENCE: at most 32, none twice.
Result<std::vector<Extension>> parse_extensions(BytesView der);
Bytes encode_extensions(const std::vector<Extension>& extensions);

// The extensions that we know by name; the values are those of extnValue.
struct Known {
  std::vector<GeneralName> alt_names;
  Bytes alt_names_der;
  std::optional<std::uint16_t> usage;
  std::vector<std::string> extended;
};
// Sorts an extension into `out`. False if it is none of them.
Result<bool> take_known(const Extension& extension, Known& out);
// The extensions that a request asks for (a whole SEQUENCE), into its fields.
Status take_extensions(BytesView der, CertificateRequest& out);

Bytes encode_key_usage(std::uint16_t bits);
Bytes encode_extended(const std::vector<std::string>& usages);

}  // namespace imprint::parts
