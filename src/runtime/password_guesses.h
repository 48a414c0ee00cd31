// How often passwords may be tried at a server. Only what was wrong counts, by the network that it came from and by the
// account that it was for: many accounts from one place, and one account from many places.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "base/rng.h"
#include "base/secret.h"

namespace imprint {

// Memory is the same whatever strangers send: a table of 4,096 places each, found by a keyed hash. Two that share a
// place share its guesses. Whether an account exists does not show. On one thread.
class PasswordGuesses {
 public:
  // So many wrong ones in a row, then one a pause; what is not used comes back as slowly.
  struct Limits {
    int of_network = 10;
    Duration network_pause = std::chrono::seconds(30);
    int of_account = 60;
    Duration account_pause = std::chrono::minutes(1);
  };

  explicit PasswordGuesses(Rng& rng) : PasswordGuesses(rng, Limits()) {}
  PasswordGuesses(Rng& rng, const Limits& limits);

  // How long passwords for this account from this address are not looked at, and the right one neither; nothing: they
  // are. Whoever has proven the account's password from the same network in the last 30 days is not kept out by what
  // others try, or strangers could lock a customer out. `address`: a numeric literal; of IPv6 the /64 counts.
  std::optional<Duration> wait(std::string_view user, std::string_view address, Instant now) const;
  void wrong(std::string_view user, std::string_view address, Instant now);
  void right(std::string_view user, std::string_view address, Instant now);

 private:
  static constexpr std::size_t kPlaces = 4096;
  struct Seen {
    std::uint64_t who = 0;
    Instant at;
  };
  std::uint64_t place_of(std::string_view kind, std::string_view what) const;
  bool proven(std::string_view user, const std::string& network, Instant now) const;

  Limits limits_;
  Secret key_;
  // Until when the guesses of a place would have to be spread, one a pause.
  std::vector<Instant> networks_, accounts_;
  std::vector<Seen> seen_;  // who has logged in from where
};

}  // namespace imprint
