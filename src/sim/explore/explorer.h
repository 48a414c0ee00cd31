// Breadth-first search over a world of real roles: every state that its moves can reach, each looked at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "crypto_toy/toy.h"
#include "role/encode.h"

namespace imprint::explore {

// 64 bits that stand for the bytes. Among 10^7 different values two fall together with a probability of 3 in 10^6.
inline std::uint64_t fingerprint(BytesView bytes) { return toy::hash64(bytes); }

// Values of one type, each held once and named by a number: a world is then a few numbers, quick to copy and compare.
template <class T>
class Pool {
 public:
  std::uint32_t id(T value) {
    const auto [at, fresh] =
        ids_.try_emplace(fingerprint(encode_state(value)), static_cast<std::uint32_t>(values_.size()));
    if (fresh) {
      values_.push_back(std::move(value));
    }
    return at->second;
  }
  const T& operator[](std::uint32_t id) const { return values_[id]; }
  std::size_t size() const { return values_.size(); }

 private:
  std::unordered_map<std::uint64_t, std::uint32_t> ids_;
  std::deque<T> values_;
};

struct Report {
  std::size_t states = 0, transitions = 0, stuck = 0;
  std::size_t succeeded = 0;  // states in which the run has ended well: none means that nothing was shown
  bool complete = true;       // false: the limit of states was reached
  double seconds = 0;
  std::string violation;           // the first one found; empty: none
  std::vector<std::string> trace;  // the steps to the violation, or to the first stuck state
};

// The search over one kind of world. `World` is a plain value with
//   Key key() const                     equal for equal states; std::hash works on it
//   bool finished() const               the run has ended, well or with a reported failure
//   bool succeeded() const              … well
// and `rules.moves(world, emit)` calls emit(next, label, fault, violation) for each thing that can happen next, where
// `fault` says that the world could as well have spared us, and `violation` says what must never be.
template <class World, class Rules>
class Explorer {
 public:
  Explorer(Rules& rules, std::size_t max_states) : rules_(rules), max_states_(max_states) {}

  Report run(const World& start) {
    const auto begun = std::chrono::steady_clock::now();
    add(start, 0, "start", true);
    for (std::size_t i = 0; i < worlds_.size() && report_.violation.empty(); ++i) {
      const World here = worlds_[i];
      rules_.moves(here, [&](const World& next, std::string_view label, bool fault, std::string_view violation) {
        if (!report_.violation.empty()) {
          return;
        }
        add(next, static_cast<std::uint32_t>(i), label, fault);
        ++report_.transitions;
        if (!violation.empty()) {
          report_.violation = violation;
          report_.trace = trace(static_cast<std::uint32_t>(i));
          report_.trace.emplace_back(label);
        }
      });
      if (worlds_.size() > max_states_) {
        report_.complete = false;
        break;
      }
    }
    report_.states = worlds_.size();
    if (report_.violation.empty() && report_.complete) {
      find_stuck();
    }
    report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    return std::move(report_);
  }

 private:
  struct From {
    std::uint32_t parent, label;
  };

  void add(const World& world, std::uint32_t parent, std::string_view label, bool fault) {
    const auto [at, fresh] = ids_.try_emplace(world.key(), static_cast<std::uint32_t>(worlds_.size()));
    if (fresh) {
      worlds_.push_back(world);
      report_.succeeded += world.succeeded() ? 1 : 0;
      from_.push_back({parent, label_id(label)});
    }
    if (!fault) {
      edges_.push_back({parent, at->second});
    }
  }

  std::uint32_t label_id(std::string_view label) {
    const auto [at, fresh] = label_ids_.try_emplace(std::string(label), static_cast<std::uint32_t>(labels_.size()));
    if (fresh) {
      labels_.emplace_back(label);
    }
    return at->second;
  }

  std::vector<std::string> trace(std::uint32_t at) const {
    std::vector<std::string> out;
    for (; at != 0; at = from_[at].parent) {
      out.insert(out.begin(), labels_[from_[at].label]);
    }
    return out;
  }

  // Which states can no longer finish even if nothing goes wrong any more: backwards from those that have.
  void find_stuck() {
    std::vector<std::uint32_t> first(worlds_.size() + 1, 0);  // edges sorted by target, in one array
    for (const Edge& e : edges_) {
      ++first[e.to + 1];
    }
    for (std::size_t i = 1; i < first.size(); ++i) {
      first[i] += first[i - 1];
    }
    std::vector<std::uint32_t> parents(edges_.size());
    std::vector<std::uint32_t> fill(first.begin(), first.end() - 1);
    for (const Edge& e : edges_) {
      parents[fill[e.to]++] = e.from;
    }
    std::vector<bool> good(worlds_.size(), false);
    std::deque<std::uint32_t> todo;
    for (std::uint32_t i = 0; i < worlds_.size(); ++i) {
      if (worlds_[i].finished()) {
        good[i] = true;
        todo.push_back(i);
      }
    }
    for (; !todo.empty(); todo.pop_front()) {
      for (std::uint32_t k = first[todo.front()]; k < first[todo.front() + 1]; ++k) {
        if (!good[parents[k]]) {
          good[parents[k]] = true;
          todo.push_back(parents[k]);
        }
      }
    }
    for (std::uint32_t i = 0; i < worlds_.size(); ++i) {
      if (!good[i] && report_.stuck++ == 0) {
        report_.trace = trace(i);
      }
    }
  }

  struct Edge {
    std::uint32_t from, to;
  };
  struct Hash {
    std::size_t operator()(const typename World::Key& key) const {
      std::uint64_t h = 0;
      for (const auto part : key) {
        h = (h ^ part) * 0x9e3779b97f4a7c15U;
        h ^= h >> 29U;
      }
      return h;
    }
  };

  Rules& rules_;
  std::size_t max_states_;
  Report report_;
  std::deque<World> worlds_;
  std::vector<From> from_;
  std::vector<Edge> edges_;
  std::unordered_map<typename World::Key, std::uint32_t, Hash> ids_;
  std::unordered_map<std::string, std::uint32_t> label_ids_;
  std::vector<std::string> labels_;
};

}  // namespace imprint::explore
