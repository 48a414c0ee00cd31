// What the worlds of several protocols are made of: connections, parts that are shared between states, and names for
// the trace.
#pragma once

#include <algorithm>
#include <concepts>

#include "proto/est/client.h"
#include "role/step.h"
#include "role/table.h"
#include "sim/explore/explorer.h"
#include "store/memory/memory.h"

namespace imprint {

// A connection never changes, and its id is never used again: what else it holds follows from the way it was opened,
// and from the root that the owner had by then, which shows in the number of certificates.
inline void put_shared(Encoder& to, const Session& session) {
  to.put(session.id);
  to.put(session.trust);
  to.put(session.presented.size());
  to.put(session.proven.has_value());
  to.put(session.proven ? (*session.proven)->via.size() : 0U);
}

// The plan does not change during a run: no part of a state.
namespace est {
inline void put_shared(Encoder&, const Plan&) {}
}  // namespace est

// What decides nothing is no part of a state either: the audit log, counters of how often somebody asked, what is only
// told to people, and the request as it came.
template <>
inline Bytes encode_state(const store::Tables& tables) {
  Encoder to;
  to.put(tables.devices);
  to.put(tables.secrets);
  to.put(tables.certificates);
  to.put(tables.pending.size());
  for (const store::PendingRow& row : tables.pending) {
    to.put(row.what.request_key);
    to.put(row.state);
  }
  for (const PledgeRow& row : tables.pledges) {
    to.put(row.id);
    to.put(row.stage);
    to.put(row.request);
    to.put(row.voucher);
    to.put(row.vouchered.has_value());
    to.put(row.reported.has_value());
    to.put(row.enrolled.has_value());
    to.put(row.cleared);
    to.put(row.rule);
    to.put(row.log);
    to.put(row.held);
  }
  return std::move(to).bytes();
}

}  // namespace imprint

namespace imprint::explore {

inline constexpr Instant kNow{1'800'000'000'000};

template <class... F>
struct Cases : F... {
  using F::operator()...;
};
template <class... F>
Cases(F...) -> Cases<F...>;  // clang 14 deduces none for aggregates

template <class T, class... A>
bool is(const std::variant<A...>& v) {
  return std::holds_alternative<T>(v);
}

// "SendRequest /…/cacerts", "Save<Asked>": what an action is, for the trace.
template <class... A>
std::string action_name(const std::variant<A...>& action) {
  return std::visit(
      []<class T>(const T& one) {
        std::string out = type_name<T>();
        if constexpr (std::same_as<T, SendRequest>) {
          out += ' ' + one.what.path;
        } else if constexpr (std::same_as<T, Reply>) {
          out += ' ' + std::to_string(one.what.status);
        }
        return out;
      },
      action);
}

// The ticket that the state waits for; 0 if it waits for none.
template <class... S>
std::uint64_t awaited(const std::variant<S...>& state) {
  return std::visit(
      [](const auto& s) -> std::uint64_t {
        if constexpr (requires { s.awaits; }) {
          return s.awaits.id;
        } else {
          return 0;
        }
      },
      state);
}

// Puts the first save behind the next thing that leaves: the mistake that a power cut punishes.
template <class Saving, class Leaving, class Action>
void delay_saves(std::vector<Action>& actions) {
  const auto saves = std::ranges::find_if(actions, [](const Action& a) { return is<Saving>(a); });
  const auto leaves = std::find_if(saves, actions.end(), [](const Action& a) { return is<Leaving>(a); });
  if (leaves != actions.end()) {
    std::rotate(saves, saves + 1, leaves + 1);
  }
}

// A connection, with what is under way on it.
struct Wire {
  struct Sent {
    std::uint64_t ticket = 0;
    Request what;
  };
  struct Answer {
    std::uint64_t ticket = 0;
    Response what;
  };
  SessionRef client_side, server_side;
  bool client_open = true, server_open = true, cut = false;
  std::vector<Sent> requests;
  std::vector<Answer> answers;
  std::vector<std::uint64_t> unanswered;  // tickets of requests that the client waits for
};

// A part of the world that is taken out of its pool to be changed, and put back.
template <class T>
class Part {
 public:
  Part(Pool<T>& pool, std::uint32_t& id) : pool_(pool), id_(id) {}
  const T& operator*() const { return copy_ ? *copy_ : pool_[id_]; }
  const T* operator->() const { return &**this; }
  T& edit() {
    if (!copy_) {
      copy_ = pool_[id_];
    }
    return *copy_;
  }
  void set(T value) { copy_ = std::move(value); }
  void put_back() {
    if (copy_) {
      id_ = pool_.id(*std::exchange(copy_, std::nullopt));
    }
  }

 private:
  Pool<T>& pool_;
  std::uint32_t& id_;
  std::optional<T> copy_;
};

}  // namespace imprint::explore
