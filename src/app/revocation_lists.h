// The revocation lists of a site: of its CA, and of those of before.
#pragma once

#include <map>

#include "app/data_folder.h"

namespace imprint::app {

// Certificates whose time ended before this are on no list any more: they have been on one that was made after their
// end (RFC 5280 section 3.3).
Instant least_end_on_list(Instant now);

// What belongs on lists, by the DER of its issuer's name: not what another CA signed for a device of a gateway.
Result<std::map<Bytes, std::vector<Revoked>>> revoked_by_issuer(store::Reader& reader, const DataFolder& folder,
                                                                Instant now);

// Signs all of them anew, under one number above that of every one before. A CA with more revoked certificates than a
// list can have (200,000) has none, and neither has one of before that is over; one whose key cannot be had keeps its
// list from the site `before` (null: there was none). Both are logged.
Status add_lists(const DataFolder& folder, store::Store& store, Instant now, const EstSite* before, EstSite& out);

}  // namespace imprint::app
