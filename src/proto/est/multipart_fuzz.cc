// The parser of answers with several parts, and the openers of keys in them: whatever is read is bounded, and what is
// written again is read alike.
#include <cstdlib>

#include "proto/est/multipart.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace imprint;
  const BytesView in(data, size);
  if (const auto core = est::parse_multipart_core(in)) {
    const auto same = est::encode_multipart_core(*core);
    if (!same || *same != to_bytes(in)) {
      std::abort();  // the reader takes one form alone
    }
  }
  const std::string_view text = as_text(in);
  const auto line = text.find('\n');
  const auto parts =
      est::parse_multipart(text.substr(0, line), in.subspan(line == std::string_view::npos ? size : line));
  if (!parts) {
    return 0;
  }
  const auto again = est::parse_multipart(est::multipart_type(), est::encode_multipart(*parts));
  if (!again || again->size() != parts->size()) {
    std::abort();
  }
  return 0;
}
