// What `imprint serve` tells the networks that brski.announce names.
#pragma once

#include "app/command.h"
#include "app/server.h"
#include "runtime/registrar_voice.h"

namespace imprint::app {

using Voices = std::vector<std::unique_ptr<RegistrarVoice>>;

// Begins on `loop`, which may not run yet; the end of a voice is its good-bye. `rng` stays. Nothing without
// brski.announce. BRSKI-DISCOVERY-INTERFACE if there is no such interface.
OrProblem<Voices> announce(io::Loop& loop, Rng& rng, const Config& config, const Server& server);

// What is wrong with brski.announce beside the other keys; nothing if it is good.
std::optional<std::string> check_announce(const Config& config);

// The name of this machine.
std::string host_name();

}  // namespace imprint::app
