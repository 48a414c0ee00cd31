#include "app/tls_pair.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "app/cli_rules.h"
#include "app/data_folder.h"
#include "app/pem_file.h"
#include "crypto/random.h"
#include "io/file.h"
#include "site/operation_rules.h"
#include "site/operations.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

constexpr Instant kNow{1'800'000'000'000};
constexpr Duration kDay = std::chrono::hours(24);

class TlsPairTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = (fs::temp_directory_path() / ("imprint-tls-" + hex(random_secret(rng_, 6).expose()))).string();
    config_ = std::get<Config>(load_config(""));
    config_.data = path_;
    auto made = open_data_folder(config_, kNow, rng_);
    ASSERT_TRUE(made) << made.error().what;
    ca_ = made->ca;
    store_ = *open_store(config_);
  }
  void TearDown() override { fs::remove_all(path_); }

  Result<TlsPair> open(Instant now = kNow) { return open_tls_pair(config_, ca_, *store_, now, rng_); }
  std::string file(const std::string& name) { return path_ + "/tls/" + name; }
  std::string content(const std::string& name) { return std::string(as_text(*io::read_file(file(name)))); }
  void put(const std::string& name, std::string_view text) { ASSERT_TRUE(io::write_file(file(name), view(text))); }
  std::vector<store::CertificateRow> on_record() {
    store::CertificateFilter filter;
    filter.device = store::kServer;
    return *(*store_->read())->certificates(filter);
  }
  Status revoke(BytesView serial) {
    return store_->write([&](store::Writer& w) {
      return site::revoke_certificate(w, serial, RevocationReason::key_compromise, {"cli", kNow});
    });
  }
  // A key and a certificate for it, put into tls/.
  Certificate give(const site::Ca& of, Instant now = kNow) {
    const PrivateKey key = *PrivateKey::generate(KeyType::p256);
    Certificate own =
        *site::issue_server(of, key.public_key(), {*GeneralName::from_text("dns:owner.example")}, now, kDay * 30, rng_);
    put("key.pem", as_text(key.to_pem()->expose()));
    put("chain.pem", to_pem(own));
    return own;
  }
  site::Ca other_ca() {
    return *site::make_root(KeyType::p256, *Name::from_text("CN=Another CA"), kNow, kDay * 3650, rng_);
  }
  // tls/ as it is now is refused with these words in the message, and left alone.
  void expect_refused(std::string_view words) {
    const auto before = content_of_all();
    const std::size_t records = on_record().size();
    const auto opened = open();
    ASSERT_FALSE(opened) << words;
    EXPECT_EQ(opened.error().rule, &kDataTls);
    EXPECT_NE(opened.error().what.find(words), std::string_view::npos) << opened.error().what;
    EXPECT_EQ(content_of_all(), before) << words;
    EXPECT_EQ(on_record().size(), records);
    EXPECT_FALSE(open_data_folder(config_, kNow, rng_)) << words;
  }
  std::map<std::string, std::string> content_of_all() {
    std::map<std::string, std::string> out;
    for (const auto& entry : fs::directory_iterator(path_ + "/tls")) {
      out[entry.path().filename().string()] = as_text(*io::read_file(entry.path().string()));
    }
    return out;
  }

  SystemRng rng_;
  std::string path_;
  Config config_;
  site::Ca ca_;
  std::unique_ptr<store::Store> store_;
};

// ---- its record ----

TEST_F(TlsPairTest, the_servers_certificate_is_on_record_with_its_audit_entry) {
  const auto pair = open();
  ASSERT_TRUE(pair) << pair.error().what;
  EXPECT_FALSE(pair->given);
  const auto rows = on_record();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].der, pair->chain.front().der);
  const auto audit = *(*store_->read())->audit(0, 10);
  ASSERT_EQ(audit.size(), 1U);
  EXPECT_EQ(audit[0].action, "certificate.issued");
  EXPECT_EQ(audit[0].subject, store::kServer);
  EXPECT_NE(audit[0].detail.find(hex(rows[0].serial)), std::string::npos);
}

TEST_F(TlsPairTest, a_revoked_pair_is_replaced_and_stays_on_the_revocation_list) {
  const auto before = open();
  ASSERT_TRUE(before);
  const Bytes serial = before->chain.front().serial;
  ASSERT_TRUE(revoke(serial));
  const auto after = refresh_data_folder(config_, *store_, kNow, rng_);
  ASSERT_TRUE(after) << after.error().what;
  EXPECT_NE(after->tls_chain.front().serial, serial);
  EXPECT_NE(after->tls_chain.front().key, before->chain.front().key);
  EXPECT_EQ(on_record().size(), 2U);
  const auto revoked = *(*store_->read())->revoked(Instant{});
  ASSERT_EQ(revoked.size(), 1U);
  EXPECT_EQ(revoked[0].serial, serial);
  const auto site = make_site(config_, *after, *store_, kNow);
  ASSERT_TRUE(site);
  const Bytes& list = (*site)->revocation_list;
  EXPECT_NE(std::search(list.begin(), list.end(), serial.begin(), serial.end()), list.end());
  EXPECT_EQ(open()->chain, after->tls_chain) << "the fresh one stays";
}

TEST_F(TlsPairTest, a_pair_without_a_record_gets_one_and_stays) {
  config_.names = {"owner.example"};
  const Certificate earlier = give(ca_);
  const auto pair = open();
  ASSERT_TRUE(pair) << pair.error().what;
  EXPECT_EQ(pair->chain.front(), earlier);
  EXPECT_TRUE((*store_->read())->certificate(earlier.serial)->has_value());
  EXPECT_TRUE(revoke(earlier.serial));
}

TEST_F(TlsPairTest, a_certificate_that_could_not_be_recorded_is_not_put_in_place) {
  fs::remove_all(path_ + "/tls");
  struct FullStore final : store::Store {
    explicit FullStore(store::Store& inner) : inner_(inner) {}
    void submit(Change, std::function<void(Status)> done) override { done(Error{Fault::unreachable, "store: full"}); }
    void submit_along(Change change, std::function<void(Status)> done) override { submit(change, done); }
    Result<std::unique_ptr<store::Reader>> read() override { return inner_.read(); }
    store::Store& inner_;
  } full(*store_);
  EXPECT_FALSE(open_tls_pair(config_, ca_, full, kNow, rng_));
  EXPECT_FALSE(fs::exists(file("key.pem")));
  EXPECT_FALSE(fs::exists(file("chain.pem")));
}

TEST_F(TlsPairTest, a_folder_that_takes_no_file_leaves_no_records) {
  fs::remove_all(path_ + "/tls");
  ASSERT_TRUE(io::write_file(path_ + "/tls", view("a file where the folder would be")));
  const std::size_t records = on_record().size();
  EXPECT_FALSE(open());
  EXPECT_EQ(on_record().size(), records);
}

// ---- what may be replaced ----

TEST_F(TlsPairTest, our_own_pair_is_replaced_when_its_time_is_nearly_over) {
  const Bytes first = open()->chain.front().serial;
  EXPECT_EQ(open(kNow + kDay * 200)->chain.front().serial, first);
  EXPECT_NE(open(kNow + kDay * 300)->chain.front().serial, first);
  const Bytes second = open(kNow + kDay * 300)->chain.front().serial;
  EXPECT_NE(open(kNow + kDay * 1000)->chain.front().serial, second) << "expired";
}

TEST_F(TlsPairTest, a_pair_of_another_ca_is_served_as_it_is) {
  const Certificate given = give(other_ca());
  const auto before = content_of_all();
  for (const Instant now : {kNow, kNow + kDay * 29, kNow + kDay * 1000}) {
    const auto pair = open(now);
    ASSERT_TRUE(pair) << pair.error().what;
    EXPECT_TRUE(pair->given);
    EXPECT_EQ(pair->chain.front(), given);
    EXPECT_EQ(pair->key.public_key(), given.key);
  }
  EXPECT_EQ(content_of_all(), before);
  EXPECT_EQ(on_record().size(), 1U) << "its CA keeps the record";
  EXPECT_TRUE(open_data_folder(config_, kNow, rng_)->tls_given);
}

TEST_F(TlsPairTest, a_key_that_cannot_be_read_is_refused_and_left_alone) {
  put("key.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
  expect_refused("tls/key.pem cannot be read");
  fs::remove(file("chain.pem"));
  expect_refused("tls/key.pem cannot be read");
}

TEST_F(TlsPairTest, a_key_without_its_certificate_is_refused_and_left_alone) {
  put("key.pem", as_text(PrivateKey::generate(KeyType::p256)->to_pem()->expose()));
  expect_refused("do not belong together");
  put("chain.pem", "no certificate");
  expect_refused("tls/chain.pem cannot be read");
  fs::remove(file("chain.pem"));
  expect_refused("tls/chain.pem is missing");
}

TEST_F(TlsPairTest, a_foreign_chain_without_its_key_is_refused_and_left_alone) {
  give(other_ca());
  fs::remove(file("key.pem"));
  expect_refused("tls/key.pem is missing");
}

TEST_F(TlsPairTest, our_own_chain_without_its_key_gives_way_to_a_fresh_pair) {
  const Bytes first = open()->chain.front().serial;
  fs::remove(file("key.pem"));
  const auto pair = open();
  ASSERT_TRUE(pair) << pair.error().what;
  EXPECT_NE(pair->chain.front().serial, first);
}

// ---- power cuts ----

// The files as a cut leaves them after each step of a replacement: next.pem, key.pem, chain.pem.
TEST_F(TlsPairTest, a_cut_at_any_step_of_a_replacement_leaves_a_pair) {
  const std::string old_key = content("key.pem");
  const std::string old_chain = content("chain.pem");
  ASSERT_TRUE(revoke(open()->chain.front().serial));
  const TlsPair fresh = *open();
  const std::string fresh_key = content("key.pem");
  const std::string fresh_chain = content("chain.pem");

  put("next.pem", fresh_chain);
  put("chain.pem", old_chain);
  const auto completed = open();
  ASSERT_TRUE(completed) << completed.error().what;
  EXPECT_EQ(completed->chain, fresh.chain);
  EXPECT_EQ(content("chain.pem"), fresh_chain);
  EXPECT_EQ(content("key.pem"), fresh_key);

  fs::remove(file("chain.pem"));  // the very first pair: there was no chain before
  EXPECT_EQ(open()->chain, fresh.chain);

  put("key.pem", old_key);
  put("chain.pem", old_chain);  // cut before the key: the old pair is whole, and still revoked
  const auto again = open();
  ASSERT_TRUE(again) << again.error().what;
  EXPECT_NE(content("chain.pem"), old_chain);
}

TEST_F(TlsPairTest, what_a_cut_left_does_not_replace_a_chain_that_is_given) {
  ASSERT_TRUE(revoke(open()->chain.front().serial));
  ASSERT_TRUE(open());
  const std::string key = content("key.pem");
  put("next.pem", content("chain.pem"));
  give(other_ca());
  put("key.pem", key);
  expect_refused("do not belong together");
}

// ---- revocation lists ----

// The value of the extension cRLNumber (2.5.29.20) of a DER-encoded list: OCTET STRING { INTEGER }.
std::uint64_t number_of(const Bytes& list) {
  const Bytes id{0x06, 0x03, 0x55, 0x1d, 0x14, 0x04};
  auto at = std::search(list.begin(), list.end(), id.begin(), id.end());
  EXPECT_NE(at, list.end());
  at += static_cast<std::ptrdiff_t>(id.size());
  std::uint64_t out = 0;
  const std::uint8_t size = *(at + 2);
  for (std::uint8_t i = 0; i < size; ++i) {
    out = out << 8U | *(at + 3 + i);
  }
  return out;
}

TEST_F(TlsPairTest, the_number_of_the_revocation_list_rises_though_the_clock_is_set_back) {
  const auto folder = read_data_folder(config_);
  ASSERT_TRUE(folder);
  const auto list = [&](Instant now) {
    return number_of((*make_site(config_, *folder, *store_, now))->revocation_list);
  };
  const std::uint64_t first = list(kNow);
  EXPECT_EQ(first, static_cast<std::uint64_t>(kNow.ms));
  EXPECT_EQ(list(kNow - kDay), first + 1);
  EXPECT_EQ(list(kNow), first + 2);
  EXPECT_GT(list(kNow + kDay), first + 2);
}

}  // namespace
}  // namespace imprint::app
