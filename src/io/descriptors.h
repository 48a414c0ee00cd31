// How many files and sockets the process may hold.
#pragma once

#include <cstddef>

namespace imprint::io {

// Raises the process's limit (RLIMIT_NOFILE) as far as the system lets it, and says how many descriptors it may hold.
std::size_t raise_descriptor_limit();

// How many connections each of `threads` may have, at least 1: as many as wanted, if `reserve` descriptors remain of
// `limit`. What is reserved is for the store, for files and for listeners.
std::size_t connections_a_thread(std::size_t wanted, std::size_t limit, std::size_t reserve, std::size_t threads);

}  // namespace imprint::io
