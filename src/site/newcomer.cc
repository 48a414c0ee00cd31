#include "site/newcomer.h"

#include <algorithm>

namespace imprint::site {
namespace {

constexpr std::size_t kDigits = 16, kMostOfSerial = 40;

bool is_plain(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

std::string unnamed(std::string_view identity) {
  return "x509-" + std::string(identity.substr(identity.size() - std::min(identity.size(), kDigits)));
}

}  // namespace

std::string newcomer_id(std::string_view serial, std::string_view identity) {
  const auto first = std::ranges::find_if(serial, is_plain);
  serial.remove_prefix(static_cast<std::size_t>(first - serial.begin()));
  if (serial.empty()) {
    return unnamed(identity);
  }
  std::string out(serial.substr(0, kMostOfSerial));
  std::ranges::replace_if(
      out, [](char c) { return !is_plain(c) && c != '_'; }, '-');
  return out + unnamed(identity).substr(std::string_view("x509").size());
}

bool is_newcomer_id(std::string_view id, std::string_view serial, std::string_view identity) {
  return identity.size() >= kDigits && (id == newcomer_id(serial, identity) || id == unnamed(identity));
}

}  // namespace imprint::site
