#include "proto/est/messages.h"

#include <algorithm>
#include <array>

#include "codec/base64.h"
#include "codec/der.h"

namespace imprint::est {
namespace {

constexpr std::string_view kChallengePassword = "1.2.840.113549.1.9.7";
constexpr std::string_view kIdentityLinking = "1.2.840.113549.1.9.16.2.58";
constexpr std::string_view kExtensionRequest = "1.2.840.113549.1.9.14";
constexpr std::string_view kTemplate = "1.2.840.113549.1.9.16.2.61";
constexpr std::string_view kExtensionTemplate = "1.2.840.113549.1.9.16.2.62";
constexpr std::string_view kEcPublicKey = "1.2.840.10045.2.1";
constexpr std::string_view kRsa = "1.2.840.113549.1.1.1";
constexpr std::string_view kEd25519 = "1.3.101.112";
constexpr std::string_view kSubjectAltName = "2.5.29.17";
constexpr std::size_t kMaxElements = 64;

struct Curve {
  std::string_view oid;
  KeyType type;
};
constexpr std::array kCurves{Curve{"1.2.840.10045.3.1.7", KeyType::p256}, Curve{"1.3.132.0.34", KeyType::p384},
                             Curve{"1.3.132.0.35", KeyType::p521}};

bool is_signature_algorithm(std::string_view oid) {
  return oid.starts_with("1.2.840.10045.4.") || (oid.starts_with("1.2.840.113549.1.1.") && oid != kRsa);
}

KeyType curve_type(BytesView curve_oid) {
  const auto oid = der::parse_oid(curve_oid);
  const auto* const at = oid ? std::ranges::find(kCurves, *oid, &Curve::oid) : kCurves.end();
  return at == kCurves.end() ? KeyType::other : at->type;
}

KeyType rsa_type(std::size_t bits) {
  switch (bits) {
    case 2048:
      return KeyType::rsa2048;
    case 3072:
      return KeyType::rsa3072;
    case 4096:
      return KeyType::rsa4096;
    default:
      return KeyType::other;
  }
}

std::size_t small_number(BytesView content) {
  std::size_t out = 0;
  for (const std::uint8_t b : content.last(std::min<std::size_t>(content.size(), 4))) {
    out = (out << 8U) | b;
  }
  return out;
}

// Whether a subjectAltName leaves a name for the client to fill in: an empty one, or an empty directory name (RFC
// 9908).
bool has_open_names(BytesView value) {
  static constexpr std::array<std::uint8_t, 2> kEmptyName{der::kSequence, 0};
  der::Reader outer(value);
  der::Reader names(outer.next(der::kSequence).content);
  while (!names.empty() && names.good()) {
    const der::Item name = names.next();
    if (name.content.empty() || (name.tag == der::context(4) && equal(name.content, kEmptyName))) {
      return true;
    }
  }
  return false;
}

// Extensions ::= SEQUENCE OF SEQUENCE { extnID, critical DEFAULT FALSE, extnValue OCTET STRING OPTIONAL (templates) }
void read_extensions(BytesView content, std::vector<Extension>& out) {
  der::Reader list(content);
  while (!list.empty() && out.size() < kMaxElements) {
    der::Reader one(list.next(der::kSequence).content);
    const auto oid = der::parse_oid(one.next(der::kOid).content);
    const auto critical = one.maybe(der::kBoolean);
    const auto value = one.maybe(der::kOctetString);
    if (!list.good() || !one.done() || !oid) {
      return;  // RFC 9908: what we do not understand is ignored; RFC 7030's own sample is wrong here
    }
    if (value && !(*oid == kSubjectAltName && has_open_names(value->content))) {
      out.push_back(
          {*oid, critical && !critical->content.empty() && critical->content[0] != 0, to_bytes(value->content)});
    }
  }
}

void read_attribute(std::string_view type, BytesView values, CsrAttributes& out) {
  der::Reader set(values);
  if (type == kEcPublicKey) {
    const auto curve = set.maybe(der::kOid);
    out.key = curve ? curve_type(curve->content) : KeyType::p256;
  } else if (type == kRsa) {
    const auto bits = set.maybe(der::kInteger);
    out.key = bits ? rsa_type(small_number(bits->content)) : KeyType::rsa2048;
  } else if (type == kEd25519) {
    out.key = KeyType::ed25519;
  } else if (type == kExtensionRequest || type == kExtensionTemplate) {
    if (const auto list = set.maybe(der::kSequence)) {
      read_extensions(list->content, out.extensions);
    }
  } else if (type == kChallengePassword || type == kIdentityLinking) {
    out.link = true;
    out.link_7894 = out.link_7894 || type == kIdentityLinking;
  }
}

void read_bare(std::string_view oid, CsrAttributes& out) {
  if (oid == kChallengePassword || oid == kIdentityLinking) {
    out.link = true;
    out.link_7894 = out.link_7894 || oid == kIdentityLinking;
  } else if (is_signature_algorithm(oid)) {
    out.signature = oid;
  } else {
    out.others.emplace_back(oid);
  }
}

// subject SEQUENCE OF (SET OF SEQUENCE { type, value OPTIONAL })
void read_subject(BytesView content, CsrAttributes& out) {
  der::Reader names(content);
  while (!names.empty() && names.good() && out.subject.size() < kMaxElements) {
    der::Reader set(names.next(der::kSet).content);
    while (!set.empty() && set.good() && out.subject.size() < kMaxElements) {
      der::Reader one(set.next(der::kSequence).content);
      const auto oid = der::parse_oid(one.next(der::kOid).content);
      if (!oid || !one.good()) {
        return;
      }
      out.subject.push_back({*oid, one.empty() ? std::nullopt : std::optional(to_bytes(one.next().whole))});
    }
  }
}

// subjectPKInfo [0] SEQUENCE { algorithm, subjectPublicKey BIT STRING OPTIONAL: its length gives an RSA size }
void read_key_info(BytesView content, CsrAttributes& out) {
  der::Reader info(content);
  der::Reader algorithm(info.next(der::kSequence).content);
  const auto oid = der::parse_oid(algorithm.next(der::kOid).content);
  if (!oid) {
    return;
  }
  if (*oid == kRsa) {
    const auto key = info.maybe(der::kBitString);
    der::Reader outer(key && !key->content.empty() ? key->content.subspan(1) : BytesView{});
    der::Reader rsa(key ? outer.next(der::kSequence).content : BytesView{});
    const std::size_t octets = key ? rsa.next(der::kInteger).content.size() : 256;
    out.key = rsa_type((octets & ~std::size_t{1}) * 8);
    return;
  }
  read_attribute(*oid, algorithm.has(der::kOid) ? algorithm.next(der::kOid).whole : BytesView{}, out);
}

bool read_template(BytesView values, CsrAttributes& out) {
  der::Reader set(values);
  der::Reader body(set.next(der::kSequence).content);
  body.next(der::kInteger);
  CsrAttributes found;
  found.from_template = true;
  if (const auto subject = body.maybe(der::kSequence)) {
    read_subject(subject->content, found);
  }
  if (const auto key = body.maybe(der::context(0))) {
    read_key_info(key->content, found);
  }
  der::Reader attributes(body.next(der::context(1)).content);
  std::size_t count = 0;
  while (!attributes.empty() && attributes.good() && ++count <= kMaxElements) {
    der::Reader one(attributes.next(der::kSequence).content);
    const auto oid = der::parse_oid(one.next(der::kOid).content);
    const BytesView inner = one.next(der::kSet).content;
    if (!oid || !one.good()) {
      return false;
    }
    read_attribute(*oid, inner, found);
  }
  if (!body.good() || !attributes.good()) {
    return false;
  }
  out = std::move(found);
  return true;
}

Bytes attribute(std::string_view type, BytesView value) {
  return der::sequence({der::oid(type), der::item(der::kSet, value)});
}

Bytes key_attribute(KeyType key) {
  const auto* const curve = std::ranges::find(kCurves, key, &Curve::type);
  if (curve != kCurves.end()) {
    return attribute(kEcPublicKey, der::oid(curve->oid));
  }
  if (key == KeyType::ed25519) {
    return attribute(kEd25519, {});
  }
  const std::uint64_t bits = key == KeyType::rsa4096 ? 4096 : key == KeyType::rsa3072 ? 3072 : 2048;
  return attribute(kRsa, der::integer(bits));
}

Bytes encode_extensions(const std::vector<Extension>& extensions) {
  Bytes list;
  for (const Extension& e : extensions) {
    static constexpr std::array<std::uint8_t, 1> kTrue{0xff};
    const Bytes critical = e.critical ? der::item(der::kBoolean, kTrue) : Bytes{};
    const Bytes one = der::sequence({der::oid(e.oid), critical, der::item(der::kOctetString, e.value)});
    list.insert(list.end(), one.begin(), one.end());
  }
  return attribute(kExtensionRequest, der::item(der::kSequence, list));
}

Bytes encode_template(const CsrAttributes& a) {
  Bytes subject;
  for (const CsrAttributes::Wish& wish : a.subject) {
    const Bytes one = der::item(der::kSet, der::sequence({der::oid(wish.oid), wish.value ? *wish.value : Bytes{}}));
    subject.insert(subject.end(), one.begin(), one.end());
  }
  Bytes key;
  if (a.key) {
    const Bytes encoded = key_attribute(*a.key);
    der::Reader outer(encoded);
    der::Reader parts(outer.next(der::kSequence).content);
    const BytesView oid = parts.next(der::kOid).whole;
    const BytesView parameter = parts.next(der::kSet).content;
    const bool curve = !parameter.empty() && parameter.front() == der::kOid;
    key = der::item(der::context(0), der::sequence({oid, curve ? parameter : BytesView{}}));
  }
  Bytes attributes;
  if (a.link) {
    const Bytes one = der::sequence({der::oid(kChallengePassword), der::item(der::kSet, {})});
    attributes.insert(attributes.end(), one.begin(), one.end());
  }
  if (!a.extensions.empty()) {
    const Bytes one = encode_extensions(a.extensions);
    attributes.insert(attributes.end(), one.begin(), one.end());
  }
  const Bytes body = der::sequence({der::integer(0), subject.empty() ? Bytes{} : der::item(der::kSequence, subject),
                                    key, der::item(der::context(1), attributes)});
  return attribute(kTemplate, body);
}

bool looks_like_pem(std::string_view text) { return text.find("-----BEGIN ") != std::string_view::npos; }

}  // namespace

Result<Bytes> decode_body(BytesView body) {
  CHECK_OR(!body.empty() && body.size() <= kMaxBody * 2, Error{Fault::malformed, "body: size"});
  if (body.front() == der::kSequence && body.size() <= kMaxBody) {
    return to_bytes(body);  // '0' (0x30) begins no base64 of a SEQUENCE: that would be "MI…" or "MA…"
  }
  std::string_view text = as_text(body);
  if (looks_like_pem(text)) {
    const auto begin = text.find("-----", text.find("-----BEGIN ") + 5);
    const auto end = text.find("-----END ", begin == std::string_view::npos ? 0 : begin);
    CHECK_OR(begin != std::string_view::npos && end != std::string_view::npos && begin + 5 <= end,
             Error{Fault::malformed, "body: PEM"});
    text = text.substr(begin + 5, end - begin - 5);
  }
  TRY(Bytes out, parse_base64(text));
  CHECK_OR(!out.empty() && out.size() <= kMaxBody, Error{Fault::malformed, "body: size"});
  return out;
}

Bytes encode_body(BytesView der) { return to_bytes(base64_lines(der)); }

Result<CsrAttributes> CsrAttributes::parse(BytesView in) {
  CHECK_OR(in.size() <= kMaxBody, Error{Fault::limit, "csrattrs: size"});
  der::Reader outer(in);
  der::Reader list(outer.next(der::kSequence).content);
  CHECK_OR(outer.done(), Error{Fault::malformed, "csrattrs: sequence"});
  CsrAttributes out;
  std::size_t count = 0;
  while (!list.empty()) {
    CHECK_OR(++count <= kMaxElements, Error{Fault::limit, "csrattrs: elements"});
    const der::Item item = list.next();
    CHECK_OR(list.good(), Error{Fault::malformed, "csrattrs: element"});
    if (item.tag == der::kOid) {
      TRY(const std::string oid, der::parse_oid(item.content));
      read_bare(oid, out);
    } else if (item.tag == der::kSequence) {
      der::Reader attribute_reader(item.content);
      TRY(const std::string oid, der::parse_oid(attribute_reader.next(der::kOid).content));
      const BytesView values = attribute_reader.next(der::kSet).content;
      CHECK_OR(attribute_reader.done(), Error{Fault::malformed, "csrattrs: attribute"});
      CsrAttributes from_template;
      if (oid == kTemplate && read_template(values, from_template)) {
        return from_template;  // RFC 9908: who knows the template uses it alone
      }
      read_attribute(oid, values, out);
    }
  }
  return out;
}

Bytes CsrAttributes::encode() const {
  Bytes list;
  const auto add = [&](const Bytes& one) { list.insert(list.end(), one.begin(), one.end()); };
  if (link) {
    add(der::oid(kChallengePassword));
  }
  if (link_7894) {
    add(der::oid(kIdentityLinking));
  }
  if (key && *key != KeyType::other) {
    add(key_attribute(*key));
  }
  if (!extensions.empty()) {
    add(encode_extensions(extensions));
  }
  for (const std::string& oid : others) {
    add(der::oid(oid));
  }
  if (signature) {
    add(der::oid(*signature));
  }
  if (from_template) {
    add(encode_template(*this));
  }
  return der::item(der::kSequence, list);
}

}  // namespace imprint::est
