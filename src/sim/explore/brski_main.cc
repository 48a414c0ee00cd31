// explore_brski: searches every way in which a run of BRSKI can go, within bounds, and says whether any of them is bad.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string>

#include "sim/explore/brski_world.h"

namespace imprint::explore::trio {
namespace {

constexpr std::string_view kUsage =
    "usage: explore_brski [--loss N] [--dup N] [--crash N] [--replay N] [--failure N] [--act N]\n"
    "                     [--states N] [--mode claim|rivals|sold|nonceless|approval] [--form cms|cose|jws]\n"
    "                     [--plant tell-before-save|registrar-reply-before-note|masa-reply-before-note|keep-no-owner|\n"
    "                              repeat-nonces|forget-claims|no-gate|lack-device]\n"
    "Without options, every mode is explored within small bounds. Exit code 1: something bad or a dead end was "
    "found; 3: the limit of states was reached first.\n";

struct Options {
  Setting setting;
  std::optional<Mode> mode;
  std::size_t max_states = 20'000'000;
};

// What a run without options looks at: seconds, and every fault in every mode.
constexpr Bounds kLoss{1, 0, 0, 0, 0, 0}, kDup{0, 1, 0, 0, 0, 0}, kCut{0, 0, 1, 0, 0, 0}, kReplay{0, 0, 0, 1, 0, 0},
    kFail{0, 0, 0, 0, 1, 0}, kAct{0, 0, 0, 0, 0, 1};
constexpr std::array<Setting, 19> kSmall{{{Mode::claim, kLoss},
                                          {Mode::claim, kDup},
                                          {Mode::claim, kCut},
                                          {Mode::claim, kReplay},
                                          {Mode::claim, kFail},
                                          {Mode::claim, kAct},
                                          {Mode::claim, kCut, Plant::none, brski::Form::cose},
                                          {Mode::claim, kCut, Plant::none, brski::Form::jws},
                                          {Mode::rivals, kLoss},
                                          {Mode::rivals, kCut},
                                          {Mode::rivals, kReplay},
                                          {Mode::rivals, kAct},
                                          {Mode::sold, kLoss},
                                          {Mode::sold, kCut},
                                          {Mode::sold, kReplay},
                                          {Mode::sold, kAct},
                                          {Mode::nonceless, kCut},
                                          {Mode::nonceless, kLoss},
                                          {Mode::approval, Bounds{}}}};

template <class T>
struct Named {
  std::string_view name;
  T value;
};
constexpr std::array<Named<Mode>, 5> kModes{{{"claim", Mode::claim},
                                             {"rivals", Mode::rivals},
                                             {"sold", Mode::sold},
                                             {"nonceless", Mode::nonceless},
                                             {"approval", Mode::approval}}};
constexpr std::array<Named<Plant>, 8> kPlants{{{"tell-before-save", Plant::device_tells_before_save},
                                               {"registrar-reply-before-note", Plant::registrar_replies_before_note},
                                               {"masa-reply-before-note", Plant::masa_replies_before_note},
                                               {"keep-no-owner", Plant::device_keeps_no_owner},
                                               {"repeat-nonces", Plant::device_repeats_nonces},
                                               {"forget-claims", Plant::masa_forgets_claims},
                                               {"no-gate", Plant::registrar_has_no_gate},
                                               {"lack-device", Plant::masa_lacks_the_device}}};
constexpr std::array<Named<brski::Form>, 3> kForms{
    {{"cms", brski::Form::cms}, {"cose", brski::Form::cose}, {"jws", brski::Form::jws}}};

template <class T, std::size_t N>
std::optional<T> named(const std::array<Named<T>, N>& all, std::string_view name) {
  const auto* const at = std::ranges::find(all, name, &Named<T>::name);
  return at == all.end() ? std::nullopt : std::optional(at->value);
}

bool read_number(std::string_view text, auto& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

// Whether there was a value, which is kept.
template <class T>
bool take(std::optional<T> value, auto& out) {
  if (value) {
    out = *value;
  }
  return value.has_value();
}

bool read_option(std::string_view name, std::string_view value, Options& out) {
  Bounds& b = out.setting.bounds;
  const std::array<Named<unsigned*>, 6> numbers{{{"--loss", &b.loss},
                                                 {"--dup", &b.dup},
                                                 {"--crash", &b.crash},
                                                 {"--replay", &b.replay},
                                                 {"--failure", &b.failure},
                                                 {"--act", &b.acts}}};
  if (const auto where = named(numbers, name)) {
    return read_number(value, **where) && **where <= 8;
  }
  if (name == "--states") {
    return read_number(value, out.max_states);
  }
  if (name == "--plant") {
    return take(named(kPlants, value), out.setting.plant);
  }
  if (name == "--form") {
    return take(named(kForms, value), out.setting.form);
  }
  return name == "--mode" && take(named(kModes, value), out.mode);
}

// In the order of what matters more; the exit codes follow.
enum class Found : std::uint8_t { nothing, not_all_seen, something_bad };

Found explore_one(const Setting& setting, std::size_t max_states) {
  const std::string_view mode = std::ranges::find(kModes, setting.mode, &Named<Mode>::value)->name;
  const std::string_view form = brski::name(setting.form);
  const Report r = explore(setting, max_states);
  const Bounds& b = setting.bounds;
  const std::string end = r.complete ? std::to_string(r.stuck) + " stuck"
                                     : std::string("cut short: whether any is stuck was not looked at");
  std::printf(
      "brski %.*s %.*s loss<=%u dup<=%u crash<=%u replay<=%u failure<=%u act<=%u: %zu states, %zu of them configured, "
      "%zu transitions, %.2f s, %s\n",
      static_cast<int>(mode.size()), mode.data(), static_cast<int>(form.size()), form.data(), b.loss, b.dup, b.crash,
      b.replay, b.failure, b.acts, r.states, r.succeeded, r.transitions, r.seconds, end.c_str());
  if (r.violation.empty() && r.stuck == 0 && r.succeeded > 0) {
    return r.complete ? Found::nothing : Found::not_all_seen;
  }
  std::string what = r.stuck > 0 ? "DEAD END" : "WRONG: no device is ever configured";
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
    if (i + 1 >= arguments.size() || !read_option(name, arguments[++i], options)) {
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
}  // namespace imprint::explore::trio

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // each line as it comes, also into a file
  return imprint::explore::trio::run({argv, static_cast<std::size_t>(argc)});
}
