// What a stateless join proxy and a registrar say to each other (draft-ietf-anima-constrained-join-proxy):
// the pledge's datagrams, each with a header by which the proxy will know where the answer goes.
#pragma once

#include <array>
#include <optional>

#include "base/instant.h"
#include "base/result.h"
#include "base/rng.h"
#include "base/secret.h"

namespace imprint::brski {

inline constexpr std::size_t kMaxJpyHeader = 32;
// What the message adds to a datagram at most: the array, and both lengths.
inline constexpr std::size_t kMaxJpyOverhead = 1 + 2 + kMaxJpyHeader + 3;

// CBOR [header: bstr, content: bstr]. A view into the bytes that were parsed.
struct Jpy {
  BytesView header;   // the proxy's own: 0 to 32 bytes that the registrar gives back as they came
  BytesView content;  // a datagram of the pledge, or for it; not empty

  // Longer arrays are taken, what follows the two is passed over. Faults, all with kJpyUnreadable:
  // malformed; limit (a header of more than 32 bytes, an array of more than 16 items, 16 KiB).
  static Result<Jpy> parse(BytesView in);
  Bytes encode() const;
};

// Where a pledge is, as its proxy has to know it again.
struct PledgePlace {
  bool v6 = false;
  std::array<std::uint8_t, 16> ip{};  // of IPv4 the first 4
  std::uint16_t port = 0;
  std::uint32_t interface = 0;  // of a link-local address
  bool operator==(const PledgePlace&) const = default;
};

// A proxy's own keys for its headers. A header hides the place and cannot be made by others:
//   generation of the key, 1 byte | tag, 8 bytes | the place, hidden: 11 bytes (IPv4), 15 (fe80::/64), 23 (other IPv6)
// so it has 20, 24 or 32 bytes, and its length says no more than which of the three it is. tag = the first 8 bytes of
// HMAC-SHA-256(key 1, generation | place), and the place is hidden under HMAC-SHA-256(key 2, tag): a synthetic
// initialisation vector as in RFC 5297, for which 32 bytes would leave no room.
// It is one header a place, not a new one each time: the registrar tells the sessions of a proxy apart by it. So a
// registrar, or who can read between, sees which datagrams are of one pledge, as with any proxy. To guess a header
// takes 2^63 datagrams, and wins no more than that a pledge is sent a datagram that DTLS drops. A key counts for 24
// hours from its first use, and for opening for 24 more. Who is in a handshake when it changes is another one for the
// registrar from there on, and begins anew.
class HeaderKeys {
 public:
  static constexpr Duration kLife{24LL * 3600 * 1000};

  explicit HeaderKeys(Rng& rng) : rng_(rng) {}

  Bytes seal(const PledgePlace& place, Instant now);
  // unauthentic with kJpyHeader: not sealed by us, changed, or too old. Time is only to go forward.
  Result<PledgePlace> open(BytesView header, Instant now);

 private:
  struct Keys {
    std::uint8_t generation = 0;
    Secret for_tag, for_place;
    Instant since;
  };
  void change(Instant now);
  Keys fresh(std::uint8_t generation, Instant now);

  Rng& rng_;
  std::optional<Keys> current_, former_;
};

}  // namespace imprint::brski
