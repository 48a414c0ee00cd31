#include "crypto/hash.h"

#include <bit>
#include <cstring>

#include "base/reader.h"
#include "crypto_toy/toy.h"

namespace imprint {
namespace {

constexpr std::uint64_t kOdd1 = 0x9e3779b97f4a7c15U;
constexpr std::uint64_t kOdd2 = 0xbf58476d1ce4e5b9U;

std::uint64_t stir(std::uint64_t h) {
  h = (h ^ (h >> 30U)) * kOdd2;
  h = (h ^ (h >> 27U)) * 0x94d049bb133111ebU;
  return h ^ (h >> 31U);
}

// n octets from as many 64-bit hashes as it takes, each with a seed of its own.
Bytes wide(BytesView data, std::size_t n) {
  Writer w;
  const std::uint64_t first = toy::hash64(data, n);
  for (std::uint64_t i = 0; i * 8 < n; ++i) {
    w.u64(stir(first + i * kOdd1));
  }
  Bytes out = std::move(w).out();
  out.resize(n);
  return out;
}

}  // namespace

std::uint64_t toy::hash64(BytesView data, std::uint64_t seed) {
  std::uint64_t h = (seed + data.size()) * kOdd1;
  while (!data.empty()) {
    std::uint64_t word = 0;
    const std::size_t n = data.size() < 8 ? data.size() : 8;
    std::memcpy(&word, data.data(), n);
    h = (std::rotl(h, 27) ^ word) * kOdd2 + kOdd1;
    data = data.subspan(n);
  }
  return stir(h);
}

Sha256 sha256(BytesView data) {
  Sha256 out{};
  const Bytes all = wide(data, out.size());
  std::memcpy(out.data(), all.data(), out.size());
  return out;
}

Bytes sha384(BytesView data) { return wide(data, 48); }
Bytes sha512(BytesView data) { return wide(data, 64); }
Bytes sha1_identifier(BytesView data) { return wide(data, 20); }

Sha256 hmac_sha256(const Secret& key, BytesView data) {
  Bytes all = to_bytes(key.expose());
  all.push_back(0);
  all.insert(all.end(), data.begin(), data.end());
  return sha256(all);
}

}  // namespace imprint
