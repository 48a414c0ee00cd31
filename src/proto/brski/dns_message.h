// DNS messages (RFC 1035 section 4) as multicast DNS uses them (RFC 6762 section 18): only what announcing and finding
// a service takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/reader.h"
#include "base/result.h"

namespace imprint::brski {

inline constexpr std::size_t kMaxDnsBytes = 9000;  // RFC 6762 section 17: taken; what we send is far smaller

// A domain name as its labels; a label may hold any octets (RFC 6763 section 4.1.3: an instance may have dots in it).
struct DnsName {
  std::vector<std::string> labels;

  // "_brski-registrar._tcp.local": dots part the labels.
  static DnsName of(std::string_view dotted);
  // Whether every label has 1 to 63 octets and all together no more than 255.
  bool fits() const;
  // With dots and backslashes in labels escaped (RFC 1035 section 5.1).
  std::string text() const;
  // This name below another.
  DnsName below(const DnsName& parent) const;
  // Without regard to the case of ASCII letters (RFC 6762 section 16).
  friend bool operator==(const DnsName& a, const DnsName& b);
};

enum class DnsType : std::uint16_t { a = 1, ptr = 12, txt = 16, aaaa = 28, srv = 33, nsec = 47, any = 255 };
inline constexpr std::uint16_t kInternet = 1, kAnyClass = 255;

struct DnsQuestion {
  DnsName name;
  DnsType type = DnsType::ptr;
  std::uint16_t of_class = kInternet;
  bool unicast = false;  // the QU bit (RFC 6762 section 5.4)
  bool operator==(const DnsQuestion&) const = default;
};

struct DnsPointer {  // PTR
  DnsName to;
  bool operator==(const DnsPointer&) const = default;
};
struct DnsServer {  // SRV (RFC 2782)
  std::uint16_t priority = 0, weight = 0, port = 0;
  DnsName host;
  bool operator==(const DnsServer&) const = default;
};
struct DnsText {  // TXT: one string an entry
  std::vector<std::string> entries;
  bool operator==(const DnsText&) const = default;
};
struct DnsAddress {  // A or AAAA: 4 or 16 octets
  Bytes address;
  bool operator==(const DnsAddress&) const = default;
};
using DnsData = std::variant<DnsPointer, DnsServer, DnsText, DnsAddress>;

struct DnsRecord {
  DnsName name;
  DnsData data;
  std::uint32_t ttl_s = 0;
  bool flush = false;  // the cache-flush bit (RFC 6762 section 10.2): on records that are ours alone

  DnsType type() const;
  // The same name, type and content; times and the flush bit may differ.
  bool same_as(const DnsRecord& other) const { return name == other.name && data == other.data; }
  bool operator==(const DnsRecord&) const = default;
};

// Records of types and classes that we do not know are left out when it is read.
struct DnsMessage {
  std::uint16_t id = 0;  // 0 in multicast
  bool response = false;
  bool truncated = false;  // of a query: more known answers follow
  std::vector<DnsQuestion> questions;
  std::vector<DnsRecord> answers, authority, additional;

  // Errors: malformed; unsupported (another operation than a query, or a response that is an error).
  static Result<DnsMessage> parse(BytesView in);
  // Without compression of names.
  Bytes encode() const;
  bool operator==(const DnsMessage&) const = default;
};

// The content of a record as it is written, for comparing (RFC 6762 section 8.2).
Bytes data_bytes(const DnsData& data);

}  // namespace imprint::brski
