#include "app/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "app/cli_rules.h"
#include "io/file.h"

namespace imprint::app {

FolderLock::~FolderLock() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

Status FolderLock::take(const std::string& folder) {
  TRY(Ok{}, io::make_folder(folder));
  fd_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  CHECK_OR(fd_ >= 0, Error{Fault::unreachable, kFile});
  CHECK_OR(::flock(fd_, LOCK_EX | LOCK_NB) == 0, Error{Fault::conflict, kDataInUse});
  return Ok{};
}

}  // namespace imprint::app
