#include "coap/formats.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace imprint::coap {
namespace {

struct Row {
  std::uint16_t number;
  std::string_view media_type;
};
// RFC 7252; RFC 8710 (62); RFC 9148 (280 to 287); draft-ietf-anima-rfc8366bis (836).
constexpr std::array kRows{Row{0, "text/plain; charset=utf-8"},
                           Row{40, "application/link-format"},
                           Row{42, "application/octet-stream"},
                           Row{50, "application/json"},
                           Row{60, "application/cbor"},
                           Row{62, "application/multipart-core"},
                           Row{280, "application/pkcs7-mime; smime-type=server-generated-key"},
                           Row{281, "application/pkcs7-mime; smime-type=certs-only"},
                           Row{284, "application/pkcs8"},
                           Row{285, "application/csrattrs"},
                           Row{286, "application/pkcs10"},
                           Row{287, "application/pkix-cert"},
                           Row{836, "application/voucher+cose"}};

}  // namespace

std::optional<std::uint16_t> format_number(std::string_view media_type) {
  if (const auto* const row = std::ranges::find(kRows, media_type, &Row::media_type); row != kRows.end()) {
    return row->number;
  }
  std::uint16_t number = 0;
  const char* const end = media_type.data() + media_type.size();
  const auto [stop, error] = std::from_chars(media_type.data(), end, number);
  return error == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

std::string media_type(std::uint16_t format) {
  const auto* const row = std::ranges::find(kRows, format, &Row::number);
  return row != kRows.end() ? std::string(row->media_type) : std::to_string(format);
}

}  // namespace imprint::coap
