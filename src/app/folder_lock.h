// One server a data folder.
#pragma once

#include <string>

#include "base/result.h"

namespace imprint::app {

// Held as long as the object lives; the kernel lets go of it if the process dies.
class FolderLock {
 public:
  FolderLock() = default;
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

  // Makes the folder if it is not there. DATA-IN-USE if another server has it.
  Status take(const std::string& folder);

 private:
  int fd_ = -1;
};

}  // namespace imprint::app
