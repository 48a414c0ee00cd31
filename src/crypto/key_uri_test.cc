#include "crypto/key_uri.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "crypto/issue.h"
#include "crypto/key_rules.h"

namespace imprint {
namespace {

namespace fs = std::filesystem;
using Kind = KeyUri::Kind;

const Rule* rule_of(std::string_view text) {
  const auto parsed = KeyUri::parse(text);
  return parsed ? nullptr : parsed.error().rule;
}

TEST(KeyUri, a_path_is_a_file_as_it_is) {
  const auto path = KeyUri::parse("/etc/imprint/ca%20.pem");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->kind, Kind::file);
  EXPECT_EQ(path->path, "/etc/imprint/ca%20.pem");
  EXPECT_EQ(KeyUri::parse("ca.pem")->path, "ca.pem");
}

TEST(KeyUri, a_file_URI_is_unescaped) {
  EXPECT_EQ(KeyUri::parse("file:/etc/a%20b.pem")->path, "/etc/a b.pem");
  EXPECT_EQ(KeyUri::parse("file:///etc/ca.pem")->path, "/etc/ca.pem");
  EXPECT_EQ(rule_of("file:"), &kKeyUri);
  EXPECT_EQ(rule_of("file:/a%00"), &kKeyUri);
  EXPECT_EQ(rule_of("file:/a%2"), &kKeyUri);
}

TEST(KeyUri, a_key_behind_PKCS11) {
  const auto uri = KeyUri::parse(
      "pkcs11:token=my%20site;object=ca;id=%01%A2;serial=7;manufacturer=m;model=x;type=private?"
      "module-path=/usr/lib/m.so&pin-source=file:/run/pin");
  ASSERT_TRUE(uri);
  EXPECT_EQ(uri->kind, Kind::pkcs11);
  EXPECT_EQ(uri->token, "my site");
  EXPECT_EQ(uri->object, "ca");
  EXPECT_EQ(uri->id, (Bytes{0x01, 0xa2}));
  EXPECT_EQ(uri->serial, "7");
  EXPECT_EQ(uri->manufacturer, "m");
  EXPECT_EQ(uri->model, "x");
  EXPECT_EQ(uri->module_path, "/usr/lib/m.so");
  EXPECT_EQ(uri->pin_source, "/run/pin");
  EXPECT_TRUE(KeyUri::parse("pkcs11:"));  // the only key there is
}

TEST(KeyUri, what_is_not_understood_is_not_passed_over) {
  for (const char* bad :
       {"pkcs11:object=a;object=b", "pkcs11:id=%01;id=%02", "pkcs11:color=red", "pkcs11:object=", "pkcs11:type=public",
        "pkcs11:object=%zz", "pkcs11:object=a?module-name=x", "pkcs11:object=a?pin-source=a&pin-source=b",
        "pkcs11:object=a?pin-source=|cat", "pkcs11:object=a\n", "", "tpm2:", "tpm2:0x", "tpm2:0x81", "tpm2:0x8100000g",
        "tpm2:0x40000001", "tpm2:0x1810000001", "tpm2:0x81000001?module-path=/x"}) {
    EXPECT_EQ(rule_of(bad), &kKeyUri) << bad;
  }
  EXPECT_EQ(rule_of("pkcs11:object=" + std::string(5000, 'a')), &kKeyUri);
}

TEST(KeyUri, a_PIN_for_everybody_to_see_is_refused) {
  EXPECT_EQ(rule_of("pkcs11:object=ca?pin-value=1234"), &kKeyPinInUri);
  EXPECT_EQ(rule_of("tpm2:0x81000001?pin-value=1234"), &kKeyPinInUri);
}

TEST(KeyUri, a_key_in_a_TPM) {
  EXPECT_EQ(KeyUri::parse("tpm2:0x81000001")->handle, 0x81000001U);
  EXPECT_EQ(KeyUri::parse("handle:0x81abcdef?pin-source=/p")->handle, 0x81abcdefU);
  EXPECT_EQ(KeyUri::parse("handle:0x81abcdef?pin-source=/p")->pin_source, "/p");
  const auto object = KeyUri::parse("tpm2:/etc/ca.tss2");
  ASSERT_TRUE(object);
  EXPECT_EQ(object->kind, Kind::tpm2);
  EXPECT_EQ(object->path, "/etc/ca.tss2");
}

TEST(KeyUri, a_module_that_is_not_there_is_told_with_its_package) {
  const auto key = open_key(*KeyUri::parse("pkcs11:object=ca?module-path=/nowhere/module.so"), std::nullopt);
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().rule, &kKeyPkcs11);
  EXPECT_EQ(key.error().fault, Fault::unreachable);
}

TEST(KeyUri, a_library_that_is_no_module_is_refused) {
  const auto key = open_key(*KeyUri::parse("pkcs11:object=ca?module-path=libm.so.6"), std::nullopt);
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().rule, &kKeyPkcs11);
}

TEST(KeyUri, a_key_in_memory_has_none) {
  const PrivateKey key = *PrivateKey::generate(KeyType::ed25519);
  EXPECT_EQ(key_uri(key), "");
  EXPECT_FALSE(in_token(key));
  EXPECT_TRUE(can_tls(key));
  EXPECT_FALSE(in_token(PrivateKey()));
}

// ---- a token of SoftHSM, in a folder of its own ----

constexpr const char* kModule = "/usr/lib/softhsm/libsofthsm2.so";
constexpr const char* kPin = "4321";

class SoftToken : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!fs::exists(kModule) || std::system("command -v softhsm2-util pkcs11-tool >/dev/null") != 0) {
      return;
    }
    folder() = fs::temp_directory_path() / ("imprint-token-" + std::to_string(::getpid()));
    fs::create_directories(folder() / "tokens");
    std::ofstream(folder() / "conf") << "directories.tokendir = " << (folder() / "tokens").string()
                                     << "\nobjectstore.backend = file\nlog.level = ERROR\n";
    ::setenv("SOFTHSM2_CONF", (folder() / "conf").c_str(), 1);
    run("softhsm2-util --init-token --free --label site --so-pin 1234 --pin 4321");
    make("EC:prime256v1", "01", "p256");
    make("EC:secp384r1", "02", "p384");
    make("EC:edwards25519", "03", "ed");
    make("rsa:2048", "04", "rsa");
    make("EC:prime256v1", "05", "twin");
    make("EC:prime256v1", "06", "twin");
  }
  static void TearDownTestSuite() {
    if (!folder().empty()) {
      fs::remove_all(folder());
    }
  }
  void SetUp() override {
    if (folder().empty()) {
      GTEST_SKIP() << "softhsm2 and opensc are not installed";
    }
  }
  static fs::path& folder() {
    static fs::path path;
    return path;
  }
  static void run(const std::string& command) {
    ASSERT_EQ(std::system((command + " >/dev/null 2>&1").c_str()), 0) << command;
  }
  static void make(const std::string& type, const std::string& id, const std::string& label) {
    run(std::string("pkcs11-tool --module ") + kModule + " --login --pin 4321 --keypairgen --key-type " + type +
        " --id " + id + " --label " + label);
  }
  static Result<PrivateKey> open(const std::string& attributes,
                                 const std::optional<Secret>& pin = Secret(std::string_view(kPin))) {
    return open_key(*KeyUri::parse("pkcs11:" + attributes + "?module-path=" + kModule), pin);
  }
  static bool signs(const PrivateKey& key) {
    const Bytes message = to_bytes("a message");
    const auto signature = key.sign(message);
    return signature && verify_signature(key.public_key(), key.signature_algorithm(), message, *signature);
  }
};

TEST_F(SoftToken, signs_with_every_kind_of_key) {
  const std::vector<std::pair<std::string, KeyType>> kinds{
      {"p256", KeyType::p256}, {"p384", KeyType::p384}, {"ed", KeyType::ed25519}, {"rsa", KeyType::rsa2048}};
  for (const auto& [label, type] : kinds) {
    const auto key = open("token=site;object=" + label);
    ASSERT_TRUE(key) << label << ": " << key.error().what;
    EXPECT_EQ(key->public_key().type, type);
    EXPECT_TRUE(signs(*key)) << label;
    EXPECT_TRUE(in_token(*key));
    EXPECT_FALSE(key->to_pem());
  }
  EXPECT_TRUE(can_tls(*open("token=site;object=p384")));
  EXPECT_FALSE(can_tls(*open("token=site;object=ed")));
}

TEST_F(SoftToken, is_opened_once_for_a_process) {
  const auto first = open("token=site;id=%01"), second = open("token=site;id=%01");
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->handle(), second->handle());
}

TEST_F(SoftToken, a_wrong_PIN_is_told_and_not_tried_again) {
  const Secret wrong(std::string_view("0000"));
  for (int i = 0; i < 12; ++i) {  // SoftHSM would not lock, but a token with three tries would
    const auto key = open("token=site;object=p256;type=private", wrong);
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().rule, &kKeyPin);
  }
  EXPECT_TRUE(open("token=site;object=p256;type=private"));
}

TEST_F(SoftToken, without_a_PIN_the_key_is_not_seen) {
  const auto key = open("token=site;object=p384;type=private", std::nullopt);
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().rule, &kKeyPin);
}

TEST_F(SoftToken, what_is_not_there_or_not_one_is_told) {
  EXPECT_EQ(open("token=another;object=p256").error().rule, &kKeyToken);
  EXPECT_EQ(open("token=site;object=nobody").error().rule, &kKeyAbsent);
  EXPECT_EQ(open("token=site;object=twin").error().rule, &kKeyAbsent);
  EXPECT_TRUE(open("token=site;object=twin;id=%05"));
}

TEST_F(SoftToken, one_that_was_away_is_found_again) {
  const auto key = open("token=site;object=p384");
  ASSERT_TRUE(key);
  fs::rename(folder() / "tokens", folder() / "away");
  fs::create_directory(folder() / "tokens");
  const auto gone = key->sign(to_bytes("a message"));
  EXPECT_FALSE(gone);
  EXPECT_EQ(gone.error().rule, &kKeyToken);
  fs::remove(folder() / "tokens");
  fs::rename(folder() / "away", folder() / "tokens");
  EXPECT_TRUE(signs(*key));
  EXPECT_TRUE(signs(*open("token=site;object=rsa")));  // whose session the search ended
}

}  // namespace
}  // namespace imprint
