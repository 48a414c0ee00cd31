#include "model/maker.h"

#include <algorithm>
#include <array>

#include "model/device.h"

namespace imprint {
namespace {

constexpr std::array<std::string_view, 5> kNames{"made", "sold", "claimed", "released", "retired"};
constexpr std::array<std::string_view, 4> kOwnerKinds{"unsaid", "registrar", "est", "nobody"};
constexpr std::size_t kMaxSerial = 64;

}  // namespace

std::string_view name(Custody state) { return kNames.at(static_cast<std::size_t>(state)); }

std::optional<Custody> custody_named(std::string_view name) {
  const auto at = std::ranges::find(kNames, name);
  return at == kNames.end() ? std::nullopt : std::optional(static_cast<Custody>(at - kNames.begin()));
}

std::string_view name(OwnerAddress::Kind kind) { return kOwnerKinds.at(static_cast<std::size_t>(kind)); }

std::optional<OwnerAddress::Kind> owner_kind_named(std::string_view name) {
  const auto at = std::ranges::find(kOwnerKinds, name);
  return at == kOwnerKinds.end() ? std::nullopt
                                 : std::optional(static_cast<OwnerAddress::Kind>(at - kOwnerKinds.begin()));
}

bool valid_maker_serial(std::string_view serial) {
  return !serial.empty() && serial.size() <= kMaxSerial &&
         std::ranges::all_of(serial, [](char c) { return c > ' ' && c <= '~'; });
}

Sha256 customer_mac(const Secret& pepper, std::string_view id, const Secret& password) {
  Bytes text = to_bytes(id);  // an id has no NUL: the two parts are told apart
  text.push_back(0);
  text.insert(text.end(), password.expose().begin(), password.expose().end());
  const Sha256 out = hmac_sha256(pepper, text);
  wipe(text);
  return out;
}

Bytes key_digest(const Certificate& certificate) {
  const Sha256 digest = sha256(certificate.key.spki);
  return {digest.begin(), digest.end()};
}

}  // namespace imprint
