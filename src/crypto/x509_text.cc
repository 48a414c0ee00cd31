#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cassert>

#include "crypto/parts.h"
#include "crypto/x509.h"

namespace imprint {
namespace {

constexpr std::size_t kMaxName = 4096;
constexpr std::size_t kMaxParts = 32;

struct Attribute {
  std::string_view name;
  std::string_view oid;
  std::uint8_t tag;  // the string type in which we write it
};
// RFC 4514 section 3, and serialNumber, in which IDevIDs carry their identity (IEEE 802.1AR section 8.6).
constexpr std::array<Attribute, 10> kAttributes{{{"CN", "2.5.4.3", der::kUtf8},
                                                 {"L", "2.5.4.7", der::kUtf8},
                                                 {"ST", "2.5.4.8", der::kUtf8},
                                                 {"O", "2.5.4.10", der::kUtf8},
                                                 {"OU", "2.5.4.11", der::kUtf8},
                                                 {"C", "2.5.4.6", der::kPrintable},
                                                 {"STREET", "2.5.4.9", der::kUtf8},
                                                 {"DC", "0.9.2342.19200300.100.1.25", der::kIa5},
                                                 {"UID", "0.9.2342.19200300.100.1.1", der::kUtf8},
                                                 {"serialNumber", "2.5.4.5", der::kPrintable}}};

// One AttributeTypeAndValue as read.
struct Part {
  std::string oid;
  der::Item value;
};
using RelativeName = std::vector<Part>;

Result<std::vector<RelativeName>> read_name(BytesView der) {
  const Error bad{Fault::malformed, "name"};
  CHECK_OR(der.size() <= kMaxName, Error{Fault::limit, "name: size"});
  der::Reader outer(der);
  der::Reader sets(outer.next(der::kSequence).content);
  std::vector<RelativeName> out;
  std::size_t count = 0;
  while (!sets.empty()) {
    der::Reader set(sets.next(der::kSet).content);
    RelativeName relative;
    do {
      CHECK_OR(++count <= kMaxParts, Error{Fault::limit, "name: attributes"});
      der::Reader pair(set.next(der::kSequence).content);
      Part part;
      TRY(part.oid, der::parse_oid(pair.next(der::kOid).content));
      part.value = pair.next();
      CHECK_OR(pair.done(), bad);
      relative.push_back(std::move(part));
    } while (!set.empty());
    CHECK_OR(set.good(), bad);
    out.push_back(std::move(relative));
  }
  CHECK_OR(outer.done() && sets.done(), bad);
  return out;
}

void append_hex(std::string& out, char c) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  const auto b = static_cast<std::uint8_t>(c);
  out += '\\';
  out += kDigits[b >> 4U];
  out += kDigits[b & 15U];
}

// RFC 4514 section 2.4; control characters as hexadecimal pairs, so that a name cannot break a line or a terminal.
std::string escaped(std::string_view value) {
  std::string out;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    const auto b = static_cast<std::uint8_t>(c);
    const bool edge = (i == 0 && (c == ' ' || c == '#')) || (i + 1 == value.size() && c == ' ');
    // C1 controls are two octets in UTF-8, the first of which is C2.
    const bool second = i > 0 && static_cast<std::uint8_t>(value[i - 1]) == 0xc2 && b < 0xa0 && b >= 0x80;
    const bool first = b == 0xc2 && i + 1 < value.size() && static_cast<std::uint8_t>(value[i + 1]) < 0xa0;
    if (b < 0x20 || b == 0x7f || first || second) {
      append_hex(out, c);
    } else if (edge || std::string_view(",+\"\\<>;").find(c) != std::string_view::npos) {
      out += '\\';
      out += c;
    } else {
      out += c;
    }
  }
  return out;
}

std::string part_text(const Part& part) {
  const std::optional<std::string> value = parts::string_text(part.value);
  for (const Attribute& known : kAttributes) {
    if (known.oid == part.oid && value) {
      return std::string(known.name) + "=" + escaped(*value);
    }
  }
  return part.oid + "=#" + hex(part.value.whole);
}

std::string name_text(const std::vector<RelativeName>& names) {
  std::string out;
  // RFC 4514 section 2.1: the last RDN comes first.
  for (auto relative = names.rbegin(); relative != names.rend(); ++relative) {
    out += out.empty() ? "" : ",";
    for (std::size_t i = 0; i < relative->size(); ++i) {
      out += (i > 0 ? "+" : "") + part_text((*relative)[i]);
    }
  }
  return out;
}

// Reads an attribute value up to an unescaped ',' or '+', which is left in the text.
Result<std::string> read_value(std::string_view& text) {
  const Error bad{Fault::malformed, "name: value"};
  std::string out;
  while (!text.empty() && text.front() != ',' && text.front() != '+') {
    char c = text.front();
    text.remove_prefix(1);
    CHECK_OR(c != '"' && c != ';' && c != '<' && c != '>', bad);
    if (c == '\\') {
      CHECK_OR(!text.empty(), bad);
      const std::optional<Bytes> pair = text.size() >= 2 ? from_hex(text.substr(0, 2)) : std::nullopt;
      const bool in_hex = pair && pair->size() == 1;
      c = in_hex ? static_cast<char>(pair->front()) : text.front();
      text.remove_prefix(in_hex ? 2 : 1);
    }
    out += c;
  }
  return out;
}

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view(" '()+,-./:=?").find(c) != std::string_view::npos;
  });
}

Result<Bytes> encode_part(std::string_view type, std::string_view value) {
  const Error bad{Fault::malformed, "name: attribute"};
  const auto* known = std::find_if(kAttributes.begin(), kAttributes.end(),
                                   [type](const Attribute& a) { return a.name == type || a.oid == type; });
  if (!value.empty() && value.front() == '#') {
    const std::optional<Bytes> raw = from_hex(value.substr(1));
    const std::string_view id = known != kAttributes.end() ? known->oid : type;
    CHECK_OR(raw && der::valid_oid(id), bad);
    return der::sequence({der::oid(id), *raw});
  }
  CHECK_OR(known != kAttributes.end(), Error{Fault::unsupported, "name: attribute"});
  const Bytes out = der::text(known->tag, value);
  der::Reader in(out);
  const bool valid = parts::string_text(in.next()).has_value() && (known->tag != der::kPrintable || printable(value));
  CHECK_OR(!value.empty() && value.size() <= 255 && valid, bad);
  return der::sequence({der::oid(known->oid), out});
}

// One RDN: "A=x" or "A=x+B=y". A comma behind it is eaten.
Result<Bytes> read_relative(std::string_view& text) {
  std::vector<Bytes> pairs;
  while (true) {
    const std::size_t start = std::min(text.find_first_not_of(' '), text.size());
    text.remove_prefix(start);
    const std::size_t equals = text.find('=');
    CHECK_OR(equals != std::string_view::npos && pairs.size() < kMaxParts, Error{Fault::malformed, "name: attribute"});
    const std::string_view type = text.substr(0, equals);
    text.remove_prefix(equals + 1);
    TRY(const std::string value, read_value(text));
    TRY(Bytes pair, encode_part(type, value));
    pairs.push_back(std::move(pair));
    const bool more = !text.empty() && text.front() == '+';
    if (!more) {
      break;
    }
    text.remove_prefix(1);
  }
  std::sort(pairs.begin(), pairs.end());
  Bytes content;
  for (const Bytes& pair : pairs) {
    content.insert(content.end(), pair.begin(), pair.end());
  }
  return der::item(der::kSet, content);
}

std::string ip_text(BytesView value) {
  std::array<char, INET6_ADDRSTRLEN> out{};
  inet_ntop(value.size() == 4 ? AF_INET : AF_INET6, value.data(), out.data(), out.size());
  return out.data();
}

}  // namespace

Result<Name> Name::parse(BytesView der) {
  TRY(const std::vector<RelativeName> names, read_name(der));
  return Name{to_bytes(der), name_text(names)};
}

Result<Name> Name::from_text(std::string_view text) {
  CHECK_OR(text.size() <= kMaxName, Error{Fault::limit, "name: size"});
  Bytes content;
  while (!text.empty()) {
    TRY(const Bytes relative, read_relative(text));
    content.insert(content.end(), relative.begin(), relative.end());
    if (!text.empty()) {
      text.remove_prefix(1);
      CHECK_OR(!text.empty(), Error{Fault::malformed, "name: ends with a comma"});
    }
  }
  return parse(der::item(der::kSequence, content));
}

std::string Name::first(std::string_view attribute) const {
  const Result<std::vector<RelativeName>> names = read_name(der);
  const auto* known = std::find_if(kAttributes.begin(), kAttributes.end(),
                                   [attribute](const Attribute& a) { return a.name == attribute; });
  if (!names || known == kAttributes.end()) {
    return {};
  }
  for (const RelativeName& relative : *names) {
    for (const Part& part : relative) {
      if (part.oid == known->oid) {
        return parts::string_text(part.value).value_or(std::string());
      }
    }
  }
  return {};
}

std::string GeneralName::text() const {
  switch (kind) {
    case Kind::email:
      return "email:" + escaped(as_text(value));
    case Kind::dns:
      return "dns:" + escaped(as_text(value));
    case Kind::uri:
      return "uri:" + std::string(as_text(value));
    case Kind::ip:
      return value.size() == 4 || value.size() == 16 ? "ip:" + ip_text(value) : "ip:#" + hex(value);
    case Kind::registered_id: {
      const Result<std::string> id = der::parse_oid(value);
      return "rid:" + (id ? *id : "#" + hex(value));
    }
    case Kind::directory: {
      const Result<Name> name = Name::parse(value);
      return "dirname:" + (name ? name->text : "#" + hex(value));
    }
    case Kind::other:
      return "other:" + hex(value);
    case Kind::x400:
      return "x400:" + hex(value);
    case Kind::edi:
      return "edi:" + hex(value);
  }
  return hex(value);
}

Result<GeneralName> GeneralName::from_text(std::string_view text) {
  const std::size_t colon = std::min(text.find(':'), text.size());
  const std::string_view kind = text.substr(0, colon);
  const std::string_view rest = text.substr(std::min(colon + 1, text.size()));
  GeneralName out;
  if (kind == "dns" || kind == "email" || kind == "uri") {
    out = {kind == "dns" ? Kind::dns : (kind == "email" ? Kind::email : Kind::uri), to_bytes(rest)};
  } else if (kind == "ip") {
    const bool v6 = rest.find(':') != std::string_view::npos;
    out = {Kind::ip, Bytes(v6 ? 16 : 4)};
    CHECK_OR(inet_pton(v6 ? AF_INET6 : AF_INET, std::string(rest).c_str(), out.value.data()) == 1,
             Error{Fault::malformed, "general name: ip"});
  } else if (kind == "rid" && der::valid_oid(rest)) {
    const Bytes id = der::oid(rest);
    der::Reader in(id);
    out = {Kind::registered_id, to_bytes(in.next(der::kOid).content)};
  } else if (kind == "dirname") {
    TRY(const Name name, Name::from_text(rest));
    out = {Kind::directory, name.der};
  } else if (kind == "other") {
    const std::optional<Bytes> value = from_hex(rest);
    CHECK_OR(value.has_value(), Error{Fault::malformed, "general name: other"});
    out = {Kind::other, *value};
  } else {
    return Error{Fault::malformed, "general name: kind"};
  }
  const Bytes encoded = parts::encode_general_names({out});
  der::Reader in(encoded);
  TRY(std::vector<GeneralName> checked, parts::parse_general_names(in.next(der::kSequence).content));
  return std::move(checked.front());
}

}  // namespace imprint
