// A UDP socket on a loop.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "io/address.h"
#include "io/loop.h"

struct event;

namespace imprint::io {

class UdpSocket {
 public:
  struct Where {
    std::string address = "127.0.0.1";  // IPv4 or IPv6 literal; one that is not a wildcard, on a machine with several
    std::uint16_t port = 0;             // 0: any free one, see port()
    bool reuse_port = false;            // several loops on one port
  };
  struct Handlers {
    // One datagram, up to 16 KiB; a larger one is dropped. The bytes are only there during the call. The socket may be
    // destroyed in it.
    std::function<void(const Address& from, BytesView datagram)> datagram;
    std::function<void()> refused;  // connected sockets only: nobody has this port there. May be empty.
  };
  // Errors: malformed (not a literal), conflict (in use), refused (not a port for us), unreachable (not an address of
  // this machine), limit (no descriptor left).
  static Result<std::unique_ptr<UdpSocket>> bind(Loop& loop, const Where& where, Handlers handlers);
  // Speaks with this peer only: datagrams of others are dropped by the kernel. Errors: unreachable (no way there),
  // limit.
  static Result<std::unique_ptr<UdpSocket>> connect(Loop& loop, const Address& peer, Handlers handlers);
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;
  ~UdpSocket();

  std::uint16_t port() const;  // our own
  // Sends one datagram, now or never: if the kernel has no room for it, it is lost, as it may be on the way. Faults:
  // unreachable (lost here), limit (larger than the path takes).
  Status send_to(const Address& to, BytesView datagram);
  Status send(BytesView datagram);  // to the peer of a connected socket

 private:
  UdpSocket(Loop& loop, int fd, Handlers handlers);
  void receive();

  int fd_;
  Handlers handlers_;
  event* readable_ = nullptr;
  bool* gone_ = nullptr;  // where receive() wants to know of our end
};

}  // namespace imprint::io
