// What the steps of the pledge share, whichever file they are in.
#pragma once

#include <string>
#include <utility>

#include "proto/brski/pledge.h"
#include "proto/brski/pledge_rules.h"
#include "proto/brski/wire.h"

namespace imprint::brski::steps {

inline constexpr std::size_t kMaxHops = 12;  // of the maker's default registrar, which may send on and on

inline Pledge::Failed fail(Fault fault, const Rule& rule, std::string detail = {}) {
  return {Error{fault, rule}, std::move(detail)};
}

// Whether this attempt goes by the binding of constrained devices (draft-ietf-anima-constrained-voucher).
inline bool by_coap(const Pledge::Progress& p) { return p.at.scheme == "coaps"; }
// The form of what is asked and answered in this attempt. Over CoAP there is one (section 6.2 of the draft).
inline Form form_of_attempt(const Pledge::Progress& p) { return by_coap(p) ? Form::cose : p.plan->form; }

// A request to a registrar; the base is what its address says, or the usual one.
Request request_to(const Uri& at, Operation operation, Bytes body, std::string type, std::string accept = {});
// What the device tells, in the form of its binding, and with the quirks of its plan.
Request telemetry_to(const PledgePlan& plan, const Uri& at, Operation operation, const Telemetry& telemetry);

// That the voucher is good, to the registrar of this attempt.
Request good_news(const Pledge::Progress& p);

// States a belief unless it is stated already.
template <Proof P>
void state(Pledge::Progress& p, Belief belief, const P& proof, std::vector<std::string> because, Pledge::Turn& t) {
  if (p.stated.insert(belief.id).second) {
    t.learn(std::move(belief), proof, std::move(because));
  }
}
// Takes back what a voucher of a former attempt had it believe.
void forget_owner(Pledge::Progress& p, Pledge::Turn& t);

// Opens a connection to where p.at says.
Pledge::Opening open_at(Pledge::Progress p, Pledge::Turn& t);
// To the address that p.next says.
Pledge::Opening open_next(Pledge::Progress p, Pledge::Turn& t);
// Once more, with the owner's certificate, to tell that it is there.
Pledge::Returning come_back(Pledge::Progress p, Imprinted owner, est::Installed got, Pledge::Turn& t);

// This address came to nothing: the next one, or a rest when all did, or the end of it.
template <class Next>
Next go_on(Pledge::Progress p, Error why, std::string detail, Pledge::Turn& t) {
  forget_owner(p, t);
  p.last = why;
  p.detail = std::move(detail);
  p.request.clear();
  p.nonce.reset();
  p.visited.clear();
  p.redirects = 0;
  p.next += 1;
  if (p.next < p.plan->registrars.size() + (p.plan->cloud ? 1 : 0)) {
    return open_next(std::move(p), t);
  }
  p.next = 0;
  p.rounds += 1;
  if (!holds(p.rounds < p.plan->rounds)) {
    return Pledge::Failed{p.last, p.detail};
  }
  t.arm(est::rest_after(p.rounds, t.random<1>()[0]));
  return Pledge::Resting{std::move(p)};
}

// The anchor that a device knows its maker's MASA by, as a belief.
std::string voucher_anchor_belief(const Certificate& anchor);

}  // namespace imprint::brski::steps
