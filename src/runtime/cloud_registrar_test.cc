// The maker's default registrar over real TLS, and a whole device in front of it: our Pledge, with our EST server as
// its owner's.
#include "runtime/cloud_registrar.h"

#include "factory/masa_owner.h"
#include "factory/masa_testing.h"
#include "io/https_client.h"
#include "runtime/brski_device.h"
#include "runtime/masa_server.h"
#include "runtime/wire_testing.h"

namespace imprint {
namespace {

using Kind = OwnerAddress::Kind;

class CloudWire : public Wire {
 protected:
  void SetUp() override {
    Wire::SetUp();
    key_ = *PrivateKey::generate(KeyType::p256);
    Grant grant;
    grant.names.subject = *Name::from_text("CN=lamp,serialNumber=SN-1");
    grant.spki = key_.public_key().spki;
    grant.lifetime = kYear;
    idevid_ = *Certificate::parse(*site::issue(maker_, grant, loop_.now(), rng_));
    maker_store_ = *store::open_maker_sqlite((folder_ / "masa.db").string());
    MakerDevice record;
    record.serial = "SN-1";
    record.issuer = brski::issuer_key_id(idevid_);
    record.added = loop_.now();
    ASSERT_TRUE(maker_store_->write([&](store::MakerWriter& w) { return w.add_device(record, "test"); }));
    listen();
    listen_cloud();
    register_device("dev-1", &idevid_);
  }
  void TearDown() override {
    cloud_.reset();
    maker_store_.reset();
    Wire::TearDown();
  }

  void listen_cloud() {
    io::TlsServerOptions tls;
    tls.key = *PrivateKey::generate(KeyType::p256);
    tls.chain = {*site::issue_server(maker_, tls.key.public_key(), {*GeneralName::from_text("ip:127.0.0.1")},
                                     loop_.now(), kYear, rng_)};
    tls.verify_client_certificate = false;
    auto cloud = std::make_shared<CloudSite>();
    cloud->config.idevid_anchors = {maker_.certificate};
    cloud->config.own = tls.chain.front();
    cloud->config.come_back = std::chrono::seconds(1);
    const factory::testing::Party root{maker_.key, maker_.certificate};
    const auto signer = factory::testing::make_party(loop_.now(), "CN=MASA", &root, false);
    cloud->voucher_signer = factory::testing::signer_of(signer, root);
    auto masa = std::make_shared<MasaSite>();
    masa->config.idevid_anchors = {maker_.certificate};
    masa->voucher_signer = cloud->voucher_signer;
    masa->cloud = cloud;
    cloud_ = std::make_unique<MasaServer>(loop_, *maker_store_, rng_, masa);
    cloud_->on_told([this](const MasaServer::Told& t) { told_.push_back(std::to_string(t.status)); });
    io::HttpsServerOptions options;
    options.tls = *io::TlsContext::server(tls);
    ASSERT_TRUE(cloud_->listen(loop_, std::move(options)));
  }
  std::string url(std::uint16_t port) const { return "https://127.0.0.1:" + std::to_string(port); }
  void say(const OwnerAddress& owner) {
    ASSERT_TRUE(maker_store_->write([&](store::MakerWriter& w) -> Status {
      TRY(const MakerDevice device, factory::find_maker_device(w, "SN-1", {}));
      return factory::set_owner(w, device, owner, loop_.now(), "test");
    }));
  }
  OwnerAddress est() const { return {Kind::est, url(server_->port()), site_->ca.certificate, {}}; }

  // The device, from its factory's beliefs to its end; `meanwhile` after half a second.
  std::string onboard(const std::function<void()>& meanwhile = {}) {
    MemoryStorage storage;
    storage.add_key("idevid", key_);
    auto plan = std::make_shared<brski::PledgePlan>();
    plan->cloud = *Uri::parse(url(cloud_->port()));
    plan->cloud_anchors = {maker_.certificate};
    plan->identity = {"idevid", {idevid_}};
    plan->voucher_anchors = {maker_.certificate};
    plan->enrolment.names.subject = *Name::from_text("CN=dev-1");
    plan->rounds = 1;
    std::optional<std::string> out;
    BrskiDevice::Hooks hooks;
    hooks.ended = [&](const brski::Pledge::State& state, const imprint::Run&, const std::optional<Error>& broken) {
      const auto* const failed = std::get_if<brski::Pledge::Failed>(&state);
      out = failed != nullptr ? std::string(failed->why.what) + ": " + failed->detail
            : broken          ? std::string(broken->what)
                              : "configured";
      loop_.stop();
    };
    BrskiDevice device(loop_, rng_, pledge_over_sockets(loop_, guard_, rng_), storage, nullptr, "dev-1",
                       std::move(hooks));
    loop_.post([&] { device.start(plan); });
    if (meanwhile) {
      loop_.after(Duration(500), meanwhile);
    }
    const auto limit = loop_.after(std::chrono::seconds(30), [&] { loop_.stop(); });
    loop_.run();
    loop_.cancel(limit);
    device.halt();
    return out.value_or("no end within half a minute");
  }

  PrivateKey key_;
  Certificate idevid_;
  std::unique_ptr<store::MakerStore> maker_store_;
  std::unique_ptr<MasaServer> cloud_;
  std::vector<std::string> told_;
};

TEST_F(CloudWire, a_device_finds_the_est_server_of_an_owner_without_a_registrar) {
  say(est());
  EXPECT_EQ(onboard(), "configured");
  const auto reader = *maker_store_->read();
  const auto device = *reader->device(brski::issuer_key_id(idevid_), "SN-1");
  EXPECT_EQ(device->state, Custody::claimed);
  EXPECT_EQ(device->claimed_key, key_digest(site_->ca.certificate));
  EXPECT_EQ(reader->vouchers(device->issuer, "SN-1")->size(), 1U);
  EXPECT_FALSE(*store::verify_audit(*reader));
  EXPECT_EQ(told_.front(), "200");
}

TEST_F(CloudWire, a_device_waits_until_its_maker_has_said_who_owns_it) {
  EXPECT_EQ(onboard([this] { say(est()); }), "configured");
  ASSERT_GE(told_.size(), 2U);
  EXPECT_EQ(told_[0], "202");
  EXPECT_EQ(told_[1], "200");
}

TEST_F(CloudWire, a_device_without_an_owner_gets_nothing) {
  say({Kind::nobody, {}, {}, {}});
  EXPECT_NE(onboard().find("404"), std::string::npos);
  EXPECT_EQ(*(*maker_store_->read())->count("vouchers"), 0);
}

TEST_F(CloudWire, a_device_is_sent_on_and_follows) {
  // The owner's registrar is another cloud here: it is seen that the device comes, with the same path and its IDevID.
  say({Kind::registrar, url(server_->port()), {}, {}});
  EXPECT_NE(onboard(), "configured");  // an EST server that is no registrar
  ASSERT_FALSE(told_.empty());
  EXPECT_EQ(told_.front(), "307");
}

TEST_F(CloudWire, a_pin_of_somebody_else_is_noticed_by_the_device) {
  OwnerAddress wrong = est();
  wrong.pinned = maker_.certificate;
  say(wrong);
  EXPECT_NE(onboard(), "configured");
  EXPECT_EQ(*(*store_->read())->count("certificates"), 0);
}

}  // namespace
}  // namespace imprint
