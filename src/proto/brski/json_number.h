// Numbers as peers of BRSKI write them in JSON.
#pragma once

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "codec/json.h"

namespace imprint::brski {

// A number, or its digits as text: RFC 8995's own figure 18 has them, and so do peers in telemetry.
inline std::optional<std::uint64_t> number_in(const Json& json) {
  if (json.is_number_unsigned()) {
    return json.get<std::uint64_t>();
  }
  if (!json.is_string()) {
    return std::nullopt;
  }
  const auto& text = json.get_ref<const std::string&>();
  std::uint64_t out = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
  const bool whole = problem == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(out) : std::nullopt;
}

}  // namespace imprint::brski
