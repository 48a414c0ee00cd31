// GRASP floods (RFC 8990 section 2.8.11): how proxies and registrars make themselves known (RFC 8995
// sections 4.1.1, 4.3).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace imprint::brski {

inline constexpr std::uint16_t kGraspPort = 7017;             // GRASP_LISTEN_PORT
inline constexpr std::string_view kGraspGroup6 = "ff02::13";  // ALL_GRASP_NEIGHBORS
inline constexpr std::string_view kGraspGroup4 = "224.0.0.119";
inline constexpr std::size_t kMaxFloodBytes = 1280;  // sent: section 2.5.6.2, one packet
inline constexpr std::size_t kMaxGraspBytes = 2048;  // taken: GRASP_DEF_MAX_SIZE

inline constexpr std::string_view kAnProxy = "AN_Proxy", kAnJoinRegistrar = "AN_join_registrar",
                                  kSrvEst = "SRV.est",  // RFC 8994 section 6.2.5
    kAnAcp = "AN_ACP";                                  // may share a flood with AN_Proxy
inline constexpr std::string_view kEstTls = "EST-TLS";  // value of AN_join_registrar

inline constexpr std::uint32_t kSynchronization = 4;  // the bit F_SYNCH of an objective's flags
inline constexpr std::uint8_t kTcp = 6, kUdp = 17;    // of IP, in locators

struct Objective {
  std::string name;
  std::uint32_t flags = kSynchronization;
  std::uint8_t loop_count = 1;
  Bytes value;  // one CBOR item; empty: there is none

  bool operator==(const Objective&) const = default;
};

// Where an objective is served (section 2.9.5).
struct Locator {
  enum class Kind : std::uint8_t { ipv6 = 103, ipv4 = 104, fqdn = 105, uri = 106 };
  Kind kind = Kind::ipv6;
  Bytes address;     // of ipv6 (16) and ipv4 (4)
  std::string text;  // of fqdn and uri
  std::optional<std::uint8_t> protocol = kTcp;
  std::optional<std::uint16_t> port;  // none: null on the wire

  auto operator<=>(const Locator&) const = default;
};

struct Offer {
  Objective objective;
  std::optional<Locator> locator;  // none: a null locator, []
  bool operator==(const Offer&) const = default;
};

// M_FLOOD. Offers whose locator is of a kind that we do not know are left out when it is read.
struct Flood {
  static constexpr std::uint8_t kType = 9;
  std::uint32_t session = 0;  // fresh and unpredictable for each flood
  Bytes initiator;            // an address: 16 bytes, or 4
  std::uint32_t ttl_ms = 0;   // 0: for ever
  std::vector<Offer> offers;

  // Errors: unsupported (a message of another type: it is to be passed over silently), malformed.
  static Result<Flood> parse(BytesView in);
  Bytes encode() const;
  bool operator==(const Flood&) const = default;
};

// Whether two spellings mean one objective. Names are compared byte by byte (RFC 8990 section 2.10.1), but for
// AN_join_registrar, which the samples of draft-ietf-anima-brski-discovery write AN_Join_Registrar.
bool same_objective(std::string_view a, std::string_view b);

// The objectives that we announce.
Objective proxy_objective();                                        // ["AN_Proxy", 4, 1, ""]
Objective registrar_objective(std::string_view methods = kEstTls);  // ["AN_join_registrar", 4, 255, "EST-TLS"]
Objective est_objective();                                          // ["SRV.est", 4, 255]
// The value as text; none if it is no text.
std::optional<std::string> text_value(const Objective& objective);

// fe80::/10 of 16 bytes, 169.254/16 of 4.
bool is_link_local(BytesView address);
// ::1 of 16 bytes, 127/8 of 4.
bool is_loopback_address(BytesView address);
// As people write them: "[fe80::1]:4443", "registrar.example:443", a URI.
std::string text_of(const Locator& locator);

}  // namespace imprint::brski
