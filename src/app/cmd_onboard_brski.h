// `imprint onboard brski`, among the protocols of `imprint onboard`.
#pragma once

#include "app/cli.h"

namespace imprint::app {

void add_onboard_brski(Command protocols);

}  // namespace imprint::app
