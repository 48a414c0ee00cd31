// `imprint ca request` and `imprint ca install`.
#pragma once

#include "app/cli.h"

namespace imprint::app {

// Under the group `ca`.
void add_ca_request(Command ca);

}  // namespace imprint::app
