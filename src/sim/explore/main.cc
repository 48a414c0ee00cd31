// explore_est: searches every way in which an EST run can go, within bounds, and says whether any of them is bad.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string>

#include "sim/explore/est_world.h"

namespace imprint::explore {
namespace {

constexpr std::string_view kUsage =
    "usage: explore_est [--loss N] [--dup N] [--crash N] [--replay N] [--failure N] [--act N]\n"
    "                   [--states N] [--mode idevid|token|bootstrap|renewal|server-key|rollover] [--approval]\n"
    "                   [--plant send-before-save|reply-before-note|keep-no-key|send-no-links]\n"
    "Without options, every mode is explored within small bounds. Exit code 1: something bad or a dead end was "
    "found; 3: the limit of states was reached first.\n";

struct Options {
  Setting setting;
  std::optional<Mode> mode;
  std::size_t max_states = 20'000'000;
};

// What a run without options looks at: seconds, and every fault in every mode.
constexpr Bounds kCutAndBreak{1, 0, 1, 0, 0};
constexpr Bounds kCut{0, 0, 1, 0, 0};
constexpr Bounds kBreak{1, 1, 0, 1, 0};
constexpr Bounds kFail{1, 0, 0, 0, 1};
constexpr Bounds kAct{1, 0, 0, 0, 0, 1};
constexpr std::array<Setting, 17> kSmall{{{Mode::idevid, kCutAndBreak},
                                          {Mode::idevid, kBreak},
                                          {Mode::idevid, kFail},
                                          {Mode::idevid, kCut, Plant::none, true},
                                          {Mode::token, kCutAndBreak},
                                          {Mode::token, kBreak},
                                          {Mode::bootstrap, kCut},
                                          {Mode::bootstrap, kBreak},
                                          {Mode::renewal, kBreak},
                                          {Mode::idevid, kAct},
                                          {Mode::idevid, kAct, Plant::none, true},
                                          {Mode::renewal, kAct},
                                          {Mode::server_key, kCutAndBreak},
                                          {Mode::server_key, kBreak},
                                          {Mode::server_key, kFail},
                                          {Mode::rollover, kCut},
                                          {Mode::rollover, kFail}}};

constexpr std::array<std::pair<std::string_view, Mode>, 6> kModes{{{"idevid", Mode::idevid},
                                                                   {"token", Mode::token},
                                                                   {"bootstrap", Mode::bootstrap},
                                                                   {"renewal", Mode::renewal},
                                                                   {"server-key", Mode::server_key},
                                                                   {"rollover", Mode::rollover}}};
constexpr std::array<std::pair<std::string_view, Plant>, 4> kPlants{
    {{"send-before-save", Plant::client_sends_before_save},
     {"reply-before-note", Plant::server_replies_before_note},
     {"keep-no-key", Plant::device_keeps_no_key},
     {"send-no-links", Plant::owner_sends_no_links}}};

bool read_number(std::string_view text, auto& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool read_option(std::string_view name, std::string_view value, Options& out) {
  Bounds& b = out.setting.bounds;
  const std::array<std::pair<std::string_view, unsigned*>, 6> numbers{{{"--loss", &b.loss},
                                                                       {"--dup", &b.dup},
                                                                       {"--crash", &b.crash},
                                                                       {"--replay", &b.replay},
                                                                       {"--failure", &b.failure},
                                                                       {"--act", &b.acts}}};
  for (const auto& [known, where] : numbers) {
    if (name == known) {
      return read_number(value, *where) && *where <= 8;
    }
  }
  if (name == "--states") {
    return read_number(value, out.max_states);
  }
  if (name == "--plant") {
    for (const auto& [known, plant] : kPlants) {
      if (value == known) {
        out.setting.plant = plant;
        return true;
      }
    }
  }
  if (name == "--mode") {
    for (const auto& [known, mode] : kModes) {
      if (value == known) {
        out.mode = mode;
        return true;
      }
    }
  }
  return false;
}

// In the order of what matters more; the exit codes follow.
enum class Found : std::uint8_t { nothing, not_all_seen, something_bad };

Found explore_one(const Setting& setting, std::size_t max_states) {
  const auto* const named = std::ranges::find(kModes, setting.mode, &std::pair<std::string_view, Mode>::second);
  const std::string_view mode = named->first;
  const Report r = explore_est(setting, max_states);
  const Bounds& b = setting.bounds;
  const std::string end = r.complete ? std::to_string(r.stuck) + " stuck"
                                     : std::string("cut short: whether any is stuck was not looked at");
  std::printf(
      "est %.*s%s loss<=%u dup<=%u crash<=%u replay<=%u failure<=%u act<=%u: %zu states, %zu of them enrolled, %zu "
      "transitions, %.2f s, %s\n",
      static_cast<int>(mode.size()), mode.data(), setting.approval ? " with approval" : "", b.loss, b.dup, b.crash,
      b.replay, b.failure, b.acts, r.states, r.succeeded, r.transitions, r.seconds, end.c_str());
  if (r.violation.empty() && r.stuck == 0 && r.succeeded > 0) {
    return r.complete ? Found::nothing : Found::not_all_seen;
  }
  std::string what = r.stuck > 0 ? "DEAD END" : "WRONG: no device is ever enrolled";
  if (!r.violation.empty()) {
    what = "WRONG: " + r.violation;
  }
  std::printf("%s, after:\n", what.c_str());
  for (const std::string& one : r.trace) {
    std::printf("  %s\n", one.c_str());
  }
  return Found::something_bad;
}

int run(std::span<char*> arguments) {
  Options options;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string_view name = arguments[i];
    if (name == "--approval") {
      options.setting.approval = true;
    } else if (i + 1 >= arguments.size() || !read_option(name, arguments[++i], options)) {
      std::fwrite(kUsage.data(), 1, kUsage.size(), stderr);
      return 2;
    }
  }
  std::vector<Setting> settings(kSmall.begin(), kSmall.end());
  if (arguments.size() > 1) {
    settings.clear();
    for (const auto& [name, mode] : kModes) {
      if (options.mode.value_or(mode) == mode) {
        settings.push_back(options.setting);
        settings.back().mode = mode;
      }
    }
  }
  Found worst = Found::nothing;
  for (const Setting& setting : settings) {
    worst = std::max(worst, explore_one(setting, options.max_states));
  }
  return worst == Found::nothing ? 0 : worst == Found::something_bad ? 1 : 3;
}

}  // namespace
}  // namespace imprint::explore

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // each line as it comes, also into a file
  return imprint::explore::run({argv, static_cast<std::size_t>(argc)});
}
