// Searching certificates: the database and the plain value in memory give the same answers.
#include "store/certificates.h"

#include "store/memory/memory.h"
#include "store/store_testing.h"

namespace imprint::store {
namespace {

constexpr Instant kNow{1'790'000'000'000};
constexpr Duration kDay = std::chrono::hours(24);

class Search : public StoreTest {
 protected:
  void SetUp() override {
    for (const char* id : {"dev-1", "dev-2"}) {
      both([&](Writer& w) { return w.add_device(device_named(id), "cli"); });
    }
    put(1, "CN=Lamp One,O=Example", "dns:one.example", "lamps", kNow + kDay);
    put(2, "CN=lamp two", "uri:urn:imprint:device:two", "lamps", kNow + kDay * 30);
    put(3, "CN=Sensor", "uri:urn:sensor_1", "default", kNow - kDay, "dev-2");
    put(4, "CN=Sensor", "uri:urn:sensor%41", "default", kNow + kDay, "dev-2");
    both([&](Writer& w) { return w.revoke(numbered(4), RevocationReason::superseded, "cli", kNow); });
    both([&](Writer& w) { return w.issued_to_server(signer_.certificate(numbered(5)), "made", kNow, "server"); });
  }

  void both(const Store::Change& change) {
    MemoryWriter memory(tables_);
    ASSERT_TRUE(change(memory));
    ASSERT_TRUE(write(change));
  }

  void put(std::uint32_t n, std::string_view subject, std::string_view name, std::string profile, Instant end,
           std::string device = "dev-1") {
    const PrivateKey key = *PrivateKey::generate(KeyType::p256);
    CertificateTemplate what;
    what.serial = numbered(n);
    what.issuer = *Name::from_text("CN=CA");
    what.subject = *Name::from_text(subject);
    what.not_before = Instant{1'600'000'000'000};
    what.not_after = end;
    what.spki = key.public_key().spki;
    what.alt_names = {*GeneralName::from_text(name)};
    Issued fact = issued_fact(signer_, n, std::move(device));
    fact.grant.profile = std::move(profile);
    fact.certificate = *sign_certificate(key, what);
    fact.basis = Basis::inventory;
    fact.evidence = "token:dev-1";
    fact.run = "run" + std::to_string(n);
    both([&](Writer& w) { return w.issued(fact, kNow - kDay * 2, "est"); });
  }

  // The last octets of the serial numbers found, the same by both stores.
  std::vector<int> found(CertificateFilter filter) {
    filter.now = kNow;
    std::vector<int> out, in_memory;
    for (const CertificateRow& row : *read()->certificates(filter)) {
      out.push_back(row.serial.back());
    }
    for (const CertificateRow& row : *MemoryReader(tables_).certificates(filter)) {
      in_memory.push_back(row.serial.back());
    }
    EXPECT_EQ(out, in_memory);
    return out;
  }
  std::vector<int> with(const std::function<void(CertificateFilter&)>& fill) {
    CertificateFilter filter;
    fill(filter);
    return found(filter);
  }
  using Numbers = std::vector<int>;

  Tables tables_;
};

TEST_F(Search, finds_by_subject_and_other_names_whatever_their_case) {
  EXPECT_EQ(with([](auto& f) { f.text = "LAMP"; }), (Numbers{1, 2, 5})) << "the server's is CN=lamp";
  EXPECT_EQ(with([](auto& f) { f.text = "o=example"; }), Numbers{1});
  EXPECT_EQ(with([](auto& f) { f.text = "urn:IMPRINT"; }), Numbers{2});
  EXPECT_EQ(with([](auto& f) { f.text = "sensor_1"; }), Numbers{3}) << "no pattern: _ is itself";
  EXPECT_EQ(with([](auto& f) { f.text = "%"; }), Numbers{4}) << "nor is %";
  EXPECT_EQ(with([](auto& f) { f.text = "' OR 1=1 --"; }), Numbers{});
}

TEST_F(Search, finds_by_state) {
  EXPECT_EQ(with([](auto& f) { f.state = CertificateState::good; }), (Numbers{1, 2, 5}));
  EXPECT_EQ(with([](auto& f) { f.state = CertificateState::expired; }), Numbers{3});
  EXPECT_EQ(with([](auto& f) { f.state = CertificateState::revoked; }), Numbers{4});
}

TEST_F(Search, finds_by_device_profile_and_serial_number) {
  EXPECT_EQ(with([](auto& f) { f.device = "dev-2"; }), (Numbers{3, 4}));
  EXPECT_EQ(with([](auto& f) { f.device = kServer; }), Numbers{5});
  EXPECT_EQ(with([](auto& f) { f.device = "dev-9"; }), Numbers{});
  EXPECT_EQ(with([](auto& f) { f.profile = "lamps"; }), (Numbers{1, 2}));
  EXPECT_EQ(with([](auto& f) { f.serial = numbered(3); }), Numbers{3});
  EXPECT_EQ(with([](auto& f) { f.serial = {1, 0}; }), (Numbers{1, 2, 3, 4, 5})) << "its beginning";
  EXPECT_EQ(with([](auto& f) { f.serial = {2}; }), Numbers{});
}

TEST_F(Search, finds_by_fingerprint) {
  const CertificateRow row = **read()->certificate(numbered(2));
  EXPECT_EQ(with([&](auto& f) { f.sha256 = to_bytes(sha256(row.der)); }), Numbers{2});
  EXPECT_EQ(with([&](auto& f) {
              f.sha256 = to_bytes(sha256(row.der));
              f.device = "dev-2";
            }),
            Numbers{})
      << "every part has to fit";
  EXPECT_EQ(with([](auto& f) { f.sha256 = Bytes(32, 1); }), Numbers{});
}

TEST_F(Search, finds_by_end) {
  EXPECT_EQ(with([](auto& f) { f.ends_before = kNow + kDay * 2; }), (Numbers{1, 3, 4}));
  EXPECT_EQ(with([](auto& f) {
              f.ends_before = kNow + kDay * 31;
              f.ends_after = kNow + kDay * 2;
            }),
            Numbers{2});
}

TEST_F(Search, pages_go_on_after_a_serial_number) {
  EXPECT_EQ(with([](auto& f) { f.limit = 2; }), (Numbers{1, 2}));
  EXPECT_EQ(with([](auto& f) {
              f.limit = 2;
              f.after_serial = numbered(2);
            }),
            (Numbers{3, 4}));
}

TEST_F(Search, rows_know_where_they_came_from) {
  const CertificateRow row = **read()->certificate(numbered(4));
  EXPECT_EQ(row.origin.basis, Basis::inventory);
  EXPECT_EQ(row.origin.evidence, "token:dev-1");
  EXPECT_EQ(row.origin.run, "run4");
  const auto entry = [&](std::int64_t sequence) { return read()->audit(sequence - 1, 1)->front(); };
  EXPECT_EQ(entry(row.origin.issued_entry).action, "certificate.issued");
  EXPECT_NE(entry(row.origin.issued_entry).detail.find(hex(numbered(4))), std::string::npos);
  EXPECT_EQ(entry(row.origin.revoked_entry).action, "certificate.revoked");
  EXPECT_EQ((*read()->certificate(numbered(1)))->origin.revoked_entry, 0);
}

TEST_F(Search, the_audit_log_is_searched_by_what_it_is_about) {
  const auto about = *read()->audit_about("dev-2", "certificate.issued");
  ASSERT_EQ(about.size(), 2U);
  EXPECT_GT(about[0].sequence, about[1].sequence) << "the newest first";
  EXPECT_TRUE(read()->audit_about("dev-9", "certificate.issued")->empty());
}

TEST(CertificateStates, have_names) {
  for (const auto state : {CertificateState::good, CertificateState::expired, CertificateState::revoked}) {
    EXPECT_EQ(certificate_state_named(name(state)), state);
  }
  EXPECT_FALSE(certificate_state_named("lost"));
  for (const auto basis : {Basis::none, Basis::inventory, Basis::request, Basis::newcomer}) {
    EXPECT_EQ(basis_named(name(basis)), basis);
  }
  EXPECT_FALSE(basis_named("whim"));
}

}  // namespace
}  // namespace imprint::store
