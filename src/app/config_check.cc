// What keys of the configuration have to do with each other.
#include <algorithm>

#include "app/announcing.h"
#include "app/config_keys.h"

namespace imprint::app {
namespace {

std::optional<std::string> check_together(const Config& c) {
  const bool certificates = !c.administrators.empty() || !c.administrator_pins.empty();
  if (certificates && !c.api_tls) {
    return "api.tls: must be true for api.administrators and api.pins: they are client certificates";
  }
  if (!is_loopback(c.api) && !certificates) {
    return "api.listen: must be a loopback address without api.tls and api.administrators or api.pins: the token "
           "does not travel";
  }
  if (!c.basic && !c.digest) {
    return "est.basic: must be true without est.digest: who is not known by certificate is asked for one of them";
  }
  if (c.srp && !c.tls12) {
    return "est.srp: needs est.tls12: TLS 1.3 has no SRP";
  }
  if (c.coaps_join && (!c.coaps || c.coaps->address != c.coaps_join->address)) {
    return "est.coaps_join: must have the address of est.coaps, on a port of its own";
  }
  if (!c.administrator_lists.empty() && c.administrators.empty()) {
    return "api.revocation_lists: must be lists of the CAs in api.administrators";
  }
  if (!c.acp.rsub.empty() && !valid_acp_domain(c.acp)) {
    return "brski.acp_rsub: needs brski.acp_domain, and at most 253 octets with it";
  }
  if (!c.acp.name.empty() && !c.registrar) {
    return "brski.acp_domain: needs brski.registrar";
  }
  return check_announce(c);
}

}  // namespace

bool is_loopback(const Listen& listen) { return listen.address.starts_with("127.") || listen.address == "::1"; }

std::vector<std::string> check_whole(const Config& config) {
  std::vector<std::string> out;
  if (auto wrong = check_together(config)) {
    out.push_back(*std::move(wrong));
  }
  const UpstreamConfig& up = config.upstream;
  if (!up.uri.empty()) {
    if (up.anchors.empty()) {
      out.emplace_back("upstream.anchors: must be there with upstream.uri");
    }
    if (up.certificate.empty() != up.key.empty()) {
      out.emplace_back("upstream.certificate and upstream.key: both, or neither");
    }
    if (up.user.empty() != up.password_file.empty()) {
      out.emplace_back("upstream.user and upstream.password_file: both, or neither");
    }
    if (up.certificate.empty() && up.user.empty()) {
      out.emplace_back("upstream: a certificate with its key, or a user with a password, must be there");
    }
  }
  for (const auto& [name, profile] : config.profiles) {
    const auto& uses = profile.profile.extended;
    const bool authority = std::ranges::find(uses, eku::kCmcRa) != uses.end();
    if (profile.profile.handed_on && (authority || uses.empty())) {
      out.push_back("profiles." + name +
                    ": handed_on with id-kp-cmcRA among extended_key_usage, or with none, would "
                    "make every device a registration authority");
    }
    if (!up.uri.empty() && profile.profile.server_keys != site::ServerKeys::no) {
      out.push_back("profiles." + name + ".server_keys: a gateway makes no keys (upstream.uri)");
    }
  }
  return out;
}

}  // namespace imprint::app
