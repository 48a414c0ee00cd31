#include "io/requests.h"

namespace imprint::io {

RequestServer::~RequestServer() = default;
RequestClient::~RequestClient() = default;

}  // namespace imprint::io
