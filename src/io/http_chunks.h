// The chunked transfer coding (RFC 9112 section 7.1).
#pragma once

#include "base/bytes.h"

namespace imprint::io {

// Takes a chunked body apart. Strict, unlike http_parser as Debian builds it, which takes any two bytes for the line
// ends: every line ends with CRLF, a size is 1 to 8 hexadecimal digits, extensions and trailers are skipped. The caller
// bounds the body and all that stands around it.
class HttpChunks {
 public:
  // Appends content to `body`; says how many bytes it used. Stops at the end, at a fault, or once `body` holds `limit`
  // bytes and more are to come (then too_large()).
  std::size_t take(BytesView in, Bytes& body, std::size_t limit);
  bool complete() const { return state_ == State::complete; }
  bool broken() const { return state_ == State::broken; }
  bool too_large() const { return too_large_; }

 private:
  enum class State : std::uint8_t {
    size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    line,
    trailer,
    trailer_lf,
    end_lf,
    complete,
    broken
  };

  void on_byte(std::uint8_t byte);
  void on_size(std::uint8_t byte);
  State expect(bool good, State next) const { return good ? next : State::broken; }

  State state_ = State::size;
  unsigned digits_ = 0;
  std::size_t left_ = 0;  // of the chunk
  bool too_large_ = false;
};

}  // namespace imprint::io
