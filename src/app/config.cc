#include "app/config.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <sstream>
#include <utility>

#include "app/config_keys.h"
#include "app/suggestion.h"
#include "app/toml_keys.h"
#include "io/file.h"

namespace imprint::app {
namespace {

constexpr std::string_view kProfiles = "profiles";

// ---- reading ----

class Loader {
 public:
  void read_text(const std::string& path, std::string_view text) {
    try {
      read_root(toml::parse(text, path), path);
    } catch (const toml::parse_error& error) {
      problem(path + ":" + std::to_string(error.source().begin.line) + ": " + std::string(error.description()));
    }
  }

  void read_environment() {
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string_view text(*entry);
      const std::size_t equals = text.find('=');
      if (equals != std::string_view::npos) {
        read_variable(std::string(text.substr(0, equals)), text.substr(equals + 1));
      }
    }
  }

  void problem(std::string text) { problems_.push_back({std::move(text)}); }

  std::variant<Config, std::vector<ConfigProblem>> finish() {
    for (std::string& wrong : check_whole(config_)) {
      problem(std::move(wrong));
    }
    if (!problems_.empty()) {
      return problems_;
    }
    return config_;
  }

  Loader() { profile("default"); }

 private:
  ProfileConfig& profile(const std::string& name) {
    ProfileConfig& out = config_.profiles[name];
    out.profile.name = name;
    return out;
  }

  void read_root(const toml::table& root, const std::string& path) {
    for (const auto& [key, node] : root) {
      const std::string name(key.str());
      const toml::table* const table = node.as_table();
      if (name == kProfiles && table != nullptr) {
        read_profiles(*table, path);
      } else if (table != nullptr) {
        read_section(name, *table, path);
      } else {
        take(config_keys(), config_, name, node, path, "");
      }
    }
  }

  void read_section(const std::string& section, const toml::table& table, const std::string& path) {
    const auto in_section = [&](const auto& key) { return key.name.starts_with(section + "."); };
    if (std::ranges::none_of(config_keys(), in_section)) {
      problem(place_of(path, table) + section + ": unknown section" +
              suggestion(section, {"est", "api", "ca", "upstream", "policy", "log", "profiles"}));
      return;
    }
    for (const auto& [key, node] : table) {
      take(config_keys(), config_, section + "." + std::string(key.str()), node, path, "");
    }
  }

  void read_profiles(const toml::table& profiles, const std::string& path) {
    for (const auto& [key, node] : profiles) {
      const std::string name(key.str());
      const std::string prefix = std::string(kProfiles) + "." + name + ".";
      const toml::table* const table = node.as_table();
      if (table == nullptr) {
        problem(place_of(path, node) + std::string(kProfiles) + "." + name + ": must be a table");
        continue;
      }
      if (const auto wrong = check_profile_name(name)) {
        problem(place_of(path, node) + std::string(kProfiles) + "." + name + ": " + *wrong);
        continue;
      }
      for (const auto& [inner, value] : *table) {
        take(profile_keys(), profile(name), std::string(inner.str()), value, path, prefix);
      }
      profile(name);  // an empty table is a profile as well
    }
  }

  template <class T>
  void take(const std::vector<ConfigKey<T>>& keys, T& into, const std::string& name, const toml::node& node,
            const std::string& path, const std::string& prefix) {
    if (auto wrong = take_key(keys, into, name, node, {path, prefix})) {
      problems_.push_back(*std::move(wrong));
    }
  }

  // ---- IMPRINT_EST_LISTEN=… for est.listen ----

  static std::string variable_of(std::string_view key) {
    std::string out = "IMPRINT_";
    for (const char c : key) {
      out += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    return out;
  }

  void read_variable(const std::string& name, std::string_view text) {
    const auto key = std::ranges::find_if(config_keys(), [&](const auto& k) { return variable_of(k.name) == name; });
    if (key != config_keys().end()) {
      const auto value = parse_variable(text, key->type);
      const auto wrong =
          value ? key->set(config_, *value) : std::optional("must be " + std::string(wanted_of(key->type)));
      if (wrong) {
        problem(name + ": " + *wrong);
      }
      return;
    }
    // Other programs' variables may begin with IMPRINT_, too; only what looks like one of our sections is held against
    // us.
    constexpr std::array<std::string_view, 6> kSections{"IMPRINT_EST_",      "IMPRINT_API_",    "IMPRINT_CA_",
                                                        "IMPRINT_UPSTREAM_", "IMPRINT_POLICY_", "IMPRINT_LOG_"};
    if (std::ranges::any_of(kSections, [&](std::string_view s) { return name.starts_with(s); })) {
      std::vector<std::string> names;
      std::ranges::transform(config_keys(), std::back_inserter(names),
                             [](const auto& k) { return variable_of(k.name); });
      problem(name + ": unknown variable" + suggestion(name, names));
    }
  }

  static std::optional<ConfigValue> parse_variable(std::string_view text, ConfigType type) {
    switch (type) {
      case ConfigType::boolean:
        return text == "true" || text == "false" ? std::optional<ConfigValue>(text == "true") : std::nullopt;
      case ConfigType::number: {
        std::int64_t number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        return error == std::errc{} && end == text.data() + text.size() ? std::optional<ConfigValue>(number)
                                                                        : std::nullopt;
      }
      case ConfigType::text:
        return ConfigValue(std::string(text));
      case ConfigType::list:
        break;
    }
    std::vector<std::string> out;  // separated by commas
    while (!text.empty()) {
      const std::size_t comma = text.find(',');
      out.emplace_back(text.substr(0, comma));
      text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    }
    return ConfigValue(std::move(out));
  }

  Config config_;
  std::vector<ConfigProblem> problems_;
};

// ---- printing ----

std::string toml_text(const ConfigValue& value) {
  std::ostringstream out;
  if (const auto* const flag = std::get_if<bool>(&value)) {
    out << (*flag ? "true" : "false");
  } else if (const auto* const number = std::get_if<std::int64_t>(&value)) {
    out << *number;
  } else if (const auto* const text = std::get_if<std::string>(&value)) {
    out << toml::value<std::string>(*text);
  } else {
    out << '[';
    std::string_view separator;
    for (const std::string& element : std::get<std::vector<std::string>>(value)) {
      out << std::exchange(separator, ", ") << toml::value<std::string>(element);
    }
    out << ']';
  }
  return out.str();
}

template <class T>
void print_key(std::string& out, const ConfigKey<T>& key, const T& from, bool commented) {
  const std::string_view name = key.name.substr(key.name.find('.') + 1);
  if (commented) {
    out.append("# ").append(key.comment).append("\n# ");
  }
  out.append(name).append(" = ").append(toml_text(key.get(from))).append(commented ? "\n\n" : "\n");
}

// Every key with its value; `commented`: as comments, each with what it means.
std::string print(const Config& config, bool commented) {
  std::string out, section;
  for (const auto& key : config_keys()) {
    const std::size_t dot = key.name.find('.');
    const std::string_view of = dot == std::string_view::npos ? std::string_view() : key.name.substr(0, dot);
    if (of != section) {
      section = of;
      out.append(commented ? "" : "\n").append("[").append(section).append(commented ? "]\n\n" : "]\n");
    }
    print_key(out, key, config, commented);
  }
  for (const auto& [name, profile] : config.profiles) {
    if (commented) {
      out +=
          "# What devices get. A profile is served under its name as EST label; \"default\" without a label as well.\n";
    }
    out.append(commented ? "" : "\n").append("[profiles.").append(toml_text(name)).append(commented ? "]\n\n" : "]\n");
    for (const auto& key : profile_keys()) {
      print_key(out, key, profile, commented);
    }
  }
  return out;
}

}  // namespace

std::variant<Config, std::vector<ConfigProblem>> parse_config(const std::string& path, std::string_view text) {
  Loader loader;
  loader.read_text(path, text);
  return loader.finish();
}

std::variant<Config, std::vector<ConfigProblem>> load_config(const std::string& path) {
  Loader loader;
  if (!path.empty()) {
    const auto file = io::read_file(path, std::size_t{1} << 20U);
    if (file) {
      loader.read_text(path, as_text(*file));
    } else {
      loader.problem(path + ": " + std::string(file.error().what));
    }
  }
  loader.read_environment();
  return loader.finish();
}

std::vector<std::string> keys_for_restart(const Config& running, const Config& wanted) {
  constexpr std::array<std::string_view, 14> kAtStart{"data",
                                                      "est.listen",
                                                      "est.threads",
                                                      "est.max_body_bytes",
                                                      "est.max_connections",
                                                      "est.coaps",
                                                      "est.coaps_join",
                                                      "est.max_associations",
                                                      "est.associations_per_certificate",
                                                      "api.listen",
                                                      "api.tls",
                                                      "ca.listen",
                                                      "brski.announce",
                                                      "brski.announce_as"};
  std::vector<std::string> out;
  for (const auto& key : config_keys()) {
    const bool at_start = std::ranges::find(kAtStart, key.name) != kAtStart.end() || key.name.starts_with("upstream.");
    if (at_start && key.get(running) != key.get(wanted)) {
      out.emplace_back(key.name);
    }
  }
  return out;
}

std::string default_config_text() {
  Config defaults;
  defaults.profiles["default"].profile.name = "default";
  return "# Imprint's configuration. Everything is optional; what stands here are the defaults.\n"
         "# Every key outside [profiles] can be given by the environment as well: IMPRINT_EST_LISTEN=… for "
         "est.listen.\n\n" +
         print(defaults, true);
}

std::string config_text(const Config& config) { return print(config, false); }

}  // namespace imprint::app
