// The parts of `imprint bench`.
#pragma once

#include "app/cli.h"

namespace imprint::app {

void add_bench_brski(Command bench);

}  // namespace imprint::app
