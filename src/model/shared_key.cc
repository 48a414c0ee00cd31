#include "model/shared_key.h"

#include <algorithm>
#include <array>
#include <bitset>

#include "codec/base64.h"

namespace imprint {
namespace {

constexpr std::size_t kLeastDistinct = 8;  // of 16 random octets fewer differ once in a thousand million times

// FIPS 197 appendix A: what code is tried out with is what devices are shipped with. Those of appendix C are runs.
constexpr std::array<std::string_view, 3> kExamples{"2b7e151628aed2a6abf7158809cf4f3c",
                                                    "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
                                                    "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"};

bool valid_length(std::size_t octets) { return octets == 16 || octets == 24 || octets == 32; }

bool is_example(BytesView key) {
  return std::ranges::any_of(kExamples, [&](std::string_view each) {
    const auto octets = from_hex(each);
    return octets && same(*octets, key);
  });
}

// A key in letters has been typed: of random ones that happens to one in some millions.
bool is_text(BytesView key) {
  return std::ranges::all_of(key, [](std::uint8_t octet) { return octet >= ' ' && octet <= '~'; });
}

std::size_t distinct(BytesView key) {
  std::bitset<256> seen;
  for (const std::uint8_t octet : key) {
    seen.set(octet);
  }
  return seen.count();
}

// Octets that differ from the one before by as much as that one from its own predecessor: 00 01 02, 10 20 30, 00 00 00.
bool is_run(BytesView key) {
  std::size_t regular = 0;
  for (std::size_t i = 2; i < key.size(); ++i) {
    const auto last = static_cast<std::uint8_t>(key[i] - key[i - 1]);
    regular += last == static_cast<std::uint8_t>(key[i - 1] - key[i - 2]) ? 1U : 0U;
  }
  return regular >= key.size() / 2;
}

// A shorter key that begins anew, whole or in part.
bool is_repeat(BytesView key) {
  for (std::size_t period = 1; period <= key.size() / 2; ++period) {
    if (equal(key.subspan(period), key.first(key.size() - period))) {
      return true;
    }
  }
  return false;
}

}  // namespace

Result<SharedKey> parse_shared_key(std::string_view id, std::string_view key) {
  const auto identifier = from_hex(id);
  CHECK_OR(identifier && !identifier->empty() && identifier->size() <= kMostSharedKeyId,
           Error{Fault::malformed, "shared key: its identifier is not hexadecimal of 1 to 64 octets"});
  std::optional<Bytes> octets = from_hex(key);
  if (!octets) {
    auto decoded = parse_base64(key);
    octets = decoded ? std::optional(*std::move(decoded)) : std::nullopt;
  }
  SharedKey out{*identifier, octets ? Secret(BytesView(*octets)) : Secret()};
  if (octets) {
    wipe(*octets);
  }
  CHECK_OR(valid_length(out.key.size()),
           Error{Fault::malformed, "shared key: not 16, 24 or 32 octets in hexadecimal or base64"});
  return out;
}

Status check_shared_key(const SharedKey& key) {
  CHECK_OR(!key.id.empty() && key.id.size() <= kMostSharedKeyId && valid_length(key.key.size()),
           Error{Fault::malformed, "shared key: length of the key or of its identifier"});
  const BytesView octets = key.key.expose();
  CHECK_OR(!is_text(octets) && !is_example(octets) && !is_run(octets) && !is_repeat(octets) &&
               distinct(octets) >= kLeastDistinct,
           Error{Fault::refused, "shared key: somebody could guess it"});
  return Ok{};
}

}  // namespace imprint
