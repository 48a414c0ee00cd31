// One core's loop with its EST servers, on a thread of its own.
#pragma once

#include <future>
#include <mutex>
#include <optional>
#include <thread>

#include "app/config.h"
#include "app/data_folder.h"
#include "crypto/random.h"
#include "io/guard.h"
#include "io/loop.h"
#include "runtime/est_server.h"

namespace imprint::app {

// What the listeners present and whom they believe. dtls is null without est.coaps.
struct Contexts {
  std::shared_ptr<io::TlsContext> tls;
  std::shared_ptr<io::DtlsContext> dtls;
};
// The store must outlive them: users of TLS-SRP are looked up in it.
Result<Contexts> make_contexts(const Config& config, const DataFolder& folder, store::Store& store);
// Whether make_contexts() would make the same of both.
bool same_contexts(const Config& a, const DataFolder& in_a, const Config& b, const DataFolder& in_b);

struct Ports {
  std::uint16_t https = 0;
  std::uint16_t coaps = 0;  // 0: not served
  std::uint16_t join = 0;   // of est.coaps_join; 0: none
};

class Worker {
 public:
  Worker(store::Store& store, Journal& journal, std::shared_ptr<const EstSite> site)
      : site_(site),
        over_https_(loop_, store, rng_, journal, site),
        over_coaps_(loop_, store, rng_, journal, std::move(site)) {}
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  // SERVE-EST-LISTEN, SERVE-COAPS-LISTEN.
  Status listen(const Config& config, std::size_t connections, Ports ports, Contexts contexts);
  void start();
  Ports ports() const;
  // Later requests see this. Contexts are null if nothing in them has changed: new ones end the connections of before.
  void take(std::shared_ptr<const EstSite> site, Contexts contexts);
  // Takes nothing new; tells when all is answered or the grace is over.
  void drain(Duration grace, std::promise<void>& done);

  struct Stats {
    io::HttpsServerStats https;
    io::CoapsServerStats coaps;
  };
  Stats stats() const;  // of a second ago at most; from any thread

 private:
  void count();
  void take_site(std::shared_ptr<const EstSite> site);
  void serve_registrar();

  std::shared_ptr<const EstSite> site_;  // with the rules for what leaves
  io::Guard guard_;
  io::Loop loop_;
  SystemRng rng_;
  EstServer over_https_, over_coaps_;
  bool coaps_ = false;  // over_coaps_ listens
  unsigned draining_ = 0;
  mutable std::mutex mutex_;
  Stats stats_;
  std::thread thread_;
};

}  // namespace imprint::app
