// Requests and responses in random pieces, and the header fields of HTTP Digest. The first byte chooses the reader, the
// second seeds the pieces.
#include <cstdlib>

#include "base/rng.h"
#include "io/http.h"
#include "role/digest.h"

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

// What of a line was understood is said again, and understood alike.
void read_authorization(std::string_view line) {
  const auto login = parse_digest(line, "POST", "/x");
  if (!login) {
    return;
  }
  const std::string text = digest_text(*login);
  const auto again = parse_digest(std::string_view(text).substr(std::string_view("Digest ").size()), "POST", "/x");
  if (!again || digest_text(*again) != text) {
    std::abort();
  }
}

void read_challenges(std::string_view lines) {
  std::vector<std::string> fields;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    fields.emplace_back(lines.substr(0, end));
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  (void)offers_basic(fields);
  const auto challenge = find_challenge(fields);
  if (challenge && find_challenge({challenge_text(*challenge)}) != challenge) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) {
    return 0;
  }
  const BytesView in(data + 2, size - 2);
  switch (data[0] % 4) {
    case 0: {
      HttpRequestParser parser(kLimits);
      feed_in_pieces(parser, in, data[1], take_request);
      break;
    }
    case 1: {
      HttpResponseParser parser(kLimits);
      feed_in_pieces(parser, in, data[1], take_response);
      parser.end();
      take_response(parser);
      break;
    }
    case 2:
      read_authorization(as_text(in));
      break;
    default:
      read_challenges(as_text(in));
      break;
  }
  return 0;
}
