#include "io/notify.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace imprint::io {
namespace {

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::optional<std::int64_t> number(const std::string& text) {
  std::int64_t out = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, out);
  return error == std::errc{} && rest == end && out > 0 ? std::optional(out) : std::nullopt;
}

}  // namespace

ServiceManager ServiceManager::from_environment() {
  ServiceManager out(variable("NOTIFY_SOCKET"));
  const auto watchdog_us = number(variable("WATCHDOG_USEC"));
  const std::string pid = variable("WATCHDOG_PID");
  if (watchdog_us && (pid.empty() || number(pid) == static_cast<std::int64_t>(::getpid()))) {
    out.alive_every_ = std::max(Duration(1), Duration(*watchdog_us / 2000));
  }
  for (const char* const name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) {
    ::unsetenv(name);
  }
  return out;
}

void ServiceManager::status(std::string_view line) const {
  std::string text = "STATUS=";
  std::ranges::copy_if(line, std::back_inserter(text), [](char c) { return static_cast<unsigned char>(c) >= 0x20; });
  tell(text);
}

// A manager that does not listen holds us up for a moment only.
void ServiceManager::tell(std::string_view message) const {
  sockaddr_un to{};
  if (address_.empty() || address_.size() >= sizeof to.sun_path) {
    return;
  }
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address_.data(), address_.size());
  if (address_.front() == '@') {  // the abstract namespace begins with a zero octet
    to.sun_path[0] = '\0';
  }
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return;
  }
  const timeval patience{.tv_sec = 0, .tv_usec = 200'000};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  [[maybe_unused]] const ssize_t sent =
      ::sendto(fd, message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to), length);
  ::close(fd);
}

}  // namespace imprint::io
