// Requests and responses in random pieces. The first byte chooses the reader, the second seeds the pieces.
#include <cstdlib>

#include "base/rng.h"
#include "io/http.h"

namespace {

using namespace imprint;
using namespace imprint::io;

constexpr HttpLimits kLimits{.header_bytes = 2048, .body_bytes = 2048};

// Gives all bytes to the parser, a few at a time, for as long as it takes them.
template <class Parser, class Take>
void feed_in_pieces(Parser& parser, BytesView in, std::uint8_t seed, Take take) {
  SeededRng rng(seed);
  while (!in.empty()) {
    const std::size_t used = parser.feed(in.first(std::min<std::size_t>(in.size(), 1 + rng.below(64))));
    in = in.subspan(used);
    if (!take(parser) && used == 0) {
      return;
    }
  }
}

bool take_request(HttpRequestParser& parser) {
  const auto request = parser.take();
  if (request && (request->body.size() > kLimits.body_bytes || request->path.empty())) {
    std::abort();
  }
  return request.has_value();
}

bool take_response(HttpResponseParser& parser) {
  const auto response = parser.take(Instant{});
  if (response && (response->body.size() > kLimits.body_bytes || response->status < 200)) {
    std::abort();
  }
  return response.has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) {
    return 0;
  }
  const BytesView in(data + 2, size - 2);
  if (data[0] % 2 == 0) {
    HttpRequestParser parser(kLimits);
    feed_in_pieces(parser, in, data[1], take_request);
  } else {
    HttpResponseParser parser(kLimits);
    feed_in_pieces(parser, in, data[1], take_response);
    parser.end();
    take_response(parser);
  }
  return 0;
}
