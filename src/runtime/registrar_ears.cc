#include "runtime/registrar_ears.h"

#include <algorithm>
#include <array>
#include <utility>

namespace imprint {
namespace {

using brski::Announced;
using brski::Browser;
using brski::Heard;
using brski::Locator;

constexpr std::size_t kMaxOfService = 2, kMaxByCoap = 32;
constexpr Duration kCoapTtl = std::chrono::minutes(3);     // as long as a flood counts (RFC 8995 section 4.1.1)
constexpr Duration kLongestPause = std::chrono::hours(1);  // section 4.1
constexpr const char *kGroup6 = "ff02::fd", *kGroup4 = "224.0.1.187";  // RFC 7252 section 12.8

io::Address address_of(const Bytes& bytes) {
  io::Address out;
  out.v6 = bytes.size() == out.ip.size();
  std::ranges::copy(bytes, out.ip.begin());
  return out;
}

bool is_of_link(const io::Address& a) { return a.v6 && brski::is_link_local(address_bytes(a)); }

// A link-local address means something together with its interface alone.
std::string host_of(io::Address address, const io::Interface& link) {
  address.scope = 0;
  return address.literal() + (is_of_link(address) ? "%" + link.name : std::string());
}

Uri uri_of(const io::Address& address, std::uint16_t port, bool udp, const HeardOn& on) {
  return {udp ? "coaps" : "https", host_of(address, on.link), port, "/", {}};
}

bool speaks(const HeardOn& on, bool udp) { return udp ? on.coaps : on.https; }

// Ours to try: on this very link. A multicast address or none at all is nobody's.
bool is_ours_to_try(const io::Address& address, const HeardOn& on) { return on.link.is_near(address); }

Instant wall_end(Instant steady_end, const HeardOn& on) { return on.wall + (steady_end - on.steady); }

// draft-ietf-anima-brski-discovery: who names variations, and not the one of RFC 8995, has something else.
bool has_est(const std::vector<std::string>& text) {
  constexpr std::array<std::string_view, 4> kOthers{"prm-jose", "cmp", "rrm-cose", "est-coaps"};
  const auto is_other = [&](const std::string& one) { return std::ranges::find(kOthers, one) != kOthers.end(); };
  return std::ranges::find(text, brski::kEstTlsVariation) != text.end() || std::ranges::none_of(text, is_other);
}

std::vector<io::Address> best_addresses(const Browser::Found& service, const HeardOn& on) {
  std::vector<io::Address> out;
  for (const Bytes& one : service.addresses) {
    if (is_ours_to_try(address_of(one), on)) {
      out.push_back(address_of(one));
    }
  }
  std::ranges::stable_sort(out, {}, [](const io::Address& a) { return is_of_link(a) ? 0 : a.v6 ? 2 : 1; });
  out.resize(std::min(out.size(), kMaxOfService));
  return out;
}

void append(std::vector<Announced>& to, std::vector<Announced> more) {
  for (Announced& one : more) {
    if (std::ranges::find(to, one.at, &Announced::at) == to.end()) {
      to.push_back(std::move(one));
    }
  }
}

}  // namespace

// ---- where it leads ----

std::vector<Announced> announced_by(const Heard& flood, const HeardOn& on) {
  const bool udp = flood.locator && flood.locator->protocol == brski::kUdp;
  if (flood.name != brski::kAnProxy || !flood.locator || flood.locator->port.value_or(0) == 0 || !speaks(on, udp) ||
      (!udp && flood.locator->protocol != brski::kTcp)) {
    return {};
  }
  const Locator& at = *flood.locator;
  const io::Address address = address_of(at.address);
  const bool numeric = at.kind == Locator::Kind::ipv6 || at.kind == Locator::Kind::ipv4;
  if (!numeric || !is_ours_to_try(address, on)) {
    return {};
  }
  return {{uri_of(address, *at.port, udp, on), "a flood of " + flood.name,
           flood.ends ? wall_end(*flood.ends, on) : kNoEnd}};
}

std::vector<Announced> announced_by(const Browser::Found& service, const HeardOn& on) {
  const bool udp = service.type == brski::kProxyServiceUdp || service.type == brski::kRegistrarServiceUdp;
  const bool tcp = service.type == brski::kProxyService || service.type == brski::kRegistrarService;
  if ((!udp && !tcp) || service.port == 0 || !speaks(on, udp) || (tcp && !has_est(service.text))) {
    return {};
  }
  std::vector<Announced> out;
  for (const io::Address& address : best_addresses(service, on)) {
    out.push_back({uri_of(address, service.port, udp, on), "DNS-SD's " + service.type, wall_end(service.ends, on)});
  }
  return out;
}

std::vector<Announced> announced_by(const Response& answer, const io::Address& from, const HeardOn& on, Instant until) {
  std::vector<Announced> out;
  if (!on.coaps || !is_ours_to_try(from, on)) {
    return out;
  }
  for (const brski::CoapFound& one : brski::join_proxies_in(answer, from.literal())) {
    append(out, {{uri_of(from, one.port, true, on), "a join proxy, asked by CoAP,", until}});
  }
  for (const brski::CoapFound& one : brski::registrars_in(answer)) {
    const auto address = io::Address::parse(one.host, 0);
    if (one.way == brski::CoapFound::Way::coaps && address && is_ours_to_try(*address, on)) {
      append(out, {{uri_of(*address, one.port, true, on), "a registrar, asked by CoAP,", until}});
    }
  }
  return out;
}

// ---- the ears ----

Result<std::unique_ptr<RegistrarEars>> RegistrarEars::open(io::Loop& loop, Rng& rng, Options options,
                                                           std::function<void()> changed) {
  std::unique_ptr<RegistrarEars> out(new RegistrarEars(loop, std::move(options), std::move(changed)));
  DiscoveryPort::Options what;
  what.interface = out->options_.interface;
  if (out->options_.https) {
    what.browse = {std::string(brski::kProxyService), std::string(brski::kRegistrarService)};
  }
  if (out->options_.coaps) {
    what.browse.emplace_back(brski::kProxyServiceUdp);
    what.browse.emplace_back(brski::kRegistrarServiceUdp);
  }
  TRY(out->port_, DiscoveryPort::open(loop, rng, std::move(what), [self = out.get()] { self->changed_(); }));
  if (out->options_.coaps) {
    TRY([[maybe_unused]] const Ok open, out->open_coap(rng));
    out->ask();
  }
  return out;
}

RegistrarEars::~RegistrarEars() { loop_.cancel(timer_); }

Status RegistrarEars::open_coap(Rng& rng) {
  const io::Interface& link = port_->interface();
  const bool v6 = std::ranges::any_of(link.addresses, is_of_link);
  const io::CoapSearch::Where where{.group = v6 ? kGroup6 : kGroup4};
  const auto heard = [this](const io::Address& from, const Response& answer) { take(from, answer); };
  TRY(for_proxies_, io::CoapSearch::open(loop_, rng, link, where, heard));
  TRY(for_others_, io::CoapSearch::open(loop_, rng, link, where, heard));
  return Ok{};
}

// Ever more seldom (RFC 8995 section 4.1). Old names of join proxies are asked for together with registrars: rt=brski*.
void RegistrarEars::ask() {
  static_cast<void>(for_proxies_->ask(brski::find_by_coap(brski::CoapWanted::join_proxies)));
  static_cast<void>(for_others_->ask(brski::find_by_coap(brski::CoapWanted::registrars)));
  timer_ = loop_.after(pause_, [this] { ask(); });
  pause_ = std::min(pause_ * 2, kLongestPause);
}

HeardOn RegistrarEars::on() const {
  return {port_->interface(), options_.https, options_.coaps, io::steady_clock(), io::wall_clock()};
}

// Whoever answers with the most places loses the one that was heard longest ago.
void RegistrarEars::make_room() {
  const auto of_one_host = [this](const Announced& one) {
    return std::ranges::count_if(by_coap_, [&](const Announced& o) { return o.at.host == one.at.host; });
  };
  by_coap_.erase(std::ranges::min_element(by_coap_, {}, [&](const Announced& one) { return -of_one_host(one); }));
}

void RegistrarEars::take(const io::Address& from, const Response& answer) {
  const HeardOn here = on();
  for (Announced& one : announced_by(answer, from, here, here.wall + kCoapTtl)) {
    std::erase_if(by_coap_, [&](const Announced& known) { return known.at == one.at; });
    if (by_coap_.size() >= kMaxByCoap) {
      make_room();
    }
    by_coap_.push_back(std::move(one));
  }
  changed_();
}

std::vector<Announced> RegistrarEars::announced() {
  const HeardOn here = on();
  std::erase_if(by_coap_, [&](const Announced& one) { return one.until <= here.wall; });
  std::vector<Announced> out;
  for (const Heard& flood : port_->floods()) {
    append(out, announced_by(flood, here));
  }
  auto services = port_->services();
  std::stable_partition(services.begin(), services.end(),
                        [](const auto& one) { return one.type.starts_with("_brski-proxy"); });
  for (const Browser::Found& service : services) {
    append(out, announced_by(service, here));
  }
  append(out, by_coap_);
  return out;
}

}  // namespace imprint
