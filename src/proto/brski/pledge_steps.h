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

// Who answers is whom the voucher on record pins: the device has its owner again, and tells it. That voucher is judged
// anew; its nonce was that of the device's request when it was kept. None: it does not hold, or is another one's.
std::optional<Pledge::Telling> recognise(Pledge::Progress& p, const SessionRef& tls, Pledge::Turn& t);

// How long the device rests after its n-th failure (1, 2, …), of all addresses or of the last report: doubling from 1 s
// to an hour (RFC 8995 section 4.1), with a jitter of up to a quarter drawn from `luck` (0..255).
Duration rest_after(std::uint32_t failures, std::uint8_t luck);

// Opens a connection to where p.at says.
Pledge::Opening open_at(Pledge::Progress p, Pledge::Turn& t);
// To the address that p.next says, with what was asked there if the answer was 202.
Pledge::Opening open_next(Pledge::Progress p, Pledge::Turn& t);
// Once more, with the owner's certificate, to tell that it is there.
Pledge::Returning come_back(Pledge::Progress p, Imprinted owner, est::Installed got, Pledge::Turn& t);

// How many addresses the plan has.
inline std::size_t places(const PledgePlan& plan) { return plan.registrars.size() + (plan.cloud ? 1 : 0); }
// Forgets this attempt; the next one in the plan's order is to be tried.
void leave_attempt(Pledge::Progress& p);
// From p.next on, the first whose time has come in this turn through the addresses; the number of places if none has.
std::size_t next_due(const Pledge::Progress& p, Instant now);
// The end of such a turn: how long it is until the next one.
Duration end_turn(Pledge::Progress& p, std::uint8_t luck, Instant now);

// The next address, or a rest after the last, or the end of it when all have failed too often.
template <class Next>
Next try_next(Pledge::Progress p, Pledge::Turn& t) {
  leave_attempt(p);
  p.next = next_due(p, t.now());
  if (p.next < places(*p.plan)) {
    return open_next(std::move(p), t);
  }
  p.next = 0;
  p.rounds += p.whole ? 1 : 0;
  if (!holds(!p.held.empty() || p.rounds < p.plan->rounds)) {
    return Pledge::Failed{p.last, p.detail};
  }
  t.arm(end_turn(p, t.random<1>()[0], t.now()));
  return Pledge::Resting{std::move(p)};
}

// This address came to nothing: the next one.
template <class Next>
Next go_on(Pledge::Progress p, Error why, std::string detail, Pledge::Turn& t) {
  forget_owner(p, t);
  p.last = why;
  p.detail = std::move(detail);
  return try_next<Next>(std::move(p), t);
}

// The anchor that a device knows its maker's MASA by, as a belief.
std::string voucher_anchor_belief(const Certificate& anchor);

}  // namespace imprint::brski::steps
