// Services on multicast DNS (RFC 6762, RFC 6763): their types, their records, and a packet as it comes.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.h"
#include "base/rng.h"
#include "proto/brski/dns_message.h"

namespace imprint::brski {

inline constexpr std::uint16_t kMdnsPort = 5353;
inline constexpr std::string_view kMdnsGroup4 = "224.0.0.251", kMdnsGroup6 = "ff02::fb";

// The one table of service types: RFC 8995 section 8.6, cBRSKI's forms over UDP, and PRM's pledges. Another draft of
// discovery has other names for some.
inline constexpr std::string_view kRegistrarService = "_brski-registrar._tcp", kProxyService = "_brski-proxy._tcp",
                                  kRegistrarServiceUdp = "_brski-registrar._udp",
                                  kProxyServiceUdp = "_brski-proxy._udp", kPledgeService = "_brski-pledge._tcp";
inline constexpr std::array kServiceTypes{kRegistrarService, kProxyService, kRegistrarServiceUdp, kProxyServiceUdp,
                                          kPledgeService};
inline constexpr std::string_view kEstTlsVariation = "est-tls";  // key in TXT, without a value

inline constexpr std::uint32_t kHostTtl = 120, kOtherTtl = 4500;  // seconds: RFC 6762 section 10
inline constexpr std::size_t kMaxSentDns = 1400;                  // one packet without fragments

// One service of ours, as it is announced.
struct Service {
  std::string instance;  // as people read it; 1 to 63 octets
  std::string type;      // one of kServiceTypes
  std::string host;      // one label; ours alone on this link
  std::uint16_t port = 0;
  std::vector<std::string> text;  // entries of TXT: "est-tls", "key=value"
  std::vector<Bytes> addresses;   // of the host on this link: 4 or 16 octets

  DnsName type_name() const;      // _brski-proxy._tcp.local
  DnsName instance_name() const;  // Hall._brski-proxy._tcp.local
  DnsName host_name() const;      // imprint-1.local
  // Errors: malformed, with the rule: a name or an entry that is no name, nothing to connect to, or too much of it.
  Status check() const;
};

// One of a service's records. Those of `host` are several.
enum class Part : std::uint8_t { pointer, listing, server, text, host };
inline constexpr std::array kParts{Part::pointer, Part::listing, Part::server, Part::text, Part::host};
// The records of this part; `listing` says the type in the list of all types (RFC 6763 section 9).
std::vector<DnsRecord> records_of(const Service& service, Part part);
// Whether others may have records of that name and type too (RFC 6762 section 2): their answers wait a little.
constexpr bool is_shared(Part part) { return part == Part::pointer || part == Part::listing; }

// A packet of port 5353's group, or to us alone.
struct DnsPacket {
  BytesView bytes;
  std::uint16_t port = kMdnsPort;  // it came from; another one: a simple resolver, answered by unicast (section 6.7)
  bool near = true;                // it came from this link (section 11)
  Instant at;
};

// A random delay, both ends included.
Duration random_delay(Rng& rng, Duration least, Duration most);

}  // namespace imprint::brski
