// The schema, as the numbered steps that made it.
#pragma once

#include "store/sqlite/database.h"

namespace imprint::store {

// Brings the database to this program's schema in one transaction. PRAGMA user_version counts the steps taken; a
// database of a newer program is refused with Fault::unsupported and left as it is.
Status migrate(Database& database);

}  // namespace imprint::store
