// Which announcements a person is told of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "codec/uri.h"

namespace imprint::app {

// Anybody on the link may announce new places without end: each is told once, and there is a last one.
class HeardLines {
 public:
  static constexpr std::size_t kMost = 128;
  enum class Word : std::uint8_t {
    known,  // it was told before, or nothing is told any more
    fresh,
    last,  // fresh, and nothing is told from here on
  };
  Word take(const Uri& at) {
    if (told_.size() >= kMost || !told_.insert(at.text()).second) {
      return Word::known;
    }
    return told_.size() == kMost ? Word::last : Word::fresh;
  }

 private:
  std::set<std::string> told_;
};

}  // namespace imprint::app
