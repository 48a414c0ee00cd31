// The maker's memory on disk: what is written together, what stays, and what a sudden end leaves.
#include "store/maker/maker_store.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "crypto/random.h"
#include "store/sqlite/database.h"

namespace imprint::store {
namespace {

constexpr Instant kNow{1'790'000'000'000};
constexpr Duration kDay = std::chrono::hours(24);

class Maker : public testing::Test {
 protected:
  void SetUp() override {
    SystemRng rng;
    folder_ = std::filesystem::temp_directory_path() / ("imprint-maker-" + hex(random_secret(rng, 8).expose()));
    std::filesystem::create_directories(folder_);
    open();
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  void open() {
    auto store = open_maker_sqlite(path());
    ASSERT_TRUE(store) << store.error().what;
    store_ = *std::move(store);
  }
  std::string path() const { return folder_ / "masa.db"; }
  Status write(const MakerStore::Change& change) { return store_->write(change); }

  static MakerDevice device(const std::string& serial, Bytes issuer = {1, 2, 3}) {
    MakerDevice out;
    out.issuer = std::move(issuer);
    out.serial = serial;
    out.model = "lamp";
    out.added = kNow;
    return out;
  }
  // The n-th voucher of a device, for a domain, with or without a nonce.
  static GivenVoucher given(const std::string& serial, std::uint8_t n, std::uint8_t domain, bool nonce, Instant at,
                            std::int64_t version) {
    GivenVoucher out;
    out.entry.issuer = {1, 2, 3};
    out.entry.serial = serial;
    out.entry.at = at;
    out.entry.domain_id = {domain};
    out.entry.pinned_key = {domain, domain};
    if (nonce) {
      out.entry.nonce = "nonce " + std::to_string(n);
    }
    out.entry.assertion = "logged";
    out.request = {n};
    out.form = "cms";
    out.voucher = {n, n};
    out.version = version;
    return out;
  }
  std::vector<VoucherEntry> log(const std::string& serial) {
    return *(*store_->read())->vouchers(Bytes{1, 2, 3}, serial);
  }

  std::filesystem::path folder_;
  std::unique_ptr<MakerStore> store_;
};

TEST_F(Maker, what_is_written_is_read_again_after_a_restart) {
  ASSERT_TRUE(write([](MakerWriter& w) { return w.add_device(device("a"), "t"); }));
  EXPECT_EQ(write([](MakerWriter& w) { return w.add_device(device("a"), "t"); }).error().fault, Fault::conflict);
  EXPECT_EQ(write([](MakerWriter& w) { return w.add_device(device("a b"), "t"); }).error().fault, Fault::malformed);
  ASSERT_TRUE(write([](MakerWriter& w) { return w.add_device(device("a", {9}), "t"); }));
  ASSERT_TRUE(write([](MakerWriter& w) { return w.vouched(given("a", 1, 7, true, kNow, 1), "masa"); }));
  store_.reset();
  open();
  const auto reader = *store_->read();
  const auto one = *reader->device(Bytes{1, 2, 3}, "a");
  ASSERT_TRUE(one);
  EXPECT_EQ(one->state, Custody::claimed);
  EXPECT_EQ(one->claimed_key, (Bytes{7, 7}));
  EXPECT_EQ(one->version, 2);
  EXPECT_EQ((*reader->device(Bytes{9}, "a"))->state, Custody::made);
  EXPECT_EQ(reader->devices_of_serial("a")->size(), 2U);
  EXPECT_EQ(**reader->given(Bytes{1}, "cms"), (Bytes{1, 1}));
  EXPECT_FALSE(*reader->given(Bytes{1}, "jws"));
  EXPECT_EQ(reader->issuers()->size(), 2U);
  EXPECT_FALSE(*verify_audit(*reader));
}

TEST_F(Maker, a_voucher_stands_on_the_record_that_was_judged) {
  ASSERT_TRUE(write([](MakerWriter& w) { return w.add_device(device("a"), "t"); }));
  EXPECT_EQ(write([](MakerWriter& w) { return w.vouched(given("a", 1, 7, true, kNow, 5), "masa"); }).error().fault,
            Fault::conflict);
  ASSERT_TRUE(write([](MakerWriter& w) { return w.vouched(given("a", 1, 7, true, kNow, 1), "masa"); }));
  // The same request once more, whatever the record says.
  EXPECT_EQ(write([](MakerWriter& w) { return w.vouched(given("a", 1, 7, true, kNow, 2), "masa"); }).error().fault,
            Fault::conflict);
  EXPECT_EQ(log("a").size(), 1U);
  EXPECT_EQ(*(*store_->read())->count("audit"), 2);
}

TEST_F(Maker, a_change_that_fails_leaves_nothing_and_the_chain_holds) {
  ASSERT_TRUE(write([](MakerWriter& w) { return w.add_device(device("a"), "t"); }));
  EXPECT_FALSE(write([](MakerWriter& w) -> Status {
    TRY(Ok{}, w.add_device(device("b"), "t"));
    return Error{Fault::refused, "no"};
  }));
  EXPECT_FALSE(*(*store_->read())->device(Bytes{1, 2, 3}, "b"));
  ASSERT_TRUE(write([](MakerWriter& w) { return w.add_device(device("c"), "t"); }));
  EXPECT_EQ(*(*store_->read())->count("audit"), 2);
  EXPECT_FALSE(*verify_audit(**store_->read()));
}

TEST_F(Maker, a_changed_audit_entry_is_found) {
  for (const char* serial : {"a", "b", "c"}) {
    ASSERT_TRUE(write([&](MakerWriter& w) { return w.add_device(device(serial), "t"); }));
  }
  store_.reset();
  {
    const auto database = *Database::open(path(), Database::Access::read_write);
    ASSERT_TRUE(database->execute("UPDATE audit SET subject = 'x' WHERE sequence = 2"));
  }
  open();
  EXPECT_EQ(*verify_audit(**store_->read()), 2);
}

TEST_F(Maker, retention_keeps_the_latest_of_each_domain_and_kind_and_counts_the_rest) {
  ASSERT_TRUE(write([](MakerWriter& w) { return w.add_device(device("a"), "t"); }));
  std::uint8_t n = 0;
  for (const auto& [domain, nonce] : {std::pair(1, true), std::pair(1, true), std::pair(1, false), std::pair(1, true),
                                      std::pair(2, true), std::pair(1, true)}) {
    ++n;
    const auto one = given("a", n, static_cast<std::uint8_t>(domain), nonce, kNow + n * kDay, n);
    ASSERT_TRUE(write([&](MakerWriter& w) { return w.vouched(one, "masa"); }));
  }
  const auto prune = [&](Instant before) {
    std::int64_t gone = 0;
    EXPECT_TRUE(write([&](MakerWriter& w) -> Status {
      TRY(gone, w.prune(before, kNow + 30 * kDay, "t"));
      return Ok{};
    }));
    return gone;
  };
  EXPECT_EQ(prune(kNow + 3 * kDay), 2);  // the first two
  ASSERT_EQ(log("a").size(), 4U);
  EXPECT_EQ(log("a").back().truncated, 2);
  EXPECT_FALSE(*(*store_->read())->given(Bytes{1}, "cms"));
  EXPECT_TRUE(*(*store_->read())->given(Bytes{6}, "cms"));
  EXPECT_EQ(prune(kNow + 30 * kDay), 1);  // the fourth; all others are the latest of their kind
  ASSERT_EQ(log("a").size(), 3U);
  EXPECT_EQ(log("a").back().truncated, 3);
  EXPECT_EQ(log("a").front().truncated, 0);
  EXPECT_FALSE(*(*store_->read())->given(Bytes{6}, "cms"));
  EXPECT_EQ(prune(kNow + 30 * kDay), 0);
  EXPECT_EQ(log("a").back().truncated, 3);
}

// RFC 8995 section 5.8.1: nobody buries a nonceless voucher, or a former owner, under vouchers of his own.
TEST_F(Maker, however_many_vouchers_there_are_each_domain_and_kind_shows) {
  ASSERT_TRUE(write([](MakerWriter& w) { return w.add_device(device("a"), "t"); }));
  constexpr std::int64_t kMany = 4200, kRead = 4096;
  ASSERT_TRUE(write([](MakerWriter& w) -> Status {
    for (std::int64_t i = 1; i <= kMany; ++i) {
      const auto domain = static_cast<std::uint8_t>(i == 2 ? 9 : 7);
      GivenVoucher one = given("a", 0, domain, i != 1, kNow + i * std::chrono::seconds(1), i);
      one.request = {static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(i >> 8)};
      TRY([[maybe_unused]] const Ok noted, w.vouched(one, "masa"));
    }
    return Ok{};
  }));
  const std::vector<VoucherEntry> seen = log("a");
  ASSERT_EQ(seen.size(), static_cast<std::size_t>(kRead + 2));
  EXPECT_FALSE(seen[0].nonce) << "the first of all";
  EXPECT_EQ(seen[1].domain_id, Bytes{9});
  EXPECT_EQ(seen[0].truncated + seen[1].truncated, 0);
  EXPECT_EQ(seen.back().truncated, kMany - 2 - kRead);
}

TEST_F(Maker, refusals_are_counted_and_only_the_first_is_audited) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(write([&](MakerWriter& w) {
      return w.claim_refused({{1}, "a", "MASA-OWNER", "CN=thief " + std::to_string(i), "", kNow, kNow + i * kDay, 1},
                             "m");
    }));
  }
  const auto refused = *(*store_->read())->refused(10);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].times, 5);
  EXPECT_EQ(refused[0].registrar, "CN=thief 4");
  EXPECT_EQ(refused[0].last, kNow + 4 * kDay);
  EXPECT_EQ(*(*store_->read())->count("audit"), 1);
}

TEST_F(Maker, one_certificate_is_one_customers) {
  Customer a, b;
  a.id = "a";
  b.id = "b";
  a.added = b.added = kNow;
  ASSERT_TRUE(write([&](MakerWriter& w) { return w.put_customer(a, "t"); }));
  b.password = Sha256{1};
  ASSERT_TRUE(write([&](MakerWriter& w) { return w.put_customer(b, "t"); }));
  EXPECT_EQ((*(*store_->read())->customer("b"))->password, b.password);
  EXPECT_FALSE((*(*store_->read())->customer("a"))->password);
  EXPECT_EQ((*store_->read())->customers()->size(), 2U);
}

TEST_F(Maker, what_was_answered_survives_the_sudden_end_of_the_process) {
  ASSERT_TRUE(write([](MakerWriter& w) { return w.add_device(device("a"), "t"); }));
  store_.reset();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto store = open_maker_sqlite(path());
    const Status noted =
        store ? (*store)->write([](MakerWriter& w) { return w.vouched(given("a", 1, 7, true, kNow, 1), "masa"); })
              : Status(store.error());
    _exit(noted ? 0 : 1);  // after the note, before anything else: nothing is closed
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  open();
  EXPECT_EQ(log("a").size(), 1U);
  EXPECT_TRUE(*(*store_->read())->given(Bytes{1}, "cms"));
  EXPECT_FALSE(*verify_audit(**store_->read()));
}

TEST_F(Maker, a_database_of_before_learns_where_owners_are) {
  ASSERT_TRUE(write([](MakerWriter& w) { return w.add_device(device("a"), "t"); }));
  store_.reset();
  {
    const auto database = *Database::open(path(), Database::Access::read_write);
    for (const std::string column : {"owner", "owner_url", "owner_pin", "owner_configuration"}) {
      ASSERT_TRUE(database->execute(("ALTER TABLE maker_devices DROP COLUMN " + column).c_str()));
    }
    for (const std::string column : {"digest", "base64_bodies"}) {
      ASSERT_TRUE(database->execute(("ALTER TABLE customers DROP COLUMN " + column).c_str()));
    }
    ASSERT_TRUE(database->execute("PRAGMA user_version=1"));
  }
  open();
  EXPECT_EQ((*(*store_->read())->device(Bytes{1, 2, 3}, "a"))->owner, OwnerAddress{});
  MakerDevice moved = **(*store_->read())->device(Bytes{1, 2, 3}, "a");
  moved.owner = {OwnerAddress::Kind::registrar, "https://r.example", {}, {}};
  ASSERT_TRUE(write([&](MakerWriter& w) { return w.change_device(moved, "t", "device.owner", "{}"); }));
  EXPECT_EQ((*(*store_->read())->device(Bytes{1, 2, 3}, "a"))->owner, moved.owner);
}

TEST_F(Maker, a_database_of_before_learns_how_customers_log_in) {
  Customer a;
  a.id = "a";
  a.password = Sha256{1};
  ASSERT_TRUE(write([&](MakerWriter& w) { return w.put_customer(a, "t"); }));
  store_.reset();
  {
    const auto database = *Database::open(path(), Database::Access::read_write);
    for (const std::string column : {"digest", "base64_bodies"}) {
      ASSERT_TRUE(database->execute(("ALTER TABLE customers DROP COLUMN " + column).c_str()));
    }
    ASSERT_TRUE(database->execute("PRAGMA user_version=2"));
  }
  open();
  EXPECT_EQ(**(*store_->read())->customer("a"), a);
  a.digest = {1, 2, 3};
  a.base64_bodies = true;
  ASSERT_TRUE(write([&](MakerWriter& w) { return w.put_customer(a, "t"); }));
  EXPECT_EQ(**(*store_->read())->customer("a"), a);
}

TEST_F(Maker, a_database_of_a_newer_program_is_left_alone) {
  store_.reset();
  {
    const auto database = *Database::open(path(), Database::Access::read_write);
    ASSERT_TRUE(database->execute("PRAGMA user_version=99"));
  }
  const auto store = open_maker_sqlite(path());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().fault, Fault::unsupported);
}

}  // namespace
}  // namespace imprint::store
