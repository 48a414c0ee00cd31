#include "proto/brski/dnssd.h"

#include <algorithm>

#include "base/reader.h"
#include "proto/brski/discovery_rules.h"

namespace imprint::brski {
namespace {

constexpr std::size_t kMaxEntry = 255, kMaxEntries = 32, kMaxAddresses = 16;

DnsName local() { return DnsName::of("local"); }

// Where all types are listed (RFC 6763 section 9).
DnsName listing_name() { return DnsName::of("_services._dns-sd._udp.local"); }

std::size_t size_of(const Service& service) {
  DnsMessage all;
  for (const Part part : kParts) {
    for (DnsRecord& one : records_of(service, part)) {
      all.answers.push_back(std::move(one));
    }
  }
  return all.encode().size();
}

bool is_address(const Bytes& address) { return address.size() == 4 || address.size() == 16; }

}  // namespace

DnsName Service::type_name() const { return DnsName::of(type).below(local()); }
DnsName Service::instance_name() const { return DnsName{{instance}}.below(type_name()); }
DnsName Service::host_name() const { return DnsName{{host}}.below(local()); }

Status Service::check() const {
  const Error why{Fault::malformed, kDnsService};
  CHECK_OR(instance_name().fits() && type_name().fits() && host_name().fits(), why);
  CHECK_OR(port != 0, why);
  CHECK_OR(!addresses.empty() && addresses.size() <= kMaxAddresses, why);
  CHECK_OR(std::ranges::all_of(addresses, is_address), why);
  CHECK_OR(text.size() <= kMaxEntries, why);
  CHECK_OR(std::ranges::all_of(text, [](const auto& e) { return !e.empty() && e.size() <= kMaxEntry; }), why);
  CHECK_OR(size_of(*this) <= kMaxSentDns, why);
  return Ok{};
}

std::vector<DnsRecord> records_of(const Service& service, Part part) {
  switch (part) {
    case Part::pointer:
      return {{service.type_name(), DnsPointer{service.instance_name()}, kOtherTtl, false}};
    case Part::listing:
      return {{listing_name(), DnsPointer{service.type_name()}, kOtherTtl, false}};
    case Part::server:
      return {{service.instance_name(), DnsServer{0, 0, service.port, service.host_name()}, kHostTtl, true}};
    case Part::text:
      return {{service.instance_name(), DnsText{service.text}, kOtherTtl, true}};
    case Part::host:
      break;
  }
  std::vector<DnsRecord> out;
  for (const Bytes& address : service.addresses) {
    out.push_back({service.host_name(), DnsAddress{address}, kHostTtl, true});
  }
  return out;
}

Duration random_delay(Rng& rng, Duration least, Duration most) {
  std::array<std::uint8_t, 4> luck{};
  rng.fill(luck);
  return least + Duration(std::int64_t{Reader(luck).u32()} % ((most - least).count() + 1));
}

}  // namespace imprint::brski
