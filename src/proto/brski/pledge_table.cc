// The pledge's transitions, dispatched: the one place that compiles them.
#include "proto/brski/pledge.h"

namespace imprint {

template Result<brski::Pledge::State> step(const brski::Pledge& role, const brski::Pledge::State& state,
                                           const brski::Pledge::Input& input, brski::Pledge::Turn& turn);

}  // namespace imprint
