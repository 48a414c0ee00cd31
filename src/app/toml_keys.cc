#include "app/toml_keys.h"

#include <array>

namespace imprint::app {

std::optional<ConfigValue> value_of(const toml::node& node, ConfigType type) {
  switch (type) {
    case ConfigType::boolean:
      return node.is_boolean() ? std::optional<ConfigValue>(node.as_boolean()->get()) : std::nullopt;
    case ConfigType::number:
      return node.is_integer() ? std::optional<ConfigValue>(node.as_integer()->get()) : std::nullopt;
    case ConfigType::text:
      return node.is_string() ? std::optional<ConfigValue>(node.as_string()->get()) : std::nullopt;
    case ConfigType::list:
      break;
  }
  const toml::array* const array = node.as_array();
  if (array == nullptr) {
    return std::nullopt;
  }
  std::vector<std::string> out;
  for (const toml::node& element : *array) {
    if (!element.is_string()) {
      return std::nullopt;
    }
    out.push_back(element.as_string()->get());
  }
  return ConfigValue(std::move(out));
}

std::string_view wanted_of(ConfigType type) {
  static constexpr std::array<std::string_view, 4> kNames{"true or false", "a whole number", "a text in quotes",
                                                          "a list of texts in brackets"};
  return kNames.at(static_cast<std::size_t>(type));
}

std::string place_of(const std::string& path, const toml::node& node) {
  return path + ":" + std::to_string(node.source().begin.line) + ": ";
}

}  // namespace imprint::app
