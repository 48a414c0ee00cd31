// Log lines: one JSON object a line on stderr, or plain text for people. Secrets have no way in.
#pragma once

#include <initializer_list>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace imprint::io {

enum class LogLevel : std::uint8_t { debug, info, warning, error, off };

struct LogField {
  std::string_view key;
  std::string_view value;
};

void set_log(LogLevel least, bool json);
// {"ts":"…","level":"info","event":"est.enrolled","device":"dev-1"}; values are escaped, at most 1,024 bytes each.
void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

}  // namespace imprint::io
