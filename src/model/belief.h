// What a player holds to be true about keys, names and endpoints, how strongly, until when, and why.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/instant.h"

namespace imprint {

// Weakest first: a belief is never stronger than the weakest thing that it stands on.
enum class Strength : std::uint8_t {
  asserted,       // somebody said so
  first_contact,  // whoever answered first; nobody checked
  proximity,      // whoever was near
  label,          // whoever holds the printed secret
  confirmed,      // a person compared
  proved,         // a signature or MAC that reaches an anchor, or put in by the factory
};
std::string_view name(Strength strength);
std::optional<Strength> strength_named(std::string_view name);

// What a belief stands on at its root.
enum class Ground : std::uint8_t { factory, check, person, contact, claim };
std::string_view name(Ground ground);

// What the belief is about, one word of the survey's.
enum class Topic : std::uint8_t { anchor, peer, own_identity, credential, endpoint, wish, possession, membership };
std::string_view name(Topic topic);

struct Belief {
  std::string id;  // stable within a device: "anchor:AB12…", "credential:default"
  Topic topic = Topic::anchor;
  std::string statement;   // "the key AB:12:… speaks for my owner's CA"
  Instant until = kNoEnd;  // not believed afterwards unless renewed
  bool operator==(const Belief&) const = default;
};

// Why it is believed: the check that made the proof, the bytes that it was made from, the beliefs that it stood on.
struct Evidence {
  Ground ground = Ground::check;
  std::string check;                 // "certificate path, RFC 5280 section 6"
  Bytes bytes;                       // what the check looked at, as received
  std::vector<std::string> because;  // ids of other beliefs; empty only if `ground` is not `check`
  bool operator==(const Evidence&) const = default;
};

enum class Fate : std::uint8_t { learned, replaced, forgotten };
std::string_view name(Fate fate);

// One entry of a run: a belief that came, replaced another, or went.
struct BeliefChange {
  Fate fate = Fate::learned;
  Belief belief;
  Strength strength = Strength::asserted;  // what the proof alone would give; see held_strength()
  Evidence evidence;
  std::string replaces;  // id of the former belief, with Fate::replaced
  std::string why;       // with Fate::forgotten
  bool operator==(const BeliefChange&) const = default;
};

// The beliefs of one player after a sequence of changes.
class Beliefs {
 public:
  // Applies the change. False, and nothing changes, if its chain of evidence ends nowhere (a check that stands on no
  // held belief), if it is forgotten or replaced without being held, or if its id is held already.
  bool apply(const BeliefChange& change);

  // The strength with which a belief is held: the least along its chain. Nothing if it is not held.
  std::optional<Strength> strength(std::string_view id) const;
  const std::vector<BeliefChange>& held() const { return held_; }
  const BeliefChange* find(std::string_view id) const;

 private:
  std::vector<BeliefChange> held_;  // strength already capped by what each stands on
};

}  // namespace imprint
