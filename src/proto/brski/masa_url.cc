#include "proto/brski/masa_url.h"

#include <algorithm>

#include "codec/der.h"
#include "proto/brski/extensions.h"

namespace imprint::brski {
namespace {

constexpr std::size_t kMaxAddress = 1024, kMaxSerial = 256, kMaxIssuer = 1024;
constexpr std::string_view kMasaUrl = "1.3.6.1.5.5.7.1.32";            // id-pe-masa-url
constexpr std::string_view kAuthorityKeyId = "2.5.29.35";              // RFC 5280 section 4.2.1.1
constexpr std::string_view kHardwareModuleName = "1.3.6.1.5.5.7.8.4";  // RFC 4108 section 5

Error wrong(Fault fault) { return {fault, kMasaAddress}; }

bool visible(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

// What stands behind the scheme, which does not count: RFC 8995 section 5.4 wants HTTPS whatever is written.
Result<std::string_view> without_scheme(std::string_view text) {
  const std::size_t at = text.find("://");
  if (at == std::string_view::npos) {
    return text;
  }
  const bool good = at > 0 && std::ranges::all_of(text.substr(0, at), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
                             c == '-' || c == '.';
                    });
  CHECK_OR(good, wrong(Fault::malformed));
  return text.substr(at + 3);
}

// "/a/" and "/" without the slash at their end; none for a path that climbs.
Result<std::string> tidy_path(std::string path) {
  while (!path.empty() && path.back() == '/') {
    path.pop_back();
  }
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at + 1), path.size());
    const std::string_view segment = std::string_view(path).substr(at + 1, end - at - 1);
    CHECK_OR(!segment.empty() && segment != "." && segment != "..", wrong(Fault::refused));
    at = end;
  }
  return path;
}

struct Module {
  std::string type;
  Bytes serial;
};

// HardwareModuleName ::= SEQUENCE { hwType OBJECT IDENTIFIER, hwSerialNum OCTET STRING }, in an otherName.
std::optional<Module> module_of(const Certificate& idevid) {
  for (const GeneralName& name : idevid.alt_names) {
    if (name.kind != GeneralName::Kind::other) {
      continue;
    }
    der::Reader in(name.value);
    const auto kind = der::parse_oid(in.next(der::kOid).content);
    der::Reader value(in.next(der::context(0)).content);
    der::Reader fields(value.next(der::kSequence).content);
    const auto type = der::parse_oid(fields.next(der::kOid).content);
    const BytesView serial = fields.next(der::kOctetString).content;
    if (kind && *kind == kHardwareModuleName && type && fields.done() && value.done() && in.done()) {
      return Module{*type, to_bytes(serial)};
    }
  }
  return std::nullopt;
}

std::string bounded(std::string text) { return text.size() > kMaxSerial ? std::string() : std::move(text); }

// The extension as it is, if it holds a key identifier and fits into the leaf; else one around the identifier alone.
Bytes authority_of(const Certificate& idevid) {
  const auto value = extension_in(idevid, kAuthorityKeyId);
  if (value && value->size() + 4 <= kMaxIssuer && !equal(issuer_key_id(*value), *value)) {
    return to_bytes(*value);
  }
  const Bytes made = encode_idevid_issuer(issuer_key_id(idevid));
  der::Reader octets(made);
  return to_bytes(octets.next(der::kOctetString).content);
}

}  // namespace

std::optional<std::string> masa_authority(const Certificate& idevid) {
  const auto value = extension_in(idevid, kMasaUrl);
  if (!value) {
    return std::nullopt;
  }
  der::Reader in(*value);
  const BytesView text = in.next(der::kIa5).content;
  CHECK_OR(in.done() && text.size() <= kMaxAddress && visible(as_text(text)), std::nullopt);
  return std::string(as_text(text));
}

Result<Uri> masa_url(std::string_view authority) {
  CHECK_OR(authority.size() <= kMaxAddress, wrong(Fault::limit));
  CHECK_OR(authority.find_first_of("?#\\") == std::string_view::npos, wrong(Fault::refused));
  TRY(const std::string_view rest, without_scheme(authority));
  // A name before "@" would be sent along, and hides which host is meant.
  CHECK_OR(rest.substr(0, rest.find('/')).find('@') == std::string_view::npos, wrong(Fault::refused));
  auto url = Uri::parse("https://" + std::string(rest));
  CHECK_OR(url, wrong(url.error().fault));
  const std::size_t slash = rest.find('/');
  TRY(url->path, tidy_path(slash == std::string_view::npos ? std::string() : url->path));
  if (url->path.empty()) {
    url->path = kMasaBase;
  }
  return url;
}

std::string serial_of(const Certificate& idevid, SerialSource source) {
  if (source == SerialSource::common_name) {
    return bounded(idevid.subject.first("CN"));
  }
  if (source == SerialSource::subject) {
    return bounded(serial_of(idevid));
  }
  const auto module = module_of(idevid);
  if (!module) {
    return {};
  }
  const std::string text(as_text(module->serial));
  return bounded(visible(text) ? text : hex(module->serial));
}

std::string hardware_module_type(const Certificate& idevid) {
  const auto module = module_of(idevid);
  return module ? module->type : std::string();
}

Bytes idevid_issuer(const Certificate& idevid, IssuerForm form) {
  switch (form) {
    case IssuerForm::octet_string:
      return der::item(der::kOctetString, authority_of(idevid));
    case IssuerForm::authority_key_id:
      return authority_of(idevid);
    case IssuerForm::key_id:
      return issuer_key_id(idevid);
    case IssuerForm::printed_name:
      return to_bytes(idevid.issuer.text.substr(0, kMaxIssuer));
    case IssuerForm::left_out:
      break;
  }
  return {};
}

}  // namespace imprint::brski
