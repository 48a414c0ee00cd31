// The owner's name for a device that comes unknown (docs/decisions/0006-a-makers-names-are-claims.md).
#pragma once

#include <string>
#include <string_view>

namespace imprint::site {

// "lamp-0001-5f2c8d3e9a1b7c04": the serial number of its IDevID, for people, and 16 digits of its identity
// (identity_of), so that no maker can choose the id of another device, nor of one that the owner has yet to take in.
// Of the serial number at most 40 octets; what is neither letter, digit nor '_' becomes '-', so that the id is one
// label of a DNS name. Without a serial number "x509-" stands before the digits.
std::string newcomer_id(std::string_view serial, std::string_view identity);

// Whether a device of this id was named so, by this program or by one of before, which said "x509-" of all.
bool is_newcomer_id(std::string_view id, std::string_view serial, std::string_view identity);

}  // namespace imprint::site
