#include "base/secret.h"

#include <cstring>
#include <utility>

namespace imprint {

void wipe(std::span<std::uint8_t> memory) {
  if (!memory.empty()) {
    explicit_bzero(memory.data(), memory.size());
  }
}

Secret::Secret(BytesView bytes) : bytes_(bytes.begin(), bytes.end()) {}

Secret::Secret(std::string_view text) : Secret(view(text)) {}

Secret::Secret(const Secret& other) = default;

Secret::Secret(Secret&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Secret& Secret::operator=(const Secret& other) {
  if (this != &other) {
    Bytes copy = other.bytes_;  // a fresh buffer: growing in place would leave the old one behind unwiped
    wipe(bytes_);
    bytes_ = std::move(copy);
  }
  return *this;
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    wipe(bytes_);
    bytes_ = std::exchange(other.bytes_, {});
  }
  return *this;
}

Secret::~Secret() { wipe(bytes_); }

bool same(BytesView a, BytesView b) {
  std::size_t difference = a.size() ^ b.size();
  const std::size_t n = a.size() < b.size() ? a.size() : b.size();
  for (std::size_t i = 0; i < n; ++i) {
    difference |= static_cast<std::size_t>(a[i] ^ b[i]);
  }
  return difference == 0;
}

bool same(const Secret& a, const Secret& b) { return same(a.expose(), b.expose()); }

}  // namespace imprint
