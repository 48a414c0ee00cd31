// What BRSKI's device has found, in words: for the timeline of a run.
#pragma once

#include <string>

#include "proto/brski/pledge.h"
#include "runtime/est_words.h"

namespace imprint {

// What a pledge has found on its way into this state. `status` is that of the last answer, 0 without one; `delay` is
// how long it waits or rests.
std::string pledge_words(const brski::Pledge::State& state, int status, Duration delay);

}  // namespace imprint
