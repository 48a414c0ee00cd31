// What a call gives back when it may fail, and the three control-flow words that every role uses:
// TRY, CHECK_OR and holds. Each CHECK_OR and holds() is a switch that `./dev mutate` turns off.
#pragma once

#include <cassert>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace imprint {

// Why an input was refused, in the coarse terms that a binding maps to its wire's own codes.
enum class Fault : std::uint8_t {
  malformed,    // the bytes are not what their format says
  unexpected,   // a good message at the wrong time
  unauthentic,  // a signature, MAC, password or chain that does not hold
  unsupported,  // we do not do this
  refused,      // policy says no
  expired,      // too early or too late
  stale,        // an answer to a question that is no longer asked
  unreachable,  // the other party, a disk or a signer did not answer
  limit,        // too much, too large, too often
  conflict,     // somebody else changed it first, or it exists already
  internal,     // ours
};

std::string_view name(Fault fault);

// A rule of a specification or of ours that an input can break. Rules are constants with static storage; their ids are
// stable and documented (docs/errors.md is printed from them).
struct Rule {
  std::string_view id;      // "EST-CSR-POSSESSION"
  std::string_view what;    // one sentence: what was found
  std::string_view source;  // "RFC 7030 section 4.2.1", or "ours: docs/threats.md"
  std::string_view next;    // what the reader can do about it
};

struct Error {
  Fault fault = Fault::internal;
  std::string_view what;  // static text: the field or check, "csr: signature"
  const Rule* rule = nullptr;

  Error(Fault f, std::string_view w) : fault(f), what(w) {}
  Error(Fault f, const Rule& r) : fault(f), what(r.what), rule(&r) {}
  bool operator==(const Error&) const = default;
};

// A value or the reason why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  using Value = T;

  Result(Error error) : v_(std::in_place_index<0>, error) {}  // NOLINT(google-explicit-constructor): `return Error{…}`
  template <class U>
  requires(std::constructible_from<T, U> && !std::same_as<std::remove_cvref_t<U>, Error> &&
           !std::same_as<std::remove_cvref_t<U>, Result>)
      Result(U&& value)  // NOLINT(google-explicit-constructor): `return value`
      : v_(std::in_place_index<1>, std::forward<U>(value)) {}

  explicit operator bool() const { return v_.index() == 1; }
  const T& operator*() const& {
    assert(*this);
    return *std::get_if<1>(&v_);
  }
  T& operator*() & {
    assert(*this);
    return *std::get_if<1>(&v_);
  }
  T operator*() && {  // by value: a reference into a temporary would dangle in `for (x : *f())`
    assert(*this);
    return std::move(*std::get_if<1>(&v_));
  }
  const T* operator->() const { return &**this; }
  T* operator->() { return &**this; }
  const Error& error() const {
    assert(!*this);
    return *std::get_if<0>(&v_);
  }
  bool operator==(const Result&) const = default;

 private:
  std::variant<Error, T> v_;
};

// Success without a value.
struct Ok {
  bool operator==(const Ok&) const = default;
};
using Status = Result<Ok>;

// holds(condition) marks a check whose refusal is a transition of its own: `if (!holds(cond)) { … }`.
#ifdef IMPRINT_MUTATE
// Whether the switch at this place is the one that IMPRINT_MUTATE_AT=file:line names. Counts every place it meets.
// The file and line are those of the caller; not every supported compiler has std::source_location.
bool mutated(const char* file, int line);
inline bool holds(bool condition, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  return mutated(file, line) || condition;
}
#else
inline bool holds(bool condition) { return condition; }
#endif

#define IMPRINT_CAT2(a, b) a##b
#define IMPRINT_CAT(a, b) IMPRINT_CAT2(a, b)

// TRY(auto x, f()): x is the value of f(), or the function returns f()'s error.
#define TRY(decl, expr)                         \
  auto IMPRINT_CAT(try_, __LINE__) = (expr);    \
  if (!IMPRINT_CAT(try_, __LINE__)) {           \
    return IMPRINT_CAT(try_, __LINE__).error(); \
  }                                             \
  decl = *std::move(IMPRINT_CAT(try_, __LINE__))

// CHECK_OR(condition, error): goes on only if the condition holds.
#define CHECK_OR(cond, ...)                         \
  if (!::imprint::holds(static_cast<bool>(cond))) { \
    return __VA_ARGS__;                             \
  }

}  // namespace imprint
