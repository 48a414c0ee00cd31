// A server under measurement: this program again, as a process of its own, so that its processor time is its own.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace imprint::bench {

class ServerProcess {
 public:
  // Starts this very program with these arguments, on one core or (nothing) on all, and waits until `endpoints` says
  // where it listens. Its output goes to `log`; nothing of the
  // caller's IMPRINT_… variables reaches it. Fault::unreachable if it ends or says nothing within 20 seconds.
  static Result<ServerProcess> start(const std::vector<std::string>& arguments, const std::string& endpoints,
                                     const std::string& log, std::optional<unsigned> core);
  // The same for a server of another kind: `port` is asked again and again, with the id of the process, until it knows.
  using FindPort = std::function<std::optional<std::uint16_t>(int pid)>;
  static Result<ServerProcess> start(const std::vector<std::string>& arguments, const FindPort& port,
                                     const std::string& log, std::optional<unsigned> core);
  ServerProcess(ServerProcess&& other) noexcept : pid_(std::exchange(other.pid_, 0)), port_(other.port_) {}
  ServerProcess& operator=(ServerProcess&&) = delete;
  ~ServerProcess() { stop(); }

  int pid() const { return pid_; }
  std::uint16_t port() const { return port_; }
  // Asks it to end, waits, and ends it by force after 15 seconds. True if it ended well.
  bool stop();

 private:
  explicit ServerProcess(int pid) : pid_(pid) {}
  int pid_;
  std::uint16_t port_ = 0;
};

}  // namespace imprint::bench
