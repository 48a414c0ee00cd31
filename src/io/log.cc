#include "io/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <string>

#include "io/loop.h"

namespace imprint::io {
namespace {

constexpr std::size_t kMaxValue = 1024;
constexpr std::array<std::string_view, 4> kLevels{"debug", "info", "warning", "error"};

std::atomic<LogLevel> least_level = LogLevel::info;
std::atomic<bool> as_json = true;

// Lock and line handling of the log; the text is ours.
spdlog::logger& sink() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made = std::make_shared<spdlog::logger>("imprint", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

// Bytes of the UTF-8 sequence at the front, 0 if it is not one (RFC 3629 section 4, overlong forms and surrogates out).
std::size_t sequence(std::string_view s) {
  const auto at = [&](std::size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0U; };
  const unsigned lead = at(0);
  const std::size_t n = lead >= 0xf0 && lead <= 0xf4  ? 4
                        : lead >= 0xe0 && lead < 0xf0 ? 3
                        : lead >= 0xc2 && lead < 0xe0 ? 2
                                                      : 0;
  for (std::size_t i = 1; i < n; ++i) {
    if ((at(i) & 0xc0U) != 0x80U) {
      return 0;
    }
  }
  const bool overlong = (lead == 0xe0 && at(1) < 0xa0) || (lead == 0xf0 && at(1) < 0x90);
  const bool outside = (lead == 0xed && at(1) >= 0xa0) || (lead == 0xf4 && at(1) >= 0x90);
  return overlong || outside ? 0 : n;
}

// The inside of a JSON string. Serves for plain text too: no control character, no line break gets through.
void escape(std::string& out, std::string_view value) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  value = value.substr(0, kMaxValue);
  while (!value.empty()) {
    const auto c = static_cast<unsigned char>(value.front());
    std::size_t used = 1;
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c >= 0x20 && c < 0x7f) {
      out += static_cast<char>(c);
    } else if (c < 0x80) {
      out += "\\u00";
      out += kHex[c >> 4U];
      out += kHex[c & 15U];
    } else if (used = sequence(value); used > 0) {
      out += value.substr(0, used);
    } else {
      out += "\\ufffd";
      used = 1;
    }
    value.remove_prefix(used);
  }
}

void member(std::string& out, std::string_view key, std::string_view value) {
  out += out.empty() ? "{\"" : ",\"";
  escape(out, key);
  out += "\":\"";
  escape(out, value);
  out += '"';
}

std::string json_line(std::string_view level, std::string_view event, std::initializer_list<LogField> fields) {
  std::string out;
  member(out, "ts", utc_text(wall_clock()));
  member(out, "level", level);
  member(out, "event", event);
  for (const LogField& f : fields) {
    member(out, f.key, f.value);
  }
  return out + "}";
}

std::string text_line(std::string_view level, std::string_view event, std::initializer_list<LogField> fields) {
  std::string out = utc_text(wall_clock()) + " " + std::string(level) + " ";
  escape(out, event);
  for (const LogField& f : fields) {
    out += ' ';
    escape(out, f.key);
    out += "=\"";
    escape(out, f.value);
    out += '"';
  }
  return out;
}

}  // namespace

void set_log(LogLevel least, bool json) {
  least_level = least;
  as_json = json;
}

void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (level >= LogLevel::off || level < least_level.load()) {
    return;
  }
  const std::string_view word = kLevels.at(static_cast<std::size_t>(level));
  sink().log(spdlog::level::info,
             spdlog::string_view_t(as_json ? json_line(word, event, fields) : text_line(word, event, fields)));
}

}  // namespace imprint::io
