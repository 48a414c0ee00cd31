// Finds services on multicast DNS: listens to what is announced, and asks, ever more seldom (RFC 6762 sections 5 and
// 10). A value over bytes and time: it has no socket.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proto/brski/dnssd.h"

namespace imprint::brski {

class Browser {
 public:
  struct Options {
    std::vector<std::string> types;  // of kServiceTypes
    bool ask = true;                 // false: what is announced by itself has to do (RFC 8995 section 4.1)
    std::size_t most = 256;          // records; what was heard longest ago makes room
  };
  // One instance of which enough is known to connect to it.
  struct Found {
    std::string instance, type, host;  // "Hall", "_brski-proxy._tcp", "imprint-1.local"
    std::uint16_t port = 0;
    std::vector<std::string> text;
    std::vector<Bytes> addresses;  // 4 or 16 octets each
    Instant ends;                  // unless it is heard again
    bool operator==(const Found&) const = default;
  };

  // The first question waits 20 to 120 ms, so that what starts at once does not ask at once (section 5.2).
  Browser(Options options, Instant now, Rng& rng);

  // One packet. Errors say why it was passed over: not read, not of this link, not of port 5353.
  Status on(const DnsPacket& packet);
  // When due() has something; none: never.
  std::optional<Instant> wakes() const;
  std::optional<Bytes> due(Instant now);
  // What is there, in the order of type and instance.
  std::vector<Found> found(Instant now) const;
  // The network has changed: ask as at the beginning.
  void ask_again(Instant now);

 private:
  struct Cached {
    DnsRecord record;
    Instant at, ends;
  };

  bool concerns_us(const DnsRecord& record) const;
  bool is_instance(const DnsName& name) const;
  void keep(const DnsRecord& record, Instant now);
  void flush(const DnsRecord& by, Instant now);
  const Cached* first(const DnsName& name, DnsType type, Instant now) const;
  // When a record of this name has to be asked for: at once if there is none, at four fifths of its time else.
  Instant need(const DnsName& name, DnsType type) const;
  std::optional<Instant> next_need() const;
  void add_needs(DnsMessage& query, Instant now) const;

  Options options_;
  std::vector<DnsName> types_;
  std::vector<Cached> cache_;
  Instant ask_at_;
  Duration ask_pause_{1000};
  Instant complete_from_;  // not asked for what is missing before
  Duration complete_pause_{1000};
};

}  // namespace imprint::brski
