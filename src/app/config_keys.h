// The keys of the configuration as a table: reading, overriding, printing and explaining all walk it. Private to
// config.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "app/config.h"

namespace imprint::app {

// A value as TOML or an environment variable gives it.
using ConfigValue = std::variant<bool, std::int64_t, std::string, std::vector<std::string>>;

enum class ConfigType : std::uint8_t { boolean, number, text, list };  // in the order of ConfigValue

// One key of a T. `set` gives back what is wrong with a value of the right type, or nothing.
template <class T>
struct ConfigKey {
  std::string_view name;  // "est.listen"; without a table for the keys of a profile
  ConfigType type = ConfigType::text;
  std::string_view comment;
  std::function<std::optional<std::string>(T&, const ConfigValue&)> set;
  std::function<ConfigValue(const T&)> get;
};

const std::vector<ConfigKey<Config>>& config_keys();
const std::vector<ConfigKey<ProfileConfig>>& profile_keys();

// What is wrong with the keys' values beside each other, or nothing.
std::optional<std::string> check_together(const Config& config);

// What is wrong with a profile's name, which is the label in the URL as well; nothing if it is good.
std::optional<std::string> check_profile_name(std::string_view name);

}  // namespace imprint::app
