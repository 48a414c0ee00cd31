// multipart/mixed (RFC 2046 section 5.1), as serverkeygen answers over HTTP (RFC 7030 section 4.4.2).
#pragma once

#include "role/session.h"

namespace imprint::est {

// The content type of what encode_multipart() makes, with its boundary.
std::string multipart_type();
// Each part as base64 in lines of 64, with Content-Type and Content-Transfer-Encoding, which some readers insist on.
Bytes encode_multipart(const std::vector<Part>& parts);

// The parts, in the order sent; preamble, epilogue and headers other than Content-Type are passed over. Lines may end
// in CRLF or LF. Bodies are as sent: mostly base64. Bounded: 128 KiB, 8 parts, 16 headers a part.
Result<std::vector<Part>> parse_multipart(std::string_view content_type, BytesView body);

}  // namespace imprint::est
