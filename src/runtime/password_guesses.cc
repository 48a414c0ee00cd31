#include "runtime/password_guesses.h"

#include <algorithm>

#include "base/reader.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "io/address.h"

namespace imprint {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr Duration kRemembered = std::chrono::hours(24 * 30);

// Of IPv6 the /64: whoever has one has as many addresses as he likes. IPv4 may be written in IPv6 (RFC 4291 section
// 2.5.5.2).
std::string network_of(std::string_view address) {
  const auto read = io::Address::parse(std::string(address), 0);
  if (!read) {
    return std::string(address);
  }
  const BytesView ip(read->ip);
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (!read->v6) {
    return "4" + hex(ip.first(4));
  }
  return equal(ip.first(12), kMapped) ? "4" + hex(ip.last(4)) : "6" + hex(ip.first(8));
}

// How far ahead of now a place is. More than it can be: somebody has set the clock back, and it says nothing.
Duration ahead_of(Instant due, int most, Duration pause, Instant now) {
  const Duration ahead = due - now;
  return ahead > Duration(0) && ahead <= pause * most ? ahead : Duration(0);
}

// How long a place waits that may be used `most` times in a row.
Duration wait_of(Instant due, int most, Duration pause, Instant now) {
  return std::max(Duration(0), ahead_of(due, most, pause, now) - pause * (most - 1));
}

Instant after_another(Instant due, int most, Duration pause, Instant now) {
  return now + std::min(ahead_of(due, most, pause, now) + pause, pause * most);
}

}  // namespace

PasswordGuesses::PasswordGuesses(Rng& rng, const Limits& limits)
    : limits_(limits), key_(random_secret(rng, kKeyBytes)), networks_(kPlaces), accounts_(kPlaces), seen_(kPlaces) {}

std::uint64_t PasswordGuesses::place_of(std::string_view kind, std::string_view what) const {
  const std::string text = std::string(kind) + ":" + std::string(what);
  const Sha256 mac = hmac_sha256(key_, view(text));
  Reader r(mac);
  return r.u64();
}

bool PasswordGuesses::proven(std::string_view user, const std::string& network, Instant now) const {
  const std::uint64_t who = place_of("from", network + " " + std::string(user));
  const Seen& seen = seen_[who % kPlaces];
  return seen.who == who && now - seen.at < kRemembered;
}

std::optional<Duration> PasswordGuesses::wait(std::string_view user, std::string_view address, Instant now) const {
  const std::string network = network_of(address);
  Duration out =
      wait_of(networks_[place_of("network", network) % kPlaces], limits_.of_network, limits_.network_pause, now);
  if (!proven(user, network, now)) {
    out = std::max(
        out, wait_of(accounts_[place_of("account", user) % kPlaces], limits_.of_account, limits_.account_pause, now));
  }
  return out > Duration(0) ? std::optional(out) : std::nullopt;
}

void PasswordGuesses::wrong(std::string_view user, std::string_view address, Instant now) {
  Instant& network = networks_[place_of("network", network_of(address)) % kPlaces];
  network = after_another(network, limits_.of_network, limits_.network_pause, now);
  Instant& account = accounts_[place_of("account", user) % kPlaces];
  account = after_another(account, limits_.of_account, limits_.account_pause, now);
}

void PasswordGuesses::right(std::string_view user, std::string_view address, Instant now) {
  const std::uint64_t who = place_of("from", network_of(address) + " " + std::string(user));
  seen_[who % kPlaces] = {who, now};
}

}  // namespace imprint
