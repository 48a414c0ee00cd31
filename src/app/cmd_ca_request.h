// `imprint ca request`, `imprint ca install` and `imprint ca rollover`, and what they share.
#pragma once

#include "app/ca_folder.h"
#include "app/cli.h"
#include "app/folder_lock.h"

namespace imprint::app {

// Readers need no lock; two who change ca/ do. Ends what an earlier command did not.
OrProblem<Ok> lock_ca(FolderLock& lock, const std::string& data);

// Makes it the owner's CA, with an entry in the audit log, and says so.
OrProblem<Ok> take_ca(const Context& context, const Offline& data, const site::Ca& ca, const Crossing& crossing);

// Under the group `ca`.
void add_ca_request(Command ca);   // request, install
void add_ca_rollover(Command ca);  // rollover

}  // namespace imprint::app
