// What anybody on a link may send: floods of GRASP and messages of multicast DNS.
#include <cstdlib>

#include "proto/brski/discovery.h"
#include "proto/brski/dnssd_browser.h"
#include "proto/brski/dnssd_responder.h"

using namespace imprint;

namespace {

constexpr Instant kNow{1'790'000'000'000};

void require(bool law) {
  if (!law) {
    std::abort();
  }
}

void floods(BytesView in) {
  if (const auto flood = brski::Flood::parse(in)) {
    // Without an offer that we understand there is none that we would write.
    require(flood->offers.empty() || brski::Flood::parse(flood->encode()) == flood);
    for (const brski::Offer& offer : flood->offers) {
      (void)brski::text_value(offer.objective);
      require(!offer.locator || !brski::text_of(*offer.locator).empty());
    }
  }
  for (const bool strict : {true, false}) {
    brski::FloodCache cache({.strict = strict, .loopback = false, .most = 4});
    (void)cache.take(in, {kNow, 1, Bytes{169, 254, 0, 1}});
    for (const brski::Heard& one : cache.all(kNow)) {
      require(!strict || one.name == brski::kAnProxy);
      (void)brski::place_of(one);
    }
  }
}

void names(BytesView in) {
  if (const auto message = brski::DnsMessage::parse(in)) {
    require(brski::DnsMessage::parse(message->encode()) == message || message->encode().size() > brski::kMaxDnsBytes);
  }
  SeededRng rng(1);
  const brski::Service hall{"Hall", std::string(brski::kProxyService), "imprint-1", 1, {"est-tls"}, {Bytes(4)}};
  for (const std::uint16_t port : {brski::kMdnsPort, std::uint16_t{40000}}) {
    auto responder = brski::Responder::make(hall, kNow, rng);
    for (int i = 0; i < 6; ++i) {  // while it probes, and once it is announced
      (void)responder->on({in, port, true, kNow + std::chrono::seconds(i)}, rng);
      (void)responder->due(kNow + std::chrono::seconds(i));
    }
    require(bool(responder->service().check()));
  }
  brski::Browser browser({{std::string(brski::kProxyService)}, true, 8}, kNow, rng);
  for (int i = 0; i < 4; ++i) {
    (void)browser.on({in, brski::kMdnsPort, true, kNow + std::chrono::seconds(i)});
    (void)browser.due(kNow + std::chrono::seconds(i));
    (void)browser.found(kNow + std::chrono::seconds(i));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  floods({data, size});
  names({data, size});
  return 0;
}
