// What the policy's tests share: a site with a maker, a store and one way to ask.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "crypto/random.h"
#include "site/ca.h"
#include "site/policy.h"

namespace imprint::site {

inline constexpr Duration kYear = std::chrono::hours(24 * 365);
inline constexpr Instant kNow{1'790'000'000'000};

inline Name name_of(std::string_view text) { return *Name::from_text(text); }

class SitePolicy : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("imprint-site-" + hex(random_secret(rng_, 8).expose()));
    std::filesystem::create_directories(folder_);
    store_ = *store::open_sqlite((folder_ / "db").string());
    owner_ = *make_root(KeyType::p256, name_of("CN=Owner"), kNow, kYear * 10, rng_);
    maker_ = *make_root(KeyType::p256, name_of("CN=Maker"), kNow, kYear * 30, rng_);
    policy_.profiles[""] = Profile{};
    policy_.owner_anchors = {owner_.certificate};
    policy_.pepper = random_secret(rng_, 32);
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  Certificate certify(const Ca& ca, const PrivateKey& key, const std::string& subject) {
    Grant grant;
    grant.names.subject = name_of(subject);
    grant.spki = key.public_key().spki;
    grant.lifetime = kYear;
    return *Certificate::parse(*issue(ca, grant, kNow, rng_));
  }

  SessionRef session_with(const Certificate& leaf, const Ca& ca) {
    auto out = std::make_shared<Session>();
    const auto proof = verify_chain(leaf, {}, {ca.certificate}, {Purpose::any, kNow, true});
    EXPECT_TRUE(proof);
    out->proven = *proof;
    return out;
  }

  Verified<CertificateRequest> request(const PrivateKey& key, const RequestTemplate& what) {
    return *verify_possession(*CertificateRequest::parse(*make_request(key, what)));
  }

  RequestTemplate asking_for(const std::string& subject) {
    RequestTemplate out;
    out.subject = name_of(subject);
    return out;
  }

  void add_device(const std::string& id, Admission admission, const std::string& identity, std::string label = {}) {
    Device device;
    device.id = id;
    device.label = std::move(label);
    device.admission = admission;
    if (!identity.empty()) {
      device.identities = {identity};
    }
    EXPECT_TRUE(store_->write([&](store::Writer& w) { return w.add_device(device, "test"); }));
  }

  Decision decide(SessionRef session, std::optional<Login> login, const Verified<CertificateRequest>& request,
                  Bytes key = {1, 2, 3}, bool renewal = false, std::string label = {}) {
    auto reader = *store_->read();
    return *admit(policy_, *reader,
                  Admit{std::move(session), std::move(login), std::move(label), renewal, request, std::move(key)},
                  kNow);
  }

  void record(const Decision& d, const Bytes& certificate, const Bytes& key) {
    const Issued fact{d.grant, certificate, key, d.identity, d.reason, d.spent, d.renews, d.newcomer};
    EXPECT_TRUE(store_->write([&](store::Writer& w) { return w.issued(fact, kNow, "test"); }));
  }

  SystemRng rng_;
  std::filesystem::path folder_;
  std::unique_ptr<store::Store> store_;
  Ca owner_, maker_;
  Policy policy_;
  PrivateKey idevid_key_ = *PrivateKey::generate(KeyType::p256);
  PrivateKey key_ = *PrivateKey::generate(KeyType::p256);
};

}  // namespace imprint::site
