// Names to addresses without making the loop wait.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/loop.h"

namespace imprint::io {

// Asks the system's resolver (getaddrinfo, with its /etc/hosts and whatever else the machine is set up for) on a helper
// thread for each name, because it blocks; numeric addresses need no thread.
class Resolver {
 public:
  using Done = std::function<void(Result<std::vector<std::string>>)>;  // numeric addresses, in the system's order

  explicit Resolver(Loop& loop);
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  ~Resolver();  // answers still due are dropped

  // Always calls back later, on the loop's thread. Errors: unreachable (no such name), limit (too many at once).
  void resolve(const std::string& host, Done done);

 private:
  struct Desk;
  std::shared_ptr<Desk> desk_;
};

}  // namespace imprint::io
