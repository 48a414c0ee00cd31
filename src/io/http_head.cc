#include "io/http_head.h"

#include <algorithm>

namespace imprint::io {
namespace {

constexpr std::size_t kFirstReserve = 512;

// Why this byte may not follow the previous one; empty if it may.
std::string_view wrong(std::uint8_t last, std::uint8_t byte) {
  if ((byte == '\n') != (last == '\r')) {
    return "a line end that is not CRLF";
  }
  if (last == '\n' && (byte == ' ' || byte == '\t')) {
    return "a folded header line";
  }
  if ((byte < 0x20 && byte != '\r' && byte != '\n' && byte != '\t') || byte == 0x7f) {
    return "a control character in the head";
  }
  return {};
}

bool ends_with_empty_line(BytesView bytes) {
  static constexpr std::string_view kEnd = "\r\n\r\n";
  return bytes.size() >= kEnd.size() && equal(bytes.last(kEnd.size()), view(kEnd));
}

}  // namespace

std::size_t HttpHead::take(BytesView in, std::size_t limit) {
  std::size_t used = 0;
  while (used < in.size() && !complete_ && !fault_) {
    const std::uint8_t byte = in[used++];
    const std::string_view why = wrong(bytes_.empty() ? std::uint8_t{0} : bytes_.back(), byte);
    if (!why.empty()) {
      fault_ = HttpRefusal{400, why};
    } else if (bytes_.size() >= limit) {
      fault_ = HttpRefusal{431, "the head is larger than we take"};
    } else {
      add(byte);
    }
    if (bytes_.size() == 2 && bytes_.back() == '\n') {
      clear();  // RFC 9112 section 2.2: an empty line before the first is skipped
    }
    complete_ = ends_with_empty_line(bytes_);
  }
  return used;
}

// Grows without leaving a copy behind.
void HttpHead::add(std::uint8_t byte) {
  if (bytes_.size() == bytes_.capacity()) {
    Bytes larger;
    larger.reserve(std::max(kFirstReserve, 2 * bytes_.size()));
    larger.assign(bytes_.begin(), bytes_.end());
    wipe(bytes_);
    bytes_ = std::move(larger);
  }
  bytes_.push_back(byte);
}

void HttpHead::clear() {
  wipe(bytes_);
  bytes_ = {};
  complete_ = false;
}

}  // namespace imprint::io
