#include "app/server.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/admin_api.h"
#include "app/api_access.h"
#include "app/catalogue_fetch.h"
#include "app/cli_rules.h"
#include "app/folder_changes.h"
#include "app/folder_lock.h"
#include "app/revocation_lists.h"
#include "app/status_server.h"
#include "app/worker.h"
#include "codec/json.h"
#include "crypto/random.h"
#include "io/descriptors.h"
#include "io/file.h"
#include "io/log.h"
#include "proto/brski/description.h"

namespace imprint::app {
namespace {

constexpr Duration kRefresh = std::chrono::seconds(2);
constexpr Duration kReadAgain = std::chrono::hours(1);     // though no file has changed: certificates come to their end
constexpr Duration kLookAgain = std::chrono::seconds(10);  // at the CA certificates upstream, when an unknown CA is met
constexpr Duration kRevocationListRefresh = std::chrono::hours(24);
constexpr Duration kSignAgain = std::chrono::minutes(1);  // a list of a CA of before, when it could not
constexpr std::size_t kReservedDescriptors = 64;          // for the store and for files
constexpr std::size_t kDescriptorsOfThread = 8;           // of its loop and its listener

std::uint32_t thread_count(const Config& config) {
  return config.threads != 0 ? config.threads : std::max(1U, std::thread::hardware_concurrency());
}

// What each thread may have of the process's descriptors: the store, files and the admin API need theirs whatever
// strangers open.
std::size_t connections_a_thread(const Config& config) {
  const std::size_t threads = thread_count(config);
  const std::size_t reserve = kReservedDescriptors + threads * kDescriptorsOfThread + AdminApi::kMaxConnections +
                              (config.status ? StatusServer::kMaxConnections : 0);
  const std::size_t limit = io::raise_descriptor_limit();
  const std::size_t out = io::connections_a_thread(config.max_connections, limit, reserve, threads);
  if (out < config.max_connections) {
    io::log(io::LogLevel::info, "server.fewer_connections",
            {{"wanted_each_thread", std::to_string(config.max_connections)},
             {"got_each_thread", std::to_string(out)},
             {"threads", std::to_string(threads)},
             {"descriptors", std::to_string(limit)},
             {"next", "raise the limit of open files (ulimit -Hn, LimitNOFILE=), or lower est.max_connections"}});
  }
  return out;
}

std::string host_in_uri(const std::string& address) {
  return address.find(':') == std::string::npos ? address : "[" + address + "]";
}

// Everything that was sealed or derived with it is of no use from then on, some of it in memory.
Error pepper_changed() {
  Error out{Fault::conflict, kDataPart};
  out.what = "data folder: pepper was replaced: start the server anew";
  return out;
}

class RunningServer final : public Server {
 public:
  Status start(const Config& config) {
    config_ = config;
    TRY(Ok{}, lock_.take(config.data));
    TRY(folder_, open_data_folder(config, now(), rng_));
    TRY(store_, open_store(config));
    hub_ = std::make_unique<Hub>(store_.get(), config.runs_keep);
    TRY(Ok{}, start_upstream());
    TRY(site_, make_site(config, folder_, *store_, now(), {upstream_, nonces_, keys_, nullptr}));
    tell_given(folder_);
    const std::size_t connections = connections_a_thread(config);
    Ports ports{config.est.port, config.coaps ? config.coaps->port : std::uint16_t{0},
                config.coaps_join ? config.coaps_join->port : std::uint16_t{0}};
    for (std::uint32_t i = 0; i < thread_count(config); ++i) {
      TRY(auto contexts, make_contexts(config, folder_, *store_));
      workers_.push_back(std::make_unique<Worker>(*store_, *hub_, site_));
      TRY(Ok{}, workers_.back()->listen(config, connections, ports, std::move(contexts)));
      ports = workers_.back()->ports();
    }
    TRY(Ok{}, start_api());
    TRY(Ok{}, start_status());
    for (const auto& worker : workers_) {
      worker->start();
    }
    refresh();
    keep_catalogues();
    control_thread_ = std::thread([this] { control_.run(); });
    upkeep_thread_ = std::thread([this] { upkeep_.run(); });
    return write_endpoints();
  }

  ~RunningServer() override { stop(Duration(0)); }

  std::uint16_t est_port() const override { return workers_.front()->ports().https; }
  std::uint16_t coaps_port() const override { return workers_.front()->ports().coaps; }
  std::uint16_t join_port() const override { return workers_.front()->ports().join; }
  std::uint16_t api_port() const override { return api_->port(); }
  std::uint16_t status_port() const override { return status_ ? status_->port() : std::uint16_t{0}; }
  store::Store& store() override { return *store_; }
  Hub& hub() override { return *hub_; }
  const DataFolder& folder() const override { return folder_; }

  Status reload(const Config& config) override {
    const std::scoped_lock upkeep(upkeep_mutex_);
    Config next = config;
    next.data = config_.data;
    next.upstream = config_.upstream;
    TRY(DataFolder folder, refresh_data_folder(next, *store_, now(), rng_));
    CHECK_OR(same(folder.pepper, folder_.pepper), pepper_changed());
    tell_unread(folder);
    TRY(auto administrators, administrators_of(next, folder));
    const bool keeper = next.registrar != config_.registrar || next.web_anchors != config_.web_anchors;
    TRY(Ok{}, apply(next, std::move(folder), std::move(administrators)));
    if (keeper) {
      keep_catalogues();
    }
    hub_->keep(next.runs_keep);
    io::log(io::LogLevel::info, "server.reloaded");
    return Ok{};
  }

  void stop(Duration grace) override {
    if (workers_.empty()) {
      return;
    }
    std::vector<std::promise<void>> done(workers_.size());
    if (control_thread_.joinable()) {
      for (std::size_t i = 0; i < workers_.size(); ++i) {
        workers_[i]->drain(grace, done[i]);
      }
      for (auto& d : done) {
        d.get_future().wait_for(grace + std::chrono::seconds(1));
      }
    }
    catalogues_.reset();
    // Before the threads that wait for it, and before the store: what it answers may be written there.
    if (upstream_) {
      upstream_->end();
    }
    if (control_thread_.joinable()) {
      upkeep_.stop();
      upkeep_thread_.join();
      control_.stop();
      control_thread_.join();
    }
    keys_->end();
    // What the store still owes its askers is told while their loops are there.
    const Status settled = store_->write([](store::Writer&) -> Status { return Ok{}; });
    if (!settled) {
      io::log(io::LogLevel::warning, "server.store", {{"why", settled.error().what}});
    }
    workers_.clear();
    status_.reset();
    api_.reset();
    std::error_code ignored;
    std::filesystem::remove(config_.data + "/endpoints.json", ignored);
  }

 private:
  Instant now() const { return control_.now(); }

  // As the configuration has it now. Of the thread that starts, reloads and stops.
  void keep_catalogues() {
    catalogues_.reset();
    if (config_.registrar) {
      catalogues_ = std::make_unique<CatalogueKeeper>(config_.data, config_.web_anchors, *store_);
    }
  }

  Config config_now() const {
    const std::scoped_lock lock(mutex_);
    return config_;
  }

  static void tell_unread(const DataFolder& folder) {
    for (const DataFolder::Unread& bad : folder.unread) {
      io::log(io::LogLevel::error, "data.unread", {{"file", bad.file}, {"why", bad.why}});
    }
  }

  // A gateway knows by itself which CA certificates its devices need, once the server upstream has said so.
  Status start_upstream() {
    if (!folder_.upstream) {
      return Ok{};
    }
    upstream_ = std::make_shared<UpstreamSigner>(folder_.upstream->site);
    upstream_->when_outdated([this] {
      if (!look_is_due_.exchange(true)) {  // one look for all who ask meanwhile
        upkeep_.post([this] { look_upstream(); });
      }
    });
    const auto fetched = fetch_upstream_ca();
    CHECK_OR(fetched || !folder_.upstream->ca.empty(), fetched.error());
    if (fetched) {
      folder_.upstream->ca = folder_.upstream->site.trust.issuers = *fetched;
      upstream_->take(folder_.upstream->site);
      upstream_->asked();
    }
    return Ok{};
  }

  // A change is put in force at once: what the new CA signs is handed on from now, and devices need its certificate.
  void look_upstream() {
    const auto fetched = io::steady_clock() - fetched_ > kLookAgain
                             ? fetch_upstream_ca()
                             : Result<std::vector<Certificate>>(Error{Fault::limit, "upstream: asked just now"});
    if (fetched) {
      look();
      const std::scoped_lock lock(mutex_);
      if (folder_.upstream && folder_.upstream->ca == *fetched) {
        upstream_->asked();
      }
    }
    look_is_due_ = false;
  }

  // What cannot be had now is had later: devices are given what was fetched before.
  Result<std::vector<Certificate>> fetch_upstream_ca() {
    const Config config = config_now();  // a reload may be at work
    auto ca = upstream_->ca_certificates();
    const Status kept = ca ? keep_upstream_ca(config, *ca) : Status(ca.error());
    fetched_ = io::steady_clock();  // at its end: what takes long leaves time for the rest
    if (!kept) {
      io::log(io::LogLevel::warning, "upstream.cacerts",
              {{"server", config.upstream.uri}, {"why", std::string(kept.error().what)}});
      return kept.error();
    }
    return ca;
  }

  // Devices that know only the owner's CA turn away from another one's certificate.
  static void tell_given(const DataFolder& folder) {
    if (folder.tls_given && !folder.upstream) {
      const Certificate& own = folder.tls_chain.front();
      io::log(io::LogLevel::warning, "tls.given",
              {{"file", folder.path + "/tls/chain.pem"},
               {"issuer", own.issuer.text},
               {"not_after", utc_text(own.not_after)}});
    }
  }

  Status start_status() {
    if (!config_.status) {
      return Ok{};
    }
    status_ = std::make_unique<StatusServer>(*store_, site_);
    if (const Status listening = status_->listen(config_.status->address, config_.status->port); !listening) {
      Error out{listening.error().fault, kListenStatus};
      out.what = listening.error().what;
      return out;
    }
    status_->start();
    return Ok{};
  }

  // New connections and requests see this from now on. With upkeep_mutex_ held: a CA's key in a token takes its time to
  // sign the list, and nobody else waits for that.
  Status apply(const Config& next, DataFolder folder, std::shared_ptr<const Administrators> administrators) {
    AdminApi::Access access{nullptr, administrators, next.names};
    if (config_.api_tls && (folder.tls_chain != folder_.tls_chain || next.tls12 != config_.tls12)) {
      TRY(access.tls, api_context(next, folder));  // a new one ends the connections of before
    }
    TRY(auto site, make_site(next, folder, *store_, now(), {upstream_, nonces_, keys_, site_}));
    std::vector<Contexts> contexts(workers_.size());
    for (std::size_t i = 0; i < workers_.size() && !same_contexts(config_, folder_, next, folder); ++i) {
      TRY(contexts[i], make_contexts(next, folder, *store_));
    }
    if (upstream_) {
      upstream_->take(folder.upstream->site);
    }
    administrators_ = std::move(administrators);
    api_->take(std::move(access));  // before a new CA gives anybody a certificate
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      workers_[i]->take(site, std::move(contexts[i]));
    }
    if (status_) {
      status_->take(site);
    }
    if (folder.tls_chain != folder_.tls_chain) {
      tell_given(folder);
    }
    const std::scoped_lock lock(mutex_);
    config_ = next;
    folder_ = std::move(folder);
    site_ = std::move(site);
    signed_ = now();
    return Ok{};
  }

  Status start_api() {
    TRY(administrators_, administrators_of(config_, folder_));
    AdminApi::Access access{nullptr, administrators_, config_.names};
    if (config_.api_tls) {
      TRY(access.tls, api_context(config_, folder_));
    }
    AdminApi::Site site;
    site.ca_pem = [this] {
      const std::scoped_lock lock(mutex_);
      std::string out;
      for (const Certificate& c : folder_.ca.chain()) {
        out += to_pem(c);
      }
      return out;
    };
    site.revocation_list = [this] {
      const std::scoped_lock lock(mutex_);
      return site_->revocation_list;
    };
    site.pepper = folder_.pepper;
    site.makers = [this] {
      const std::scoped_lock lock(mutex_);
      return folder_.masas;
    };
    site.registrar = [this] {
      const std::scoped_lock lock(mutex_);
      return site_->registrar ? std::string(as_text(brski::describe_registrar(site_->registrar->about, {}, now()).body))
                              : std::string();
    };
    site.gauges = [this] { return gauges(); };
    site.ready = [this] { return !workers_.empty(); };
    api_ = std::make_unique<AdminApi>(control_, *store_, *hub_, std::move(site), folder_.admin_token);
    if (const Status api = api_->listen(config_.api.address, config_.api.port, std::move(access)); !api) {
      Error out{api.error().fault, kListenApi};
      out.what = api.error().what;
      return out;
    }
    return Ok{};
  }

  std::map<std::string, double> gauges() const {
    std::map<std::string, double> out;
    const auto add = [&out](const char* name, std::uint64_t value) {
      out[std::string("imprint_") + name] += static_cast<double>(value);
    };
    for (const auto& worker : workers_) {
      const auto [https, coaps] = worker->stats();
      add("connections_accepted_total", https.accepted);
      add("connections_shed_total", https.shed);
      add("connections_open", https.open);
      add("handshakes_total", https.handshakes + coaps.dtls.handshakes);
      add("handshake_failures_total", https.handshake_failures + coaps.dtls.handshake_failures);
      add("requests_total", https.requests + coaps.requests);
      add("bad_requests_total", https.bad_requests);
      add("dtls_associations_accepted_total", coaps.dtls.accepted);
      add("dtls_associations_shed_total", coaps.dtls.shed);
      add("dtls_associations_open", coaps.dtls.open);
      add("dtls_cookies_total", coaps.dtls.cookies);
    }
    if (status_) {
      const StatusStats status = status_->stats();
      add("ocsp_requests_total", status.asked);
      add("ocsp_refused_total", status.refused);
      add("ocsp_answers_reused_total", status.kept);
      add("ocsp_answers_signed_total", status.signed_anew);
      add("ocsp_turned_away_total", status.turned_away);
    }
    return out;
  }

  // A CA of before could not sign: its token may be back. With upkeep_mutex_ held.
  bool list_is_late() const {
    return now() - signed_ > kSignAgain && std::ranges::any_of(site_->former, [this](const FormerCa& f) {
             return f.list_ends < site_->list_ends || f.revocation_list.empty();
           });
  }

  // Once for each trouble, not every two seconds. With upkeep_mutex_ held.
  void complain(const Error& error) {
    if (trouble_ != error.what) {
      io::log(io::LogLevel::error, "server.not_refreshed", {{"why", error.what}});
    }
    trouble_ = error.what;
  }

  // A folder that cannot be read must not hold back a revocation: then the one read before stays. With upkeep_mutex_
  // held.
  void refresh_from(const Sha256& revoked, std::string stamp) {
    auto read = refresh_data_folder(config_, *store_, now(), rng_);
    if (read && !same(read->pepper, folder_.pepper)) {
      read = pepper_changed();
    }
    if (read) {
      tell_unread(*read);
      stamp_ = std::move(stamp);
      read_ = now();
      trouble_ = {};
    } else {
      complain(read.error());
    }
    DataFolder folder = read ? *std::move(read) : folder_;
    const auto read_anew = administrators_of(config_, folder);
    if (!read_anew) {
      complain(read_anew.error());  // read again when one of the files changes
    }
    const auto administrators =
        read_anew ? *read_anew
                  : std::make_shared<const Administrators>(administrators_->beside(cas_of_devices(folder)));
    const bool changed = *administrators != *administrators_ || !same_to_devices(folder, folder_) ||
                         revoked != revoked_ || list_is_late() || now() - signed_ > kRevocationListRefresh;
    if (!changed) {
      return;
    }
    if (const Status applied = apply(config_, std::move(folder), administrators); !applied) {
      stamp_.clear();
      complain(applied.error());
      return;
    }
    revoked_ = revoked;
    io::log(io::LogLevel::info, "server.refreshed");
  }

  // The command line works on the same folder: a new maker, a revocation and an old list or certificate are noticed
  // here.
  void refresh() {
    look();
    upkeep_.after(kRefresh, [this] { refresh(); });
  }

  void look() {
    if (upstream_ && io::steady_clock() - fetched_ > kReadAgain) {
      static_cast<void>(fetch_upstream_ca());  // a change is found below, in its file
    }
    auto reader = store_->read();
    const auto revoked =
        reader ? (*reader)->revoked(least_end_on_list(now())) : Result<std::vector<Revoked>>(reader.error());
    const std::scoped_lock upkeep(upkeep_mutex_);
    if (revoked) {
      std::string stamp = stamp_of(config_);  // before the reading: a change meanwhile is found the next time
      const Sha256 digest = digest_of(*revoked);
      const bool due =
          stamp != stamp_ || list_is_late() || now() - read_ > kReadAgain || now() - signed_ > kRevocationListRefresh;
      if (due || digest != revoked_) {
        refresh_from(digest, std::move(stamp));
      }
    } else {
      complain(revoked.error());
    }
  }

  Status write_endpoints() const {
    Json out;
    const std::string host = host_in_uri(config_.est.address);
    out["est"] = "https://" + host + ":" + std::to_string(est_port());
    if (config_.coaps) {
      out["coaps"] = "coaps://" + host + ":" + std::to_string(coaps_port());
    }
    if (config_.coaps_join) {
      out["coaps_join"] = "jpy://" + host_in_uri(config_.coaps_join->address) + ":" + std::to_string(join_port());
    }
    if (status_) {
      out["status"] = "http://" + host_in_uri(config_.status->address) + ":" + std::to_string(status_port());
    }
    out["api"] = std::string(config_.api_tls ? "https://" : "http://") + host_in_uri(config_.api.address) + ":" +
                 std::to_string(api_port());
    out["pid"] = ::getpid();
    return io::write_file(config_.data + "/endpoints.json", view(out.dump() + "\n"));
  }

  Config config_;
  FolderLock lock_;  // let go last
  SystemRng rng_;
  DataFolder folder_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Hub> hub_;
  // Once the threads run: upkeep_mutex_ of whoever changes config_, folder_ and site_, or works with them for long;
  // mutex_ inside it for the moment of the change, and of whoever looks.
  std::mutex upkeep_mutex_;
  mutable std::mutex mutex_;
  std::shared_ptr<UpstreamSigner> upstream_;  // of a gateway
  std::atomic<bool> look_is_due_ = false;
  Instant fetched_;  // when its CA certificates were asked for, whatever came of it; by the steady clock
  std::shared_ptr<const EstSite> site_;
  const std::shared_ptr<site::NonceBook> nonces_ = std::make_shared<site::NonceBook>(random_secret(rng_, 32));
  const std::shared_ptr<KeyThread> keys_ = std::make_shared<KeyThread>();
  Sha256 revoked_ = digest_of({});  // digest of what the list on offer says
  Instant signed_;
  std::string stamp_;  // of the folder when it was last read
  Instant read_;
  std::string_view trouble_;  // told last
  io::Loop control_, upkeep_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<StatusServer> status_;  // none: not served
  std::unique_ptr<AdminApi> api_;
  std::shared_ptr<const Administrators> administrators_;  // with upkeep_mutex_ held
  std::unique_ptr<CatalogueKeeper> catalogues_;           // none: there is no registrar
  std::thread control_thread_, upkeep_thread_;
};

}  // namespace

Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::start(const Config& config) {
  auto out = std::make_unique<RunningServer>();
  TRY(Ok{}, out->start(config));
  return std::unique_ptr<Server>(std::move(out));
}

}  // namespace imprint::app
