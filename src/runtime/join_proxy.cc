#include "runtime/join_proxy.h"

#include <net/if.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <utility>

namespace imprint {
namespace {

using Kind = JoinProxy::Event::Kind;

constexpr std::size_t kMostAddresses = 8;  // that are tried at a time
constexpr std::size_t kMostOfSource = 2;   // of them by one who names them
constexpr Duration kSoon{1000};
constexpr std::array<std::string_view, 8> kNames{"registrar-found", "registrar-lost", "announced", "withdrawn",
                                                 "not-announced",   "opened",         "closed",    "turned-away"};

io::Address address_of(const Bytes& bytes, std::uint16_t port, const io::Interface& link) {
  io::Address out;
  out.v6 = bytes.size() == out.ip.size();
  std::ranges::copy(bytes, out.ip.begin());
  out.port = port;
  out.scope = out.v6 && brski::is_link_local(bytes) ? link.index : 0;
  return out;
}

// Of TCP, at a numeric address, and able to do what RFC 8995 wants (section 4.3: a list of protocols).
bool is_registrar(const brski::Heard& flood) {
  using At = brski::Locator::Kind;
  const auto& at = flood.locator;
  const auto methods = brski::text_value({flood.name, 0, 0, flood.value});
  return flood.name == brski::kAnJoinRegistrar && at && (at->kind == At::ipv6 || at->kind == At::ipv4) &&
         at->protocol == brski::kTcp && at->port.value_or(0) != 0 && methods &&
         methods->find(brski::kEstTls) != std::string::npos;
}

// A listener at one address is announced there; one at all of them by what the interface has.
std::optional<io::Address> announced_address(const std::string& listen) {
  const auto address = io::Address::parse(listen, 0);
  const bool any = !address || std::ranges::all_of(address->ip, [](std::uint8_t one) { return one == 0; });
  return any ? std::nullopt : std::optional(*address);
}

}  // namespace

std::vector<io::Address> own_addresses() {
  std::vector<io::Address> out;
  const std::unique_ptr<struct if_nameindex, decltype(&if_freenameindex)> all(if_nameindex(), &if_freenameindex);
  for (const struct if_nameindex* one = all.get(); one != nullptr && one->if_index != 0; ++one) {
    if (const auto link = io::Interface::find(one->if_name)) {
      out.insert(out.end(), link->addresses.begin(), link->addresses.end());
    }
  }
  return out;
}

bool may_be_elsewhere(const io::Address& at, const io::Interface& link, const std::vector<io::Address>& own) {
  if (brski::is_loopback_address(address_bytes(at))) {
    return link.loopback;
  }
  const bool of_a_host =
      at.v6 ? at.ip[0] != 0xff && std::any_of(at.ip.begin(), at.ip.begin() + 8, [](auto one) { return one != 0; })
            : at.ip[0] != 0 && at.ip[0] != 127 && at.ip[0] < 224;
  return of_a_host && std::ranges::none_of(own, [&at](const io::Address& one) {
           return one.v6 == at.v6 && one.ip == at.ip && (at.scope == 0 || one.scope == 0 || one.scope == at.scope);
         });
}

std::string_view name(JoinProxy::Event::Kind kind) { return kNames.at(static_cast<std::size_t>(kind)); }

std::vector<JoinProxy::Named> registrars_in(const std::vector<brski::Heard>& floods,
                                            const std::vector<brski::Browser::Found>& services,
                                            const io::Interface& link, const std::vector<io::Address>& own) {
  std::vector<JoinProxy::Named> out;
  const auto add = [&](const io::Address& at, const std::string& source) {
    if (may_be_elsewhere(at, link, own) && std::ranges::find(out, at, &JoinProxy::Named::at) == out.end()) {
      out.push_back({at, source});
    }
  };
  for (const brski::Heard& flood : floods) {
    const io::Address source = address_of(flood.source, 0, link);
    if (is_registrar(flood) && link.is_near(source)) {
      add(address_of(flood.locator->address, *flood.locator->port, link), source.literal());
    }
  }
  for (const brski::Browser::Found& service : services) {
    for (const Bytes& one : service.addresses) {
      const io::Address at = address_of(one, service.port, link);
      if (service.type == brski::kRegistrarService && service.port != 0 && link.is_near(at)) {
        add(at, service.instance);
      }
    }
  }
  return out;
}

std::vector<io::Address> next_to_try(const std::vector<JoinProxy::Named>& named, const io::Address& last,
                                     const std::vector<io::Address>& failed) {
  using Named = JoinProxy::Named;
  std::vector<Named> fresh, again;
  std::ranges::copy_if(named, std::back_inserter(fresh),
                       [&](const Named& one) { return std::ranges::find(failed, one.at) == failed.end(); });
  for (const io::Address& at : failed) {
    const auto one = std::ranges::find(named, at, &Named::at);
    if (one != named.end()) {
      again.push_back(*one);
    }
  }
  std::vector<Named> all;
  if (const auto one = std::ranges::find(named, last, &Named::at); one != named.end()) {
    all.push_back(*one);
  }
  // New names without end do not keep out who has failed once.
  for (std::size_t i = 0; i < std::max(fresh.size(), again.size()); ++i) {
    for (const auto* const some : {&fresh, &again}) {
      if (i < some->size() && (*some)[i].at != last) {
        all.push_back((*some)[i]);
      }
    }
  }
  std::map<std::string, std::size_t> of_source;
  std::vector<io::Address> out;
  for (const Named& one : all) {
    if (out.size() < kMostAddresses && ++of_source[one.source] <= kMostOfSource) {
      out.push_back(one.at);
    }
  }
  return out;
}

Result<std::unique_ptr<JoinProxy>> JoinProxy::start(io::Loop& loop, Rng& rng, Options options,
                                                    std::function<void(const Event&)> told) {
  std::unique_ptr<JoinProxy> out(new JoinProxy(loop, std::move(options), std::move(told)));
  TRY(const Ok open, out->open(rng));
  static_cast<void>(open);
  out->resolve();
  return out;
}

JoinProxy::JoinProxy(io::Loop& loop, Options options, std::function<void(const Event&)> told)
    : loop_(loop), options_(std::move(options)), told_(std::move(told)), resolver_(loop) {}

JoinProxy::~JoinProxy() { loop_.cancel(timer_); }

Status JoinProxy::open(Rng& rng) {
  TRY(proxy_, io::TcpProxy::listen(loop_, options_.proxy, handlers()));
  if (options_.announce) {
    TRY(discovery_, DiscoveryPort::open(loop_, rng, *options_.announce, nullptr));
  }
  if (!options_.find.empty()) {
    DiscoveryPort::Options what;
    what.interface = options_.find;
    what.strict = false;  // AN_join_registrar comes from addresses beyond the link
    what.browse = {std::string(brski::kRegistrarService)};
    TRY(finder_, DiscoveryPort::open(loop_, rng, what, [this] { look_soon(); }));
  }
  return Ok{};
}

io::TcpProxy::Handlers JoinProxy::handlers() {
  return {.began =
              [this](std::uint64_t id, const io::Address& source) {
                tell({Kind::opened, source.text(), {}, id, 0, 0});
              },
          .ended =
              [this](const io::TcpProxy::Ended& one) {
                tell({Kind::closed, one.source.text(), std::string(io::name(one.why)), one.id, one.bytes_up,
                      one.bytes_down});
              },
          .turned_away =
              [this](const io::Address& source, std::string_view why) {
                tell({Kind::turned_away, source.text(), std::string(why), 0, 0, 0});
              }};
}

void JoinProxy::tell(const Event& event) const {
  if (told_) {
    told_(event);
  }
}

// ---- is the registrar there? ----

// Who comes while none is known need not wait long; nor does whoever says much have us connect all the time.
void JoinProxy::look_soon() {
  if (there_ || timer_ == 0 || std::exchange(hurries_, true)) {
    return;
  }
  loop_.cancel(timer_);
  timer_ = loop_.after(std::min(kSoon, options_.probe_every), [this] { resolve(); });
}

void JoinProxy::resolve() {
  timer_ = 0;
  hurries_ = false;
  if (finder_) {
    probe_all(registrars_in(finder_->floods(), finder_->services(), finder_->interface(), own_addresses()));
    return;
  }
  resolver_.resolve(options_.registrar, [this](const auto& addresses) { probe(addresses); });
}

void JoinProxy::probe(const Result<std::vector<std::string>>& addresses) {
  std::vector<Named> out;
  for (const std::string& one : addresses ? *addresses : std::vector<std::string>()) {
    if (const auto address = io::Address::parse(one, options_.registrar_port)) {
      out.push_back({*address, one});
    }
  }
  probe_all(out);
}

void JoinProxy::probe_all(const std::vector<Named>& named) {
  std::erase_if(failed_,
                [&](const io::Address& one) { return std::ranges::find(named, one, &Named::at) == named.end(); });
  to_try_ = next_to_try(named, registrar_, failed_);
  probed({}, false);
}

// Tries the next address until one is there.
void JoinProxy::probed(const io::Address& to, bool there) {
  if (stopping_) {
    return;
  }
  if (!there && !to_try_.empty()) {
    const io::Address next = to_try_.front();
    to_try_.erase(to_try_.begin());
    probe_ = std::make_unique<io::TcpProbe>(loop_, next, options_.probe_longest, [this, next](bool answer) {
      std::erase(failed_, next);
      if (!answer) {
        failed_.push_back(next);
      }
      probed(next, answer);
    });
    return;
  }
  there ? found(to) : missed();
  timer_ = loop_.after(options_.probe_every, [this] { resolve(); });
}

void JoinProxy::found(const io::Address& at) {
  missed_ = 0;
  if (!there_ || at != registrar_) {
    registrar_ = at;
    proxy_->set_target(at);
    tell({Kind::registrar_found, at.text(), {}, 0, 0, 0});
  }
  if (!std::exchange(there_, true)) {
    announce();
  }
}

void JoinProxy::missed() {
  if (!there_ || ++missed_ < options_.misses) {
    return;
  }
  there_ = false;
  proxy_->set_target(std::nullopt);
  tell({Kind::registrar_lost, registrar_.text(), {}, 0, 0, 0});
  withdraw();
}

// ---- who is told ----

void JoinProxy::announce() {
  if (!discovery_) {
    return;
  }
  DiscoveryPort::Announcement what;
  what.objectives = {brski::proxy_objective()};
  what.service = brski::kProxyService;
  what.instance = options_.instance;
  what.text = {std::string(brski::kEstTlsVariation)};
  what.port = port();
  what.at = announced_address(options_.proxy.listen.address);
  const Status done = discovery_->announce(what);
  const std::string& interface = discovery_->interface().name;
  done ? tell({Kind::announced, {}, interface + ", " + discovery_->instance(), 0, 0, 0})
       : tell({Kind::not_announced, {}, std::string(done.error().what), 0, 0, 0});
}

void JoinProxy::withdraw() {
  if (announces()) {
    discovery_->withdraw();
    tell({Kind::withdrawn, {}, discovery_->interface().name, 0, 0, 0});
  }
}

void JoinProxy::stop(Duration grace, std::function<void()> stopped) {
  stopping_ = true;
  loop_.cancel(timer_);
  probe_.reset();
  withdraw();
  proxy_->drain(grace, std::move(stopped));
}

}  // namespace imprint
