// A shared key in a file: what a device and its owner both hold, and keys made for the device travel under.
#pragma once

#include "app/command.h"
#include "model/shared_key.h"

namespace imprint::app {

// The file holds the key in hexadecimal or base64, or its identifier in hexadecimal and then the key with a blank
// between; `id` is needed if the file does not say it, and must be the same if it does.
OrProblem<SharedKey> read_wrap_key(const std::string& path, const std::string& id);

}  // namespace imprint::app
