// Multicast datagrams on one interface of the machine.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/address.h"
#include "io/loop.h"

struct event;

namespace imprint::io {

// A network interface with the addresses it has now; their port is 0.
struct Interface {
  std::string name;
  std::uint32_t index = 0;
  bool loopback = false;
  std::vector<Address> addresses;

  // Errors: malformed (no interface has this name), unreachable (the system does not tell).
  static Result<Interface> find(const std::string& name);
  // Whether this address is of the interface's own networks: link-local, or under the same prefix as one of its own.
  bool is_near(const Address& address) const;

  std::vector<unsigned> prefixes;  // bits, one for each of `addresses`
};

class MulticastSocket {
 public:
  struct Where {
    std::string group;       // IPv4 or IPv6 literal: its family is the socket's
    std::uint16_t port = 0;  // of the group and our own; shared with other programs that take part
    int hop_limit = 1;       // 1: no router passes it on; 255: the receiver may know that none did
    // What we send comes from this address of the interface; none: as the system chooses, to a link's group from the
    // link-local one. IPv6 alone.
    std::optional<Address> source = {};
  };
  // One datagram of the group or to us, of this interface, up to 16 KiB. The bytes are only there during the call. The
  // socket must not be destroyed in it.
  using Handler = std::function<void(const Address& from, BytesView datagram)>;

  // Errors: malformed (no multicast address), conflict (another program has the port for itself), refused (not a port
  // for us), unreachable (the interface does not take part), limit (no descriptor left).
  static Result<std::unique_ptr<MulticastSocket>> join(Loop& loop, const Interface& interface, const Where& where,
                                                       Handler handler);
  MulticastSocket(const MulticastSocket&) = delete;
  MulticastSocket& operator=(const MulticastSocket&) = delete;
  ~MulticastSocket();

  bool v6() const { return group_.v6; }
  // To the group, now or never. Programs of this machine hear it too, ours among them. Faults: unreachable, limit.
  Status send(BytesView datagram);
  Status send_to(const Address& to, BytesView datagram);  // to one

 private:
  MulticastSocket(Loop& loop, int fd, const Address& group, std::uint32_t interface, Handler handler);
  void receive();

  int fd_;
  Address group_;
  std::uint32_t interface_;
  std::optional<Address> source_;
  Handler handler_;
  event* readable_ = nullptr;
};

}  // namespace imprint::io
