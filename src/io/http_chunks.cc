#include "io/http_chunks.h"

#include <algorithm>

namespace imprint::io {
namespace {

constexpr unsigned kMaxDigits = 8;
constexpr unsigned kNoDigit = 16;

unsigned hex_digit(std::uint8_t c) {
  if (c >= '0' && c <= '9') {
    return c - unsigned{'0'};
  }
  const unsigned lower = c | 0x20U;
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10U : kNoDigit;
}

bool plain(std::uint8_t c) { return c == '\t' || (c >= 0x20 && c != 0x7f); }

}  // namespace

std::size_t HttpChunks::take(BytesView in, Bytes& body, std::size_t limit) {
  std::size_t used = 0;
  while (used < in.size() && !complete() && !broken() && !too_large_) {
    if (state_ != State::data) {
      on_byte(in[used++]);
      too_large_ = state_ == State::data && left_ > limit - std::min(limit, body.size());
      continue;
    }
    const BytesView part = in.subspan(used, std::min(left_, in.size() - used));
    body.insert(body.end(), part.begin(), part.end());
    used += part.size();
    left_ -= part.size();
    state_ = left_ == 0 ? State::data_cr : State::data;
  }
  return used;
}

void HttpChunks::on_byte(std::uint8_t byte) {
  switch (state_) {
    case State::size:
      return on_size(byte);
    case State::extension:
      state_ = byte == '\r' ? State::size_lf : expect(plain(byte), State::extension);
      return;
    case State::size_lf:
      state_ = expect(byte == '\n', left_ == 0 ? State::line : State::data);
      return;
    case State::data_cr:
      state_ = expect(byte == '\r', State::data_lf);
      return;
    case State::data_lf:
      state_ = expect(byte == '\n', State::size);
      digits_ = 0;
      return;
    case State::line:
      state_ = byte == '\r' ? State::end_lf : expect(plain(byte), State::trailer);
      return;
    case State::trailer:
      state_ = byte == '\r' ? State::trailer_lf : expect(plain(byte), State::trailer);
      return;
    case State::trailer_lf:
      state_ = expect(byte == '\n', State::line);
      return;
    case State::end_lf:
      state_ = expect(byte == '\n', State::complete);
      return;
    case State::data:
    case State::complete:
    case State::broken:
      return;
  }
}

void HttpChunks::on_size(std::uint8_t byte) {
  const unsigned digit = hex_digit(byte);
  if (digit != kNoDigit) {
    left_ = digits_ == 0 ? digit : left_ * 16 + digit;
    state_ = expect(++digits_ <= kMaxDigits, State::size);
  } else if (byte == '\r') {
    state_ = expect(digits_ > 0, State::size_lf);
  } else {
    state_ = expect(digits_ > 0 && (byte == ';' || byte == ' ' || byte == '\t'), State::extension);
  }
}

}  // namespace imprint::io
