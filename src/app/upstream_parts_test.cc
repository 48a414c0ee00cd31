// What a gateway reads and serves with.
#include "app/upstream_parts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "app/ca_links.h"
#include "app/cli_rules.h"
#include "app/data_folder.h"
#include "app/pem_file.h"
#include "app/revocation_lists.h"
#include "crypto/cms.h"
#include "crypto/random.h"
#include "io/file.h"
#include "site/rollover.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

constexpr Instant kNow{1'800'000'000'000};
constexpr Duration kDay = std::chrono::hours(24);

class UpstreamPartsTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = (fs::temp_directory_path() / ("imprint-upstream-" + hex(random_secret(rng_, 6).expose()))).string();
    config_ = std::get<Config>(load_config(""));
    config_.data = path_ + "/site";
    fs::create_directories(path_);
    far_ = *site::make_root(KeyType::p256, *Name::from_text("CN=Upstream"), kNow, kDay * 3650, rng_);
    config_.upstream.uri = "https://est.example";
    config_.upstream.anchors = put("anchors.pem", to_pem(far_.certificate));
    give({std::string(eku::kServerAuth), std::string(eku::kClientAuth), std::string(eku::kCmcRa)});
  }
  void TearDown() override { fs::remove_all(path_); }

  std::string put(const std::string& name, std::string_view text) {
    EXPECT_TRUE(io::write_file(path_ + "/" + name, view(text)));
    return path_ + "/" + name;
  }
  // The gateway's certificate upstream, for these uses.
  void give(std::vector<std::string> uses) {
    const PrivateKey key = *PrivateKey::generate(KeyType::p256);
    Grant grant;
    grant.names.subject = *Name::from_text("CN=gateway-1");
    grant.spki = key.public_key().spki;
    grant.extended = std::move(uses);
    grant.lifetime = kDay * 30;
    own_ = *Certificate::parse(*site::issue(far_, grant, kNow, rng_));
    config_.upstream.certificate = put("chain.pem", to_pem(own_) + to_pem(far_.certificate));
    config_.upstream.key = put("key.pem", as_text(key.to_pem()->expose()));
  }
  void expect_wrong(std::string_view what) {
    const auto read = read_upstream(config_);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().rule, &kUpstreamFile);
    EXPECT_EQ(read.error().what, what);
  }

  SystemRng rng_;
  std::string path_;
  Config config_;
  site::Ca far_;
  Certificate own_;
};

TEST_F(UpstreamPartsTest, files_are_read) {
  const auto read = read_upstream(config_);
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(read->site.trust.anchors, std::vector<Certificate>{far_.certificate});
  EXPECT_EQ(read->site.credential->chain.front(), own_);
  EXPECT_EQ(read->site.key.public_key(), own_.key);
  EXPECT_TRUE(read->ca.empty());
}

TEST_F(UpstreamPartsTest, a_file_that_does_not_fit_is_named) {
  const Config good = config_;
  config_.upstream.anchors += "-away";
  expect_wrong("upstream.anchors cannot be read");
  config_ = good;
  config_.upstream.certificate = put("other.pem", to_pem(far_.certificate));
  expect_wrong("upstream.key does not belong to upstream.certificate");
  config_.upstream.certificate = put("none.pem", "nothing");
  expect_wrong("upstream.certificate cannot be read");
  config_ = good;
  config_.upstream.key = put("none.pem", "nothing");
  expect_wrong("upstream.key cannot be read");
  config_ = good;
  config_.upstream.password_file = "-";
  expect_wrong("upstream.password_file cannot be read");
}

TEST_F(UpstreamPartsTest, the_ca_certificates_are_kept) {
  ASSERT_TRUE(open_data_folder(config_, kNow, rng_));
  ASSERT_TRUE(keep_upstream_ca(config_, {far_.certificate}));
  const auto read = read_upstream(config_);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->ca, std::vector<Certificate>{far_.certificate});
  EXPECT_EQ(read->site.trust.issuers, read->ca);
}

TEST_F(UpstreamPartsTest, a_gateway_serves_with_its_certificate_upstream) {
  const auto folder = open_data_folder(config_, kNow, rng_);
  ASSERT_TRUE(folder) << folder.error().what;
  EXPECT_EQ(folder->tls_chain, std::vector<Certificate>{own_}) << "without the root, which clients have";
  EXPECT_EQ(folder->tls_key.public_key(), own_.key);
  EXPECT_FALSE(fs::exists(config_.data + "/tls/key.pem")) << "none of our own CA is made";
}

// As RFC 4210 section 4.4 has it: the new root's key, signed by the old one, and the other way round.
TEST_F(UpstreamPartsTest, below_a_new_root_it_shows_the_way_from_the_old_one) {
  const site::Ca old = far_;
  far_ = *site::make_root(KeyType::p256, *Name::from_text("CN=Upstream G2"), kNow, kDay * 4000, rng_);
  const std::vector<Certificate> links = *site::make_links(old, far_, rng_);
  ASSERT_EQ(links.size(), 2U);  // NewWithOld, OldWithNew
  ASSERT_TRUE(open_data_folder(config_, kNow, rng_));
  ASSERT_TRUE(keep_upstream_ca(config_, {far_.certificate, old.certificate, links[1], links[0]}));
  EXPECT_EQ(open_data_folder(config_, kNow, rng_)->tls_chain, std::vector<Certificate>{own_}) << "still of the old one";
  give({std::string(eku::kServerAuth), std::string(eku::kClientAuth), std::string(eku::kCmcRa)});
  const auto folder = open_data_folder(config_, kNow, rng_);
  ASSERT_TRUE(folder) << folder.error().what;
  EXPECT_EQ(folder->tls_chain, (std::vector<Certificate>{own_, links[0]}));
  EXPECT_TRUE(verify_chain(own_, {links[0]}, {old.certificate}, {Purpose::tls_server, kNow, true}));
}

TEST_F(UpstreamPartsTest, roots_that_keep_their_name_are_told_apart_by_their_keys) {
  std::vector<site::Ca> roots{far_};
  std::vector<Certificate> new_with_old;
  for (int i = 0; i < 2; ++i) {
    roots.push_back(*site::make_root(KeyType::p256, far_.certificate.subject, kNow, kDay * 4000, rng_));
    new_with_old.push_back(site::make_links(roots[roots.size() - 2], roots.back(), rng_)->front());
  }
  const Certificate& now = roots.back().certificate;
  EXPECT_EQ(links_back(now, {now, new_with_old[0], new_with_old[1]}),
            (std::vector<Certificate>{new_with_old[1], new_with_old[0]}));
  EXPECT_TRUE(links_back(now, {now, new_with_old[0]}).empty()) << "nothing leads there";
}

// Devices renew with certificates of the root before, though the server upstream shows it no more.
TEST_F(UpstreamPartsTest, an_anchor_that_vouches_for_the_CA_of_now_counts_for_devices) {
  const site::Ca next = *site::make_root(KeyType::p256, *Name::from_text("CN=Upstream G2"), kNow, kDay * 4000, rng_);
  const site::Ca web = *site::make_root(KeyType::p256, *Name::from_text("CN=Web"), kNow, kDay * 4000, rng_);
  UpstreamParts parts;
  parts.ca = {next.certificate, site::make_links(far_, next, rng_)->front()};
  parts.site.trust.anchors = {far_.certificate, web.certificate};
  const std::vector<Certificate> counts = cas_upstream(parts);
  EXPECT_NE(std::ranges::find(counts, far_.certificate), counts.end());
  EXPECT_EQ(std::ranges::find(counts, web.certificate), counts.end()) << "it is there for upstream's TLS";
  EXPECT_EQ(counts.size(), 3U);
}

TEST_F(UpstreamPartsTest, a_certificate_that_is_no_servers_is_not_served_with) {
  give({std::string(eku::kClientAuth)});
  const auto folder = open_data_folder(config_, kNow, rng_);
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().rule, &kUpstreamTls);
}

TEST_F(UpstreamPartsTest, a_pair_that_is_given_comes_first) {
  give({std::string(eku::kClientAuth)});
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  const Certificate server =
      *site::issue_server(far_, key.public_key(), {*GeneralName::from_text("dns:gw.example")}, kNow, kDay, rng_);
  fs::create_directories(config_.data + "/tls");
  put("site/tls/key.pem", as_text(key.to_pem()->expose()));
  put("site/tls/chain.pem", to_pem(server));
  const auto folder = open_data_folder(config_, kNow, rng_);
  ASSERT_TRUE(folder) << folder.error().what;
  EXPECT_EQ(folder->tls_chain, std::vector<Certificate>{server});
}

TEST_F(UpstreamPartsTest, devices_are_given_the_ca_certificates_upstream_and_no_keys) {
  auto folder = *open_data_folder(config_, kNow, rng_);
  folder.upstream->ca = {far_.certificate};
  const auto store = *open_store(config_);
  const auto site =
      make_site(config_, folder, *store, kNow, {std::make_shared<UpstreamSigner>(folder.upstream->site), nullptr});
  ASSERT_TRUE(site);
  EXPECT_EQ((*site)->est.labels.at("").ca_certificates, encode_certs_only({far_.certificate.der}));
  EXPECT_NE(std::ranges::find((*site)->policy.owner_anchors, far_.certificate), (*site)->policy.owner_anchors.end());
  EXPECT_EQ(std::ranges::find((*site)->est.owner_anchors, far_.certificate), (*site)->est.owner_anchors.end())
      << "registration authorities of the CA upstream are none of ours";
}

TEST_F(UpstreamPartsTest, what_another_ca_signed_is_not_on_our_list) {
  auto folder = *open_data_folder(config_, kNow, rng_);
  ASSERT_TRUE(keep_upstream_ca(config_, {far_.certificate}));
  const auto store = *open_store(config_);
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  const Certificate ours = *site::issue_server(folder.ca, key.public_key(), {}, kNow, kDay, rng_);
  for (const Certificate& one : {own_, ours}) {
    ASSERT_TRUE(store->write([&](store::Writer& w) { return w.issued_to_server(one.der, "test", kNow, "test"); }));
    ASSERT_TRUE(store->write(
        [&](store::Writer& w) { return w.revoke(one.serial, RevocationReason::superseded, "test", kNow); }));
  }
  const auto listed = revoked_by_issuer(**store->read(), folder, kNow);
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 1U);
  const std::vector<Revoked>& own = listed->at(folder.ca.certificate.subject.der);
  ASSERT_EQ(own.size(), 1U);
  EXPECT_EQ(own.front().serial, ours.serial);
}

TEST_F(UpstreamPartsTest, requests_may_ask_for_what_their_profile_wishes) {
  const Extension wish{"1.2.3", false, {0x05, 0x00}}, other{"1.2.4", false, {0x05, 0x00}};
  config_.profiles.at("default").wanted_extensions = {wish};
  DeviceProfile lamp;
  lamp.credentials.emplace_back();
  lamp.credentials.back().given.profile.name = "lamp/mqtt";
  lamp.credentials.back().given.wanted_extensions = {other};
  const WantedExtensions out = wanted_extensions(config_, {lamp});
  EXPECT_EQ(out.at("default"), std::vector<Extension>{wish});
  EXPECT_EQ(out.at("default (handed on)"), std::vector<Extension>{wish});
  EXPECT_EQ(out.at("lamp/mqtt"), std::vector<Extension>{other});
  const auto folder = open_data_folder(config_, kNow, rng_);
  ASSERT_TRUE(folder) << folder.error().what;
  EXPECT_EQ(folder->upstream->site.wanted_extensions.at("default"), std::vector<Extension>{wish});
}

TEST_F(UpstreamPartsTest, a_change_is_noticed) {
  const auto first = read_upstream(config_);
  give({std::string(eku::kClientAuth)});
  EXPECT_TRUE(same_upstream(*first, *first));
  EXPECT_FALSE(same_upstream(*first, *read_upstream(config_)));
  EXPECT_FALSE(same_upstream(*first, std::nullopt));
}

}  // namespace
}  // namespace imprint::app
