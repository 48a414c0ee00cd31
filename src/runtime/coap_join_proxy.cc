#include "runtime/coap_join_proxy.h"

#include <algorithm>
#include <utility>

#include "proto/brski/coap.h"

namespace imprint {
namespace {

constexpr const char* kGroup6 = "ff02::fd";     // RFC 7252 section 12.8
constexpr const char* kGroup4 = "224.0.1.187";  // the same, for a link without IPv6
constexpr std::uint16_t kCoapPort = 5683;

bool is_link_local(const io::Address& a) { return a.v6 && a.scope != 0; }

}  // namespace

Result<std::unique_ptr<CoapJoinProxy>> CoapJoinProxy::start(io::Loop& loop, Rng& rng, Options options) {
  std::unique_ptr<CoapJoinProxy> out(new CoapJoinProxy(loop, std::move(options)));
  TRY([[maybe_unused]] const Ok open, out->open(rng));
  out->finder_ ? out->look() : out->resolve_later();
  return out;
}

CoapJoinProxy::CoapJoinProxy(io::Loop& loop, Options options)
    : loop_(loop), options_(std::move(options)), resolver_(loop) {}

CoapJoinProxy::~CoapJoinProxy() { loop_.cancel(timer_); }

// Who asks a group hears of us, or nothing (RFC 7252 section 8.2); nor does anybody while we lead nowhere.
io::CoapResponder::Answer CoapJoinProxy::tell_of(const brski::CoapOffer& offer) const {
  return [this, links = brski::join_proxy_links(offer)](const Request& request, bool to_group) {
    Response out = brski::list_resources(request, there_ ? links : std::vector<Link>());
    return to_group && brski::is_silent(out) ? std::nullopt : std::optional(std::move(out));
  };
}

Status CoapJoinProxy::open(Rng& rng) {
  if (!options_.find.empty()) {
    using Way = brski::CoapFound::Way;
    options_.proxy.registrar = {};
    there_ = false;
    TRY(finder_, CoapRegistrarFinder::open(
                     loop_, rng, {options_.find, options_.stateless ? Way::jpy : Way::coaps, options_.find_port},
                     [this] { look(); }));
  }
  TRY(proxy_, options_.stateless ? io::UdpJoinProxy::stateless(loop_, options_.proxy, jpy_return_envelope(rng))
                                 : io::UdpJoinProxy::stateful(loop_, options_.proxy));
  brski::CoapOffer offer;
  offer.host = options_.proxy.listen.address;
  offer.join = proxy_->port();
  if (options_.answers) {
    TRY(unicast_, io::CoapResponder::listen(loop_, rng, *options_.answers, {}, tell_of(offer)));
  }
  return options_.announce.empty() ? Status(Ok{}) : open_group(rng, tell_of(offer));
}

Status CoapJoinProxy::open_group(Rng& rng, const io::CoapResponder::Answer& answer) {
  TRY(const io::Interface link, io::Interface::find(options_.announce));
  const bool v6 = std::ranges::any_of(link.addresses, is_link_local);
  TRY(group_, io::CoapResponder::join(loop_, rng, link, {v6 ? kGroup6 : kGroup4, kCoapPort}, {}, answer));
  return Ok{};
}

void CoapJoinProxy::resolve_later() {
  if (!options_.registrar.empty()) {
    timer_ = loop_.after(options_.resolve_every, [this] {
      resolver_.resolve(options_.registrar, [this](Result<std::vector<std::string>> found) { take(found); });
    });
  }
}

// A name that leads nowhere for a while changes nothing: pledges may be under way.
void CoapJoinProxy::take(const Result<std::vector<std::string>>& addresses) {
  io::Address& now = options_.proxy.registrar;
  const auto is_now = [&now](const std::string& literal) { return literal == now.literal(); };
  if (addresses && !addresses->empty() && std::ranges::none_of(*addresses, is_now)) {
    const auto other = io::Address::parse(addresses->front(), now.port);
    if (other && proxy_->set_registrar(*other)) {
      now = *other;
    }
  }
  resolve_later();
}

// ---- one that makes itself known ----

void CoapJoinProxy::look_again() {
  loop_.cancel(timer_);
  timer_ = loop_.after(options_.look_every, [this] { look(); });
}

// The one that there is stays as long as it is named, and for those under way even longer.
void CoapJoinProxy::look() {
  look_again();
  io::Address& now = options_.proxy.registrar;
  const auto named = finder_->named();
  if (named.empty()) {
    if (std::exchange(there_, false)) {
      tell();
    }
    return;
  }
  if (std::ranges::find(named, now, &JoinProxy::Named::at) == named.end()) {
    if (!proxy_->set_registrar(named.front().at)) {
      return;
    }
    now = named.front().at;
    there_ = false;
  }
  if (!std::exchange(there_, true)) {
    tell();
  }
}

void CoapJoinProxy::tell() const {
  if (options_.told) {
    options_.told(there_, options_.proxy.registrar);
  }
}

Result<std::string> join_address_on(const std::string& interface) {
  TRY(const io::Interface link, io::Interface::find(interface));
  const auto own = std::ranges::find_if(link.addresses, is_link_local);
  const auto any = own != link.addresses.end() ? own : link.addresses.begin();
  CHECK_OR(any != link.addresses.end(), Error{Fault::unreachable, "the interface has no address"});
  return any->literal();
}

}  // namespace imprint
