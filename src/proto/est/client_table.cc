// The client's transitions, dispatched: the one place that compiles them.
#include "proto/est/client.h"

namespace imprint {

template Result<est::Client::State> step(const est::Client& role, const est::Client::State& state,
                                         const est::Client::Input& input, est::Client::Turn& turn);

}  // namespace imprint
