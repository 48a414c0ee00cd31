#include "runtime/coap_registrar_finder.h"

#include <algorithm>
#include <utility>

namespace imprint {
namespace {

using Named = JoinProxy::Named;
using Way = brski::CoapFound::Way;

constexpr std::size_t kMostAnswered = 32;
constexpr Duration kAnswerCounts = std::chrono::minutes(3);   // as long as a flood does (RFC 8995 section 4.1.1)
constexpr Duration kLongestPause = std::chrono::seconds(60);  // so that a few questions may be lost meanwhile
// RFC 7252 section 12.8: of the link; of the site, for registrars of other links.
constexpr const char *kLinkGroup = "ff02::fd", *kSiteGroup = "ff05::fd", *kGroup4 = "224.0.1.187";
constexpr int kOneHop = 1, kSomeHops = 16;

void add(std::vector<Named>& to, Named one) {
  if (std::ranges::find(to, one.at, &Named::at) == to.end()) {
    to.push_back(std::move(one));
  }
}

// A link-local address means something together with its interface alone.
io::Address on_link(io::Address at, const io::Interface& link) {
  at.scope = at.v6 && brski::is_link_local(address_bytes(at)) ? link.index : 0;
  return at;
}

io::Address address_of(const Bytes& bytes, std::uint16_t port, const io::Interface& link) {
  io::Address out;
  out.v6 = bytes.size() == out.ip.size();
  std::ranges::copy(bytes, out.ip.begin());
  out.port = port;
  return on_link(out, link);
}

}  // namespace

std::vector<Named> coaps_registrars_in(const Response& answer, const io::Address& from, Way way,
                                       const io::Interface& link, const std::vector<io::Address>& own) {
  std::vector<Named> out;
  for (const brski::CoapFound& one : brski::registrars_in(answer)) {
    const auto at = io::Address::parse(one.host, one.port);  // a name leads anywhere
    if (at && one.way == way && one.port != 0 && may_be_elsewhere(on_link(*at, link), link, own)) {
      add(out, {on_link(*at, link), from.literal()});
    }
  }
  return out;
}

std::vector<Named> coaps_registrars_in(const std::vector<brski::Heard>& floods,
                                       const std::vector<brski::Browser::Found>& services, const io::Interface& link,
                                       const std::vector<io::Address>& own) {
  using Kind = brski::Locator::Kind;
  std::vector<Named> out;
  const auto add_if = [&](const io::Address& at, const std::string& source) {
    if (at.port != 0 && may_be_elsewhere(at, link, own)) {
      add(out, {at, source});
    }
  };
  for (const brski::Heard& flood : floods) {
    const auto& at = flood.locator;
    const io::Address source = address_of(flood.source, 0, link);
    if (flood.name == brski::kAnJoinRegistrar && at && (at->kind == Kind::ipv6 || at->kind == Kind::ipv4) &&
        at->protocol == brski::kUdp && link.is_near(source)) {
      add_if(address_of(at->address, at->port.value_or(0), link), source.literal());
    }
  }
  for (const brski::Browser::Found& service : services) {
    for (const Bytes& one : service.addresses) {
      const io::Address at = address_of(one, service.port, link);
      if (service.type == brski::kRegistrarServiceUdp && link.is_near(at)) {
        add_if(at, service.instance);
      }
    }
  }
  return out;
}

Result<std::unique_ptr<CoapRegistrarFinder>> CoapRegistrarFinder::open(io::Loop& loop, Rng& rng, Options options,
                                                                       std::function<void()> changed) {
  std::unique_ptr<CoapRegistrarFinder> out(new CoapRegistrarFinder(loop, std::move(options), std::move(changed)));
  DiscoveryPort::Options what;
  what.interface = out->options_.interface;
  what.strict = false;  // AN_join_registrar comes from addresses beyond the link
  what.browse = {std::string(brski::kRegistrarServiceUdp)};
  TRY(out->port_, DiscoveryPort::open(loop, rng, std::move(what), [self = out.get()] { self->changed_(); }));
  TRY([[maybe_unused]] const Ok open, out->open_coap(rng));
  out->ask();
  return out;
}

CoapRegistrarFinder::~CoapRegistrarFinder() { loop_.cancel(timer_); }

Status CoapRegistrarFinder::open_coap(Rng& rng) {
  const io::Interface& link = port_->interface();
  const bool v6 = std::ranges::any_of(
      link.addresses, [](const io::Address& a) { return a.v6 && brski::is_link_local(address_bytes(a)); });
  using Where = io::CoapSearch::Where;
  const auto groups = v6 ? std::vector<Where>{{.group = kLinkGroup, .port = options_.coap_port, .hop_limit = kOneHop},
                                              {.group = kSiteGroup,
                                               .port = options_.coap_port,
                                               .hop_limit = kSomeHops,
                                               .near_only = false}}
                         : std::vector<Where>{{.group = kGroup4, .port = options_.coap_port, .hop_limit = kOneHop}};
  for (const Where& where : groups) {
    TRY(auto search,
        io::CoapSearch::open(loop_, rng, link, where,
                             [this](const io::Address& from, const Response& answer) { take(from, answer); }));
    searches_.push_back(std::move(search));
  }
  return Ok{};
}

// Again and again, for what was answered ends by its time.
void CoapRegistrarFinder::ask() {
  for (const auto& search : searches_) {
    static_cast<void>(search->ask(brski::find_by_coap(brski::CoapWanted::registrars)));
  }
  timer_ = loop_.after(pause_, [this] { ask(); });
  pause_ = std::min(pause_ * 2, kLongestPause);
}

void CoapRegistrarFinder::take(const io::Address& from, const Response& answer) {
  const Instant until = io::steady_clock() + kAnswerCounts;
  for (Named& one : coaps_registrars_in(answer, from, options_.way, port_->interface(), own_addresses())) {
    const auto known = std::ranges::find(answered_, one.at, [](const Answered& a) { return a.what.at; });
    if (known != answered_.end()) {
      known->until = until;
    } else if (answered_.size() < kMostAnswered) {  // whoever is there keeps its place while it answers
      answered_.push_back({std::move(one), until});
    }
  }
  changed_();
}

std::vector<Named> CoapRegistrarFinder::named() {
  const Instant now = io::steady_clock();
  std::erase_if(answered_, [now](const Answered& one) { return one.until <= now; });
  std::vector<Named> out;
  for (const Answered& one : answered_) {
    add(out, one.what);
  }
  if (options_.way == Way::coaps) {
    for (Named& one : coaps_registrars_in(port_->floods(), port_->services(), port_->interface(), own_addresses())) {
      add(out, std::move(one));
    }
  }
  return out;
}

}  // namespace imprint
