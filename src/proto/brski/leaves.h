// Every leaf of the two YANG modules: its names, numbers, sizes and place, once. Parsers, encoders and explanations
// walk this table.
#pragma once

#include <array>

#include "proto/brski/voucher.h"

namespace imprint::brski {

// The containers: their JSON names, and their SIDs (draft-ietf-anima-rfc8366bis section 9), from which those of the
// leaves count.
inline constexpr std::string_view kVoucherName = "ietf-voucher:voucher", kRequestName = "ietf-voucher-request:voucher",
                                  kPrmRequestName = "ietf-voucher-request-prm:voucher";  // of drafts: read, never made
inline constexpr std::uint64_t kVoucherSid = 2451, kRequestSid = 2501;
inline constexpr std::uint64_t kAbsoluteSidTag = 47;  // RFC 9254 section 4.2.1
inline constexpr std::size_t kMaxLeaves = 64;

struct Leaf {
  using Place = std::variant<std::optional<Assertion> Voucher::*, std::optional<DateTime> Voucher::*,
                             std::optional<bool> Voucher::*, std::optional<Bytes> Voucher::*,
                             std::optional<std::string> Voucher::*, std::optional<Nonce> Voucher::*,
                             std::optional<Extensions> Voucher::*, std::optional<std::vector<Bytes>> Voucher::*>;
  std::string_view wrong;               // "voucher: nonce": what an error says of it
  std::uint8_t in_voucher, in_request;  // its SID less that of the container; 0: it is not there
  Place place;
  std::size_t least, most;   // octets
  std::string_view meaning;  // for people

  constexpr std::string_view name() const { return wrong.substr(std::string_view("voucher: ").size()); }
  constexpr std::uint64_t number(Voucher::Kind kind) const {
    return kind == Voucher::Kind::voucher ? in_voucher : in_request;
  }
};

inline constexpr std::size_t kAny = kMaxArtifact;
inline constexpr std::array kLeaves{
    Leaf{"voucher: assertion", 1, 1, &Voucher::assertion, 0, 32,
         "how sure the maker is that this domain owns the device"},
    Leaf{"voucher: created-on", 2, 2, &Voucher::created_on, 0, 64, "when it was made"},
    Leaf{"voucher: domain-cert-revocation-checks", 3, 3, &Voucher::domain_cert_revocation_checks, 0, 5,
         "whether the device must (true) or must not (false) ask if the pinned certificate is revoked"},
    Leaf{"voucher: expires-on", 4, 4, &Voucher::expires_on, 0, 64,
         "until when the device may act on it, if its clock counts"},
    Leaf{"voucher: idevid-issuer", 5, 5, &Voucher::idevid_issuer, 1, 1024,
         "which CA issued the device's IDevID: its authority key identifier, so that serial numbers of several CAs do "
         "not "
         "collide"},
    Leaf{"voucher: last-renewal-date", 6, 6, &Voucher::last_renewal_date, 0, 64,
         "until when the maker expects to renew it"},
    Leaf{"voucher: nonce", 7, 7, &Voucher::nonce, 8, 32,
         "a random value of the device: the voucher answers this very request"},
    Leaf{"voucher: pinned-domain-cert", 8, 8, &Voucher::pinned_domain_cert, 1, kAny,
         "the owner's certificate that the device shall trust: the registrar's must be it, or lead to it"},
    Leaf{"voucher: pinned-domain-pubk", 9, 17, &Voucher::pinned_domain_pubk, 1, 2048,
         "the owner's public key that the device shall trust"},
    Leaf{"voucher: pinned-domain-pubk-sha256", 10, 18, &Voucher::pinned_domain_pubk_sha256, 32, 32,
         "SHA-256 of the owner's public key that the device shall trust"},
    Leaf{"voucher: serial-number", 11, 13, &Voucher::serial_number, 1, 256,
         "which device: the serialNumber in the subject of its IDevID"},
    Leaf{"voucher: additional-configuration-url", 12, 19, &Voucher::additional_configuration_url, 1, 2048,
         "where the device finds more configuration"},
    Leaf{"voucher: est-domain", 13, 20, &Voucher::est_domain, 1, 2048, "the EST server where the device shall enrol"},
    Leaf{"voucher: manufacturer-proprietary", 14, 22, &Voucher::manufacturer_proprietary, 0, kAny,
         "of the maker, for its own devices"},
    Leaf{"voucher: extensions", 15, 21, &Voucher::extensions, 0, 64, "the extensions of the data model that are used"},
    Leaf{"voucher: prior-signed-voucher-request", 0, 9, &Voucher::prior_signed_voucher_request, 1, kAny,
         "the device's own request, whole, as the registrar received it"},
    Leaf{"voucher: proximity-registrar-cert", 0, 10, &Voucher::proximity_registrar_cert, 1, kAny,
         "the registrar's certificate that the device saw in the TLS handshake"},
    Leaf{"voucher: proximity-registrar-pubk-sha256", 0, 11, &Voucher::proximity_registrar_pubk_sha256, 32, 32,
         "SHA-256 of the registrar's public key that the device saw"},
    Leaf{"voucher: proximity-registrar-pubk", 0, 12, &Voucher::proximity_registrar_pubk, 1, 2048,
         "the registrar's public key that the device saw"},
    Leaf{"voucher: agent-provided-proximity-registrar-cert", 0, 14, &Voucher::agent_provided_proximity_registrar_cert,
         1, kAny, "the registrar's certificate that a registrar-agent brought to the device"},
    Leaf{"voucher: agent-sign-cert", 0, 15, &Voucher::agent_sign_cert, 1, kAny,
         "the certificate of the registrar-agent, and those above it"},
    Leaf{"voucher: agent-signed-data", 0, 16, &Voucher::agent_signed_data, 1, kAny,
         "what the registrar-agent signed for the device: it was there"},
};

// The leaf of this name or number among those that a voucher or a request has; null if there is none.
const Leaf* leaf_named(Voucher::Kind kind, std::string_view name);
const Leaf* leaf_numbered(Voucher::Kind kind, std::uint64_t number);

// Whether the voucher has this leaf.
bool has(const Voucher& voucher, const Leaf& leaf);

}  // namespace imprint::brski
