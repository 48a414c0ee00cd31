// Where relying parties learn what a certificate is worth: OCSP (RFC 6960) and the revocation list, over plain HTTP, on
// a thread of its own. What is signed needs no protected channel, and it is signed on a second thread: neither the
// threads of EST nor that of the admin API wait for strangers' questions.
#pragma once

#include <memory>
#include <string>

#include "base/rng.h"
#include "runtime/est_server.h"

namespace imprint::app {

// Counted since the start.
struct StatusStats {
  std::uint64_t asked = 0, refused = 0, kept = 0, signed_anew = 0, turned_away = 0;
};

class StatusServer {
 public:
  static constexpr std::size_t kMaxConnections = 1024;
  static constexpr std::string_view kOcspPath = "/ocsp", kListPath = "/crl";  // and /crl/ID

  // The store outlives the server.
  StatusServer(store::Store& store, std::shared_ptr<const EstSite> site);
  StatusServer(const StatusServer&) = delete;
  StatusServer& operator=(const StatusServer&) = delete;
  ~StatusServer();  // ends both threads; questions under way are not answered

  // Fault::conflict if the port is taken. Port 0: any.
  Status listen(const std::string& address, std::uint16_t port);
  void start();
  std::uint16_t port() const;
  // Later questions see this: another CA, another list. From any thread.
  void take(std::shared_ptr<const EstSite> site);
  StatusStats stats() const;  // from any thread

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace imprint::app
