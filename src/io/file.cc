#include "io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace imprint::io {
namespace {

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

Status write_all(int fd, BytesView content) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) {
      continue;
    }
    CHECK_OR(n > 0, Error{Fault::unreachable, "file: write failed (disk full?)"});
    content = content.subspan(static_cast<std::size_t>(n));
  }
  return Ok{};
}

}  // namespace

Result<Bytes> read_file(const std::string& path, std::size_t limit) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  CHECK_OR(fd, Error{Fault::unreachable, "file: cannot be opened"});
  Bytes out;
  for (;;) {
    const std::size_t had = out.size();
    out.resize(had + 65536);
    const ssize_t n = ::read(fd.get(), out.data() + had, 65536);
    if (n < 0 && errno == EINTR) {
      out.resize(had);
      continue;
    }
    CHECK_OR(n >= 0, Error{Fault::unreachable, "file: cannot be read"});
    out.resize(had + static_cast<std::size_t>(n));
    CHECK_OR(out.size() <= limit, Error{Fault::limit, "file: too large"});
    if (n == 0) {
      return out;
    }
  }
}

Status sync_folder(const std::string& path) {
  const Descriptor fd(::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  CHECK_OR(fd && ::fsync(fd.get()) == 0, Error{Fault::unreachable, "folder: cannot be synced"});
  return Ok{};
}

Status write_file(const std::string& path, BytesView content, unsigned mode) {
  const std::string temporary = path + ".new";
  {
    const Descriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
    CHECK_OR(fd, Error{Fault::unreachable, "file: cannot be created"});
    CHECK_OR(::fchmod(fd.get(), mode) == 0, Error{Fault::unreachable, "file: mode"});
    TRY(Ok{}, write_all(fd.get(), content));
    CHECK_OR(::fsync(fd.get()) == 0, Error{Fault::unreachable, "file: sync failed"});
  }
  CHECK_OR(::rename(temporary.c_str(), path.c_str()) == 0, Error{Fault::unreachable, "file: cannot be renamed"});
  return sync_folder(std::filesystem::path(path).parent_path().string());
}

Status make_folder(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return Ok{};
  }
  const auto parent = std::filesystem::path(path).parent_path().string();
  if (!parent.empty() && parent != path) {
    TRY(Ok{}, make_folder(parent));
  }
  CHECK_OR(::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST, Error{Fault::unreachable, "folder: cannot be made"});
  return Ok{};
}

}  // namespace imprint::io
