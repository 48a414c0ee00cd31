// From one root of the owner's to the next (RFC 4210 section 4.4, RFC 7030 section 4.1.3): certificates by which those
// who hold the one verify what is below the other.
#pragma once

#include <vector>

#include "base/rng.h"
#include "site/ca.h"

namespace imprint::site {

// What leads from the CA of before to the next one: NewWithOld if the old one is a root, OldWithNew if the new one is,
// as far as their roots have different keys.
Result<std::vector<Certificate>> make_links(const Ca& old, const Ca& next, Instant now, Rng& rng);

// Whether somebody who holds the root of before verifies what the next CA signs, when these are sent with it.
bool reaches(const Ca& old, const Ca& next, const std::vector<Certificate>& links, Instant now, Rng& rng);

}  // namespace imprint::site
