// A listening socket on a loop: takes the connections that wait in the kernel's queue.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "io/loop.h"

struct event;

namespace imprint::io {

class Listener {
 public:
  struct Where {
    std::string address;  // IPv4 or IPv6 literal
    std::uint16_t port = 0;
    bool reuse_port = false;
  };
  // `waiting` is called from the loop while somebody waits. Errors: malformed (not a literal), conflict (in use),
  // refused (not a port for us), unreachable (not an address of this machine), internal.
  static Result<std::unique_ptr<Listener>> open(Loop& loop, const Where& where, std::function<void()> waiting);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();

  std::uint16_t port() const;
  // Takes one, as a socket that does not block. Errors: limit (the process has no descriptor or memory left), stale
  // (nobody waits), unreachable (that one has left already).
  Result<int> accept();
  // Whether accept() would find somebody.
  bool somebody_waits() const;
  // Says nothing for so long, or until resume(): who comes meanwhile waits in the queue.
  void pause(Duration pause);
  void resume();

 private:
  Listener(Loop& loop, int fd, std::function<void()> waiting);

  Loop& loop_;
  int fd_;
  std::function<void()> waiting_;
  event* readable_ = nullptr;
  std::uint64_t timer_ = 0;
};

}  // namespace imprint::io
