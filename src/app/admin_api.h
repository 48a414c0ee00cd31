// The admin API: JSON over HTTP on loopback, for the command line, the console and scripts. openapi.cc describes it,
// drawn from the same table as the routing.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "app/administrators.h"
#include "app/hub.h"
#include "base/secret.h"
#include "io/loop.h"
#include "io/tls.h"
#include "store/store.h"

namespace imprint::app {

struct Makers;

class AdminApi {
 public:
  static constexpr std::size_t kMaxConnections = 128;

  // What only the program knows. All are called on the loop's thread, but for `ca_pem` and `revocation_list`.
  struct Site {
    std::function<std::string()> ca_pem;                    // the owner CA's chain, own certificate first
    std::function<Bytes()> revocation_list;                 // DER
    std::function<std::map<std::string, double>()> gauges;  // for /metrics
    std::function<bool()> ready;                            // all listeners are up
    Secret pepper;                                          // of the MACs under which the store knows secrets
    // Which MASA speaks for whom; empty or null: no makers are read.
    std::function<std::shared_ptr<const Makers>()> makers = {};
    std::function<std::string()> registrar = {};  // what it says of itself, JSON; empty: there is none
  };

  // Who may ask beside the bearer of the token, and how they get here.
  struct Access {
    std::shared_ptr<io::TlsContext> tls;  // that judges no certificate itself; none: plain HTTP
    std::shared_ptr<const Administrators> administrators;
    std::vector<std::string> names;  // hosts as which we are reached, beside loopback
  };

  // `token` is what askers present as bearer; it counts on loopback only. Loop, store and hub outlive the API.
  AdminApi(io::Loop& loop, store::Store& store, Hub& hub, Site site, Secret token);
  AdminApi(const AdminApi&) = delete;
  AdminApi& operator=(const AdminApi&) = delete;
  // On the loop's thread, or once the loop has stopped; waits for changes that are on their way to the disk.
  ~AdminApi();

  // Without TLS and administrators `address` is 127.0.0.0/8 or ::1, else Fault::refused. Beyond loopback only who has
  // an administrator's certificate gets anything. Port 0: any. Fault::conflict if the port is taken.
  Status listen(const std::string& address, std::uint16_t port, Access access = {});
  // Other administrators from now on, and, if it is there, another certificate of ours. Who is no administrator any
  // more loses the stream of events, too. From any thread.
  void take(Access access);
  std::uint16_t port() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace imprint::app
