// Answers of several parts, as serverkeygen gives them: multipart/mixed (RFC 2046 section 5.1) over HTTP (RFC 7030
// section 4.4.2), multipart-core (RFC 8710) over CoAP (RFC 9148 section 4.8).
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

inline constexpr std::string_view kMultipartCore = "application/multipart-core";

// A CBOR array of Content-Format and bytes in turn, of the types that EST knows. internal: another type.
Result<Bytes> encode_multipart_core(const std::vector<Part>& parts);
// malformed: another structure, a part that is null, or bytes after it; unsupported: another Content-Format; limit:
// more than 8 parts.
Result<std::vector<Part>> parse_multipart_core(BytesView body);

}  // namespace imprint::est
