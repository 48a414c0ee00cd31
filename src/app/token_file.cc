#include "app/token_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "app/cli_rules.h"
#include "io/file.h"

namespace imprint::app {
namespace {

Problem about_path(const std::string& path, std::string_view why) {
  Problem out(Error{Fault::unreachable, kFile}, "--token-file " + path);
  out.state = why;
  return out;
}

}  // namespace

OrProblem<TokenFile> TokenFile::make(const std::string& path, const Secret& token) {
  if (path.empty()) {
    return TokenFile({});
  }
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0 && errno == EEXIST) {
    Problem out(Error{Fault::conflict, kFile}, "--token-file " + path);
    out.state = "the file is there already";
    out.next = "name a new file, or remove this one";
    return out;
  }
  if (fd < 0) {
    return about_path(path, "file: cannot be created");
  }
  TokenFile out(path);
  Bytes line(token.expose().begin(), token.expose().end());
  line.push_back('\n');
  const bool written = ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) && ::fsync(fd) == 0;
  wipe(line);
  if (::close(fd) != 0 || !written) {
    return about_path(path, "file: write failed (disk full?)");
  }
  if (!io::sync_folder(std::filesystem::path(path).parent_path().string())) {
    return about_path(path, "folder: cannot be synced");
  }
  return out;
}

TokenFile::~TokenFile() {
  if (!path_.empty()) {
    ::unlink(path_.c_str());
  }
}

}  // namespace imprint::app
