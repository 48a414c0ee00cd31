#include "crypto/parts.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstdio>
#include <set>

namespace imprint::parts {
namespace {

std::optional<int> two_digits(BytesView text, std::size_t at) {
  const std::uint8_t a = text[at];
  const std::uint8_t b = text[at + 1];
  if (a < '0' || a > '9' || b < '0' || b > '9') {
    return std::nullopt;
  }
  return (a - '0') * 10 + (b - '0');
}

// "MMDDHHMMSSZ" after the year.
std::optional<Instant> instant_of(int year, BytesView text) {
  std::array<int, 5> n{};
  for (std::size_t i = 0; i < n.size(); ++i) {
    const std::optional<int> value = two_digits(text, 2 * i);
    if (!value) {
      return std::nullopt;
    }
    n[i] = *value;
  }
  const std::chrono::year_month_day date(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(n[0])),
                                         std::chrono::day(static_cast<unsigned>(n[1])));
  if (!date.ok() || n[2] > 23 || n[3] > 59 || n[4] > 59 || text.back() != 'Z') {
    return std::nullopt;
  }
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return Instant{(((days * 24 + n[2]) * 60 + n[3]) * 60 + n[4]) * 1000};
}

void append_utf8(std::string& out, std::uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0U | (c >> 6U));
    out += static_cast<char>(0x80U | (c & 0x3fU));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0U | (c >> 12U));
    out += static_cast<char>(0x80U | ((c >> 6U) & 0x3fU));
    out += static_cast<char>(0x80U | (c & 0x3fU));
  } else {
    out += static_cast<char>(0xf0U | (c >> 18U));
    out += static_cast<char>(0x80U | ((c >> 12U) & 0x3fU));
    out += static_cast<char>(0x80U | ((c >> 6U) & 0x3fU));
    out += static_cast<char>(0x80U | (c & 0x3fU));
  }
}

// Characters of a fixed width in octets, big-endian.
std::optional<std::string> wide_text(BytesView content, std::size_t width) {
  std::string out;
  if (content.size() % width != 0) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < content.size(); i += width) {
    std::uint32_t c = 0;
    for (std::size_t k = 0; k < width; ++k) {
      c = (c << 8U) | content[i + k];
    }
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
      return std::nullopt;
    }
    append_utf8(out, c);
  }
  return out;
}

bool valid_utf8(BytesView s) {
  for (std::size_t i = 0; i < s.size();) {
    const std::uint8_t lead = s[i];
    const std::size_t more = lead < 0x80 ? 0 : (lead >= 0xf0 ? 3 : (lead >= 0xe0 ? 2 : 1));
    if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4 || s.size() - i <= more) {
      return false;
    }
    std::uint32_t c = more == 0 ? lead : lead & (0x3fU >> more);
    for (std::size_t k = 1; k <= more; ++k) {
      if ((s[i + k] & 0xc0U) != 0x80U) {
        return false;
      }
      c = (c << 6U) | (s[i + k] & 0x3fU);
    }
    const bool overlong = (more == 2 && c < 0x800) || (more == 3 && c < 0x10000);
    if (overlong || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
      return false;
    }
    i += 1 + more;
  }
  return true;
}

bool is_ascii(BytesView s) {
  return std::all_of(s.begin(), s.end(), [](std::uint8_t b) { return b < 0x80; });
}

bool visible(BytesView s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](std::uint8_t b) { return b > 0x20 && b < 0x7f; });
}

bool valid_general_name(const GeneralName& name) {
  using Kind = GeneralName::Kind;
  der::Reader in(name.value);
  switch (name.kind) {
    case Kind::email:
    case Kind::dns:
    case Kind::uri:
      return visible(name.value);
    case Kind::ip:
      return name.value.size() == 4 || name.value.size() == 16;
    case Kind::directory:
      return bool(Name::parse(name.value));
    case Kind::registered_id:
      return bool(der::parse_oid(name.value));
    case Kind::other: {
      const bool id = bool(der::parse_oid(in.next(der::kOid).content));
      der::Reader value(in.next(der::context(0)).content);
      value.next();
      return id && in.done() && value.done();
    }
    case Kind::x400:
    case Kind::edi:
      break;
  }
  return true;
}

std::uint8_t general_tag(GeneralName::Kind kind) {
  using Kind = GeneralName::Kind;
  const auto n = static_cast<unsigned>(kind);
  const bool constructed = kind == Kind::other || kind == Kind::x400 || kind == Kind::directory || kind == Kind::edi;
  return constructed ? der::context(n) : der::context_primitive(n);
}

Result<std::uint16_t> parse_key_usage(BytesView value) {
  const Error bad{Fault::malformed, "extension: keyUsage"};
  der::Reader in(value);
  const BytesView bits = in.next(der::kBitString).content;
  CHECK_OR(in.done() && bits.size() >= 2 && bits.size() <= 3 && bits[0] < 8, bad);
  const auto unused = static_cast<std::uint8_t>((1U << bits[0]) - 1U);
  CHECK_OR((bits.back() & unused) == 0, bad);
  const auto out = static_cast<std::uint16_t>((unsigned{bits[1]} << 8U) | (bits.size() > 2 ? bits[2] : 0U));
  // RFC 5280 section 4.2.1.3: at least one bit.
  CHECK_OR(out != 0, bad);
  return out;
}

Result<std::vector<std::string>> parse_extended(BytesView value) {
  const Error bad{Fault::malformed, "extension: extendedKeyUsage"};
  der::Reader outer(value);
  der::Reader in(outer.next(der::kSequence).content);
  std::vector<std::string> out;
  while (!in.empty()) {
    CHECK_OR(out.size() < kMaxUsages, Error{Fault::limit, "extension: extendedKeyUsage"});
    TRY(std::string id, der::parse_oid(in.next(der::kOid).content));
    out.push_back(std::move(id));
  }
  // An empty list would read as "unrestricted" in our own types.
  CHECK_OR(outer.done() && in.done() && !out.empty(), bad);
  return out;
}

}  // namespace

BytesView positive(BytesView content) {
  if (content.size() > 1 && content[0] == 0 && (content[1] & 0x80U) != 0) {
    return content.subspan(1);
  }
  return !content.empty() && content[0] != 0 && (content[0] & 0x80U) == 0 ? content : BytesView();
}

BytesView octets_of_bits(BytesView content) {
  return content.size() > 1 && content.front() == 0 ? content.subspan(1) : BytesView();
}

BytesView key_bits(BytesView spki) {
  der::Reader outer(spki);
  der::Reader fields(outer.next(der::kSequence).content);
  fields.next(der::kSequence);
  const BytesView bits = octets_of_bits(fields.next(der::kBitString).content);  // keys are whole octets
  return outer.done() && fields.done() ? bits : BytesView();
}

Instant read_time(der::Reader& in) {
  const der::Item item = in.next();
  std::optional<Instant> out;
  if (item.tag == der::kUtcTime && item.content.size() == 13) {
    if (const std::optional<int> year = two_digits(item.content, 0)) {
      out = instant_of(*year < 50 ? 2000 + *year : 1900 + *year, item.content.subspan(2));
    }
  } else if (item.tag == der::kGeneralizedTime && item.content.size() == 15) {
    const std::optional<int> century = two_digits(item.content, 0);
    const std::optional<int> year = two_digits(item.content, 2);
    if (century && year) {
      out = instant_of(*century * 100 + *year, item.content.subspan(4));
    }
  }
  if (!out) {
    in.fail();
  }
  return out.value_or(Instant{});
}

Bytes encode_time(Instant when) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(std::chrono::milliseconds(when.ms));
  const auto days = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date{std::chrono::sys_days(days)};
  const std::chrono::hh_mm_ss time(seconds - days);
  const int year = std::clamp(static_cast<int>(date.year()), 0, 9999);
  std::array<char, 32> text{};
  const int length =
      std::snprintf(text.data(), text.size(), "%04d%02u%02u%02d%02d%02dZ", year, static_cast<unsigned>(date.month()),
                    static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
                    static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()));
  const std::string_view all(text.data(), static_cast<std::size_t>(length));
  const bool utc = year >= 1950 && year < 2050;
  return der::text(utc ? der::kUtcTime : der::kGeneralizedTime, utc ? all.substr(2) : all);
}

std::optional<std::string> string_text(const der::Item& item) {
  constexpr std::uint8_t kNumeric = 0x12;
  constexpr std::uint8_t kUniversal = 0x1c;
  constexpr std::uint8_t kBmp = 0x1e;
  switch (item.tag) {
    case der::kUtf8:
      return valid_utf8(item.content) ? std::optional(std::string(as_text(item.content))) : std::nullopt;
    case kNumeric:
    case der::kPrintable:
    case der::kIa5:
      return is_ascii(item.content) ? std::optional(std::string(as_text(item.content))) : std::nullopt;
    case der::kTeletex:
      // In practice Latin-1, whatever T.61 says.
      return wide_text(item.content, 1);
    case kBmp:
      return wide_text(item.content, 2);
    case kUniversal:
      return wide_text(item.content, 4);
    default:
      return std::nullopt;
  }
}

Result<std::vector<GeneralName>> parse_general_names(BytesView content) {
  der::Reader in(content);
  std::vector<GeneralName> out;
  while (!in.empty()) {
    CHECK_OR(out.size() < kMaxNames, Error{Fault::limit, "general names: number"});
    const der::Item item = in.next();
    const unsigned number = item.tag & 0x1fU;
    CHECK_OR(in.good() && number <= 8, Error{Fault::malformed, "general name"});
    GeneralName name{static_cast<GeneralName::Kind>(number), to_bytes(item.content)};
    CHECK_OR(item.tag == general_tag(name.kind) && valid_general_name(name), Error{Fault::malformed, "general name"});
    out.push_back(std::move(name));
  }
  CHECK_OR(in.good() && !out.empty(), Error{Fault::malformed, "general names"});
  return out;
}

Bytes encode_general_names(const std::vector<GeneralName>& names) {
  Bytes content;
  for (const GeneralName& name : names) {
    const Bytes one = der::item(general_tag(name.kind), name.value);
    content.insert(content.end(), one.begin(), one.end());
  }
  return der::item(der::kSequence, content);
}

Result<std::vector<Extension>> parse_extensions(BytesView der) {
  const Error bad{Fault::malformed, "extensions"};
  der::Reader outer(der);
  der::Reader list(outer.next(der::kSequence).content);
  std::vector<Extension> out;
  while (!list.empty()) {
    CHECK_OR(out.size() < kMaxExtensions, Error{Fault::limit, "extensions: number"});
    der::Reader in(list.next(der::kSequence).content);
    Extension one;
    TRY(one.oid, der::parse_oid(in.next(der::kOid).content));
    if (const std::optional<der::Item> critical = in.maybe(der::kBoolean)) {
      // FALSE is the default and must not be written, but deployed encoders do write it.
      CHECK_OR(critical->content.size() == 1 && (critical->content[0] == 0xff || critical->content[0] == 0), bad);
      one.critical = critical->content[0] == 0xff;
    }
    one.value = to_bytes(in.next(der::kOctetString).content);
    CHECK_OR(in.done(), bad);
    const bool twice = std::any_of(out.begin(), out.end(), [&one](const Extension& e) { return e.oid == one.oid; });
    CHECK_OR(!twice, Error{Fault::malformed, "extensions: one twice"});
    out.push_back(std::move(one));
  }
  CHECK_OR(outer.done() && list.done(), bad);
  return out;
}

Bytes encode_extensions(const std::vector<Extension>& extensions) {
  Bytes content;
  for (const Extension& e : extensions) {
    const std::uint8_t yes = 0xff;
    const Bytes critical = e.critical ? der::item(der::kBoolean, {&yes, 1}) : Bytes();
    const Bytes one = der::sequence({der::oid(e.oid), critical, der::item(der::kOctetString, e.value)});
    content.insert(content.end(), one.begin(), one.end());
  }
  return der::item(der::kSequence, content);
}

Result<bool> take_known(const Extension& extension, Known& out) {
  if (extension.oid == kSubjectAltName) {
    der::Reader in(extension.value);
    const BytesView names = in.next(der::kSequence).content;
    CHECK_OR(in.done(), Error{Fault::malformed, "extension: subjectAltName"});
    TRY(out.alt_names, parse_general_names(names));
    out.alt_names_der = extension.value;
  } else if (extension.oid == kKeyUsage) {
    TRY(out.usage, parse_key_usage(extension.value));
  } else if (extension.oid == kExtendedKeyUsage) {
    TRY(out.extended, parse_extended(extension.value));
  } else {
    return false;
  }
  return true;
}

Bytes encode_key_usage(std::uint16_t bits) {
  // A named bit list: trailing zero bits are not written (X.690 section 11.2.2).
  const auto high = static_cast<std::uint8_t>(bits >> 8U);
  const auto low = static_cast<std::uint8_t>(bits & 0xffU);
  const std::uint8_t last = low != 0 ? low : high;
  Bytes content{static_cast<std::uint8_t>(last != 0 ? std::countr_zero(last) : 0)};
  if (bits != 0) {
    content.push_back(high);
  }
  if (low != 0) {
    content.push_back(low);
  }
  return der::item(der::kBitString, content);
}

Bytes encode_extended(const std::vector<std::string>& usages) {
  Bytes content;
  for (const std::string& usage : usages) {
    const Bytes one = der::oid(usage);
    content.insert(content.end(), one.begin(), one.end());
  }
  return der::item(der::kSequence, content);
}

}  // namespace imprint::parts
