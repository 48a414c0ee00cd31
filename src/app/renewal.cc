#include "app/renewal.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

namespace imprint::app {
namespace {

constexpr Duration kLeastPause = std::chrono::seconds(1), kFirstPause = std::chrono::seconds(2),
                   kLongestPause = std::chrono::minutes(10);
constexpr std::int64_t kMaxSeconds = std::int64_t{36500} * 24 * 3600;

Duration scaled(Duration of, double by) { return Duration(std::llround(static_cast<double>(of.count()) * by)); }

// Up to `most` of it.
Duration jitter(Duration of, double most, std::uint8_t luck) { return scaled(of, most * luck / 255.0); }

}  // namespace

Term term_of(const Certificate& certificate, std::optional<Instant> got) {
  return {certificate.not_before, certificate.not_after, certificate.fingerprint().front(), got};
}

Instant renewal_time(const RenewalRule& rule, const Term& term) {
  const Duration life = term.until - term.from;
  const Instant due = rule.before ? term.until - *rule.before - jitter(*rule.before, 0.05, term.luck)
                                  : term.from + scaled(life, rule.part) - jitter(life, 0.05, term.luck);
  if (!term.got || due > *term.got) {
    return due;
  }
  const Duration left = std::max(Duration(0), term.until - *term.got);
  return *term.got + std::max(kLeastPause, scaled(left, rule.part) - jitter(left, 0.05, term.luck));
}

Duration pause_after(std::uint32_t failures, Duration left, std::uint8_t luck) {
  const std::uint32_t doublings = std::min(failures == 0 ? 0 : failures - 1, 16U);
  const Duration wanted = std::min(kFirstPause * (1 << doublings), kLongestPause);
  const Duration most = left > Duration(0) ? std::min(wanted, left / 4) : wanted;
  return std::max(kLeastPause, most - jitter(most, 0.25, luck));
}

std::optional<Duration> parse_duration(std::string_view text) {
  struct Unit {
    char name;
    std::int64_t seconds;
  };
  std::int64_t count = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc{} || rest + 1 != end || count <= 0) {
    return std::nullopt;
  }
  for (const Unit unit : {Unit{'s', 1}, Unit{'m', 60}, Unit{'h', 3600}, Unit{'d', 24 * 3600}}) {
    if (unit.name == *rest && count <= kMaxSeconds / unit.seconds) {
      return std::chrono::seconds(count * unit.seconds);
    }
  }
  return std::nullopt;
}

}  // namespace imprint::app
