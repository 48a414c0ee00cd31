// A certificate's extensions by OID: those that Certificate does not name. Private to this folder.
#pragma once

#include <optional>
#include <string_view>

#include "crypto/x509.h"

namespace imprint::brski {

// The value of an extension, within the certificate's octets; none if it is not there. None is there twice:
// Certificate::parse refuses that (RFC 5280 section 4.2).
std::optional<BytesView> extension_in(const Certificate& certificate, std::string_view oid);

}  // namespace imprint::brski
