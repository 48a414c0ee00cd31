// A device's own run as a file beside its certificate: what it came to believe, and why, for `imprint compare --run`.
#pragma once

#include "app/command.h"
#include "model/run.h"

namespace imprint::app {

// The name of the file in a device's folder.
inline constexpr std::string_view kRunFile = "run.json";

// Writes the run, at once and 0600. It holds what was public on the wire and what the device believes; no secrets.
Status write_run(const std::string& path, const Run& run);

// Reads it back: CLI-FILE if it cannot be read, CLI-CONTENT if it is no run.
OrProblem<Run> read_run(const std::string& path);

// Whether a file is there that write_run() did not write.
bool foreign_run_file(const std::string& path);

}  // namespace imprint::app
