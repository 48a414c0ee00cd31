#include "crypto/key_uri.h"

#include <array>
#include <charconv>

#include "crypto/key_rules.h"

namespace imprint {
namespace {

constexpr std::size_t kMaxUri = 4096;

Error wrong(std::string_view what) {
  Error out{Fault::malformed, kKeyUri};
  out.what = what;
  return out;
}

bool after(std::string_view& text, std::string_view prefix) {
  const bool there = text.starts_with(prefix);
  text.remove_prefix(there ? prefix.size() : 0);
  return there;
}

// What stands before the separator; the text begins after it then.
std::string_view take(std::string_view& text, char separator) {
  const std::size_t at = text.find(separator);
  const std::string_view out = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return out;
}

Result<std::string> unescape(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (text.front() != '%') {
      out += text.front();
      text.remove_prefix(1);
      continue;
    }
    const auto octet = from_hex(text.substr(1, 2));
    CHECK_OR(octet && octet->size() == 1, wrong("key URI: percent encoding"));
    out += static_cast<char>(octet->front());
    text.remove_prefix(3);
  }
  return out;
}

Result<std::string> file_path(std::string_view text) {
  after(text, "file:");
  after(text, "//");
  TRY(std::string out, unescape(text));
  CHECK_OR(!out.empty() && out.front() != '|' && out.find('\0') == std::string::npos, wrong("key URI: path of a file"));
  return out;
}

Status read_query(std::string_view query, KeyUri& out) {
  while (!query.empty()) {
    std::string_view value = take(query, '&');
    const std::string_view name = take(value, '=');
    CHECK_OR(name != "pin-value", Error{Fault::malformed, kKeyPinInUri});
    const bool module = name == "module-path" && out.kind == KeyUri::Kind::pkcs11;
    CHECK_OR(name == "pin-source" || module, wrong("key URI: unknown query attribute"));
    std::string& to = module ? out.module_path : out.pin_source;
    CHECK_OR(to.empty(), wrong("key URI: an attribute twice"));
    TRY(to, file_path(value));
  }
  return Ok{};
}

// RFC 7512 section 2.3; what is not understood must not be passed over (section 2.5).
Status read_attributes(std::string_view text, KeyUri& out) {
  struct Attribute {
    std::string_view name;
    std::string KeyUri::*value;
  };
  constexpr std::array<Attribute, 5> kTexts{{{"token", &KeyUri::token},
                                             {"serial", &KeyUri::serial},
                                             {"manufacturer", &KeyUri::manufacturer},
                                             {"model", &KeyUri::model},
                                             {"object", &KeyUri::object}}};
  while (!text.empty()) {
    std::string_view escaped = take(text, ';');
    const std::string_view name = take(escaped, '=');
    TRY(const std::string value, unescape(escaped));
    CHECK_OR(!value.empty(), wrong("key URI: empty attribute"));
    if (name == "type") {
      CHECK_OR(value == "private", wrong("key URI: type is not private"));
      continue;
    }
    if (name == "id") {
      CHECK_OR(out.id.empty(), wrong("key URI: an attribute twice"));
      out.id = to_bytes(value);
      continue;
    }
    bool known = false;
    for (const Attribute& each : kTexts) {
      if (each.name == name) {
        CHECK_OR((out.*each.value).empty(), wrong("key URI: an attribute twice"));
        out.*each.value = value;
        known = true;
      }
    }
    CHECK_OR(known, wrong("key URI: unknown attribute"));
  }
  return Ok{};
}

// A persistent handle: TPM 2.0 part 2, section 7.2.
Status read_tpm(std::string_view text, KeyUri& out) {
  if (!text.starts_with("0x")) {
    TRY(out.path, file_path(text));
    return Ok{};
  }
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + 2, end, out.handle, 16);
  CHECK_OR(error == std::errc{} && stop == end && (out.handle >> 24U) == 0x81, wrong("key URI: no persistent handle"));
  return Ok{};
}

}  // namespace

Result<KeyUri> KeyUri::parse(std::string_view text) {
  CHECK_OR(!text.empty() && text.size() <= kMaxUri, wrong("key URI: length"));
  for (const char c : text) {
    CHECK_OR(static_cast<unsigned char>(c) > 0x1f && c != 0x7f, wrong("key URI: control character"));
  }
  KeyUri out;
  out.text = text;
  std::string_view rest = text;
  const bool pkcs11 = after(rest, "pkcs11:");
  if (!pkcs11 && !after(rest, "tpm2:") && !text.starts_with("handle:")) {
    if (!rest.starts_with("file:")) {
      out.path = text;  // a path as it is: nothing in it is an escape
      return out;
    }
    TRY(out.path, file_path(rest));
    return out;
  }
  after(rest, "handle:");
  out.kind = pkcs11 ? Kind::pkcs11 : Kind::tpm2;
  const std::string_view attributes = take(rest, '?');
  TRY([[maybe_unused]] const Ok named, pkcs11 ? read_attributes(attributes, out) : read_tpm(attributes, out));
  TRY([[maybe_unused]] const Ok queried, read_query(rest, out));
  return out;
}

}  // namespace imprint
