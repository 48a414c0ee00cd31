// Command lines that people paste into a shell.
#pragma once

#include <string>

namespace imprint::app {

// The text as one word of a shell: quoted, unless it is plain.
std::string shell_word(const std::string& text);

// A curl command that asks the admin API at `api` ("http://127.0.0.1:8480") for `path`, with the token of the data
// folder, or, beyond loopback, with the reader's own certificate. From any folder.
std::string api_curl(const std::string& data, const std::string& api, const std::string& path, bool by_token = true);

}  // namespace imprint::app
