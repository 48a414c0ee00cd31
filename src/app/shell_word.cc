#include "app/shell_word.h"

#include <filesystem>

namespace imprint::app {

std::string shell_word(const std::string& text) {
  const bool plain = !text.empty() &&
                     text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@") ==
                         std::string::npos;
  std::string out = "'";
  for (const char c : text) {
    out += c == '\'' ? "'\\''" : std::string(1, c);
  }
  return plain ? text : out + "'";
}

std::string api_curl(const std::string& data, const std::string& api, const std::string& path) {
  const std::string folder = std::filesystem::absolute(data).lexically_normal().string();
  return "curl -s -H \"Authorization: Bearer $(cat " + shell_word(folder + "/admin.token") + ")\" " + api + path;
}

}  // namespace imprint::app
