// One input in, next state out; and the state table, read off a role's overloads.
#pragma once

#include "role/turn.h"

namespace imprint {

// Feeds one input to a role. An input without an overload for the current state is refused (unexpected); an answer to a
// question no longer asked, or news of a session no longer used, is stale. A refusal leaves state, disk and tickets as
// they were: the caller drops the turn, answers the exchange that came in, and writes the audit line.
template <class Role>
Result<typename Role::State> step(const Role& role, const typename Role::State& state,
                                  const typename Role::Input& input, typename Role::Turn& turn) {
  using State = typename Role::State;
  return std::visit(
      [&](const auto& s, const auto& i) -> Result<State> {
        if constexpr (requires { role.on(s, i, turn); }) {
          if constexpr (requires { s.awaits == i.ticket; }) {
            if (s.awaits != i.ticket) {
              return Error{Fault::stale, "answer to a question no longer asked"};
            }
          }
          if constexpr (requires { s.tls->id == i.session; }) {
            if (s.tls->id != i.session) {
              return Error{Fault::stale, "news of a session no longer used"};
            }
          }
          auto next = role.on(s, i, turn);
          if (!next) {
            return next.error();
          }
          if constexpr (std::constructible_from<State, decltype(*std::move(next))>) {
            return State(*std::move(next));
          } else {
            return std::visit([](auto&& one) { return State(std::forward<decltype(one)>(one)); }, *std::move(next));
          }
        } else {
          return Error{Fault::unexpected, "no such step in this state"};
        }
      },
      state, input);
}

// Whether a role has a transition for this input in this state: the protocol, checked at compile time.
template <class Role, class S, class I>
constexpr bool edge = requires(const Role& r, const S& s, const I& i, typename Role::Turn& t) {
  r.on(s, i, t);
};

}  // namespace imprint
