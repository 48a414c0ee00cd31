// What the command's exit code says.
#pragma once

#include "base/result.h"

namespace imprint::app {

// The same for every subcommand; docs/guide.md lists them.
enum class ExitCode : std::uint8_t {
  ok = 0,
  failed = 1,      // anything that has no code of its own
  usage = 2,       // the command line or the configuration is wrong
  refused = 3,     // by policy
  misbehaved = 4,  // the peer, or what it sent, does not hold
  timeout = 5,
  not_found = 6,
  conflict = 7,  // it exists already, or somebody else changed it first
};

// The one place that maps errors to exit codes.
ExitCode exit_code(const Error& error);

}  // namespace imprint::app
