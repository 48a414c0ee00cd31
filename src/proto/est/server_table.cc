// The server's transitions, dispatched: the one place that compiles them.
#include "proto/est/server.h"

namespace imprint {

template Result<est::Server::State> step(const est::Server& role, const est::Server::State& state,
                                         const est::Server::Input& input, est::Server::Turn& turn);

}  // namespace imprint
