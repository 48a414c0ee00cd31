// Content-Formats: the numbers that CoAP has for media types (IANA, CoRE Parameters; RFC 7252 section 12.3).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace imprint::coap {

// The number of a media type as HTTP writes it, parameters in the form of the table; nothing if it has none. A bare
// number in decimal stands for itself.
std::optional<std::uint16_t> format_number(std::string_view media_type);

// "application/pkcs10" for 286; the number in decimal if it is not in the table.
std::string media_type(std::uint16_t format);

}  // namespace imprint::coap
