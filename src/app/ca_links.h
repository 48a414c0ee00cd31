// From one root of the owner's to the next (RFC 4210 section 4.4, RFC 7030 section 4.1.3): certificates by which those
// who hold the one verify what is below the other. In ca/links.pem of the data folder.
#pragma once

#include <string>
#include <vector>

#include "base/rng.h"
#include "site/ca.h"

namespace imprint::app {

// What leads from the CA of before to the next one: NewWithOld if the old one is a root, OldWithNew if the new one is,
// as far as their roots have different keys.
Result<std::vector<Certificate>> make_links(const site::Ca& old, const site::Ca& next, Instant now, Rng& rng);

// Whether somebody who holds the root of before verifies what the next CA signs, when these are sent with it.
bool reaches(const site::Ca& old, const site::Ca& next, const std::vector<Certificate>& links, Instant now, Rng& rng);

// Adds them to the folder's, durably.
Status add_links(const std::string& data, const std::vector<Certificate>& links);

// Those that lead from this CA's root back to the roots of before it, one after the other: what TLS sends.
std::vector<Certificate> ca_links(const std::string& data, const site::Ca& ca);

// What else the list of CA certificates shows: the roots of before that the new one vouches for, and OldWithNew.
std::vector<Certificate> ca_history(const std::string& data, const site::Ca& ca);

}  // namespace imprint::app
