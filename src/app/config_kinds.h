// The kinds of keys that the tables of the configuration have. Private to config.
#pragma once

#include "app/config_keys.h"

namespace imprint::app {

using Wrong = std::optional<std::string>;  // what is wrong with a value, or nothing
using Texts = std::vector<std::string>;

inline constexpr std::int64_t kMaxDays = 36500;
inline constexpr Duration kHour = std::chrono::hours(1);
inline constexpr const char* kKeyTypes = "must be one of p256, p384, p521, ed25519, rsa2048, rsa3072, rsa4096";

template <class T>
ConfigKey<T> flag(std::string_view name, std::string_view comment, std::function<bool&(T&)> at) {
  return {name, ConfigType::boolean, comment,
          [at](T& c, const ConfigValue& v) -> Wrong {
            at(c) = std::get<bool>(v);
            return std::nullopt;
          },
          [at](const T& c) -> ConfigValue {
            T copy = c;
            return at(copy);
          }};
}

struct Range {
  std::int64_t least, most;
};

template <class T>
ConfigKey<T> number(std::string_view name, std::string_view comment, Range range,
                    std::function<void(T&, std::int64_t)> set, std::function<std::int64_t(const T&)> get) {
  return {name, ConfigType::number, comment,
          [set, range](T& c, const ConfigValue& v) -> Wrong {
            const std::int64_t n = std::get<std::int64_t>(v);
            if (n < range.least || n > range.most) {
              return "must be " + std::to_string(range.least) + " to " + std::to_string(range.most);
            }
            set(c, n);
            return std::nullopt;
          },
          [get](const T& c) -> ConfigValue { return get(c); }};
}

template <class T>
ConfigKey<T> text(std::string_view name, std::string_view comment, std::function<Wrong(T&, const std::string&)> set,
                  std::function<std::string(const T&)> get) {
  return {name, ConfigType::text, comment,
          [set](T& c, const ConfigValue& v) { return set(c, std::get<std::string>(v)); },
          [get](const T& c) -> ConfigValue { return get(c); }};
}

template <class T>
ConfigKey<T> list(std::string_view name, std::string_view comment, std::function<Wrong(T&, const Texts&)> set,
                  std::function<Texts(const T&)> get) {
  return {name, ConfigType::list, comment, [set](T& c, const ConfigValue& v) { return set(c, std::get<Texts>(v)); },
          [get](const T& c) -> ConfigValue { return get(c); }};
}

}  // namespace imprint::app
