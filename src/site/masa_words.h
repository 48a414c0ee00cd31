// The words for makers' quirks in files, catalogues and on the screen.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/brski/questions.h"

namespace imprint::site {

std::string_view name(brski::SerialSource source);  // "subject", "hardware-module-name", "common-name"
std::optional<brski::SerialSource> serial_source_named(std::string_view name);
std::string_view name(
    brski::IssuerForm form);  // "octet-string", "authority-key-id", "key-id", "printed-name", "left-out"
std::optional<brski::IssuerForm> issuer_form_named(std::string_view name);

// Content types of CMS that makers read: "json-voucher" (RFC 8366 section 5.4) and "data" (what came before it).
std::optional<std::string> content_type_named(std::string_view name);
std::string_view content_type_name(std::string_view oid);  // the OID itself if it is another one

// What differs from RFC 8995, a line each: "serial number from hardware-module-name".
std::vector<std::string> in_words(const brski::Quirks& quirks);

}  // namespace imprint::site
