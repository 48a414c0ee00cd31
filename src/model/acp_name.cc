#include "model/acp_name.h"

#include <algorithm>

#include "base/reader.h"
#include "codec/der.h"

namespace imprint {
namespace {

constexpr std::string_view kAcpNodeName = "1.3.6.1.5.5.7.8.10";  // id-on-AcpNodeName, RFC 8994 section 6.2.2.1
constexpr std::size_t kMaxText = 512, kMaxDomain = 253, kMaxLabel = 63, kAddressDigits = 32;

const Error kBad{Fault::malformed, "acp-node-name"};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// RFC 1034 section 3.5: <label> ::= <letter> [ [ <ldh-str> ] <let-dig> ]
bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= kMaxLabel && is_letter(label.front()) && label.back() != '-' &&
         std::ranges::all_of(label, [](char c) { return is_letter(c) || is_digit(c) || c == '-'; });
}

bool is_subdomain(std::string_view text) {
  while (true) {
    const std::size_t dot = text.find('.');
    if (!is_label(text.substr(0, dot))) {
      return false;
    }
    if (dot == std::string_view::npos) {
      return true;
    }
    text.remove_prefix(dot + 1);
  }
}

bool is_address(std::string_view text) {
  return text == "0" || (text.size() == kAddressDigits && std::ranges::all_of(text, is_hex));
}

// RFC 8994 section 6.2.2: etext, at least one.
bool is_extension(std::string_view text) {
  constexpr std::string_view kOthers = "!#$%&'*-/=?^_`{|}~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return is_letter(c) || is_digit(c) || kOthers.find(c) != std::string_view::npos;
  });
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
  return text;
}

// routing-subdomain = [ rsub "." ] acp-domain-name
std::string routing_subdomain(const AcpDomain& domain) {
  return domain.rsub.empty() ? domain.name : domain.rsub + "." + domain.name;
}

// What is between a "+" and the next one.
std::string_view take_part(std::string_view& rest) {
  rest.remove_prefix(1);
  const std::string_view part = rest.substr(0, rest.find('+'));
  rest.remove_prefix(part.size());
  return part;
}

}  // namespace

bool valid_acp_domain(const AcpDomain& domain) {
  return is_subdomain(domain.name) && (domain.rsub.empty() || is_subdomain(domain.rsub)) &&
         routing_subdomain(domain).size() <= kMaxDomain;
}

Result<AcpNodeName> AcpNodeName::parse(std::string_view text) {
  CHECK_OR(text.size() <= kMaxText, kBad);
  const std::size_t at = text.find('@');
  CHECK_OR(at != std::string_view::npos, kBad);
  AcpNodeName out;
  out.domain.name = text.substr(at + 1);
  std::string_view local = text.substr(0, at);
  out.address = local.substr(0, local.find('+'));
  CHECK_OR(out.address.empty() || is_address(out.address), kBad);
  local.remove_prefix(out.address.size());
  if (!local.empty()) {
    out.domain.rsub = take_part(local);
  }
  while (!local.empty()) {
    out.extensions.emplace_back(take_part(local));
    CHECK_OR(is_extension(out.extensions.back()), kBad);
  }
  CHECK_OR(valid_acp_domain(out.domain), kBad);
  return out;
}

std::string AcpNodeName::text() const {
  std::string out = address;
  if (!domain.rsub.empty() || !extensions.empty()) {
    out += "+" + domain.rsub;
  }
  for (const std::string& one : extensions) {
    out += "+" + one;
  }
  return out + "@" + domain.name;
}

std::array<std::uint8_t, 16> acp_address(const AcpDomain& domain, BytesView node) {
  const Sha256 global = sha256(view(lower(routing_subdomain(domain))));
  Writer w;
  const Bytes of = to_bytes(lower(routing_subdomain(domain)));
  w.u64(of.size());
  w.bytes(of);
  w.bytes(node);
  const Sha256 id = sha256(w.out());
  std::array<std::uint8_t, 16> out{0xfd};  // octets 6 and 7 stay 0: Type 0, Z 0, Zone-ID 0
  std::copy_n(global.begin(), 5, out.begin() + 1);
  std::copy_n(id.begin(), 8, out.begin() + 8);
  out[15] = static_cast<std::uint8_t>(out[15] & 0xfeU);  // V: the node itself
  return out;
}

GeneralName acp_general_name(const AcpNodeName& name) {
  const Bytes text = der::item(der::context(0), der::text(der::kIa5, name.text()));
  return {GeneralName::Kind::other, der::concat({der::oid(kAcpNodeName), text})};
}

bool is_acp_name(const GeneralName& name) {
  der::Reader in(name.value);
  const auto type = der::parse_oid(in.next(der::kOid).content);
  return name.kind == GeneralName::Kind::other && type && *type == kAcpNodeName;
}

Result<std::optional<AcpNodeName>> acp_name_in(const std::vector<GeneralName>& names) {
  std::optional<AcpNodeName> out;
  for (const GeneralName& one : names) {
    if (!is_acp_name(one)) {
      continue;
    }
    der::Reader in(one.value);
    in.next(der::kOid);
    der::Reader value(in.next(der::context(0)).content);
    const BytesView text = value.next(der::kIa5).content;
    CHECK_OR(in.done() && value.done() && !out, kBad);
    TRY(out, AcpNodeName::parse(as_text(text)));
  }
  return out;
}

}  // namespace imprint
