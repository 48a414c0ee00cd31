// Runs one role: one input at a time, its actions in order, the next input only when they are done.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "role/step.h"
#include "role/table.h"

namespace imprint {

// What an engine needs of the world around it. `World` has
//   Instant now();  Rng& rng();
//   void perform(const Reply&), (const SendRequest&), (Open), (const Close&), (const Arm&), (const Learn&), (Ask<Q>) …
//   void keep(Save<R> or Note<F>, std::function<void(Status)> done): calls done once it is durable, or with why not
//   void entered(const State&, std::string_view name): after the actions of a turn
//   void refused(const Error&, const Input&): an input without effect
//   void acted(): a single action is done, a save durable; may call halt()
//   void broken(const Error&): a save failed; nothing after it has left, and the role takes no more inputs
template <class Role, class World>
class Engine {
 public:
  using State = typename Role::State;
  using Input = typename Role::Input;
  using Action = typename Role::Turn::Action;

  Engine(Role role, World& world, State start, std::uint64_t first_ticket = 1)
      : role_(std::move(role)), world_(world), state_(std::move(start)), next_ticket_(first_ticket) {}
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const State& state() const { return state_; }
  bool idle() const { return actions_.empty() && inputs_.empty() && !waiting_; }

  // The power is cut: nothing more leaves, and no input is taken.
  void halt() {
    broken_ = true;
    actions_.clear();
    inputs_.clear();
  }

  // Takes an input now, or as soon as the actions of the turn before are done.
  void feed(Input input) {
    if (broken_) {
      return;
    }
    inputs_.push_back(std::move(input));
    if (!running_) {
      pump();
    }
  }

 private:
  void pump() {
    running_ = true;
    while (!broken_ && !waiting_) {
      if (!actions_.empty()) {
        Action action = std::move(actions_.front());
        actions_.pop_front();
        std::visit([this](auto&& a) { this->act(std::forward<decltype(a)>(a)); }, std::move(action));
      } else if (entered_) {
        entered_ = false;
        world_.entered(state_, state_name<Role>(state_));
      } else if (!inputs_.empty()) {
        Input input = std::move(inputs_.front());
        inputs_.pop_front();
        take(input);
      } else {
        break;
      }
    }
    running_ = false;
  }

  void take(const Input& input) {
    typename Role::Turn turn(world_.now(), world_.rng(), next_ticket_);
    auto next = step(role_, state_, input, turn);
    if (!next) {
      world_.refused(next.error(), input);
      return;
    }
    next_ticket_ = turn.next_ticket();
    state_ = *std::move(next);
    for (Action& a : turn.take_actions()) {
      actions_.push_back(std::move(a));
    }
    entered_ = true;
  }

  template <class R>
  void act(Save<R> save) {
    keep(std::move(save));
  }
  template <class F>
  void act(Note<F> note) {
    keep(std::move(note));
  }
  template <class A>
  void act(A action) {
    world_.perform(std::move(action));
    world_.acted();
  }

  template <class K>
  void keep(K what) {
    waiting_ = true;
    world_.keep(std::move(what), [this](const Status& kept) {
      waiting_ = false;
      if (broken_) {
        return;
      }
      if (!kept) {
        halt();
        world_.broken(kept.error());
        return;
      }
      world_.acted();
      if (!running_) {
        pump();
      }
    });
  }

  Role role_;
  World& world_;
  State state_;
  std::uint64_t next_ticket_;
  std::deque<Action> actions_;
  std::deque<Input> inputs_;
  bool running_ = false, waiting_ = false, entered_ = false, broken_ = false;
};

}  // namespace imprint
