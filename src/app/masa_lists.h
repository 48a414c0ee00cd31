// The revocation lists of customers' domains, for a MASA (RFC 8995 section 5.5.3: whether a registrar's certificate is
// revoked). A person or a job of the maker's puts them into the folder lists/; nothing is fetched.
#pragma once

#include <string>
#include <vector>

#include "app/command.h"
#include "crypto/revocation_list.h"
#include "store/maker/maker_store.h"

namespace imprint::app {

// Reads lists/*.crl, DER or PEM. Who signed one is a customer's certificate on record, or one in lists/*.pem. No
// folder: no lists. MASA-LIST: one of them cannot be read, or nobody known has signed it; the file is named.
OrProblem<std::vector<RevocationList>> masa_lists(const std::string& folder, store::MakerStore& store);

}  // namespace imprint::app
