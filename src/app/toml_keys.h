// TOML into what a table of keys describes. Private to the configuration and to profiles.
#pragma once

#include <toml++/toml.h>

#include <algorithm>
#include <iterator>

#include "app/config_keys.h"
#include "app/suggestion.h"

namespace imprint::app {

// The value, if it is of this type.
std::optional<ConfigValue> value_of(const toml::node& node, ConfigType type);
std::string_view wanted_of(ConfigType type);                            // "true or false"
std::string place_of(const std::string& path, const toml::node& node);  // "imprint.toml:12: "

// Where a key stands: the file, and the tables around it, "profiles.lamps.".
struct TomlPlace {
  const std::string& path;
  const std::string& prefix;
};

// What is wrong with the key or its value, or nothing: then it has been taken.
template <class T>
std::optional<ConfigProblem> take_key(const std::vector<ConfigKey<T>>& keys, T& into, const std::string& name,
                                      const toml::node& node, const TomlPlace& at) {
  const auto key = std::ranges::find(keys, name, &ConfigKey<T>::name);
  const std::string begin = place_of(at.path, node) + at.prefix + name + ": ";
  if (key == keys.end()) {
    std::vector<std::string> names;
    std::ranges::transform(keys, std::back_inserter(names),
                           [&](const auto& k) { return at.prefix + std::string(k.name); });
    return ConfigProblem{begin + "unknown key" + suggestion(at.prefix + name, names)};
  }
  const auto value = value_of(node, key->type);
  if (!value) {
    return ConfigProblem{begin + "must be " + std::string(wanted_of(key->type))};
  }
  const auto wrong = key->set(into, *value);
  return wrong ? std::optional(ConfigProblem{begin + *wrong}) : std::nullopt;
}

}  // namespace imprint::app
