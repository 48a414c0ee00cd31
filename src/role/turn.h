// A role's whole window on the world: one turn takes one input and leaves an ordered list of actions and a next state.
#pragma once

#include <cassert>
#include <concepts>
#include <variant>
#include <vector>

#include "base/instant.h"
#include "base/result.h"
#include "base/rng.h"
#include "role/proof.h"
#include "role/session.h"

namespace imprint {

// The next state of a transition that has several.
template <class... S>
using OneOf = std::variant<S...>;

// Somebody else's request to us: answered once, by reply().
struct Exchange {
  std::uint64_t id = 0;
  bool operator==(const Exchange&) const = default;
};

// Our own question, to a peer, the store, the policy, a signer or a person. Its answer comes back as one Done.
template <class Answer>
struct Ticket {
  std::uint64_t id = 0;
  bool operator==(const Ticket&) const = default;
};
template <class Answer>
struct Done {
  Ticket<Answer> ticket;
  Result<Answer> answer;  // unreachable, refused and expired are answers too
};

struct Gone {
  Exchange exchange;  // the asker left: nobody waits for this reply any more
};
struct Lost {
  std::uint64_t session = 0;  // a connection ended
};
struct Timeout {};   // the timer that was armed last
struct Restored {};  // the first input after a restart: the state came from the record

// The actions, in the words of Turn's verbs.
struct Reply {
  Exchange to;
  Response what;
};
struct SendRequest {
  std::uint64_t ticket = 0;
  std::uint64_t session = 0;
  Request what;
};
struct Open {
  std::uint64_t ticket = 0;
  Uri to;
  Trust trust = Trust::anchors;
  std::vector<Certificate> anchors;
  std::optional<Credential> as;
  bool names_anchors = false;     // the server is told by which CAs it will be judged
  bool judges_time = true;        // false: our clock does not count, and no certificate is too old or too young
  std::optional<Login> srp = {};  // in place of anchors and certificate: both sides prove this secret by TLS-SRP
};
struct Close {
  std::uint64_t session = 0;
};
template <class Q>
struct Ask {
  std::uint64_t ticket = 0;
  Q question;
};
template <class R>
struct Save {
  R record;
};
template <class F>
struct Note {
  F fact;
};
struct Arm {
  Duration delay{};
};
struct Learn {
  BeliefChange change;
};

template <class... Q>
struct Asks {};
template <class... R>
struct Records {};
template <class... F>
struct Facts {};

template <class A, class R, class F>
class TurnOf;

// A role lists what it may ask, save and note: what it did not list does not compile.
template <class... Q, class... R, class... F>
class TurnOf<Asks<Q...>, Records<R...>, Facts<F...>> {
 public:
  using Action = std::variant<Reply, SendRequest, Open, Close, Arm, Learn, Ask<Q>..., Save<R>..., Note<F>...>;

  TurnOf(Instant now, Rng& rng, std::uint64_t next_ticket) : now_(now), rng_(rng), next_(next_ticket) {}

  Instant now() const { return now_; }
  template <std::size_t N>
  std::array<std::uint8_t, N> random() {
    std::array<std::uint8_t, N> out{};
    rng_.fill(out);
    return out;
  }

  // Answers somebody's request. Everything saved or noted before is durable before it leaves.
  void reply(Exchange to, Response what) { leave(Reply{to, std::move(what)}); }
  // Asks the peer at the other end of a session.
  Ticket<Response> request(const Session& on, Request what) {
    leave(SendRequest{next_, on.id, std::move(what)});
    return {next_++};
  }
  // Opens a connection. `anchors` are those that the peer's chain must reach; with Trust::provisional they are ignored.
  Ticket<SessionRef> open(Uri to, Trust trust, std::vector<Certificate> anchors, std::optional<Credential> as,
                          bool names_anchors = false, bool judges_time = true) {
    leave(Open{next_, std::move(to), trust, std::move(anchors), std::move(as), names_anchors, judges_time});
    return {next_++};
  }
  // Opens a connection on which both sides prove this secret to each other, without certificates (TLS-SRP, RFC 5054).
  Ticket<SessionRef> open_by_secret(Uri to, Login login) {
    leave(Open{next_, std::move(to), Trust::anchors, {}, {}, false, true, std::move(login)});
    return {next_++};
  }
  void close(const Session& session) { leave(Close{session.id}); }
  // Asks the store, the policy, a signer or a person.
  template <class X>
  Ticket<typename X::Answer> ask(X question) {
    actions_.emplace_back(Ask<X>{next_, std::move(question)});
    return {next_++};
  }
#ifdef IMPRINT_MUTATE
  template <class X>
  void save(X record, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    keep(Save<X>{std::move(record)}, mutated(file, line));
  }
  template <class X>
  void note(X fact, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    keep(Note<X>{std::move(fact)}, mutated(file, line));
  }
#else
  // Writes the role's own record, durable before any later action leaves.
  template <class X>
  void save(X record) {
    keep(Save<X>{std::move(record)}, false);
  }
  // Writes a fact for everybody, in one transaction with its audit entry; durable like a save.
  template <class X>
  void note(X fact) {
    keep(Note<X>{std::move(fact)}, false);
  }
#endif
  // The role gets a Timeout after this delay; a later arm() replaces an earlier one.
  void arm(Duration delay) { actions_.emplace_back(Arm{delay}); }

  // States what the role has come to believe. `because` names the held beliefs that the proof stood on.
  template <Proof P>
  void learn(Belief belief, const P& proof, std::vector<std::string> because = {}) {
    change({Fate::learned, std::move(belief), ProofTraits<P>::kStrength, evidence(proof, std::move(because)), {}, {}});
  }
  template <Proof P>
  void replace(std::string old_id, Belief belief, const P& proof, std::vector<std::string> because = {}) {
    change({Fate::replaced,
            std::move(belief),
            ProofTraits<P>::kStrength,
            evidence(proof, std::move(because)),
            std::move(old_id),
            {}});
  }
  void forget(Belief belief, std::string why) {
    change({Fate::forgotten, std::move(belief), Strength::asserted, {}, {}, std::move(why)});
  }

  // The turn of a role inside this one: the same time and luck, and its tickets follow ours.
  template <class Inner>
  Inner nested() {
    return Inner(now_, rng_, next_);
  }
  // What the role inside left goes on as ours, in its order, but for what `wanted` says no to. Whatever it asks, saves
  // and notes has to be on our list as well.
  template <class Inner, class Wanted>
  void take(Inner inner, Wanted wanted) {
    next_ = inner.next_ticket();
    for (auto& action : inner.take_actions()) {
      std::visit(
          [&](auto&& one) {
            if (wanted(one)) {
              leave(Action(std::forward<decltype(one)>(one)));
            }
          },
          std::move(action));
    }
  }

  const std::vector<Action>& actions() const { return actions_; }
  // What `./dev mutate` still holds back is lost: the power went before it was written.
  std::vector<Action> take_actions() { return std::move(actions_); }
  std::uint64_t next_ticket() const { return next_; }

 private:
  template <Proof P>
  static Evidence evidence(const P& proof, std::vector<std::string> because) {
    return {ProofTraits<P>::kGround, std::string(ProofTraits<P>::kCheck), ProofTraits<P>::bytes(proof),
            std::move(because)};
  }
  void change(BeliefChange c) { actions_.emplace_back(Learn{std::move(c)}); }
  void leave(Action a) {
    actions_.push_back(std::move(a));
    release();
  }
  // `late`: `./dev mutate` holds this save back until after the next thing that leaves; a test must notice.
  void keep(Action a, bool late) { (late ? held_back_ : actions_).push_back(std::move(a)); }
  void release() {
    for (Action& a : held_back_) {
      actions_.push_back(std::move(a));
    }
    held_back_.clear();
  }

  Instant now_;
  Rng& rng_;
  std::uint64_t next_;
  std::vector<Action> actions_;
  std::vector<Action> held_back_;
};

}  // namespace imprint
