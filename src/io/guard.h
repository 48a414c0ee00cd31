// The one place that says whether we may connect to an address that came from outside.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "codec/uri.h"

namespace imprint::io {

// Addresses that an operator wrote into the configuration may be anywhere. Those that came from outside (redirects,
// vouchers, rendezvous blobs) must not lead into the machine or its neighbourhood: loopback, link-local, private,
// multicast and unspecified ranges, and IPv4-mapped forms of them, are refused unless allowed by name. The check is
// made on the resolved address that is connected to, so that a name cannot change between check and use.
class Guard {
 public:
  Guard() = default;

  // An operator's own address: everything at this host and port is allowed.
  void allow(const Uri& configured);
  // For test rigs and `demo`: loopback is allowed for all.
  void allow_loopback() { loopback_ = true; }
  // For a device whose maker sends it to an owner in its own neighbourhood, or on the same machine.
  void allow_inside() { inside_ = loopback_ = true; }

  // `address` is a numeric IPv4 or IPv6 literal: what `uri` resolved to.
  Status check(const Uri& uri, std::string_view address) const;

 private:
  std::vector<std::string> allowed_;  // authorities
  bool loopback_ = false, inside_ = false;
};

}  // namespace imprint::io
