// A root over a key that is there already, in a file or a token.
#pragma once

#include "site/ca.h"

namespace imprint::site {

// As make_root() of site/ca.h, for this key.
Result<Ca> make_root(PrivateKey key, const Name& name, Instant now, Duration lifetime, Rng& rng);

}  // namespace imprint::site
