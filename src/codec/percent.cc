#include "codec/percent.h"

#include "base/bytes.h"

namespace imprint {

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const std::optional<Bytes> byte = from_hex(text.substr(i + 1, 2));
    if (!byte || byte->size() != 1 || byte->front() < 0x20 || byte->front() == 0x7f) {
      return std::nullopt;
    }
    out.push_back(static_cast<char>(byte->front()));
    i += 2;
  }
  return out;
}

}  // namespace imprint
