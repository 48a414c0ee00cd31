// Messages to a registrar's port for join proxies, and headers that come back to a proxy.
#include <cstdlib>

#include "base/rng.h"
#include "proto/brski/coap.h"
#include "proto/brski/jpy.h"

using namespace imprint;

namespace {

void require(bool law) {
  if (!law) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView in(data, size);
  static SeededRng rng(1);
  static brski::HeaderKeys keys(rng);
  if (const auto message = brski::Jpy::parse(in)) {
    const Bytes encoded = message->encode();
    const auto again = brski::Jpy::parse(encoded);
    require(again && equal(again->header, message->header) && equal(again->content, message->content));
    require(encoded.size() <= message->content.size() + brski::kMaxJpyOverhead);
    require(!keys.open(message->header, Instant{1}));  // nothing was sealed
  }
  require(!keys.open(in, Instant{1}));
  const Response answer{200, "application/link-format", to_bytes(in)};
  (void)brski::resources_in(*Uri::parse("coaps://[::1]:5684"), answer);
  for (const auto& one : brski::join_proxies_in(answer, "fe80::1%eth0")) {
    require(one.port != 0 && one.host == "fe80::1%eth0");
  }
  for (const auto& one : brski::registrars_in(answer)) {
    require(one.port != 0 && !one.host.empty());
  }
  return 0;
}
