// The parts of `imprint maker`, and what they share.
#pragma once

#include "app/cli.h"
#include "app/makers.h"

namespace imprint::app {

// The maker's file in the data folder, or MAKER-UNKNOWN; MAKER-FILE if it is wrong.
OrProblem<MakerFile> find_maker(const std::string& data, const std::string& name);

void add_maker_commands(Command top);
void add_maker_test(Command maker);
void add_maker_catalogue(Command maker);

}  // namespace imprint::app
