// What BRSKI's device has found, in words: for the timeline of a run.
#pragma once

#include <string>

#include "proto/brski/pledge.h"
#include "runtime/est_words.h"

namespace imprint {

// What a pledge has found on its way into this state. `status` is that of the last answer, 0 without one; `delay` is
// how long it waits or rests.
std::string pledge_words(const brski::Pledge::State& state, int status, Duration delay);

// What a person has to do so that a device goes on that was told to come again; empty in any other state. `device` is
// its id at the owner's.
std::string pledge_waits_for(const brski::Pledge::State& state, const std::string& device);

}  // namespace imprint
