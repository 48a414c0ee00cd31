#include "runtime/registrar_voice.h"

#include <algorithm>
#include <utility>

#include "proto/brski/coap.h"

namespace imprint {
namespace {

using Kind = RegistrarVoice::Event::Kind;

// RFC 7252 section 12.8: of the link, for devices; of the site, for join proxies of other links.
constexpr const char *kLinkGroup = "ff02::fd", *kSiteGroup = "ff05::fd", *kGroup4 = "224.0.1.187";
constexpr int kOneHop = 1, kSomeHops = 16;

bool is_any(const io::Address& a) {
  return std::ranges::all_of(a.ip, [](std::uint8_t one) { return one == 0; });
}

bool is_link_local(const io::Address& a) { return brski::is_link_local(address_bytes(a)); }

// What a flood for devices may lead to (RFC 8995 section 4.1.1); loopback counts among programs of one machine.
bool is_for_devices(const io::Address& a) { return is_link_local(a) || brski::is_loopback_address(address_bytes(a)); }

// The address of the interface that is told: of the link, or good beyond it.
std::optional<io::Address> told_address(const io::Interface& link, const Reach& reach, bool v6, bool beyond) {
  const auto fits = [&](const io::Address& a) { return a.v6 == v6 && is_link_local(a) != beyond; };
  if (reach.one) {
    return reach.one->v6 == v6 ? reach.one : std::nullopt;
  }
  auto found = std::ranges::find_if(link.addresses, fits);
  found = found != link.addresses.end() ? found : std::ranges::find(link.addresses, v6, &io::Address::v6);
  return found == link.addresses.end() ? std::nullopt : std::optional(*found);
}

bool has_v6_of_link(const io::Interface& link) {
  return std::ranges::any_of(link.addresses, [](const io::Address& a) { return a.v6 && is_link_local(a); });
}

}  // namespace

std::optional<Reach> reach_of(const std::string& listen, const io::Interface& link) {
  const auto address = io::Address::parse(listen, 0);
  if (!address) {
    return std::nullopt;
  }
  if (is_any(*address) && address->v6) {
    return Reach{true, std::nullopt};
  }
  const auto same_one = [&](const io::Address& a) {
    return a.v6 == address->v6 && (is_any(*address) || a.ip == address->ip);
  };
  const auto found = std::ranges::find_if(link.addresses, same_one);
  return found == link.addresses.end() ? std::nullopt : std::optional(Reach{false, *found});
}

Result<std::unique_ptr<RegistrarVoice>> RegistrarVoice::start(io::Loop& loop, Rng& rng, Options options,
                                                              std::function<void(const Event&)> told) {
  TRY([[maybe_unused]] const io::Interface there, io::Interface::find(options.interface));
  std::unique_ptr<RegistrarVoice> out(new RegistrarVoice(loop, rng, std::move(options), std::move(told)));
  out->look();
  return out;
}

RegistrarVoice::~RegistrarVoice() {
  loop_.cancel(timer_);
  fall_silent();
}

void RegistrarVoice::tell(Kind kind, std::string detail) const {
  if (told_) {
    told_({kind, options_.interface, std::move(detail)});
  }
}

// Addresses come and go: what is announced has to lead somewhere. What failed is tried again at each look.
void RegistrarVoice::look() {
  const auto link = io::Interface::find(options_.interface);
  const std::vector<io::Address> now = link ? link->addresses : std::vector<io::Address>{};
  if (now != addresses_ || timer_ == 0) {
    fall_silent();
    addresses_ = now;
    refused_.clear();
  }
  if (link) {
    speak(*link);
  } else {
    refused(std::string(link.error().what));
  }
  timer_ = loop_.after(options_.look_again, [this] { look(); });
}

void RegistrarVoice::fall_silent() {
  coap_ports_.clear();
  responders_.clear();
  if (announces()) {
    ports_.clear();  // each says good-bye
    tell(Kind::withdrawn, {});
  }
}

// Said once, however often it is tried.
void RegistrarVoice::refused(std::string why) {
  if (std::ranges::find(refused_, why) == refused_.end()) {
    refused_.push_back(why);
    tell(Kind::not_announced, std::move(why));
  }
}

// CoAP fails alone: those who need HTTPS are told all the same.
void RegistrarVoice::speak(const io::Interface& link) {
  if (!announces()) {
    if (const Status spoken = speak_https(link); !spoken) {
      ports_.clear();
      refused(std::string(spoken.error().what));
      return;
    }
    tell(Kind::announced, ports_.front()->instance());
  }
  if (coap_ports_.empty()) {
    if (const Status spoken = speak_coaps(link); !spoken) {
      coap_ports_.clear();
      responders_.clear();
      refused("CoAP: " + std::string(spoken.error().what));
    }
  }
}

Status RegistrarVoice::add(Ports& to, const DiscoveryPort::Options& how, const DiscoveryPort::Announcement& what) {
  TRY(auto port, DiscoveryPort::open(loop_, rng_, how, nullptr));
  TRY(const Ok said, port->announce(what));
  to.push_back(std::move(port));
  return said;
}

// A registrar on a device's own link is announced as a join proxy is (RFC 8995 section 4.1.1). The flood for join
// proxies goes by itself: a device passes over all of one that has it (RFC 8990 section 2.5.2).
Status RegistrarVoice::speak_https(const io::Interface& link) {
  const auto found = reach_of(options_.listen, link);
  CHECK_OR(found, Error{Fault::unreachable, "announce: the interface does not lead to est.listen"});
  const Reach& reach = *found;
  DiscoveryPort::Announcement near;
  if (!reach.one || is_for_devices(*reach.one)) {
    near.objectives = {brski::proxy_objective()};
  }
  near.service = brski::kRegistrarService;
  near.instance = options_.instance;
  near.text = {std::string(brski::kEstTlsVariation)};
  near.port = options_.port;
  near.at = reach.one;
  TRY(const Ok said, add(ports_, {.interface = options_.interface}, near));
  if (reach.one && is_link_local(*reach.one)) {
    return said;
  }
  DiscoveryPort::Announcement far;
  far.objectives = {brski::registrar_objective()};
  far.port = options_.port;
  far.at = reach.one;
  // Without an address that is good beyond the link there is nobody to tell.
  static_cast<void>(
      add(ports_, {.interface = options_.interface, .mdns = false, .strict = false, .beyond = true}, far));
  return said;
}

Status RegistrarVoice::speak_coaps(const io::Interface& link) {
  const auto reach = options_.coaps_port == 0 ? std::nullopt : reach_of(options_.coaps_listen, link);
  return reach ? make_coaps(link, *reach) : Status(Ok{});
}

Status RegistrarVoice::make_coaps(const io::Interface& link, const Reach& reach) {
  DiscoveryPort::Announcement what;
  what.service = brski::kRegistrarServiceUdp;
  what.instance = options_.instance;
  what.port = options_.coaps_port;
  what.at = reach.one;
  TRY(Ok said, add(coap_ports_, {.interface = options_.interface, .grasp = false}, what));
  const bool v6 = has_v6_of_link(link) && (reach.any || reach.one->v6);
  if (!v6) {
    return answer(link, reach, kGroup4, true);
  }
  TRY(said, answer(link, reach, kLinkGroup, false));
  return answer(link, reach, kSiteGroup, true);
}

// Who is on the link is also told where a device can connect at once: this registrar is its own join proxy.
Status RegistrarVoice::answer(const io::Interface& link, const Reach& reach, const std::string& group, bool beyond) {
  const auto at = told_address(link, reach, group != kGroup4, beyond);
  CHECK_OR(at, Error{Fault::unreachable, "announce: no address of the interface can be told"});
  brski::CoapOffer offer;
  offer.host = at->literal();
  offer.coaps = offer.join = options_.coaps_port;
  offer.jpy = options_.jpy;
  std::vector<Link> links = brski::registrar_links(offer);
  std::ranges::move(brski::join_proxy_links(offer), std::back_inserter(links));
  TRY(auto responder,
      io::CoapResponder::join(loop_, rng_, link, {group, options_.coap_port, group == kSiteGroup ? kSomeHops : kOneHop},
                              {}, [links](const Request& request, bool to_group) {
                                Response out = brski::list_resources(request, links);
                                return to_group && brski::is_silent(out) ? std::nullopt : std::optional(std::move(out));
                              }));
  responders_.push_back(std::move(responder));
  return Ok{};
}

}  // namespace imprint
