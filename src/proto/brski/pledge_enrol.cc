// From the voucher to the owner's certificate: the EST client, and the report at its end.
#include <algorithm>

#include "proto/brski/pledge_steps.h"

namespace imprint::brski {
namespace {

using namespace steps;
using Progress = Pledge::Progress;
using Turn = Pledge::Turn;
using Enrolling = Pledge::Enrolling;
using Next = OneOf<Enrolling, Pledge::Returning, Pledge::Complaining>;

// `there`: with whom the voucher was asked for; none if that voucher says where the owner's server is.
est::PlanRef enrolment(const Progress& p, const Imprinted& owner, const Session* there) {
  auto out = std::make_shared<est::Plan>(p.plan->enrolment);
  out->server = owner.registrar;
  if (owner.registrar == p.at) {  // its EST is at the usual place, wherever its BRSKI is
    out->server.path = "/";
  }
  out->origins = est::kAllFromFactory;
  out->skips_wishes = by_coap(p) && !p.plan->coap_wishes;
  out->explicit_anchors = {owner.pinned};
  out->implicit_anchors.clear();
  out->expected.reset();
  out->credential = p.plan->identity;
  out->domain = owner.pinned.fingerprint();
  // Of an address only est-domain is the owner's word: the others are of whoever announced himself or sent us on, and
  // any device of the domain has a certificate for its own.
  out->host_counts = there == nullptr;
  out->trusts_clock = p.plan->trusts_clock;
  if (there != nullptr && !p.plan->registrar_changes) {
    out->same_server = there->presented.front();
  }
  return out;
}

// RFC 8995 section 5.9.4: on the connection that there was, with a reason.
Pledge::Complaining complain(Progress p, const SessionRef& tls, const est::Client::Failed& failed, Turn& t) {
  Telemetry telemetry;
  const Error& why = failed.why;
  telemetry.reason = why.rule != nullptr ? std::string(why.rule->id) : std::string(name(why.fault));
  p.last = why;
  p.detail = failed.detail;
  const auto ticket = t.request(*tls, telemetry_to(*p.plan, p.at, Operation::enrol_status, telemetry));
  return {std::move(p), tls, ticket};
}

// What the client learns falls with the voucher, should nothing come of it.
void remember(Progress& p, const Learn& learn) {
  if (learn.change.fate == Fate::learned) {
    p.stated.insert(learn.change.belief.id);
    p.by_voucher.push_back(learn.change.belief);
  }
}

// One input of the client's.
Pledge::Enrolled forward(const Enrolling& s, const est::Client::Input& input, Turn& t) {
  auto inner = t.nested<est::Client::Turn>();
  TRY(est::Client::State next, step(est::Client{}, s.est, input, inner));
  Progress p = s.p;
  const bool failed = std::holds_alternative<est::Client::Failed>(next);
  t.take(std::move(inner), [&]<class A>(const A& action) {
    if constexpr (std::same_as<A, Learn>) {
      remember(p, action);
    }
    if constexpr (std::same_as<A, Close>) {
      return !failed || action.session != s.first->id;  // it carries the report of the failure first
    }
    return true;
  });
  if (failed) {
    return Next(complain(std::move(p), s.first, std::get<est::Client::Failed>(next), t));
  }
  if (const auto* const got = std::get_if<est::Client::Enrolled>(&next)) {
    t.close(*s.first);
    return Next(come_back(std::move(p), s.owner, got->result, t));
  }
  return Next(Enrolling{std::move(p), s.first, s.owner, std::move(next)});
}

// EST, where the voucher came if that is the owner's server.
Pledge::Enrolled enrol(Progress p, const SessionRef& tls, const Imprinted& owner, const std::string& server_belief,
                       Turn& t) {
  const bool there = !server_belief.empty();
  est::Client::Start start{enrolment(p, owner, there ? tls.get() : nullptr), p.before, est::Client::Vouched{}};
  if (there) {
    start.vouched = est::Client::Vouched{tls, server_belief};
  }
  return forward({std::move(p), tls, owner, est::Client::Idle{}}, std::move(start), t);
}

// An EST server that a voucher named has its telemetry, if any, at the usual place.
Uri for_reports(Uri at) {
  if (at.path.starts_with("/.well-known/est")) {
    at.path = "/";
  }
  return at;
}

// Every device of the domain leads to its anchors: the report is for the registrar (RFC 7030 section 3.6.1), or for the
// host that the voucher named.
bool may_hear(const Imprinted& owner, const Session& tls) {
  if (!holds(tls.proven.has_value())) {
    return false;
  }
  const Certificate& leaf = (*tls.proven)->leaf;
  const bool ra = std::ranges::find(leaf.extended, eku::kCmcRa) != leaf.extended.end();
  return leaf == owner.pinned || ra || (names_est_server(owner) && speaks_for_host(leaf, owner.registrar.host));
}

// The end: whether the report got through or not, the device has its owner.
Pledge::Configured configured(Imprinted owner, est::Installed got, Turn& t) {
  owner.configured = true;
  t.save(owner);
  return {std::move(owner), std::move(got)};
}

template <class Out>
Out report_later(Progress p, const Imprinted& owner, const est::Installed& got, Turn& t) {
  p.reports += 1;
  if (!holds(p.reports < p.plan->rounds)) {
    return configured(owner, got, t);
  }
  t.arm(rest_after(p.reports, t.random<1>()[0]));
  return Pledge::Pausing{std::move(p), owner, got};
}

}  // namespace

namespace steps {

Request good_news(const Progress& p) {
  Telemetry good;
  good.status = true;
  return telemetry_to(*p.plan, p.at, Operation::voucher_status, good);
}

Pledge::Returning come_back(Progress p, Imprinted owner, est::Installed got, Turn& t) {
  std::vector<Certificate> anchors = got.anchors;
  anchors.push_back(owner.pinned);
  Credential as{got.key.id, {got.certificate}};
  as.chain.insert(as.chain.end(), got.via.begin(), got.via.end());
  const auto ticket =
      t.open(owner.registrar, Trust::anchors, std::move(anchors), std::move(as), false, p.plan->trusts_clock);
  return {std::move(p), std::move(owner), std::move(got), ticket};
}

}  // namespace steps

Result<OneOf<Pledge::Rejoining, Pledge::Enrolling, Pledge::Returning, Pledge::Complaining>> Pledge::on(
    const Telling& s, const Done<Response>& d, Turn& t) const {
  using Out = OneOf<Rejoining, Enrolling, Returning, Complaining>;
  // The report is a MUST, and EST only SHOULD go on where the voucher came (RFC 8995 sections 5.7 and 5.9): a registrar
  // may end the connection behind any answer.
  if (!d.answer && d.answer.error().fault == Fault::unreachable && !s.again && !s.server_belief.empty()) {
    const auto ticket =
        t.open(s.owner.registrar, Trust::anchors, {s.owner.pinned}, s.p.plan->identity, false, s.p.plan->trusts_clock);
    return Out(Rejoining{s.p, s.tls, s.owner, s.server_belief, ticket});
  }
  // Whatever it says to that, the device has its owner (section 5.7).
  TRY(Next next, enrol(s.p, s.tls, s.owner, s.server_belief, t));
  return std::visit([](auto&& state) { return Out(std::forward<decltype(state)>(state)); }, std::move(next));
}

Result<OneOf<Pledge::Telling, Pledge::Enrolling, Pledge::Returning, Pledge::Complaining>> Pledge::on(
    const Rejoining& s, const Done<SessionRef>& d, Turn& t) const {
  using Out = OneOf<Telling, Enrolling, Returning, Complaining>;
  const std::optional<Instant> now = s.p.plan->trusts_clock ? std::optional(t.now()) : std::nullopt;
  const bool there = d.answer && (*d.answer)->proven && !(*d.answer)->presented.empty();
  const bool same =
      there && (s.p.plan->registrar_changes || (*d.answer)->presented.front() == s.before->presented.front());
  // By the same judgement as before: whom the voucher pins, or a registrar below. And it is the one of before.
  if (there && holds(same) &&
      verify_registrar(s.owner.pinned, {(*d.answer)->presented.front(), (*d.answer)->presented, now})) {
    const auto ticket = t.request(**d.answer, good_news(s.p));
    return Out(Telling{s.p, *d.answer, s.owner, s.server_belief, ticket, true});
  }
  if (d.answer) {
    t.close(**d.answer);
  }
  TRY(Next next, enrol(s.p, s.before, s.owner, s.server_belief, t));  // which opens connections of its own
  return std::visit([](auto&& state) { return Out(std::forward<decltype(state)>(state)); }, std::move(next));
}

Pledge::Enrolled Pledge::on(const Enrolling& s, const Done<SessionRef>& d, Turn& t) const { return forward(s, d, t); }
Pledge::Enrolled Pledge::on(const Enrolling& s, const Done<Response>& d, Turn& t) const { return forward(s, d, t); }
Pledge::Enrolled Pledge::on(const Enrolling& s, const Done<Bytes>& d, Turn& t) const { return forward(s, d, t); }
Pledge::Enrolled Pledge::on(const Enrolling& s, const Done<KeyRef>& d, Turn& t) const { return forward(s, d, t); }
Pledge::Enrolled Pledge::on(const Enrolling& s, const Done<Secret>& d, Turn& t) const { return forward(s, d, t); }
Pledge::Enrolled Pledge::on(const Enrolling& s, const Done<Confirmed<Fingerprint>>& d, Turn& t) const {
  return forward(s, d, t);
}
Pledge::Enrolled Pledge::on(const Enrolling& s, const Lost& lost, Turn& t) const { return forward(s, lost, t); }
Pledge::Enrolled Pledge::on(const Enrolling& s, const Timeout& timeout, Turn& t) const {
  return forward(s, timeout, t);
}

Result<OneOf<Pledge::Reporting, Pledge::Pausing, Pledge::Configured>> Pledge::on(const Returning& s,
                                                                                 const Done<SessionRef>& d,
                                                                                 Turn& t) const {
  using Out = OneOf<Reporting, Pausing, Configured>;
  if (!d.answer) {
    return report_later<Out>(s.p, s.owner, s.got, t);
  }
  if (!holds(may_hear(s.owner, **d.answer))) {
    t.close(**d.answer);
    return report_later<Out>(s.p, s.owner, s.got, t);
  }
  Telemetry good;
  good.status = true;
  const auto ticket =
      t.request(**d.answer, telemetry_to(*s.p.plan, for_reports(s.owner.registrar), Operation::enrol_status, good));
  return Out(Reporting{s.p, *d.answer, s.owner, s.got, ticket});
}

Result<OneOf<Pledge::Configured, Pledge::Pausing>> Pledge::on(const Reporting& s, const Done<Response>& d,
                                                              Turn& t) const {
  using Out = OneOf<Configured, Pausing>;
  t.close(*s.tls);
  return d.answer ? Out(configured(s.owner, s.got, t)) : report_later<Out>(s.p, s.owner, s.got, t);
}

Result<Pledge::Returning> Pledge::on(const Pausing& s, const Timeout&, Turn& t) const {
  return come_back(s.p, s.owner, s.got, t);
}

}  // namespace imprint::brski
