#include <sys/stat.h>

#include "store/store_testing.h"

namespace imprint::store {
namespace {

// ---- devices ----

TEST_F(StoreTest, device_is_found_by_id_and_by_each_identity_after_reopening) {
  Device device = device_named("dev-1");
  ASSERT_TRUE(add(device));
  device.version = 1;
  reopen();
  EXPECT_EQ(*read()->device("dev-1"), device);
  EXPECT_EQ(*read()->device_by_identity("x509:dev-1"), device);
  EXPECT_EQ(*read()->device_by_identity("raw:dev-1"), device);
  EXPECT_EQ(*read()->device("dev-2"), std::nullopt);
  EXPECT_EQ(*read()->device_by_identity("x509:dev-2"), std::nullopt);
}

TEST_F(StoreTest, device_is_added_once_and_its_identities_belong_to_it_alone) {
  ASSERT_TRUE(add(device_named("dev-1")));
  EXPECT_EQ(fault_of(add(device_named("dev-1"))), Fault::conflict);
  Device thief = device_named("dev-2");
  thief.identities = {"x509:dev-2", "raw:dev-1"};
  EXPECT_EQ(fault_of(add(thief)), Fault::conflict);
  EXPECT_EQ(*read()->device("dev-2"), std::nullopt);
  EXPECT_EQ(*read()->device_by_identity("x509:dev-2"), std::nullopt);
  EXPECT_EQ(*read()->count("audit"), 1);
}

TEST_F(StoreTest, half_of_a_refused_addition_is_not_kept_by_a_change_that_goes_on) {
  ASSERT_TRUE(add(device_named("dev-1")));
  Device thief = device_named("dev-2");
  thief.identities = {"x509:dev-2", "raw:dev-1"};
  ASSERT_TRUE(write([&](Writer& w) {
    EXPECT_FALSE(w.add_device(thief, "import"));
    return w.add_device(device_named("dev-3"), "import");
  }));
  EXPECT_EQ(*read()->device("dev-2"), std::nullopt);
  EXPECT_TRUE(read()->device("dev-3")->has_value());
  EXPECT_TRUE(audit_is_whole(*store_));
}

TEST_F(StoreTest, bad_device_id_is_malformed) { EXPECT_EQ(fault_of(add(device_named("../x"))), Fault::malformed); }

TEST_F(StoreTest, update_needs_the_version_that_was_read) {
  ASSERT_TRUE(add(device_named("dev-1")));
  Device device = **read()->device("dev-1");
  device.admission = Admission::retired;
  device.label = "";
  device.identities = {"raw:new"};
  device.changed = Instant{2000};
  const auto update = [&](Writer& w) { return w.update_device(device, "admin", "device.retired"); };
  ASSERT_TRUE(write(update));
  EXPECT_EQ(fault_of(write(update)), Fault::conflict);
  device.version = 2;
  EXPECT_EQ(*read()->device("dev-1"), device);
  EXPECT_EQ(*read()->device_by_identity("x509:dev-1"), std::nullopt);
  device.id = "dev-2";
  EXPECT_EQ(fault_of(write(update)), Fault::refused);
  EXPECT_EQ(actions(), (std::vector<std::string>{"device.added", "device.retired"}));
}

TEST_F(StoreTest, devices_come_in_pages_by_id) {
  for (const char* id : {"c", "a", "b"}) {
    ASSERT_TRUE(add(device_named(id)));
  }
  const std::vector<Device> first = *read()->devices("", 2);
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].id, "a");
  EXPECT_EQ(first[1].identities, device_named("b").identities);
  const std::vector<Device> second = *read()->devices("b", 2);
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].id, "c");
}

// ---- certificates ----

TEST_F(StoreTest, certificate_is_found_by_serial_request_and_key_after_reopening) {
  ASSERT_TRUE(add(device_named("dev-1")));
  const Issued fact = issued_fact(signer_, 1);
  ASSERT_TRUE(issue(fact));
  reopen();
  const std::optional<CertificateRow> row = *read()->certificate(numbered(1));
  ASSERT_TRUE(row);
  EXPECT_EQ(row->der, fact.certificate);
  EXPECT_EQ(row->subject, "CN=lamp");
  EXPECT_EQ(row->device, "dev-1");
  EXPECT_EQ(row->profile, "default");
  EXPECT_EQ(row->identity, fact.identity);
  EXPECT_EQ(row->reason, fact.reason);
  EXPECT_EQ(row->issued, Instant{5000});
  EXPECT_EQ(row->not_before, Instant{0});
  EXPECT_EQ(row->not_after, Instant{2'000'000'000'000});
  EXPECT_FALSE(row->revoked);
  EXPECT_EQ((*read()->certificate_for(fact.request_key))->serial, numbered(1));
  EXPECT_EQ(*read()->other_holder(signer_.spki_sha256(), "dev-2"), "dev-1");
  EXPECT_EQ(*read()->other_holder(signer_.spki_sha256(), "dev-1"), std::nullopt);
  EXPECT_FALSE(read()->certificate(numbered(2))->has_value());
}

TEST_F(StoreTest, an_id_is_found_whatever_its_case) {
  ASSERT_TRUE(add(device_named("dev-1")));
  ASSERT_TRUE(add(device_named("DEV-2")));
  EXPECT_EQ(*read()->other_called("DEV-1", "dev-9"), "dev-1");
  EXPECT_EQ(*read()->other_called("dev-2", "dev-9"), "DEV-2");
  EXPECT_EQ(*read()->other_called("dev-1", "dev-9"), "dev-1");
  EXPECT_EQ(*read()->other_called("Dev-1", "dev-1"), std::nullopt) << "its own";
  EXPECT_EQ(*read()->other_called("dev-3", "dev-9"), std::nullopt);
}

TEST_F(StoreTest, latest_certificate_answers_a_repeated_request) {
  ASSERT_TRUE(add(device_named("dev-1")));
  Issued fact = issued_fact(signer_, 9);
  fact.request_key = numbered(77);
  ASSERT_TRUE(issue(fact));
  Issued renewal = issued_fact(signer_, 3);
  renewal.request_key = numbered(77);
  renewal.renews = numbered(9);
  ASSERT_TRUE(issue(renewal));
  EXPECT_EQ((*read()->certificate_for(numbered(77)))->serial, numbered(3));
}

TEST_F(StoreTest, certificate_moves_the_device_on) {
  ASSERT_TRUE(add(device_named("dev-1")));
  ASSERT_TRUE(issue(issued_fact(signer_, 1)));
  EXPECT_EQ((*read()->device("dev-1"))->lifecycle, Lifecycle::commissioned);
  EXPECT_EQ((*read()->device("dev-1"))->version, 2);
  Issued renewal = issued_fact(signer_, 2);
  renewal.renews = numbered(1);
  ASSERT_TRUE(issue(renewal, Instant{6000}));
  EXPECT_EQ((*read()->device("dev-1"))->lifecycle, Lifecycle::operational);
  EXPECT_EQ((*read()->device("dev-1"))->changed, Instant{6000});
  EXPECT_EQ((*read()->certificate(numbered(2)))->renews, numbered(1));
}

TEST_F(StoreTest, certificate_does_not_bring_a_retired_device_back) {
  Device device = device_named("dev-1");
  device.lifecycle = Lifecycle::decommissioned;
  ASSERT_TRUE(add(device));
  ASSERT_TRUE(issue(issued_fact(signer_, 1)));
  EXPECT_EQ((*read()->device("dev-1"))->lifecycle, Lifecycle::decommissioned);
  EXPECT_EQ((*read()->device("dev-1"))->version, 1);
}

// The policy looks at a snapshot; the signer may take seconds after that.
TEST_F(StoreTest, who_was_retired_or_refused_meanwhile_gets_nothing) {
  for (const Admission now : {Admission::retired, Admission::refused, Admission::waiting}) {
    Device device = device_named("dev-" + std::string(name(now)));
    device.identities.clear();
    device.admission = now;
    ASSERT_TRUE(add(device));
    EXPECT_EQ(fault_of(issue(issued_fact(signer_, 1, device.id))), Fault::conflict) << name(now);
  }
  EXPECT_EQ(*read()->count("certificates"), 0);
}

TEST_F(StoreTest, what_was_revoked_meanwhile_is_not_renewed) {
  ASSERT_TRUE(add(device_named("dev-1")));
  ASSERT_TRUE(issue(issued_fact(signer_, 1)));
  ASSERT_TRUE(
      write([](Writer& w) { return w.revoke(numbered(1), RevocationReason::key_compromise, "test", Instant{7000}); }));
  Issued renewal = issued_fact(signer_, 2);
  renewal.renews = numbered(1);
  EXPECT_EQ(fault_of(issue(renewal)), Fault::conflict);
  renewal.renews = numbered(5);
  EXPECT_EQ(fault_of(issue(renewal)), Fault::conflict) << "nor what is not on record";
}

// Two connections of one device can ask at the same time; both were admitted before either was recorded.
TEST_F(StoreTest, the_same_request_gets_one_certificate_even_when_asked_twice_at_once) {
  ASSERT_TRUE(add(device_named("dev-1")));
  ASSERT_TRUE(issue(issued_fact(signer_, 1)));
  Issued second = issued_fact(signer_, 2);
  second.request_key = numbered(1);
  EXPECT_EQ(fault_of(issue(second)), Fault::conflict);
  second.renews = numbered(1);
  EXPECT_TRUE(issue(second));
}

TEST_F(StoreTest, two_devices_cannot_get_certificates_for_one_key) {
  ASSERT_TRUE(add(device_named("dev-1")));
  ASSERT_TRUE(add(device_named("dev-2")));
  ASSERT_TRUE(issue(issued_fact(signer_, 1)));
  EXPECT_EQ(fault_of(issue(issued_fact(signer_, 2, "dev-2"))), Fault::conflict);
  EXPECT_EQ(*read()->count("certificates"), 1);
}

TEST_F(StoreTest, nothing_is_issued_twice_or_to_a_stranger_or_unread) {
  ASSERT_TRUE(add(device_named("dev-1")));
  ASSERT_TRUE(issue(issued_fact(signer_, 1)));
  EXPECT_EQ(fault_of(issue(issued_fact(signer_, 1))), Fault::conflict);
  EXPECT_EQ(fault_of(issue(issued_fact(Signer(), 2, "dev-2"))), Fault::refused);
  Issued junk = issued_fact(signer_, 3);
  junk.certificate.pop_back();
  EXPECT_EQ(fault_of(issue(junk)), Fault::malformed);
  EXPECT_EQ(*read()->count("certificates"), 1);
  EXPECT_EQ(*read()->count("audit"), 2);
}

TEST_F(StoreTest, certificates_are_filtered_and_paged_by_serial) {
  ASSERT_TRUE(add(device_named("dev-1")));
  ASSERT_TRUE(add(device_named("dev-2")));
  const Signer second;
  for (const std::uint32_t n : {4U, 2U, 3U, 1U}) {
    ASSERT_TRUE(issue(n % 2 == 0 ? issued_fact(second, n, "dev-2") : issued_fact(signer_, n)));
  }
  ASSERT_TRUE(write([](Writer& w) { return w.revoke(numbered(2), RevocationReason::superseded, "cli", Instant{7}); }));
  const auto serials = [&](std::string device, bool revoked, std::int64_t limit, Bytes after) {
    CertificateFilter filter;
    filter.device = std::move(device);
    if (revoked) {
      filter.state = CertificateState::revoked;
    }
    filter.limit = limit;
    filter.after_serial = std::move(after);
    std::vector<Bytes> out;
    const std::vector<CertificateRow> rows = *read()->certificates(filter);
    for (const CertificateRow& row : rows) {
      out.push_back(row.serial);
    }
    return out;
  };
  using Serials = std::vector<Bytes>;
  EXPECT_EQ(serials("", false, 1000, {}), (Serials{numbered(1), numbered(2), numbered(3), numbered(4)}));
  EXPECT_EQ(serials("", false, 2, numbered(1)), (Serials{numbered(2), numbered(3)}));
  EXPECT_EQ(serials("dev-2", false, 9, {}), (Serials{numbered(2), numbered(4)}));
  EXPECT_EQ(serials("dev-2", true, 9, {}), (Serials{numbered(2)}));
  EXPECT_EQ(serials("dev-1", true, 9, {}), Serials{});
  EXPECT_EQ(serials("", true, 9, {}), (Serials{numbered(2)}));
}

TEST_F(StoreTest, revoked_certificate_answers_nothing_any_more) {
  ASSERT_TRUE(add(device_named("dev-1")));
  ASSERT_TRUE(issue(issued_fact(signer_, 1)));
  const auto revoke = [](Writer& w) {
    return w.revoke(numbered(1), RevocationReason::key_compromise, "admin", Instant{7000});
  };
  ASSERT_TRUE(write(revoke));
  EXPECT_EQ(fault_of(write(revoke)), Fault::conflict);
  const std::vector<Revoked> revoked = *read()->revoked(Instant{});
  ASSERT_EQ(revoked.size(), 1U);
  const Instant end = (*read()->certificate(numbered(1)))->not_after;
  EXPECT_EQ(read()->revoked(end - Duration(1))->size(), 1U);
  EXPECT_EQ(read()->revoked(end)->size(), 0U) << "its own time is over";
  EXPECT_EQ(revoked[0].serial, numbered(1));
  EXPECT_EQ(revoked[0].at, Instant{7000});
  EXPECT_EQ(revoked[0].reason, RevocationReason::key_compromise);
  EXPECT_FALSE(read()->certificate_for(numbered(1))->has_value());
  EXPECT_EQ(*read()->other_holder(signer_.spki_sha256(), "dev-2"), std::nullopt);
  EXPECT_EQ((*read()->certificate(numbered(1)))->revoked, Instant{7000});
  EXPECT_EQ(fault_of(write([](Writer& w) {
              return w.revoke(numbered(2), RevocationReason::unspecified, "admin", Instant{7000});
            })),
            Fault::refused);
  EXPECT_EQ(actions().back(), "certificate.revoked");
}

TEST_F(StoreTest, newcomer_joins_with_its_certificate_or_not_at_all) {
  Issued fact = issued_fact(signer_, 1, "dev-9");
  fact.newcomer = device_named("dev-9");
  fact.spent = "no such secret";
  EXPECT_EQ(fault_of(issue(fact)), Fault::conflict);
  EXPECT_EQ(*read()->count("devices"), 0);
  EXPECT_EQ(*read()->count("audit"), 0);
  fact.spent.clear();
  ASSERT_TRUE(issue(fact, Instant{42}));
  EXPECT_EQ((*read()->device("dev-9"))->added, Instant{42});
  EXPECT_EQ(actions(), (std::vector<std::string>{"device.added", "certificate.issued"}));
  fact = issued_fact(signer_, 2, "dev-9");
  fact.newcomer = device_named("dev-9");
  EXPECT_EQ(fault_of(issue(fact)), Fault::conflict);
  fact.newcomer = device_named("dev-8");
  EXPECT_EQ(fault_of(issue(fact)), Fault::malformed);
}

// ---- the whole ----

TEST_F(StoreTest, reader_sees_one_state_until_it_ends) {
  ASSERT_TRUE(add(device_named("dev-1")));
  const std::unique_ptr<Reader> before = read();
  ASSERT_EQ(*before->count("devices"), 1);
  ASSERT_TRUE(add(device_named("dev-2")));
  EXPECT_EQ(*before->count("devices"), 1);
  EXPECT_EQ(*read()->count("devices"), 2);
}

TEST_F(StoreTest, only_known_tables_are_counted) {
  EXPECT_EQ(read()->count("audit; DROP TABLE audit").error().fault, Fault::unsupported);
}

TEST_F(StoreTest, texts_with_quotes_and_nul_are_values) {
  AuditEntry entry;
  entry.actor = std::string("a\0'; DROP TABLE audit; --", 25);
  ASSERT_TRUE(write([&](Writer& w) { return w.append_audit(entry); }));
  EXPECT_EQ((*read()->audit(0, 1))[0].actor, entry.actor);
  EXPECT_TRUE(audit_is_whole(*store_));
}

TEST_F(StoreTest, files_are_the_owners_alone) {
  ASSERT_TRUE(add(device_named("dev-1")));
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat info {};
    ASSERT_EQ(::stat((folder_.file() + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 0777, 0600U) << suffix;
  }
  store_.reset();
  ASSERT_EQ(::chmod(folder_.file().c_str(), 0644), 0);
  reopen();
  struct stat info {};
  ASSERT_EQ(::stat(folder_.file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

}  // namespace
}  // namespace imprint::store
