// The name of a node of an Autonomic Control Plane in its certificate (RFC 8994 section 6.2.2), and the address in it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/x509.h"

namespace imprint {

// The domain of an ACP, and the part of it that its addresses are of (section 6.2.2: acp-domain-name, rsub).
struct AcpDomain {
  std::string name;  // empty: no ACP
  std::string rsub;  // empty: none
  bool operator==(const AcpDomain&) const = default;
};

// acp-node-name = [ acp-address ] [ "+" rsub extensions ] "@" acp-domain-name
struct AcpNodeName {
  std::string address;  // 32 hexadecimal digits, or "0"; empty: none
  AcpDomain domain;
  std::vector<std::string> extensions;  // not understood, and passed over (section 6.2.2)
  bool operator==(const AcpNodeName&) const = default;

  // Bounded: 512 octets, domain and rsub 253 in all, labels 63, as RFC 1034 section 3.5 has them: letters, digits and
  // hyphens, a letter first, no hyphen last. malformed: anything else.
  static Result<AcpNodeName> parse(std::string_view text);
  std::string text() const;
};

// Whether the two can stand in a name; an rsub alone cannot.
bool valid_acp_domain(const AcpDomain& domain);

// The first address of a node's /127 by the Zone Addressing Sub-Scheme with Zone-ID 0 (section 6.11.3), which
// registrars SHOULD give. 48 bits are fd and a digest of the domain (section 6.11.2). Registrar-ID and Node-Number,
// together 63 bits, are a digest of what `node` says of it: so it has the same address at each registrar of the domain
// and for ever (section 6.11.7.4), and nobody has to remember it.
std::array<std::uint8_t, 16> acp_address(const AcpDomain& domain, BytesView node);

// As a subjectAltName has it: an otherName id-on-AcpNodeName (section 6.2.2.1).
GeneralName acp_general_name(const AcpNodeName& name);
// Whether a name says that it is one, whatever is in it.
bool is_acp_name(const GeneralName& name);
// The one in a certificate's or request's names. malformed: it is not one IA5String by the grammar, or there are two.
Result<std::optional<AcpNodeName>> acp_name_in(const std::vector<GeneralName>& names);

}  // namespace imprint
