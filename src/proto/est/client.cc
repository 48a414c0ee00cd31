// The client's start: its initial beliefs, and a server that nobody has vouched for yet. client_server.cc and
// client_enrol.cc go on from here.
#include "proto/est/client.h"

#include <algorithm>

#include "proto/est/anchors.h"
#include "proto/est/client_steps.h"
#include "proto/est/coap.h"
#include "proto/est/purpose.h"

namespace imprint::est {
namespace {

using namespace steps;
using Progress = Client::Progress;
using Turn = Client::Turn;

// With the proof that its origin gives.
void learn_from(Origin origin, Belief belief, const Certificate& certificate, Turn& t) {
  switch (origin) {
    case Origin::factory:
      return t.learn(std::move(belief), FactoryGiven<Certificate>{certificate});
    case Origin::operator_:
      return t.learn(std::move(belief), Configured<Certificate>{certificate});
    case Origin::record:
      return t.learn(std::move(belief), FromRecord<Certificate>{certificate});
  }
}

void learn_from(Origin origin, Belief belief, const std::string& word, Turn& t) {
  if (origin == Origin::factory) {
    t.learn(std::move(belief), FactoryGiven<std::string>{word});
  } else {
    t.learn(std::move(belief), Configured<std::string>{word});
  }
}

void learn_initials(const Plan& plan, Turn& t) {
  learn_from(plan.origins.server,
             {"endpoint", Topic::endpoint, "my owner's server is at " + plan.server.authority(), kNoEnd},
             plan.server.text(), t);
  for (const auto* anchors : {&plan.explicit_anchors, &plan.implicit_anchors}) {
    for (const Certificate& anchor : *anchors) {
      learn_from(plan.origins.anchors,
                 {anchor_belief(anchor), Topic::anchor, "the key of " + anchor.subject.text + " may vouch for others",
                  anchor.not_after},
                 anchor, t);
    }
  }
  if (plan.login) {
    learn_from(plan.origins.login,
               {"secret", Topic::own_identity, "who holds my secret is " + plan.login->user + " to my owner", kNoEnd},
               plan.login->user, t);
  }
  if (plan.credential) {
    const Certificate& own = plan.credential->chain.front();
    learn_from(
        plan.origins.credential,
        {"identity", Topic::own_identity, "I am " + own.subject.text + ", says " + own.issuer.text, own.not_after}, own,
        t);
  }
}

// Neither anchors nor a secret tell the owner's server from another one.
bool knows_nobody(const Progress& p) {
  return p.anchors.empty() && p.plan->implicit_anchors.empty() && p.plan->login_by != LoginBy::srp;
}

// What a person confirmed before the restart need not be asked again.
void recall_anchors(Progress& p, const std::vector<Certificate>& anchors, Turn& t) {
  for (const Certificate& anchor : anchors) {
    t.learn({anchor_belief(anchor), Topic::anchor, anchor.subject.text + " is my owner's CA", anchor.not_after},
            Recalled<Certificate>{anchor});
  }
  p.anchors = anchors;
}

}  // namespace

std::string anchor_belief(const Certificate& anchor) { return "anchor:" + hex(anchor.fingerprint()); }

Duration rest_after(std::uint32_t failures, std::uint8_t luck) {
  const std::uint32_t doublings = std::min<std::uint32_t>(failures == 0 ? 0 : failures - 1, 9);
  const std::int64_t whole = std::min<std::int64_t>(std::int64_t{1000} << doublings, 300'000);
  return Duration(whole - whole / 4 * luck / 255);
}

Result<OneOf<Client::Opening, Client::Meeting, Client::Fetching, Client::Failed>> Client::on(const Idle&,
                                                                                             const Start& m,
                                                                                             Turn& t) const {
  using Next = OneOf<Opening, Meeting, Fetching, Failed>;
  if (!m.vouched) {  // else whoever vouched has said what there was
    learn_initials(*m.plan, t);
  }
  // RFC 9148 section 3: a certificate for every operation, and anchors from the start; there is nobody to ask.
  const bool anchored = !m.plan->explicit_anchors.empty() || !m.plan->implicit_anchors.empty();
  if (!holds(m.plan->server.scheme != "coaps" || (m.plan->credential && anchored))) {
    return Next(fail(Fault::refused, kCoapsNeeds));
  }
  if (!holds(m.plan->server.scheme != "coaps" || !m.plan->full_cmc)) {
    return Next(fail(Fault::refused, kCoapsNoFullCmc));
  }
  const bool srp = m.plan->login_by == LoginBy::srp;
  if (!holds(!srp || (m.plan->server.scheme == "https" && m.plan->login && !m.plan->login->user.empty()))) {
    return Next(fail(Fault::refused, kSrpNeeds));
  }
  Progress p;
  p.plan = m.plan;
  p.server = m.plan->server;
  p.anchors = m.plan->explicit_anchors;
  p.key = m.plan->keep_key;
  if (m.before && m.before->purpose == purpose_of(*m.plan)) {
    p.key = m.before->key;  // the key that a certificate may be on its way for
    if (knows_nobody(p)) {
      recall_anchors(p, m.before->anchors, t);
    }
  }
  p.pinned = p.vouched = m.vouched.has_value();
  if (m.vouched && m.vouched->session) {
    p.server_belief = m.vouched->server_belief;
    p.servers_met.push_back(p.server_belief);
    p.used = true;  // by whoever vouched
    const auto ticket = t.request(*m.vouched->session, request_to(p.server, p.plan->label, Operation::cacerts));
    return Next(Fetching{std::move(p), m.vouched->session, ticket});
  }
  if (knows_nobody(p)) {
    const auto ticket = t.open(p.server, Trust::provisional, {}, {});
    return Next(Meeting{std::move(p), ticket});
  }
  return Next(open_verified(std::move(p), t));
}

Result<OneOf<Client::Glimpsing, Client::Resting, Client::Failed>> Client::on(const Meeting& s,
                                                                             const Done<SessionRef>& d, Turn& t) const {
  using Next = OneOf<Glimpsing, Resting, Failed>;
  if (!d.answer) {
    return rest<Next>(s.p, Error{Fault::unreachable, kUnreachable}, {}, t);
  }
  // Nothing but this GET travels before a person has looked (RFC 7030 section 4.1.1).
  const auto ticket = t.request(**d.answer, request_to(s.p.server, s.p.plan->label, Operation::cacerts));
  return Next(Glimpsing{s.p, *d.answer, ticket});
}

Result<OneOf<Client::Confirming, Client::Resting, Client::Failed>> Client::on(const Glimpsing& s,
                                                                              const Done<Response>& d, Turn& t) const {
  using Next = OneOf<Confirming, Resting, Failed>;
  t.close(*s.tls);
  if (!d.answer) {
    return unanswered<Next>(s.p, d.answer.error(), t);
  }
  if (!holds(d.answer->status == 200)) {
    return Next(fail(Fault::refused, kCaCertificates, sentence_of(*d.answer)));
  }
  const auto bag = certificates_in(*d.answer);
  if (!bag) {
    return Next(fail(bag.error().fault, kCaBag));
  }
  const auto sorted = sort_ca_certificates(*bag, time_of(s.p, t));
  if (!sorted) {
    return Next(fail(sorted.error().fault, kCaBag));
  }
  const auto ticket = t.ask(ConfirmFingerprint{{sorted->root.fingerprint(), sorted->root}, s.p.server.authority()});
  return Next(Confirming{s.p, *bag, ticket});
}

Result<OneOf<Client::Opening, Client::Failed>> Client::on(const Confirming& s, const Done<Confirmed<Fingerprint>>& d,
                                                          Turn& t) const {
  using Next = OneOf<Opening, Failed>;
  if (!d.answer) {
    return Next(fail(d.answer.error().fault, kNotConfirmed));
  }
  const Certificate& root = (*d.answer)->of;
  Progress p = s.p;
  p.anchors = {root};
  Belief anchor{anchor_belief(root), Topic::anchor, root.subject.text + " is my owner's CA", root.not_after};
  if (p.plan->expected) {
    t.learn(std::move(anchor), Expected<Fingerprint>{*d.answer});
  } else {
    t.learn(std::move(anchor), *d.answer);
  }
  return Next(open_verified(std::move(p), t));
}

Result<Client::Opening> Client::on(const Waiting& s, const Timeout&, Turn& t) const { return open_verified(s.p, t); }

Result<OneOf<Client::Opening, Client::Meeting>> Client::on(const Resting& s, const Timeout&, Turn& t) const {
  using Next = OneOf<Opening, Meeting>;
  if (knows_nobody(s.p)) {
    const auto ticket = t.open(s.p.server, Trust::provisional, {}, {});
    return Next(Meeting{s.p, ticket});
  }
  return Next(open_verified(s.p, t));
}

}  // namespace imprint::est
