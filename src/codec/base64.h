// Base64 of RFC 4648: section 4, and section 5 as JOSE writes it.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace imprint {

// One unbroken line with padding.
std::string base64(BytesView bytes);

// Lines of 64 characters, each ended by LF: the form that every EST peer takes (RFC 8951 section 3.1 leaves it open).
std::string base64_lines(BytesView bytes);

// Skips space, tab, CR and LF anywhere; any line length; padding may be missing. Anything else is malformed, and so are
// bits left over that are not zero.
Result<Bytes> parse_base64(std::string_view text);

// The alphabet for URLs, without padding (RFC 7515 section 2).
std::string base64url(BytesView bytes);

// Strict: padding, blanks and the other alphabet's characters are malformed too.
Result<Bytes> parse_base64url(std::string_view text);

}  // namespace imprint
