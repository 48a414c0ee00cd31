#include "factory/line.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "crypto/issue.h"
#include "crypto/random.h"
#include "io/file.h"
#include "proto/brski/masa_url.h"

namespace imprint::factory {
namespace {

namespace fs = std::filesystem;

constexpr Instant kNow{1'700'000'000'000};

site::Ca maker() {
  SystemRng rng;
  auto ca =
      site::make_root(KeyType::p256, *Name::from_text("CN=Acme Root CA"), kNow, std::chrono::hours(24 * 3650), rng);
  EXPECT_TRUE(ca);
  return *ca;
}

Order order(std::uint32_t count, Birth birth = Birth::idevid) {
  Order out;
  out.model = "acme";
  out.count = count;
  out.birth = birth;
  return out;
}

std::vector<Born> born(const Order& what, const site::Ca& ca) {
  SystemRng rng;
  auto devices = make(what, ca, kNow, rng);
  EXPECT_TRUE(devices) << devices.error().what;
  return devices ? *devices : std::vector<Born>{};
}

std::string manifest_of(const std::vector<Born>& devices) {
  std::string out;
  for (const Born& device : devices) {
    out += manifest_line(device.entry);
  }
  return out;
}

// The only problem of a manifest.
ManifestProblem problem_of(const std::string& text) {
  std::vector<ManifestProblem> problems;
  parse_manifest(text, problems);
  EXPECT_EQ(problems.size(), 1U);
  return problems.empty() ? ManifestProblem{} : problems.front();
}

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "imprint-factory-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  void TearDown() override { fs::remove_all(path_); }
  std::string path_;
};

TEST(Line, an_idevid_names_its_device_reaches_the_makers_root_and_does_not_end) {
  const site::Ca ca = maker();
  const auto devices = born(order(2), ca);
  ASSERT_EQ(devices.size(), 2U);
  EXPECT_EQ(devices[0].entry.id, "acme-0001");
  EXPECT_EQ(devices[1].entry.id, "acme-0002");
  const Certificate& idevid = *devices[0].entry.idevid;
  EXPECT_EQ(idevid.subject.first("serialNumber"), "acme-0001");
  EXPECT_EQ(idevid.not_after, kNoEnd);
  EXPECT_FALSE(idevid.is_ca);
  EXPECT_EQ(idevid.key, devices[0].key.public_key());
  EXPECT_TRUE(verify_chain(idevid, {}, {ca.certificate}, {Purpose::tls_client, kNow, true}));
}

TEST(Line, no_two_devices_share_a_key_a_serial_number_or_a_token) {
  const site::Ca ca = maker();
  const auto devices = born(order(3), ca);
  EXPECT_NE(devices[0].key.public_key(), devices[1].key.public_key());
  EXPECT_NE(devices[0].entry.idevid->serial, devices[1].entry.idevid->serial);
  const auto tokens = born(order(2, Birth::one_time), ca);
  EXPECT_FALSE(same(tokens[0].entry.one_time, tokens[1].entry.one_time));
  EXPECT_FALSE(tokens[0].entry.idevid);
  EXPECT_FALSE(tokens[0].key);
}

// A source of luck that has none: every token would be the same zeros.
class NoLuck final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override { std::ranges::fill(out, std::uint8_t{0}); }
};

TEST(Line, a_weak_token_does_not_leave_the_factory) {
  NoLuck rng;
  const auto devices = make(order(1, Birth::one_time), maker(), kNow, rng);
  ASSERT_FALSE(devices);
  EXPECT_EQ(devices.error().fault, Fault::refused);
}

TEST(Line, an_order_out_of_bounds_is_refused) {
  SystemRng rng;
  const site::Ca ca = maker();
  for (const std::string model : {"", "-acme", "acme/..", "a b", "abcdefghijabcdefghijabcdefghijabc"}) {
    Order bad = order(1);
    bad.model = model;
    EXPECT_FALSE(make(bad, ca, kNow, rng)) << model;
  }
  EXPECT_FALSE(make(order(0), ca, kNow, rng));
  EXPECT_FALSE(make(order(100001), ca, kNow, rng));
  Order late = order(2);
  late.first = UINT32_MAX - 1;
  EXPECT_FALSE(make(late, ca, kNow, rng));
}

TEST(Manifest, says_what_was_born) {
  Order what = order(2);
  what.label = "pumps";
  what.server_uri = "https://est.example:8443";
  auto devices = born(what, maker());
  const auto tokens = born(order(1, Birth::one_time), maker());
  devices.push_back(tokens.front());
  devices.back().entry.id = "other";
  std::vector<ManifestProblem> problems;
  const auto read = parse_manifest(manifest_of(devices), problems);
  ASSERT_TRUE(problems.empty()) << problems.front().text;
  ASSERT_EQ(read.size(), 3U);
  EXPECT_EQ(read[0].id, "acme-0001");
  EXPECT_EQ(read[0].label, "pumps");
  EXPECT_EQ(read[0].server_uri, "https://est.example:8443");
  EXPECT_EQ(read[0].idevid, devices[0].entry.idevid);
  EXPECT_EQ(read[2].id, "other");
  EXPECT_TRUE(same(read[2].one_time, devices[2].entry.one_time));
}

TEST(Manifest, a_wrong_line_is_named_and_the_others_are_still_read) {
  const auto devices = born(order(2), maker());
  const std::string text = manifest_line(devices[0].entry) + "\n{\"id\":\n" + manifest_line(devices[1].entry);
  std::vector<ManifestProblem> problems;
  EXPECT_EQ(parse_manifest(text, problems).size(), 2U);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems.front().line, 3U);  // an empty line counts, but is no problem
}

TEST(Manifest, bad_ids_members_and_missing_credentials_are_refused) {
  const std::string token = R"(,"token":"c1f0a7d3928be64f05a7b3c2d1e9f8a6574b3c2d"})";
  EXPECT_EQ(problem_of(R"({"id":"../up")" + token).fault, Fault::malformed);
  EXPECT_EQ(problem_of(R"({"model":"x")" + token).fault, Fault::malformed);
  EXPECT_EQ(problem_of(R"({"id":"d","color":"red")" + token).text, "color: unknown member");
  EXPECT_EQ(problem_of(R"({"id":"d","serial":7)" + token).text, "serial: not a text");
  EXPECT_EQ(problem_of(R"({"id":"d","server":"not a uri")" + token).text, "d: server: not a URI");
  EXPECT_EQ(problem_of(R"({"id":"d"})").text, "d: needs an idevid or a token, and not both");
  EXPECT_EQ(problem_of(R"({"id":"d","idevid":"-----BEGIN X-----"})").text, "idevid: not one certificate in PEM");
  EXPECT_EQ(problem_of(R"({"id":"d","id":"e")" + token).fault, Fault::malformed);
  EXPECT_EQ(problem_of("[1]").text, "not a JSON object");
  EXPECT_EQ(problem_of("{\"id\":\"" + std::string(70000, 'x') + "\"}").fault, Fault::limit);
}

TEST(Manifest, a_weak_token_is_refused_by_policy) {
  EXPECT_EQ(problem_of(R"({"id":"d","token":"changeme"})").fault, Fault::refused);
  EXPECT_EQ(problem_of(R"({"id":"d","token":""})").fault, Fault::refused);
}

TEST(Manifest, what_two_devices_share_is_a_conflict) {
  const auto devices = born(order(2), maker());
  const auto tokens = born(order(2, Birth::one_time), maker());
  EXPECT_EQ(problem_of(manifest_line(devices[0].entry) + manifest_line(devices[0].entry)).text,
            "acme-0001: this id was on an earlier line");
  ManifestEntry twin = devices[0].entry;
  twin.id = "twin";
  EXPECT_EQ(problem_of(manifest_line(devices[0].entry) + manifest_line(twin)).text,
            "twin: another device of this manifest has this identity");
  ManifestEntry sharer = tokens[1].entry;
  sharer.one_time = tokens[0].entry.one_time;
  const ManifestProblem shared = problem_of(manifest_line(tokens[0].entry) + manifest_line(sharer));
  EXPECT_EQ(shared.fault, Fault::conflict);
  EXPECT_EQ(shared.text, "acme-0002: another device of this manifest has this token");
}

TEST(Line, an_idevid_is_for_signatures_alone_unless_the_order_says_more) {
  Order what = order(1);
  EXPECT_EQ(born(what, maker())[0].entry.idevid->usage, key_usage::kDigitalSignature);
  what.key_agreement = true;
  EXPECT_EQ(born(what, maker())[0].entry.idevid->usage, key_usage::kDigitalSignature | key_usage::kKeyAgreement);
  what.key = KeyType::rsa2048;
  EXPECT_EQ(born(what, maker())[0].entry.idevid->usage, key_usage::kDigitalSignature | key_usage::kKeyEncipherment);
  what.key = KeyType::ed25519;
  SystemRng rng;
  const auto none = make(what, maker(), kNow, rng);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().fault, Fault::unsupported);
}

TEST(Line, a_shared_key_is_each_devices_own) {
  Order what = order(2);
  EXPECT_FALSE(born(what, maker())[0].entry.wrap_key);
  what.wrap_key = true;
  const auto devices = born(what, maker());
  ASSERT_TRUE(devices[0].entry.wrap_key && devices[1].entry.wrap_key);
  EXPECT_EQ(devices[0].entry.wrap_key->key.size(), 32U);
  EXPECT_NE(devices[0].entry.wrap_key->id, devices[1].entry.wrap_key->id);
  EXPECT_FALSE(same(devices[0].entry.wrap_key->key, devices[1].entry.wrap_key->key));
  NoLuck rng;
  const auto weak = make(what, maker(), kNow, rng);
  ASSERT_FALSE(weak);
  EXPECT_EQ(weak.error().what, "shared key: somebody could guess it");
}

TEST(Manifest, says_the_shared_key_and_refuses_a_wrong_one) {
  Order what = order(2);
  what.wrap_key = true;
  auto devices = born(what, maker());
  std::vector<ManifestProblem> problems;
  const auto read = parse_manifest(manifest_of(devices), problems);
  ASSERT_EQ(read.size(), 2U);
  ASSERT_TRUE(read[1].wrap_key);
  EXPECT_EQ(read[1].wrap_key->id, devices[1].entry.wrap_key->id);
  EXPECT_TRUE(same(read[1].wrap_key->key, devices[1].entry.wrap_key->key));
  const SharedKey good = *devices[1].entry.wrap_key;
  devices[1].entry.wrap_key = SharedKey{{9}, devices[0].entry.wrap_key->key};
  const ManifestProblem shared = problem_of(manifest_of(devices));
  EXPECT_EQ(shared.fault, Fault::conflict);
  EXPECT_EQ(shared.text, "acme-0002: another device of this manifest has this shared key");
  devices[1].entry.wrap_key = SharedKey{good.id, Secret(BytesView(Bytes(16, 0x5a)))};
  EXPECT_EQ(problem_of(manifest_line(devices[1].entry)).fault, Fault::refused);
  devices[1].entry.wrap_key = SharedKey{{}, good.key};
  EXPECT_EQ(problem_of(manifest_line(devices[1].entry)).fault, Fault::malformed);
  devices[1].entry.wrap_key = SharedKey{good.id, {}};
  EXPECT_EQ(problem_of(manifest_line(devices[1].entry)).fault, Fault::malformed);
}

TEST(Manifest, two_identities_with_one_key_are_a_conflict) {
  const site::Ca ca = maker();
  auto devices = born(order(2), ca);
  CertificateTemplate t;
  t.serial = {1};
  t.issuer = ca.certificate.subject;
  t.subject = *Name::from_text("CN=clone");
  t.not_before = kNow;
  t.not_after = kNoEnd;
  t.spki = devices[0].key.public_key().spki;
  ManifestEntry clone = devices[1].entry;
  clone.idevid = *Certificate::parse(*sign_certificate(ca.key, t));
  EXPECT_EQ(problem_of(manifest_line(devices[0].entry) + manifest_line(clone)).text,
            "acme-0002: another device of this manifest has this key");
}

TEST_F(Folder, holds_the_devices_beliefs_for_nobody_else_to_read) {
  const site::Ca ca = maker();
  const auto devices = born(order(2), ca);
  const std::string out = path_ + "/batch/one";
  ASSERT_TRUE(write_folder(out, devices, ca.certificate, {ca.certificate}));
  for (const char* const name : {"idevid-key.pem", "idevid.pem", "idevid-chain.pem", "anchors.pem", "device.json"}) {
    EXPECT_TRUE(fs::exists(out + "/acme-0002/" + name)) << name;
  }
  EXPECT_EQ(fs::status(out + "/acme-0001").permissions(), fs::perms::owner_all);
  EXPECT_EQ(fs::status(out + "/acme-0001/idevid-key.pem").permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
  const auto pem = io::read_file(out + "/acme-0001/idevid-key.pem");
  ASSERT_TRUE(pem);
  const auto key = PrivateKey::parse_pem(Secret(*pem));
  ASSERT_TRUE(key);
  EXPECT_EQ(key->public_key(), devices[0].entry.idevid->key);
  EXPECT_TRUE(fs::exists(out + "/maker-root.pem"));
  const auto manifest = io::read_file(out + "/manifest.jsonl");
  ASSERT_TRUE(manifest);
  std::vector<ManifestProblem> problems;
  EXPECT_EQ(parse_manifest(as_text(*manifest), problems).size(), 2U);
}

TEST_F(Folder, gets_a_token_in_place_of_a_key) {
  const site::Ca ca = maker();
  const auto devices = born(order(1, Birth::one_time), ca);
  ASSERT_TRUE(write_folder(path_ + "/t", devices, ca.certificate, {}));
  EXPECT_FALSE(fs::exists(path_ + "/t/acme-0001/idevid-key.pem"));
  EXPECT_FALSE(fs::exists(path_ + "/t/acme-0001/anchors.pem"));
  const auto token = io::read_file(path_ + "/t/acme-0001/token");
  ASSERT_TRUE(token);
  EXPECT_TRUE(same(Secret(*token), devices[0].entry.one_time));
}

TEST_F(Folder, has_the_shared_key_for_the_device_alone) {
  const site::Ca ca = maker();
  Order what = order(1);
  what.wrap_key = true;
  const auto devices = born(what, ca);
  ASSERT_TRUE(write_folder(path_ + "/w", devices, ca.certificate, {}));
  const auto text = io::read_file(path_ + "/w/acme-0001/wrap-key");
  ASSERT_TRUE(text);
  const SharedKey& key = *devices[0].entry.wrap_key;
  EXPECT_EQ(as_text(*text), hex(key.id) + " " + hex(key.key.expose()) + "\n");
  EXPECT_EQ(fs::status(path_ + "/w/acme-0001/wrap-key").permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(Folder, that_is_there_already_is_not_touched) {
  const site::Ca ca = maker();
  const std::string out = path_ + "/batch";
  ASSERT_TRUE(write_folder(out, born(order(1), ca), ca.certificate, {}));
  const auto before = io::read_file(out + "/manifest.jsonl");
  const Status again = write_folder(out, born(order(1), ca), ca.certificate, {});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().fault, Fault::conflict);
  EXPECT_EQ(*io::read_file(out + "/manifest.jsonl"), *before);
  EXPECT_FALSE(fs::exists(out + ".new"));
}

TEST_F(Folder, half_written_before_a_power_cut_is_written_anew) {
  const site::Ca ca = maker();
  const std::string out = path_ + "/batch";
  fs::create_directories(out + ".new/acme-0001");
  ASSERT_TRUE(write_folder(out, born(order(1), ca), ca.certificate, {}));
  EXPECT_TRUE(fs::exists(out + "/manifest.jsonl"));
  EXPECT_FALSE(fs::exists(out + ".new"));
}

TEST_F(Folder, devices_that_name_their_masa_have_its_anchor_beside_them) {
  const site::Ca ca = maker();
  Order what = order(1);
  what.masa = "masa.example:9443";
  const auto devices = born(what, ca);
  EXPECT_EQ(brski::masa_authority(*devices.front().entry.idevid), "masa.example:9443");
  EXPECT_FALSE(brski::masa_authority(*born(order(1), ca).front().entry.idevid));
  const std::string out = path_ + "/masa";
  ASSERT_TRUE(write_folder(out, devices, ca.certificate, {}));
  for (const std::string& at : {out, out + "/acme-0001"}) {
    EXPECT_EQ(*io::read_file(at + "/masa-anchors.pem"), to_bytes(to_pem(ca.certificate)));
  }
  ASSERT_TRUE(write_folder(path_ + "/none", born(order(1), ca), ca.certificate, {}));
  EXPECT_FALSE(fs::exists(path_ + "/none/masa-anchors.pem"));
}

TEST_F(Folder, constrained_devices_know_who_signs_vouchers_beside_the_root) {
  SystemRng rng;
  const site::Ca ca = maker();
  Order what = order(1);
  what.masa = "masa.example:9443";
  const auto devices = born(what, ca);
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  CertificateTemplate t;
  t.serial = {1, 2, 3};
  t.issuer = ca.certificate.subject;
  t.subject = *Name::from_text("CN=Voucher signer");
  t.not_before = ca.certificate.not_before;
  t.not_after = ca.certificate.not_after;
  t.spki = key.public_key().spki;
  t.usage = key_usage::kDigitalSignature;
  const Certificate signer = *Certificate::parse(*sign_certificate(ca.key, t));
  const std::string out = path_ + "/masa";
  ASSERT_TRUE(write_folder(out, devices, ca.certificate, {}, {signer}));
  for (const std::string& at : {out, out + "/acme-0001"}) {
    EXPECT_EQ(*io::read_file(at + "/masa-anchors.pem"), to_bytes(to_pem(signer) + to_pem(ca.certificate)));
  }
  t.extended = {std::string(eku::kCmcRa)};
  const Certificate registrar = *Certificate::parse(*sign_certificate(ca.key, t));
  for (const Certificate& wrong : {registrar, ca.certificate, *devices.front().entry.idevid}) {
    const Status refused = write_folder(path_ + "/wrong", devices, ca.certificate, {}, {wrong});
    EXPECT_FALSE(refused) << wrong.subject.text;
    EXPECT_FALSE(fs::exists(path_ + "/wrong"));
  }
}

TEST(Line, a_masa_that_no_registrar_would_ask_is_refused) {
  SystemRng rng;
  Order what = order(1);
  what.masa = "no such host";
  EXPECT_FALSE(make(what, maker(), kNow, rng));
  what.masa = "masa.example";
  what.birth = Birth::one_time;
  EXPECT_FALSE(make(what, maker(), kNow, rng));
}

}  // namespace
}  // namespace imprint::factory
