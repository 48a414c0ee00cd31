#include "app/worker.h"

#include <algorithm>

#include "app/ca_former.h"
#include "app/cli_rules.h"
#include "app/registrar_parts.h"
#include "io/any_client.h"
#include "io/dtls_openssl.h"
#include "runtime/join_paths.h"

namespace imprint::app {
namespace {

// The error of a listener, under the rule that names its key.
Status listening(const Status& done, const Rule& rule) {
  if (done) {
    return Ok{};
  }
  Error out{done.error().fault, rule};
  out.what = done.error().what;
  return out;
}

Status listen_coaps(EstServer& server, io::Loop& loop, const Config& config, const Ports& ports,
                    std::shared_ptr<io::DtlsContext> dtls) {
  io::CoapsServerOptions options;
  options.listen.address = config.coaps->address;
  options.listen.port = ports.coaps;
  options.listen.reuse_port = true;
  options.listen.dtls = std::move(dtls);
  if (config.coaps_join) {
    options.listen.wrapped = io::DtlsWrapped{ports.join, jpy_envelope()};
  }
  options.listen.max_associations = config.max_associations;
  options.listen.max_of_one = config.associations_per_certificate;
  options.coap.max_body_bytes = config.max_body_bytes;
  return server.listen(loop, std::move(options));
}

}  // namespace

Result<Contexts> make_contexts(const Config& config, const DataFolder& folder, store::Store& store) {
  std::vector<Certificate> anchors = folder.makers;
  anchors.push_back(folder.ca.certificate);  // no CA above it: what its siblings sign is not ours
  std::ranges::copy(former_cas(folder.path), std::back_inserter(anchors));
  if (folder.upstream) {
    std::ranges::copy(cas_upstream(*folder.upstream), std::back_inserter(anchors));
  }
  Contexts out;
  io::TlsServerOptions tls;
  tls.chain = folder.tls_chain;
  tls.key = folder.tls_key;
  tls.anchors = anchors;
  tls.allow_tls12 = config.tls12;
  if (config.accept_expired_idevid) {
    tls.expired_counts_below = folder.makers;
  }
  if (config.srp) {
    tls.find_srp = [&store, pepper = folder.pepper](const std::string& user) -> Result<SrpSecret> {
      TRY(const auto reader, store.read());
      return site::find_srp(pepper, *reader, user);
    };
  }
  TRY(out.tls, io::TlsContext::server(tls));
  if (config.coaps) {
    io::DtlsServerOptions dtls;
    dtls.chain = tls.chain;
    dtls.key = tls.key;
    dtls.anchors = std::move(anchors);
    dtls.expired_counts_below = tls.expired_counts_below;
    dtls.mtu = config.coaps_join ? io::kWrappedMtu : io::kDtlsMtu;
    TRY(out.dtls, io::openssl_dtls_server(dtls));
  }
  return out;
}

bool same_contexts(const Config& a, const DataFolder& in_a, const Config& b, const DataFolder& in_b) {
  return in_a.tls_chain == in_b.tls_chain && in_a.makers == in_b.makers && in_a.ca.chain() == in_b.ca.chain() &&
         same_upstream(in_a.upstream, in_b.upstream) && a.accept_expired_idevid == b.accept_expired_idevid &&
         a.tls12 == b.tls12 && a.srp == b.srp && a.coaps_join.has_value() == b.coaps_join.has_value();
}

Worker::~Worker() {
  loop_.stop();
  if (thread_.joinable()) {
    thread_.join();
  }
}

Status Worker::listen(const Config& config, std::size_t connections, Ports ports, Contexts contexts) {
  io::HttpsServerOptions options;
  options.address = config.est.address;
  options.port = ports.https;
  options.reuse_port = true;
  options.tls = std::move(contexts.tls);
  options.max_body_bytes = config.max_body_bytes;
  options.max_connections = connections;
  TRY(Ok{}, listening(over_https_.listen(loop_, std::move(options)), kListenEst));
  coaps_ = config.coaps.has_value();
  if (coaps_) {
    TRY(Ok{}, listening(listen_coaps(over_coaps_, loop_, config, ports, std::move(contexts.dtls)), kListenCoaps));
  }
  serve_registrar();
  return Ok{};
}

// An address in a device's certificate comes from outside; what the operator wrote may be anywhere.
void Worker::take_site(std::shared_ptr<const EstSite> site) {
  site_ = std::move(site);
  guard_ = io::Guard{};
  for (const Uri& masa : site_->registrar ? site_->registrar->masas : std::vector<Uri>{}) {
    guard_.allow(masa);
  }
}

void Worker::serve_registrar() {
  take_site(site_);
  for (EstServer* const server : {&over_https_, &over_coaps_}) {
    server->serve_registrar(io::make_any_client(
        loop_, guard_, rng_, [this](const std::string& id) { return masa_key(*site_, id); }, [](std::uint64_t) {}));
  }
}

void Worker::start() {
  count();
  thread_ = std::thread([this] { loop_.run(); });
}

Ports Worker::ports() const {
  return coaps_ ? Ports{over_https_.port(), over_coaps_.port(), over_coaps_.wrapped_port()}
                : Ports{over_https_.port(), 0, 0};
}

void Worker::take(std::shared_ptr<const EstSite> site, Contexts contexts) {
  loop_.post([this, site = std::move(site), contexts = std::move(contexts)] {
    take_site(site);
    over_https_.set_site(site);
    over_coaps_.set_site(site);
    if (contexts.tls) {
      over_https_.set_tls(contexts.tls);
    }
    if (coaps_ && contexts.dtls) {
      over_coaps_.set_dtls(contexts.dtls);
    }
  });
}

void Worker::drain(Duration grace, std::promise<void>& done) {
  loop_.post([this, grace, &done] {
    draining_ = coaps_ ? 2 : 1;
    const auto one_done = [this, &done] {
      if (--draining_ == 0) {
        done.set_value();
      }
    };
    over_https_.drain(grace, one_done);
    if (coaps_) {
      over_coaps_.drain(grace, one_done);
    }
  });
}

Worker::Stats Worker::stats() const {
  const std::scoped_lock lock(mutex_);
  return stats_;
}

void Worker::count() {
  {
    const std::scoped_lock lock(mutex_);
    stats_.https = over_https_.stats();
    if (coaps_) {
      stats_.coaps = over_coaps_.coaps_stats();
    }
  }
  loop_.after(std::chrono::seconds(1), [this] { count(); });
}

}  // namespace imprint::app
