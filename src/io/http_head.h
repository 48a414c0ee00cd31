// The head of an HTTP message (RFC 9112 sections 2 to 5), collected byte by byte until it is whole.
#pragma once

#include "io/http.h"

namespace imprint::io {

// Takes the bytes up to and with the empty line, and refuses on the way what parsers are known to read in different
// ways: line ends other than CRLF, folded lines, control characters. Its memory is wiped, since passwords come in
// heads.
class HttpHead {
 public:
  HttpHead() = default;
  HttpHead(const HttpHead&) = delete;
  HttpHead& operator=(const HttpHead&) = delete;
  ~HttpHead() { clear(); }

  // Says how many bytes it used; stops at the end of the head or at a fault.
  std::size_t take(BytesView in, std::size_t limit);
  bool complete() const { return complete_; }
  const std::optional<HttpRefusal>& fault() const { return fault_; }
  bool empty() const { return bytes_.empty(); }
  BytesView bytes() const { return bytes_; }
  void clear();

 private:
  void add(std::uint8_t byte);

  Bytes bytes_;
  bool complete_ = false;
  std::optional<HttpRefusal> fault_;
};

}  // namespace imprint::io
