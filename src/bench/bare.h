// A server that does nothing but shake hands: it shows how fast the clients of a measurement can be.
#pragma once

#include <atomic>
#include <optional>
#include <thread>

#include "bench/floor.h"

namespace imprint::bench {

// Listens on loopback on a thread of its own; answers every request with the same few bytes.
class BareServer {
 public:
  static Result<std::unique_ptr<BareServer>> start(const ServerIdentity& identity, std::optional<unsigned> core);
  BareServer(const BareServer&) = delete;
  BareServer& operator=(const BareServer&) = delete;
  ~BareServer();

  std::uint16_t port() const { return port_; }
  // Ends it; the processor time of its thread.
  double stop();

 private:
  BareServer(ServerContext context, int fd, std::uint16_t port) : context_(std::move(context)), fd_(fd), port_(port) {}
  void serve();

  ServerContext context_;
  int fd_;
  std::uint16_t port_;
  std::atomic<bool> stopping_ = false;
  double cpu_s_ = 0;
  std::thread thread_;
};

}  // namespace imprint::bench
