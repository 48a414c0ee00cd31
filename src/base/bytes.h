// Byte strings: how they are passed (views in, vectors out) and their text forms.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace imprint {

using Bytes = std::vector<std::uint8_t>;
using BytesView = std::span<const std::uint8_t>;

// The bytes of a text, without a terminator. The view lives as long as the text does.
BytesView view(std::string_view text);

// A copy of the bytes.
Bytes to_bytes(BytesView bytes);
Bytes to_bytes(std::string_view text);

// The bytes read as text, whatever they are: no check for UTF-8 is made.
std::string_view as_text(BytesView bytes);

// Byte by byte equality. Not constant time: for secrets there is Secret and same().
bool equal(BytesView a, BytesView b);

// Lower-case hexadecimal without separators.
std::string hex(BytesView bytes);

// Hexadecimal in pairs joined by colons, upper case, as people compare fingerprints ("AB:CD:…").
std::string fingerprint_text(BytesView bytes);

// The bytes of a hexadecimal text; colons and spaces between pairs are skipped. Nothing if anything else is found.
std::optional<Bytes> from_hex(std::string_view text);

}  // namespace imprint
