// A plain socket to a server under test: what it is sent and what it answers, byte by byte.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/io_test.h"

namespace imprint::io {

inline constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";

// A bare socket to the rig's server.
class Raw {
 public:
  explicit Raw(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    fcntl(fd_, F_SETFL, O_NONBLOCK);
  }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;
  ~Raw() { leave(); }

  void leave() {
    if (fd_ >= 0) {
      close(fd_);
    }
    fd_ = -1;
  }
  // Says how much of it the kernel took.
  std::size_t send(BytesView bytes) const {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  std::size_t send(std::string_view words) const { return send(view(words)); }
  // Reads what is there; true once the server has closed.
  bool read() {
    std::array<char, 64 * 1024> buffer{};
    while (true) {
      const ssize_t n = recv(fd_, buffer.data(), buffer.size(), 0);
      if (n <= 0) {
        return n == 0 || errno != EAGAIN;
      }
      text.append(buffer.data(), static_cast<std::size_t>(n));
    }
  }

  std::string text;

 private:
  int fd_;
};

inline HttpsServerOptions quick() {
  HttpsServerOptions out;
  out.idle_timeout = Duration(150);
  out.handshake_timeout = Duration(150);
  return out;
}

// The whole answer of a plain server to these bytes, until it closes.
inline std::string answer_to(Rig& rig, std::string_view bytes) {
  Raw raw(rig.server->port());
  raw.send(bytes);
  EXPECT_TRUE(rig.until([&] { return raw.read(); }));
  return raw.text;
}

}  // namespace imprint::io
