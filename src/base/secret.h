// Key material, passwords and tokens.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace imprint {

// Bytes that nobody but their user may see: every copy is wiped when it ends or grows, there is no operator== (same()
// takes constant time), no stream output and no implicit way into Bytes, so that a secret cannot be logged by accident.
class Secret {
 public:
  Secret() = default;
  explicit Secret(BytesView bytes);
  explicit Secret(std::string_view text);
  Secret(const Secret& other);
  Secret(Secret&& other) noexcept;
  Secret& operator=(const Secret& other);
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  // The bytes themselves, to be handed to a primitive or to the wire; never to be kept.
  BytesView expose() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

 private:
  Bytes bytes_;
};

// Whether both hold the same bytes, in time that depends on the lengths only.
bool same(const Secret& a, const Secret& b);
bool same(BytesView a, BytesView b);

// Overwrites memory in a way that the optimiser keeps.
void wipe(std::span<std::uint8_t> memory);

}  // namespace imprint
