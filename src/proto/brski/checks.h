// How the checks of an artefact are noted down. Private to this folder.
#pragma once

#include "proto/brski/judge.h"
#include "proto/brski/rules.h"

namespace imprint::brski {

class Checks {
 public:
  // Notes an outcome; whether it is `passed`.
  bool add(const Rule& rule, Fault fault, std::string_view what, Check::Outcome outcome, std::string detail = {}) {
    list_.push_back({&rule, fault, what, outcome, std::move(detail)});
    return outcome == Check::Outcome::passed;
  }
  bool add(const Rule& rule, Fault fault, std::string_view what, bool good, std::string detail = {}) {
    return add(rule, fault, what, good ? Check::Outcome::passed : Check::Outcome::failed, std::move(detail));
  }
  std::vector<Check> list() && { return std::move(list_); }
  const std::vector<Check>& list() const& { return list_; }

 private:
  std::vector<Check> list_;
};

// Rules of a chain at this time, or at any.
inline ChainRules chain_rules(std::optional<Instant> now) {
  return {Purpose::any, now.value_or(Instant{}), now.has_value()};
}

// Whether a certificate is revoked. unknown: no list says so that is of its issuer (by name, and by `above`'s key if
// that is given) and is not over; skipped: a root, which nobody revokes.
Check::Outcome revocation_of(const Certificate& certificate, const Certificate* above,
                             const std::vector<RevocationList>& lists, std::optional<Instant> now);

}  // namespace imprint::brski
