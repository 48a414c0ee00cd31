// Asking a group by CoAP who has something (RFC 7252 section 8): one question in the open, answers of many.
#pragma once

#include <functional>
#include <memory>

#include "base/rng.h"
#include "io/multicast.h"
#include "role/session.h"

namespace imprint::io {

inline constexpr std::uint16_t kCoapPort = 5683;

// All on the loop's thread. Nothing that is heard is authentic.
class CoapSearch {
 public:
  struct Where {
    std::string group;  // "ff02::fd", "ff05::fd", "224.0.1.187"
    std::uint16_t port = kCoapPort;
    int hop_limit = 1;
    bool near_only = true;  // answers from the interface's own networks alone
  };
  // An answer: whose, and what. The search may be destroyed or ask again in it.
  using Heard = std::function<void(const Address& from, const Response& answer)>;

  // Errors: those of MulticastSocket::join.
  static Result<std::unique_ptr<CoapSearch>> open(Loop& loop, Rng& rng, const Interface& interface, const Where& where,
                                                  Heard heard);
  CoapSearch(const CoapSearch&) = delete;
  CoapSearch& operator=(const CoapSearch&) = delete;
  ~CoapSearch() = default;

  // Asks once: who is to be heard for sure is asked again, after a while. Answers to what was asked before do not count
  // any more, and not more than 32 do. Errors: those of coap::to_message and MulticastSocket::send_to.
  Status ask(const Request& what);

 private:
  CoapSearch(Loop& loop, Rng& rng, Interface interface, const Where& where, Heard heard)
      : loop_(loop), rng_(rng), interface_(std::move(interface)), where_(where), heard_(std::move(heard)) {}
  void receive(const Address& from, BytesView datagram);

  Loop& loop_;
  Rng& rng_;
  Interface interface_;
  Where where_;
  Heard heard_;
  std::unique_ptr<MulticastSocket> socket_;
  Address group_;
  Bytes token_;  // empty: nothing was asked
  std::size_t answers_ = 0;
  std::shared_ptr<bool> here_ = std::make_shared<bool>(true);
};

}  // namespace imprint::io
