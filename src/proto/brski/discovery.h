// What a device hears of proxies and which one it tries next, and how a proxy makes itself heard (RFC 8995
// sections 4.1, 4.3 and 5; RFC 8990 sections 2.5.2 and 2.8.11). Time and randomness are given.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <vector>

#include "base/instant.h"
#include "base/rng.h"
#include "proto/brski/grasp.h"

namespace imprint::brski {

// Where a datagram came from.
struct Arrival {
  Instant at;
  std::uint32_t interface = 0;  // its number; link-local addresses mean nothing without
  Bytes source;                 // 16 bytes, or 4
};

// One objective at one place, as it was heard.
struct Heard {
  std::string name;  // as spelled here: kAnProxy, kAnJoinRegistrar, kSrvEst
  std::optional<Locator> locator;
  Bytes value;
  Bytes source;
  std::uint32_t interface = 0;
  Instant at;                   // when it was heard last
  std::optional<Instant> ends;  // none: for ever
};

// The floods heard on one link (section 2.8.11): one entry for each name and locator, until its time is over. When it
// is full, what was heard longest ago makes room: whoever is there says so again within the minute.
class FloodCache {
 public:
  struct Options {
    bool strict = true;     // the insecure instance (DULL, section 2.5.2): link-local, loop count 1, AN_Proxy alone
    bool loopback = false;  // loopback counts as link-local: for tests on one machine
    std::size_t most = 64;
  };

  FloodCache() = default;
  explicit FloodCache(Options options) : options_(options) {}

  // One datagram of the group. Errors say why it was passed over: nobody is to be told (section 2.5.2).
  Status take(BytesView datagram, const Arrival& from);
  // What holds now. Those that have ended are dropped.
  const std::vector<Heard>& all(Instant now);
  // Those of one objective.
  std::vector<Heard> of(std::string_view name, Instant now);

 private:
  Status check(const Flood& flood, const Arrival& from) const;
  void keep(const Offer& offer, std::uint32_t ttl_ms, const Arrival& from);
  void make_room();
  bool near(BytesView address) const;

  Options options_;
  std::vector<Heard> all_;
};

// Somewhere to connect to.
struct Place {
  std::string host;  // an address, or a name
  std::uint16_t port = 0;
  std::uint32_t interface = 0;  // of a link-local address
  std::uint8_t protocol = kTcp;
  auto operator<=>(const Place&) const = default;
};
// Where the objective is served; none: nowhere that one could connect to.
std::optional<Place> place_of(const Heard& heard);

// The places that a device may try, each with a pause of its own that doubles with every failure, up to an hour
// (RFC 8995 section 4.1: independently for each proxy). The one tried longest ago comes first (section 5.1).
class Candidates {
 public:
  struct Options {
    Duration first_pause = std::chrono::seconds(10);
    Duration longest_pause = std::chrono::hours(1);
    std::size_t most = 64;  // what failed is remembered among them, so that leaving and coming back helps nobody
  };
  struct One {
    Place place;
    bool there = true;             // announced now
    bool trying = false;           // next() has given it, and neither failed() nor worked() was said
    std::optional<Instant> tried;  // the last time
    Duration pause{};              // after the next failure twice this
    Instant not_before;
    bool waits = false;  // it had the device wait, the last time
  };

  Candidates() = default;
  explicit Candidates(Options options) : options_(options) {}

  // These are announced now, and no others.
  void announced(const std::vector<Place>& places);
  // The next to try, and it counts as tried. None: nobody is there whose pause is over. Those never tried come first,
  // but in turns with those that had the device wait: new names without end keep nobody out who may be the owner's.
  std::optional<Place> next(Instant now);
  // When next() may have one, if nothing changes; none: only what is heard can help.
  std::optional<Instant> wakes() const;
  void failed(const Place& place, Instant now);
  void left_waiting(const Place& place, Instant now);  // it made room for others: the first pause, whichever time it is
  void worked(const Place& place);                     // its pauses begin anew

  const std::vector<One>& all() const { return all_; }

 private:
  One* find(const Place& place);
  void add(const Place& place);

  Options options_;
  std::vector<One> all_;
  bool new_one_ = false;  // was the last one
};

// When floods are due, and what they say. Says nothing before it is told what.
class Announcer {
 public:
  struct Options {
    Duration period = std::chrono::seconds(60);  // RFC 8995 section 4.3: the default, and not to be shorter
    std::uint32_t ttl_ms = 180000;
  };

  Announcer() = default;
  explicit Announcer(Options options) : options_(options) {}

  // From now on these are announced, at once for the first time; none: nothing is any more, and what was heard ends by
  // its own time. `initiator` is our address on that link.
  void say(std::vector<Offer> offers, Bytes initiator, Instant now);
  std::optional<Instant> wakes() const;
  // The flood that is due; a session identifier is used once (RFC 8990 section 2.7).
  std::optional<Bytes> due(Instant now, Rng& rng);

 private:
  Options options_;
  Bytes initiator_;
  std::vector<Offer> offers_;
  Instant next_;
};

}  // namespace imprint::brski
