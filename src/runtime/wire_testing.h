// A site and devices over real TLS on loopback, in one process: for tests.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "crypto/cms.h"
#include "crypto/random.h"
#include "runtime/est_device.h"
#include "runtime/est_server.h"

namespace imprint {

inline constexpr Duration kYear = std::chrono::hours(24 * 365);

// Keeps what the server tells while it happens.
class Kept final : public Journal {
 public:
  struct Told {
    std::string device, rule;  // as known by then
    RunStep step;
  };
  void step(const Run& run, const RunStep& step) override { steps.push_back({run.device, run.rule, step}); }
  void ended(const Run& run) override { runs.push_back(run); }
  std::vector<Told> steps;
  std::vector<Run> runs;
};

// A site and a device on one loop.
class Wire : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("imprint-wire-" + hex(random_secret(rng_, 8).expose()));
    std::filesystem::create_directories(folder_);
    store_ = *store::open_sqlite((folder_ / "db").string());
    const Instant now = loop_.now();
    site_ = std::make_shared<EstSite>();
    site_->ca = *site::make_root(KeyType::p256, *Name::from_text("CN=Owner"), now, kYear * 10, rng_);
    maker_ = *site::make_root(KeyType::p256, *Name::from_text("CN=Maker"), now, kYear * 30, rng_);
    site_->policy.profiles[""] = {};
    site_->policy.owner_anchors = {site_->ca.certificate};
    site_->policy.pepper = random_secret(rng_, 32);
    site_->est.labels[""].ca_certificates = encode_certs_only({site_->ca.certificate.der});
    guard_.allow_loopback();
  }
  void TearDown() override {
    server_.reset();
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  void listen(io::HttpsServerOptions options = {}, FindSrpSecret find_srp = {}) {
    io::TlsServerOptions tls;
    tls.key = *PrivateKey::generate(KeyType::p256);
    tls.chain = {*site::issue_server(site_->ca, tls.key.public_key(), {*GeneralName::from_text("ip:127.0.0.1")},
                                     loop_.now(), kYear, rng_)};
    tls.anchors = {site_->ca.certificate, maker_.certificate};
    tls.find_srp = std::move(find_srp);
    server_ = std::make_unique<EstServer>(loop_, *store_, rng_, journal_, site_);
    options.tls = *io::TlsContext::server(tls);
    ASSERT_TRUE(server_->listen(loop_, std::move(options)));
  }

  std::shared_ptr<est::Plan> plan_for(const std::string& id) {
    auto plan = std::make_shared<est::Plan>();
    plan->server = *Uri::parse("https://127.0.0.1:" + std::to_string(server_->port()));
    plan->explicit_anchors = {site_->ca.certificate};
    plan->names.subject = *Name::from_text("CN=" + id);
    return plan;
  }

  Credential idevid(const std::string& id, MemoryStorage& storage) {
    const PrivateKey key = *PrivateKey::generate(KeyType::p256);
    storage.add_key("idevid", key);
    Grant grant;
    grant.names.subject = *Name::from_text("CN=" + id);
    grant.spki = key.public_key().spki;
    grant.lifetime = kYear;
    return {"idevid", {*Certificate::parse(*site::issue(maker_, grant, loop_.now(), rng_))}};
  }

  void register_device(const std::string& id, const Certificate* idevid) {
    Device device;
    device.id = id;
    if (idevid != nullptr) {
      device.identities = {identity_of(*idevid)};
    }
    ASSERT_TRUE(store_->write([&](store::Writer& w) { return w.add_device(device, "test"); }));
  }

  // Lets the device run to its end, at most half a minute.
  imprint::Run onboard(DeviceStorage& storage, const est::PlanRef& plan, bool person_says = false) {
    std::optional<imprint::Run> out;
    EstDevice::Hooks hooks;
    hooks.confirm = [&](const ConfirmFingerprint& question, const std::function<void(bool)>& answer) {
      shown_ = question.of.sha256;
      answer(person_says);
    };
    hooks.ended = [&](const est::Client::State&, const imprint::Run& run, const std::optional<Error>&) {
      out = run;
      loop_.stop();
    };
    EstDevice device(loop_, rng_, over_sockets(loop_, guard_, rng_), storage, nullptr, "dev", std::move(hooks));
    loop_.post([&] { device.start(plan); });
    const auto limit = loop_.after(std::chrono::seconds(30), [&] { loop_.stop(); });
    loop_.run();
    loop_.cancel(limit);
    EXPECT_TRUE(out) << "no end within half a minute";
    return out.value_or(imprint::Run{});
  }

  io::Loop loop_;
  SystemRng rng_;
  io::Guard guard_;
  Kept journal_;
  std::filesystem::path folder_;
  std::unique_ptr<store::Store> store_;
  std::shared_ptr<EstSite> site_;
  site::Ca maker_;
  std::unique_ptr<EstServer> server_;
  Sha256 shown_{};
};

}  // namespace imprint
