// The running program: loops, EST servers, admin API, store and journal, from start to graceful stop.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "app/config.h"
#include "app/data_folder.h"
#include "app/hub.h"

namespace imprint::app {

class Server {
 public:
  // Opens the data folder and the store and listens. DATA-IN-USE if another server works on the folder;
  // SERVE-EST-LISTEN and SERVE-API-LISTEN, SERVE-STATUS-LISTEN (Fault::conflict if the port is taken).
  static Result<std::unique_ptr<Server>> start(const Config& config);
  Server() = default;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  virtual ~Server();  // drains and stops

  virtual std::uint16_t est_port() const = 0;
  virtual std::uint16_t coaps_port() const = 0;  // 0: not served
  virtual std::uint16_t join_port() const = 0;   // for stateless join proxies; 0: not served
  virtual std::uint16_t api_port() const = 0;
  virtual std::uint16_t status_port() const = 0;  // of OCSP and the list; 0: not served
  virtual store::Store& store() = 0;
  virtual Hub& hub() = 0;
  virtual const DataFolder& folder() const = 0;
  // Takes a new configuration (SIGHUP): site, policy, profiles, TLS certificate. All or nothing; listeners, threads and
  // data folder need a restart: see keys_for_restart().
  virtual Status reload(const Config& config) = 0;
  // Answers what is under way, for at most `grace`, then ends all threads.
  virtual void stop(Duration grace) = 0;
};

}  // namespace imprint::app
