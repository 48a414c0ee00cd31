// What an IDevID says of its maker's MASA (RFC 8995 section 2.3.2), and of the device itself: with the quirks of
// makers.
#pragma once

#include "proto/brski/questions.h"

namespace imprint::brski {

inline constexpr Rule kMasaAddress{
    "BRSKI-MASA-ADDRESS", "the device names an address of its MASA that cannot be used", "RFC 8995 section 2.3.2",
    "ask the maker where its MASA is, and write it into a file of makers/ with override = true"};

// The base of the paths of a MASA whose address is an authority alone.
inline constexpr std::string_view kMasaBase = "/.well-known/brski", kOldMasaBase = "/.well-known/est";

// The text of the MASA URL extension: "masa.example:9443", or a URI. None: there is no such extension, or it holds no
// IA5String of 1 to 1,024 visible characters, or it is there twice. names_masa() tells the first from the others.
std::optional<std::string> masa_authority(const Certificate& idevid);

// The URL that such a text means, always https: without a slash it is HOST[:PORT], and the base is kMasaBase; with one
// it is a URI, whose scheme does not count, or HOST/BASE. Its path has no slash at its end. Faults: malformed, limit;
// refused (user, query, fragment, a path with "." or ".."). All BRSKI-MASA-ADDRESS.
Result<Uri> masa_url(std::string_view authority);

// The serial number by which the maker knows the device; empty if the IDevID has none there. An hwSerialNum (RFC 4108
// section 5) of visible ASCII is taken as text, any other in lower-case hexadecimal. At most 256 octets: more is none.
std::string serial_of(const Certificate& idevid, SerialSource source);

// hwType of the hardwareModuleName among the alternative names, dotted; empty if there is none.
std::string hardware_module_type(const Certificate& idevid);

// idevid-issuer as a registrar writes it; empty: the leaf is left out. An IDevID without an authority key identifier
// gets one made from its own key (draft-ietf-anima-rfc8366bis section 7.3).
Bytes idevid_issuer(const Certificate& idevid, IssuerForm form);

}  // namespace imprint::brski
