// Outgoing HTTPS connections of one loop: a session first, then requests on it, never a hidden reconnect.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "io/guard.h"
#include "io/loop.h"
#include "io/requests.h"

namespace imprint::io {

struct HttpsClientOptions {
  Duration connect_timeout{10000};
  Duration request_timeout{30000};
  std::size_t max_response_bytes = 256 * 1024;
};

class HttpsClient : public RequestClient {
 public:
  // Finds the private key that a Credential names.
  using Keys = std::function<Result<PrivateKey>(const std::string& key_id)>;
  // On TLS 1.3 the peer judges our certificate after this side is done: its refusal shows as `lost`, with the alert in
  // the words of the waiting request's error.
  static std::unique_ptr<HttpsClient> make(Loop& loop, const Guard& guard, HttpsClientOptions options, Keys keys,
                                           std::function<void(std::uint64_t session)> lost);
  HttpsClient() = default;
  ~HttpsClient() override;
};

}  // namespace imprint::io
