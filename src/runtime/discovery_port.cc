#include "runtime/discovery_port.h"

#include <algorithm>
#include <array>
#include <utility>

namespace imprint {
namespace {

using brski::Locator;

constexpr std::array kFamilies{true, false};  // IPv6, then IPv4
constexpr int kOneHop = 1, kMdnsHops = 255;   // RFC 6762 section 11

std::string random_host(Rng& rng) {
  std::array<std::uint8_t, 4> luck{};
  rng.fill(luck);
  return "imprint-" + hex(luck);
}

std::vector<brski::Offer> offers_of(const DiscoveryPort::Announcement& what, const Bytes& own) {
  std::vector<brski::Offer> out;
  const auto kind = own.size() == 16 ? Locator::Kind::ipv6 : Locator::Kind::ipv4;
  for (const brski::Objective& objective : what.objectives) {
    out.push_back({objective, Locator{kind, own, {}, brski::kTcp, what.port}});
  }
  return out;
}

}  // namespace

Bytes address_bytes(const io::Address& address) {
  return {address.ip.begin(), address.ip.begin() + (address.v6 ? 16 : 4)};
}

Result<std::unique_ptr<DiscoveryPort>> DiscoveryPort::open(io::Loop& loop, Rng& rng, Options options,
                                                           std::function<void()> changed) {
  TRY(io::Interface interface, io::Interface::find(options.interface));
  std::unique_ptr<DiscoveryPort> out(
      new DiscoveryPort(loop, rng, std::move(options), std::move(interface), std::move(changed)));
  TRY(const Ok open, out->open_sockets());
  static_cast<void>(open);
  out->rearm();
  return out;
}

DiscoveryPort::DiscoveryPort(io::Loop& loop, Rng& rng, Options options, io::Interface interface,
                             std::function<void()> changed)
    : loop_(loop),
      rng_(rng),
      options_(std::move(options)),
      interface_(std::move(interface)),
      changed_(std::move(changed)),
      cache_({.strict = options_.strict, .loopback = interface_.loopback, .most = 64}),
      host_(random_host(rng)) {
  if (options_.mdns && !options_.browse.empty()) {
    browser_.emplace(brski::Browser::Options{options_.browse, options_.ask, 256}, io::steady_clock(), rng_);
  }
}

DiscoveryPort::~DiscoveryPort() {
  withdraw();
  loop_.cancel(timer_);
}

// One family is enough; what is wrong with the other is only said if there is none.
Status DiscoveryPort::open_sockets() {
  Status last = Error{Fault::unreachable, "discovery: nothing to listen with"};
  bool any = false;
  for (const bool v6 : kFamilies) {
    const Status joined = join(v6);
    any = any || joined;
    last = joined ? last : joined;
  }
  return any ? Status(Ok{}) : last;
}

Status DiscoveryPort::join(bool v6) {
  // A family without an address here cannot be spoken.
  const bool has = std::ranges::any_of(interface_.addresses, [v6](const io::Address& a) { return a.v6 == v6; });
  CHECK_OR(has, Error{Fault::unreachable, "discovery: the interface has no address"});
  if (options_.grasp) {
    const std::string group(v6 ? brski::kGraspGroup6 : brski::kGraspGroup4);
    const auto source = v6 && options_.beyond ? own_address(true, std::nullopt) : std::nullopt;
    TRY(auto socket, io::MulticastSocket::join(loop_, interface_, {group, brski::kGraspPort, kOneHop, source},
                                               [this](const io::Address& from, BytesView d) { take_flood(from, d); }));
    grasp_.push_back({std::move(socket), brski::Announcer({options_.period, options_.ttl_ms})});
  }
  if (options_.mdns) {
    const std::size_t index = mdns_.size();
    TRY(auto socket,
        io::MulticastSocket::join(
            loop_, interface_, {std::string(v6 ? brski::kMdnsGroup6 : brski::kMdnsGroup4), brski::kMdnsPort, kMdnsHops},
            [this, index](const io::Address& from, BytesView d) { take_dns(*mdns_[index], from, d); }));
    mdns_.push_back(std::move(socket));
  }
  return Ok{};
}

// ---- what is heard ----

void DiscoveryPort::take_flood(const io::Address& from, BytesView datagram) {
  if (cache_.take(datagram, {io::steady_clock(), interface_.index, address_bytes(from)}) && changed_) {
    changed_();
  }
}

bool DiscoveryPort::is_near(const io::Address& from) const { return interface_.loopback || interface_.is_near(from); }

void DiscoveryPort::take_dns(io::MulticastSocket& by, const io::Address& from, BytesView datagram) {
  const brski::DnsPacket packet{datagram, from.port, is_near(from), io::steady_clock()};
  if (responder_) {
    if (const auto answer = responder_->on(packet, rng_)) {
      static_cast<void>(by.send_to(from, *answer));  // lost as it may be on the way
    }
  }
  const bool news = browser_ && browser_->on(packet);
  rearm();
  if (news && changed_) {
    changed_();
  }
}

std::vector<brski::Heard> DiscoveryPort::floods() { return cache_.all(io::steady_clock()); }

std::vector<brski::Browser::Found> DiscoveryPort::services() {
  return browser_ ? browser_->found(io::steady_clock()) : std::vector<brski::Browser::Found>();
}

// ---- what is said ----

// What pledges of this link can connect to: link-local where the strict rules hold. For those beyond it: not that.
std::optional<io::Address> DiscoveryPort::own_address(bool v6, const std::optional<io::Address>& wanted) const {
  if (wanted) {
    return wanted->v6 == v6 ? wanted : std::nullopt;
  }
  const auto fits = [this, v6](const io::Address& a) {
    return a.v6 == v6 && brski::is_link_local(address_bytes(a)) != options_.beyond;
  };
  auto found = std::ranges::find_if(interface_.addresses, fits);
  if (found == interface_.addresses.end() && !options_.beyond && (interface_.loopback || !options_.strict)) {
    found = std::ranges::find(interface_.addresses, v6, &io::Address::v6);
  }
  return found == interface_.addresses.end() ? std::nullopt : std::optional(*found);
}

Status DiscoveryPort::announce(const Announcement& what) {
  const Instant now = io::steady_clock();
  withdraw();
  bool any = false;
  for (Flooding& one : grasp_) {
    if (const auto own = own_address(one.socket->v6(), what.at); own && !what.objectives.empty()) {
      one.announcer.say(offers_of(what, address_bytes(*own)), address_bytes(*own), now);
      any = true;
    }
  }
  if (!what.service.empty() && !mdns_.empty()) {
    brski::Service service{what.instance, what.service, host_, what.port, what.text, {}};
    for (const io::Address& own : what.at ? std::vector{*what.at} : interface_.addresses) {
      service.addresses.push_back(address_bytes(own));
    }
    auto made = brski::Responder::make(std::move(service), now, rng_);
    if (!made) {
      withdraw();
      return made.error();
    }
    responder_ = *std::move(made);
    any = true;
  }
  announcing_ = any;
  rearm();
  CHECK_OR(any, Error{Fault::unreachable, "discovery: no address of the interface can be announced"});
  return Ok{};
}

// A flood has no good-bye: it ends by its own time (RFC 8990 section 2.8.11).
void DiscoveryPort::withdraw() {
  for (Flooding& one : grasp_) {
    one.announcer.say({}, {}, {});
  }
  if (responder_) {
    if (const Bytes last = responder_->goodbye(); !last.empty()) {
      say_dns(last);
    }
    responder_.reset();
  }
  announcing_ = false;
}

void DiscoveryPort::say_dns(BytesView message) {
  for (const auto& one : mdns_) {
    static_cast<void>(one->send(message));
  }
}

void DiscoveryPort::work() {
  const Instant now = io::steady_clock();
  for (Flooding& one : grasp_) {
    if (const auto flood = one.announcer.due(now, rng_)) {
      static_cast<void>(one.socket->send(*flood));
    }
  }
  if (responder_) {
    for (const Bytes& one : responder_->due(now)) {
      say_dns(one);
    }
  }
  if (browser_) {
    if (const auto question = browser_->due(now)) {
      say_dns(*question);
    }
  }
  rearm();
}

void DiscoveryPort::rearm() {
  std::optional<Instant> first;
  const auto also = [&first](const std::optional<Instant>& when) {
    first = when && (!first || *when < *first) ? when : first;
  };
  for (const Flooding& one : grasp_) {
    also(one.announcer.wakes());
  }
  also(responder_ ? responder_->wakes() : std::nullopt);
  also(browser_ ? browser_->wakes() : std::nullopt);
  loop_.cancel(timer_);
  timer_ = 0;
  if (first) {
    const Duration delay = std::max(*first - io::steady_clock(), Duration(0));
    timer_ = loop_.after(delay, [this] { work(); });
  }
}

}  // namespace imprint
