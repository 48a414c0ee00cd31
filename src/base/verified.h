// Proofs as types: a value that only the check which made it can make.
#pragma once

#include <utility>

namespace imprint {

// Whoever checks a T specialises Checker<T>, in one place, and only that class can make a Verified<T>.
template <class T>
struct Checker;

// A T whose check has succeeded. A function that takes a Verified<T> cannot be called with an unchecked T.
template <class T>
class Verified {
 public:
  const T& operator*() const { return value_; }
  const T* operator->() const { return &value_; }
  bool operator==(const Verified&) const = default;

 private:
  friend struct Checker<T>;
  explicit Verified(T value) : value_(std::move(value)) {}
  T value_;
};

}  // namespace imprint
