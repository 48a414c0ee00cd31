// Whether somebody takes TCP connections at an address.
#pragma once

#include <functional>

#include "io/address.h"
#include "io/loop.h"

struct event;

namespace imprint::io {

class TcpProbe {
 public:
  // Connects, says nothing, and leaves. `done` is called once, from the loop; the probe may be destroyed in it, or
  // before: then it is not called.
  TcpProbe(Loop& loop, const Address& to, Duration longest, std::function<void(bool there)> done);
  TcpProbe(const TcpProbe&) = delete;
  TcpProbe& operator=(const TcpProbe&) = delete;
  ~TcpProbe();

 private:
  void end(bool there);

  int fd_;
  std::function<void(bool)> done_;
  event* ready_ = nullptr;
};

}  // namespace imprint::io
