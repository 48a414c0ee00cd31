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

std::string api_curl(const std::string& data, const std::string& api, const std::string& path, bool by_token) {
  const std::string folder = std::filesystem::absolute(data).lexically_normal().string();
  const std::string anchor = api.starts_with("https:") ? "--cacert " + shell_word(folder + "/ca/chain.pem") + " " : "";
  const std::string who = by_token ? "-H \"Authorization: Bearer $(cat " + shell_word(folder + "/admin.token") + ")\" "
                                   : "--cert admin.pem --key admin.key ";
  return "curl -s " + anchor + who + api + path;
}

}  // namespace imprint::app
