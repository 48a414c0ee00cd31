// Who gets to the admin API, from the configuration and the data folder.
#pragma once

#include <memory>

#include "app/administrators.h"
#include "app/data_folder.h"
#include "io/tls.h"

namespace imprint::app {

// The CAs below which devices have their certificates: the makers', the owner's of now and of before with all above
// them, and those of the server upstream.
std::vector<Certificate> cas_of_devices(const DataFolder& folder);

// The administrators by certificate; the CAs of devices are not taken for theirs. SERVE-ADMINISTRATORS.
Result<std::shared_ptr<const Administrators>> administrators_of(const Config& config, const DataFolder& folder);

// What the listener presents; it takes every client certificate, so that the API can say what is wrong with one.
Result<std::shared_ptr<io::TlsContext>> api_context(const Config& config, const DataFolder& folder);

}  // namespace imprint::app
