// The devices of `imprint demo`, as they leave their factories: what they are born with, and what they are told.
#pragma once

#include "app/demo_street.h"
#include "app/fleet.h"
#include "app/server.h"

namespace imprint::app {

// Makes the devices of all parts, so that those of different parts take turns, and puts them into the owner's
// inventory. The makers are those of the street; devices of EST alone have a factory of their own, whose root the
// running server then takes. `config` is that of the server.
OrProblem<std::vector<FleetDevice>> make_demo_fleet(Server& server, const Config& config, const DemoStreet& street,
                                                    const std::vector<FleetPart>& parts, Rng& rng);

}  // namespace imprint::app
