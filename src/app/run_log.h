// What of a run stands in the log of the program, beside timeline and audit log: a device that got no further.
#pragma once

#include "model/run.h"

namespace imprint::app {

// A line for a device of the registrar (BRSKI) that was refused, by whom and why (brski.refused), that is held
// (brski.held), or whose MASA did not answer (brski.failed). None for who has proven nothing: strangers must not be
// able to fill a disk. From any thread.
void log_run(const Run& run);

}  // namespace imprint::app
