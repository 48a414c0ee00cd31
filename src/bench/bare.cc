#include "bench/bare.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <unordered_map>

#include "bench/machine.h"

namespace imprint::bench {
namespace {

constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

struct Peer {
  SSL* ssl;
  bool ready = false;

  // False once it is over.
  bool advance() {
    ERR_clear_error();
    if (!ready) {
      const int result = SSL_accept(ssl);
      if (result != 1) {
        return SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ;
      }
      ready = true;
    }
    std::array<char, 16 * 1024> in{};
    while (true) {
      const int n = SSL_read(ssl, in.data(), static_cast<int>(in.size()));
      if (n <= 0) {
        return SSL_get_error(ssl, n) == SSL_ERROR_WANT_READ;
      }
      SSL_write(ssl, kAnswer.data(), static_cast<int>(kAnswer.size()));  // a request fits into one record
    }
  }
};

// Sockets and TLS connections of one thread.
class Peers {
 public:
  Peers(SSL_CTX* context, int listener) : context_(context), listener_(listener) {
    epoll_event wanted{EPOLLIN, {.fd = listener_}};
    epoll_ctl(poll_, EPOLL_CTL_ADD, listener_, &wanted);
  }
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;
  ~Peers() {
    for (const auto& [fd, peer] : all_) {
      SSL_free(peer.ssl);
      close(fd);
    }
    close(poll_);
  }

  void turn() {
    std::array<epoll_event, 64> events{};
    const int n = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), 50);
    for (int i = 0; i < n; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == listener_) {
        accept_all();
      } else if (const auto it = all_.find(fd); it != all_.end() && !it->second.advance()) {
        SSL_shutdown(it->second.ssl);
        SSL_free(it->second.ssl);
        all_.erase(it);
        close(fd);
      }
    }
  }

 private:
  void accept_all() {
    for (int fd = 0; (fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      SSL* ssl = SSL_new(context_);
      SSL_set_fd(ssl, fd);
      all_.emplace(fd, Peer{ssl});
      epoll_event wanted{EPOLLIN, {.fd = fd}};
      epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &wanted);
    }
  }

  SSL_CTX* context_;
  int listener_;
  int poll_ = epoll_create1(EPOLL_CLOEXEC);
  std::unordered_map<int, Peer> all_;
};

}  // namespace

Result<std::unique_ptr<BareServer>> BareServer::start(const ServerIdentity& identity, std::optional<unsigned> core) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool good = fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                    listen(fd, SOMAXCONN) == 0 && getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  CHECK_OR(good, (close(fd), Error{Fault::unreachable, "bench: the bare server's port"}));
  std::unique_ptr<BareServer> out(
      new BareServer(plain_server_context(identity), fd, static_cast<std::uint16_t>(ntohs(address.sin_port))));
  out->thread_ = std::thread([server = out.get(), core] {
    core ? static_cast<void>(pin_to(*core)) : unpin();
    server->serve();
  });
  return out;
}

BareServer::~BareServer() {
  stop();
  close(fd_);
}

double BareServer::stop() {
  stopping_ = true;
  if (thread_.joinable()) {
    thread_.join();
  }
  return cpu_s_;
}

void BareServer::serve() {
  Peers peers(context_.get(), fd_);
  while (!stopping_) {
    peers.turn();
  }
  cpu_s_ = thread_cpu_s();
}

}  // namespace imprint::bench
