// When a certificate is to be renewed, and how long to wait after an attempt that failed. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "base/instant.h"
#include "crypto/x509.h"

namespace imprint::app {

// What the user wants: the part of the lifetime that is used up first, or a time before the end in its place.
struct RenewalRule {
  double part = 2.0 / 3;
  std::optional<Duration> before;
};

// A certificate's times, and what is random about it.
struct Term {
  Instant from, until;
  std::uint8_t luck = 0;  // 0..255, the same for one certificate whenever it is asked: no restart changes its time
  std::optional<Instant> got{};  // when it came, if it came while we watched
};
// The luck is of the certificate's fingerprint: a fleet enrolled in one minute does not come back in one minute.
Term term_of(const Certificate& certificate, std::optional<Instant> got);

// When to renew: with a jitter of up to a twentieth (of the lifetime, or of `before`), always to the earlier side. A
// certificate that came when its time by the rule was over already (a lifetime shorter than `before`, or than the CA's
// allowance for clocks) is renewed when that part of what was left of it is used up.
Instant renewal_time(const RenewalRule& rule, const Term& term);

// How long to wait after the n-th failure in a row (1, 2, …): doubling from 2 s to 10 min, never more than a quarter of
// what is left of the certificate (`left` <= 0: it has expired, or there is none), with a jitter of up to a quarter.
// At least a second.
Duration pause_after(std::uint32_t failures, Duration left, std::uint8_t luck);

// "90s", "45m", "12h", "30d": up to 100 years; nothing for anything else, and for 0.
std::optional<Duration> parse_duration(std::string_view text);

}  // namespace imprint::app
