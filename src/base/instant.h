// Time as roles see it: given to them, never read by them.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>

namespace imprint {

using Duration = std::chrono::milliseconds;

// Milliseconds since 1970-01-01T00:00:00Z. May be before 1970 (negative) or far away (certificates say 9999).
struct Instant {
  std::int64_t ms = 0;

  auto operator<=>(const Instant&) const = default;  // NOLINT(modernize-use-nullptr): clang-tidy 14 misreads it
  friend Instant operator+(Instant t, Duration d) { return {t.ms + d.count()}; }
  friend Instant operator-(Instant t, Duration d) { return {t.ms - d.count()}; }
  friend Duration operator-(Instant a, Instant b) { return Duration(a.ms - b.ms); }
};

// 9999-12-31T23:59:59Z: "no end", RFC 5280 section 4.1.2.5.
inline constexpr Instant kNoEnd{253402300799000};

// "2026-11-21T09:30:00Z", whole seconds.
std::string utc_text(Instant when);

}  // namespace imprint
