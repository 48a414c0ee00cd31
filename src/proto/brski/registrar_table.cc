// The registrar's transitions, dispatched: the one place that compiles them.
#include "proto/brski/registrar.h"

namespace imprint {

template Result<brski::Registrar::State> step(const brski::Registrar& role, const brski::Registrar::State& state,
                                              const brski::Registrar::Input& input, brski::Registrar::Turn& turn);

}  // namespace imprint
