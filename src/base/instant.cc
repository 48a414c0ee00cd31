#include "base/instant.h"

#include <array>
#include <cstdio>

namespace imprint {

std::string utc_text(Instant when) {
  const std::chrono::sys_time<Duration> point{Duration(when.ms)};
  const auto day = std::chrono::floor<std::chrono::days>(point);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss time{std::chrono::floor<std::chrono::seconds>(point - day)};
  std::array<char, 48> out{};
  const int n = std::snprintf(out.data(), out.size(), "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()),
                              static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                              static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                              static_cast<int>(time.seconds().count()));
  return {out.data(), static_cast<std::size_t>(n)};
}

}  // namespace imprint
