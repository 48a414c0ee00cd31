#include "io/key_file.h"

#include <cstdlib>

#include "crypto/key_rules.h"
#include "io/file.h"

namespace imprint::io {
namespace {

constexpr const char* kPinVariable = "IMPRINT_KEY_PIN";
constexpr std::size_t kMaxPin = 256, kMaxPem = std::size_t{64} * 1024;

Result<std::optional<Secret>> read_pin(const KeyUri& uri) {
  if (uri.pin_source.empty()) {
    const char* const given = std::getenv(kPinVariable);
    return given != nullptr && *given != '\0' ? std::optional(Secret(std::string_view(given)))
                                              : std::optional<Secret>();
  }
  auto content = read_file(uri.pin_source, kMaxPin);
  if (!content) {
    Error out{Fault::unreachable, kKeyPin};
    out.what = "key URI: the file of pin-source cannot be read";
    return out;
  }
  while (!content->empty() && (content->back() == '\n' || content->back() == '\r')) {
    content->pop_back();
  }
  std::optional<Secret> out{Secret(BytesView(*content))};
  wipe(*content);
  return out;
}

}  // namespace

Result<PrivateKey> load_key(const std::string& where) {
  TRY(const KeyUri uri, KeyUri::parse(where));
  if (uri.kind != KeyUri::Kind::file) {
    TRY(const std::optional<Secret> pin, read_pin(uri));
    return open_key(uri, pin);
  }
  TRY(Bytes pem, read_file(uri.path, kMaxPem));
  const Secret secret{BytesView(pem)};
  wipe(pem);
  return PrivateKey::parse_pem(secret);
}

Result<PrivateKey> known_key(const std::string& uri, const PublicKey& key) {
  TRY(const KeyUri where, KeyUri::parse(uri));
  auto pin = read_pin(where);
  return imprint::known_key(where, pin ? *pin : std::nullopt, key);
}

}  // namespace imprint::io
