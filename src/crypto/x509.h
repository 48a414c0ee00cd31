// X.509 certificates (RFC 5280): parsed once into a value, verified by one call that makes a proof.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/instant.h"
#include "base/verified.h"
#include "crypto/hash.h"
#include "crypto/keys.h"

namespace imprint {

// A distinguished name: the DER as received (equality is by these bytes) and RFC 4514 text for people.
struct Name {
  Bytes der;         // the whole SEQUENCE; "3000" for the empty name
  std::string text;  // "CN=dev-1,O=Example"; control characters escaped
  bool operator==(const Name& o) const { return der == o.der; }

  static Result<Name> parse(BytesView der);
  // "CN=x", "O=Example,CN=x" (in the order written), attribute short names of RFC 4514 plus serialNumber.
  static Result<Name> from_text(std::string_view text);
  bool empty() const { return der.size() <= 2; }
  // The value of the first attribute of this short name ("CN", "serialNumber"); empty if there is none.
  std::string first(std::string_view attribute) const;
};

// One GeneralName (RFC 5280 section 4.2.1.6).
struct GeneralName {
  enum class Kind : std::uint8_t {
    other = 0,
    email = 1,
    dns = 2,
    x400 = 3,
    directory = 4,
    edi = 5,
    uri = 6,
    ip = 7,
    registered_id = 8
  };
  Kind kind = Kind::other;
  Bytes value;  // the content octets: text for email, dns, uri; 4 or 16 bytes for ip; DER inside for the others
  bool operator==(const GeneralName&) const = default;
  std::string text() const;  // "dns:host", "ip:127.0.0.1", …
  static Result<GeneralName> from_text(std::string_view text);
};

// X.509v3 key usage bits, RFC 5280 section 4.2.1.3, bit 0 = digitalSignature as the most significant of the first
// octet.
namespace key_usage {
inline constexpr std::uint16_t kDigitalSignature = 0x8000, kNonRepudiation = 0x4000, kKeyEncipherment = 0x2000,
                               kDataEncipherment = 0x1000, kKeyAgreement = 0x0800, kCertSign = 0x0400,
                               kCrlSign = 0x0200;
}  // namespace key_usage

// Extended key usages as dotted OIDs.
namespace eku {
inline constexpr std::string_view kServerAuth = "1.3.6.1.5.5.7.3.1", kClientAuth = "1.3.6.1.5.5.7.3.2",
                                  kCmcRa = "1.3.6.1.5.5.7.3.28", kOcspSigning = "1.3.6.1.5.5.7.3.9",
                                  kAny = "2.5.29.37.0";
}  // namespace eku

// A parsed certificate. Nothing here is verified; verify_chain() does that.
struct Certificate {
  Bytes der;
  Bytes serial;  // content octets of the INTEGER, without a leading zero
  Name issuer, subject;
  Instant not_before, not_after;
  PublicKey key;
  std::vector<GeneralName> alt_names;
  Bytes alt_names_der;                 // the extension's value as received; empty if absent
  std::optional<std::uint16_t> usage;  // key_usage bits; absent: unrestricted
  std::vector<std::string> extended;   // dotted OIDs; empty: unrestricted
  bool is_ca = false;
  Bytes key_id;  // subject key identifier (RFC 5280 section 4.2.1.2); empty if absent
  bool operator==(const Certificate& o) const { return der == o.der; }

  static Result<Certificate> parse(BytesView der);
  bool self_issued() const { return subject == issuer; }
  Sha256 fingerprint() const;  // SHA-256 of the DER
};

// A certificate with the certificates that led from it to an anchor.
struct CertificateChain {
  Certificate leaf;
  Certificate anchor;            // the trust anchor reached
  std::vector<Certificate> via;  // between the two, leaf side first
  bool operator==(const CertificateChain&) const = default;
};

// Which use the leaf must allow (extended key usage; absent means any).
enum class Purpose : std::uint8_t { tls_client, tls_server, any };

struct ChainRules {
  Purpose purpose = Purpose::any;
  Instant at;
  bool check_time = true;  // off only for an IDevID on a device without a clock, or by policy for an expired IDevID
  bool goes_back = true;   // off: only the path that a plain OpenSSL finds, which ends at the first dead end
};

// RFC 5280 section 6 path validation: signatures, validity, basic constraints, key usage, name constraints, unknown
// critical extensions. `pool` is untrusted help for building the path. Faults: unauthentic (no path or a bad
// signature), expired (a path, but not now), refused (purpose), malformed.
Result<Verified<CertificateChain>> verify_chain(const Certificate& leaf, const std::vector<Certificate>& pool,
                                                const std::vector<Certificate>& anchors, const ChainRules& rules);

// Whether the certificate's own key made its signature, and its issuer is its subject: what tells a root from a
// certificate that only calls itself one. Path validation takes anchors as given and never looks (RFC 5280
// section 6.1).
bool self_signed(const Certificate& certificate);

// Whether a server certificate speaks for this host: dNSName (one left-most wildcard label) or iPAddress, never the
// common name (RFC 9525). `host` is a DNS name or an IP literal without brackets.
bool speaks_for_host(const Certificate& certificate, std::string_view host);

// PEM blocks "-----BEGIN CERTIFICATE-----"; text between blocks is skipped, a damaged block fails the whole.
Result<std::vector<Certificate>> parse_pem_certificates(std::string_view pem);
std::string to_pem(const Certificate& certificate);

}  // namespace imprint
