// What a service manager is told (systemd's sd_notify protocol): ready, stopping, alive, and a line of status. Without
// one, nothing is said and nothing fails.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/instant.h"

namespace imprint::io {

class ServiceManager {
 public:
  // The one that started this process, from $NOTIFY_SOCKET (a path, or @ and an abstract name) and $WATCHDOG_USEC with
  // $WATCHDOG_PID. The variables are removed: what this process starts is not to speak for it.
  static ServiceManager from_environment();
  ServiceManager() = default;
  explicit ServiceManager(std::string address) : address_(std::move(address)) {}

  bool listens() const { return !address_.empty(); }
  // How often alive() is wanted: half of what the manager waits for. None: no watchdog.
  std::optional<Duration> alive_every() const { return alive_every_; }

  void ready() const { tell("READY=1"); }
  void stopping() const { tell("STOPPING=1"); }
  void alive() const { tell("WATCHDOG=1"); }
  // Control characters are left out.
  void status(std::string_view line) const;

 private:
  void tell(std::string_view message) const;
  std::string address_;
  std::optional<Duration> alive_every_;
};

}  // namespace imprint::io
