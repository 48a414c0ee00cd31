// A file for a secret that is given out once.
#pragma once

#include <string>
#include <utility>

#include "app/command.h"

namespace imprint::app {

// A new file (0600) that goes again unless it is kept: a command that fails leaves none behind.
class TokenFile {
 public:
  // Writes the token and a new line, durably. A file that is there already is refused, not replaced. Without a path
  // there is no file.
  static OrProblem<TokenFile> make(const std::string& path, const Secret& token);
  TokenFile(TokenFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TokenFile& operator=(TokenFile&&) = delete;
  ~TokenFile();
  void keep() { path_.clear(); }

 private:
  explicit TokenFile(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace imprint::app
