// The client at a server whom its anchors name: from the handshake to the owner's CA certificates.
#include <algorithm>

#include "proto/est/anchors.h"
#include "proto/est/client_steps.h"
#include "proto/est/coap.h"

namespace imprint {

// The one place that takes a handshake for the proof.
template <>
struct Checker<SecretPeer> {
  static std::optional<Verified<SecretPeer>> check(const Session& tls, const std::optional<Login>& login) {
    if (!holds(login && !tls.srp_user.empty() && tls.srp_user == login->user)) {
      return std::nullopt;
    }
    return Verified<SecretPeer>(SecretPeer{login->user});
  }
};

namespace est {
namespace {

using namespace steps;
using Progress = Client::Progress;
using Turn = Client::Turn;

std::optional<Verified<SecretPeer>> secret_peer(const Progress& p, const Session& tls) {
  return Checker<SecretPeer>::check(tls, p.plan->login);
}

// Names: an explicit anchor's server may carry id-kp-cmcRA in place of the name; an implicit one's must carry the name
// (RFC 7030 sections 3.6.1 and 3.6.2).
// Who proved our secret needs no further name (section 3.6).
Status check_server(const Progress& p, const Session& tls) {
  if (p.plan->login_by == LoginBy::srp) {
    CHECK_OR(secret_peer(p, tls), Error{Fault::unauthentic, kSrpFailed});
    return Ok{};
  }
  CHECK_OR(tls.proven, Error{Fault::unauthentic, kServerUntrusted});
  const Certificate& leaf = (*tls.proven)->leaf;
  // RFC 8995 section 5.6.2: a voucher that pins the server itself names it.
  const bool by_voucher = p.vouched || !p.plan->host_counts;
  const bool named = by_voucher && std::ranges::find(p.plan->explicit_anchors, leaf) != p.plan->explicit_anchors.end();
  const bool ra = !p.anchors.empty() && std::ranges::find(leaf.extended, eku::kCmcRa) != leaf.extended.end();
  // The host that was dialled counts if it is the owner's word: the plan's, or that of a server which has proven itself
  // and sent us on. That of an announcement, a proxy or a stranger is anybody's, and any device has a certificate for
  // its own address.
  const bool told = p.plan->host_counts || p.server.host != p.plan->server.host;
  CHECK_OR(named || ra || told, Error{Fault::unauthentic, kServerVouched});
  CHECK_OR(named || ra || speaks_for_host(leaf, p.server.host), Error{Fault::unauthentic, kServerName});
  // RFC 8995 section 5: with a new connection the certificate has to be the one of before.
  const bool other = p.plan->same_server && *p.plan->same_server != leaf;
  const bool same = !other || p.have_ca || !same_origin(p.server, p.plan->server);
  CHECK_OR(same, Error{Fault::unauthentic, kServerChanged});
  return Ok{};
}

// RFC 9148 section 9.1: before anything else is believed of the server, it has to be one under the CA that it named.
bool reaches(const Session& tls, const CaBag& bag, std::optional<Instant> now) {
  std::vector<Certificate> sent = tls.presented;
  sent.insert(sent.end(), bag.issuers.begin(), bag.issuers.end());
  return static_cast<bool>(verify_chain(sent.front(), sent, bag.anchors, chain_rules(Purpose::tls_server, now)));
}

Belief server_by_anchors(const Progress& p, const CertificateChain& chain) {
  return {"server:" + p.server.authority() + ":" + hex(chain.leaf.fingerprint()).substr(0, 16), Topic::peer,
          "the server at " + p.server.authority() + " is whom my anchors name: " + chain.leaf.subject.text,
          chain.leaf.not_after};
}

Belief server_by_secret(const Progress& p) {
  return {"server:" + p.server.authority() + ":secret", Topic::peer,
          "the server at " + p.server.authority() + " knows my secret", kNoEnd};
}

void learn_server(Progress& p, const Session& tls, Turn& t) {
  const auto by_secret = tls.proven ? std::nullopt : secret_peer(p, tls);
  Belief server = by_secret ? server_by_secret(p) : server_by_anchors(p, **tls.proven);
  p.server_belief = server.id;
  if (std::ranges::find(p.servers_met, server.id) != p.servers_met.end()) {
    return;
  }
  p.servers_met.push_back(server.id);
  if (by_secret) {
    t.learn(std::move(server), *by_secret, {"secret"});
  } else {
    t.learn(std::move(server), *tls.proven, {anchor_belief((*tls.proven)->anchor)});
  }
}

void learn_anchors(Progress& p, const CaBag& bag, const Session& tls, Turn& t) {
  for (const Certificate& anchor : bag.anchors) {
    const bool known = std::ranges::find(p.anchors, anchor) != p.anchors.end() ||
                       std::ranges::find(p.plan->implicit_anchors, anchor) != p.plan->implicit_anchors.end();
    if (known) {
      continue;
    }
    Belief belief{anchor_belief(anchor), Topic::anchor, anchor.subject.text + " is my owner's CA", anchor.not_after};
    if (tls.proven) {
      t.learn(std::move(belief), *tls.proven, {p.server_belief});
    } else {
      t.learn(std::move(belief), *secret_peer(p, tls), {p.server_belief});
    }
  }
  p.anchors = bag.anchors;
  p.issuers = bag.issuers;
  p.have_ca = true;
  p.pinned = false;
}

// The owner's CA is known: what does the server wish, or what there is to be asked for by now.
template <class Next>
Next go_on(Progress p, SessionRef tls, Turn& t) {
  if (p.plan->skips_wishes || p.wished) {
    return begin_request<Next>(std::move(p), std::move(tls), t);
  }
  const auto ticket = t.request(*tls, request_to(p.server, p.plan->label, Operation::csrattrs));
  return Client::Wishing{std::move(p), std::move(tls), ticket};
}

}  // namespace

Result<OneOf<Client::Fetching, Client::Wishing, Client::Keying, Client::Signing, Client::Resting, Client::Failed>>
Client::on(const Opening& s, const Done<SessionRef>& d, Turn& t) const {
  using Next = OneOf<Fetching, Wishing, Keying, Signing, Resting, Failed>;
  if (!d.answer) {
    if (worth_another_try(d.answer.error())) {
      return unanswered<Next>(s.p, d.answer.error(), t);
    }
    const Error& why = d.answer.error();
    if (s.p.plan->login_by == LoginBy::srp) {
      return Next(fail(why.fault, kSrpFailed, std::string(why.what)));
    }
    // What arrived was no handshake, or an alert in place of one: then it is our certificate that was looked at.
    const bool alert = why.fault == Fault::malformed || why.what.find(" alert ") != std::string_view::npos;
    return Next(fail(why.fault, alert ? kServerAlert : kServerUntrusted, std::string(why.what)));
  }
  const SessionRef& tls = *d.answer;
  if (const Status server = check_server(s.p, *tls); !server) {
    t.close(*tls);
    return Next(Failed{server.error(), {}});
  }
  Progress p = s.p;
  learn_server(p, *tls, t);
  if (p.have_ca && p.key) {  // after a 202: same key, linked anew to this connection (RFC 7030 section 4.2.3)
    return Next(sign(std::move(p), tls, t));
  }
  if (p.have_ca) {  // the server ended the connection after cacerts or csrattrs
    return go_on<Next>(std::move(p), tls, t);
  }
  const auto ticket = t.request(*tls, request_to(p.server, p.plan->label, Operation::cacerts));
  return Next(Fetching{std::move(p), tls, ticket});
}

Result<OneOf<Client::Wishing, Client::Keying, Client::Signing, Client::Finding, Client::Opening, Client::Resting,
             Client::Failed>>
Client::on(const Fetching& s, const Done<Response>& d, Turn& t) const {
  using Next = OneOf<Wishing, Keying, Signing, Finding, Opening, Resting, Failed>;
  if (!d.answer) {
    t.close(*s.tls);
    return unanswered_get<Next>(s.p, d.answer.error(), t);
  }
  Progress p = s.p;
  p.used = true;
  if (is_redirect(d.answer->status)) {
    t.close(*s.tls);
    const auto to = Uri::parse(d.answer->location);
    p.redirects += 1;
    if (!holds(to && to->scheme == "https" && p.redirects <= kMaxRedirects)) {
      return Next(fail(Fault::refused, kRedirect, sentence_of(*d.answer)));
    }
    // Whoever gave the login meant it for the server in the plan, and the rest of the run goes wherever this GET goes
    // (RFC 7030 section 3.2.1).
    if (!holds(!p.plan->login || same_origin(*to, p.plan->server))) {
      return Next(fail(Fault::refused, kRedirectLogin, to->authority()));
    }
    p.server = *to;
    p.server.path = base_of(to->path, p.plan->label, Operation::cacerts);
    return Next(open_verified(std::move(p), t));
  }
  if (d.answer->status >= 500) {
    t.close(*s.tls);
    return rest<Next>(std::move(p), Error{Fault::unreachable, kCaCertificates}, sentence_of(*d.answer), t);
  }
  // A server without the well-known path may have another (RFC 9148 section 4.1); a base that was given is meant.
  if (d.answer->status == 404 && p.server.scheme == "coaps" && p.server.path == "/" && !p.sought) {
    p.sought = true;
    const auto ticket = t.request(*s.tls, discovery_request());
    return Next(Finding{std::move(p), s.tls, ticket});
  }
  const auto give_up = [&](Fault fault, const Rule& rule, std::string detail) {
    t.close(*s.tls);
    return Next(fail(fault, rule, std::move(detail)));
  };
  if (!holds(d.answer->status == 200)) {
    return give_up(Fault::refused, kCaCertificates, sentence_of(*d.answer));
  }
  const auto bag = certificates_in(*d.answer);
  if (!bag) {
    return give_up(bag.error().fault, kCaBag, {});
  }
  const std::optional<Instant> now = time_of(p, t);
  const auto sorted = sort_ca_certificates(*bag, now);
  if (!sorted) {
    return give_up(sorted.error().fault, kCaBag, {});
  }
  // A voucher pins what its maker could know of the domain: a registrar, or a CA below the root (RFC 8995
  // section 5.9.1).
  if (!holds(p.pinned || continues(p.anchors, *sorted, *bag, now))) {
    return give_up(Fault::unauthentic, kCaRollover, {});
  }
  if (!holds(p.server.scheme != "coaps" || reaches(*s.tls, *sorted, now))) {
    return give_up(Fault::unauthentic, kServerNotUnderCa, {});
  }
  learn_anchors(p, *sorted, *s.tls, t);
  return go_on<Next>(std::move(p), s.tls, t);
}

Result<OneOf<Client::Fetching, Client::Opening, Client::Resting, Client::Failed>> Client::on(const Finding& s,
                                                                                             const Done<Response>& d,
                                                                                             Turn& t) const {
  using Next = OneOf<Fetching, Opening, Resting, Failed>;
  if (!d.answer) {
    t.close(*s.tls);
    return unanswered<Next>(s.p, d.answer.error(), t);
  }
  const auto found = discovered(s.p.server, *d.answer);
  if (!found) {
    t.close(*s.tls);
    return Next(fail(found.error().fault, kDiscovery, std::string(found.error().what)));
  }
  Progress p = s.p;
  p.server = *found;
  if (same_origin(p.server, s.p.server)) {
    const auto ticket = t.request(*s.tls, request_to(p.server, p.plan->label, Operation::cacerts));
    return Next(Fetching{std::move(p), s.tls, ticket});
  }
  t.close(*s.tls);  // another port of the host: by the same anchors
  return Next(open_verified(std::move(p), t));
}

}  // namespace est
}  // namespace imprint
