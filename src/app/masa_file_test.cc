// Makers' files: what they say, what is wrong and where; and the folder in which they lie with catalogues.
#include "app/masa_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "app/makers.h"
#include "crypto/random.h"
#include "io/file.h"
#include "site/masa_testing.h"

namespace imprint::app {
namespace {

using namespace site::testing;

class MakerFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    SystemRng rng;
    data_ =
        (std::filesystem::temp_directory_path() / ("imprint-makers-" + hex(random_secret(rng, 8).expose()))).string();
    std::filesystem::create_directories(data_ + "/makers/acme");
    put("acme.pem", to_pem(acme_.certificate));
    put("acme/web.pem", to_pem(web_.certificate));
    put("acme/password", "secret\n");
  }
  void TearDown() override { std::filesystem::remove_all(data_); }

  void put(const std::string& name, std::string_view text) {
    std::ofstream(data_ + "/makers/" + name, std::ios::trunc) << text;
  }
  std::variant<MakerFile, std::vector<ConfigProblem>> parse(std::string_view text) {
    return parse_maker_file(data_ + "/makers/acme.toml", text);
  }
  MakerFile good(std::string_view text) {
    auto read = parse(text);
    const auto* const problems = std::get_if<1>(&read);
    EXPECT_EQ(problems, nullptr) << (problems != nullptr ? problems->front().text : "");
    return problems != nullptr ? MakerFile{} : std::get<0>(read);
  }
  // The first problem, without the folder.
  std::string wrong(std::string_view text) {
    const auto read = parse(text);
    const auto* const problems = std::get_if<1>(&read);
    return problems == nullptr ? "good" : problems->front().text.substr((data_ + "/makers/").size());
  }

  std::string data_;
  Party acme_ = make_root(KeyType::p256, "O=Acme,CN=Acme Root"), web_ = make_root(KeyType::p256, "CN=Web Root");
};

TEST_F(MakerFiles, where_the_catalogue_is_given_out) {
  EXPECT_EQ(good("catalogue_url = \"https://masa.example:9443/c\"\n").catalogue_url->text(),
            Uri::parse("https://masa.example:9443/c")->text());
  EXPECT_FALSE(good("").catalogue_url);
  for (const char* const url : {"http://masa.example/c", "masa.example", "https://", "https://a:b@masa.example/c"}) {
    EXPECT_EQ(wrong("catalogue_url = \"" + std::string(url) + "\"\n"),
              "acme.toml:1: catalogue_url: must be https://HOST[:PORT]/PATH")
        << url;
  }
  EXPECT_EQ(wrong("catalogue_url = 7\n"), "acme.toml:1: catalogue_url: must be https://HOST[:PORT]/PATH");
}

TEST_F(MakerFiles, the_example_is_good) {
  const MakerFile read = good(example_maker_file());
  ASSERT_EQ(read.rules.size(), 3U);
  EXPECT_EQ(read.rules[0].name, "acme/lamps");
  EXPECT_EQ(read.rules[0].match.anchors, std::vector{acme_.certificate});
  EXPECT_EQ(read.rules[1].quirks.issuer, brski::IssuerForm::key_id);
  EXPECT_TRUE(read.rules[1].over_own && read.rules[2].orphan);
  // Every key that it shows as a comment is one.
  std::string all = example_maker_file();
  for (const char* const key :
       {"content_type", "base64_bodies", "requests_named_voucher", "old_paths", "expired_idevids", "proximity_optional",
        "est_before_status", "no_audit_log", "old_media_types", "any_voucher_type", "registrar_id_log"}) {
    const std::size_t at = all.find("# " + std::string(key) + " =");
    ASSERT_NE(at, std::string::npos) << key;
    all.erase(at, 2);
  }
  const brski::Quirks quirks = good(all).rules[2].quirks;
  EXPECT_EQ(quirks, (brski::Quirks{"1.2.840.113549.1.7.1", true, true, true, brski::IssuerForm::octet_string,
                                   brski::SerialSource::subject, true, true, true, true, true, true, true}));
}

TEST_F(MakerFiles, rules_keep_their_order_and_begin_with_what_is_said_for_all) {
  const MakerFile read = good(R"(masa_anchors = ["acme/web.pem"]
user = "site"
password_file = "acme/password"
old_paths = true
[[rules]]
name = "z"
masa = "z.example"
[[rules]]
name = "a"
old_paths = false
)");
  ASSERT_EQ(read.rules.size(), 2U);
  EXPECT_EQ(read.rules[0].name, "acme/z");
  EXPECT_EQ(read.rules[0].from, "makers/acme.toml:5");
  EXPECT_EQ(read.rules[0].anchors, std::vector{web_.certificate});
  EXPECT_TRUE(same(read.rules[1].login->password, Secret(std::string_view("secret"))));
  EXPECT_TRUE(read.rules[0].quirks.old_paths);
  EXPECT_FALSE(read.rules[1].quirks.old_paths);
  EXPECT_EQ(read.files, (std::vector<std::string>{"acme/web.pem", "acme.pem", "acme/password"}));
}

TEST_F(MakerFiles, without_rules_it_is_for_all_devices_of_the_maker) {
  const MakerFile read = good("no_audit_log = true\n");
  ASSERT_EQ(read.rules.size(), 1U);
  EXPECT_EQ(read.rules[0].name, "acme/all");
  EXPECT_TRUE(read.rules[0].quirks.no_audit_log);
}

// What an IDevID says of itself, any maker whose root is here can say.
TEST_F(MakerFiles, what_opens_something_is_for_devices_that_are_proven_to_be_the_maker_s) {
  const std::string rule = "[[rules]]\nname = \"a\"\nserials = [\"*\"]\nmasa = \"masa.example\"\n";
  const std::string user = "user = \"site\"\npassword_file = \"acme/password\"\n";
  put("acme/client.pem", to_pem(acme_.certificate));
  put("acme/client.key", as_text(acme_.key.to_pem()->expose()));
  std::vector<std::pair<std::string, std::string>> lines{
      {"user", user},
      {"client_certificate", "client_certificate = \"acme/client.pem\"\nclient_key = \"acme/client.key\"\n"}};
  for (const char* const quirk :
       {"expired_idevids", "proximity_optional", "est_before_status", "no_audit_log", "registrar_id_log"}) {
    lines.emplace_back(quirk, std::string(quirk) + " = true\n");
  }
  for (const auto& [key, line] : lines) {
    EXPECT_EQ(wrong(rule + line), "good") << key;
  }
  EXPECT_EQ(wrong("[[rules]]\nname = \"a\"\n" + user),
            "acme.toml:1: user: wants masa or masa_anchors: else each device says who gets the password");
  EXPECT_EQ(wrong("[[rules]]\nname = \"a\"\nmasa_anchors = [\"acme/web.pem\"]\n" + user), "good");
  std::filesystem::remove(data_ + "/makers/acme.pem");  // no anchors any more
  const std::string spki = "issuer_spki_sha256 = [\"" + std::string(64, 'a') + "\"]\n";
  for (const auto& [key, line] : lines) {
    const std::string said = wrong(rule + line);
    EXPECT_TRUE(said.starts_with("acme.toml:1: " + key + ": wants anchors, or issuer_spki_sha256")) << said;
    EXPECT_EQ(wrong(rule + spki + line), "good") << key;
  }
  EXPECT_EQ(wrong(rule + "base64_bodies = true\nany_voucher_type = true\nold_paths = true\n"), "good");
}

TEST_F(MakerFiles, what_is_wrong_is_said_with_its_line) {
  const std::string rule = "[[rules]]\nname = \"a\"\n";
  for (const auto& [text, said] : std::vector<std::pair<std::string, std::string>>{
           {rule + "serial = []\n", "acme.toml:3: rules.serial: unknown key; did you mean rules.serials?"},
           {"old_path = true\n", "acme.toml:1: old_path: unknown key; did you mean old_paths?"},
           {rule + "masa = 1\n", "acme.toml:3: rules.masa: must be a text in quotes"},
           {rule + "masa = \"http://a/b\"\n",
            "acme.toml:3: rules.masa: must be https://HOST[:PORT][/BASE], or HOST[:PORT]"},
           {rule + "serials = []\n", "acme.toml:3: rules.serials: must have 1 to 64 elements"},
           {rule + "serials = [\"b..a\"]\n",
            "acme.toml:3: rules.serials: b..a: no serial number can be in it: the ends are to be alike, and in order"},
           {rule + "issuer = [\"x\"]\n", "acme.toml:3: rules.issuer: x: must be a name as in CN=Acme Devices,O=Acme"},
           {rule + "issuer_der = [\"AAAA\"]\n",
            "acme.toml:3: rules.issuer_der: AAAA: must be the DER of a name in base64"},
           {rule + "issuer_spki_sha256 = [\"00\"]\n",
            "acme.toml:3: rules.issuer_spki_sha256: 00: must be hexadecimal, of 32 octets"},
           {rule + "module_type = [\"x\"]\n",
            "acme.toml:3: rules.module_type: x: must be an OID as in 1.3.6.1.4.1.99999.1"},
           {rule + "serial_source = \"x\"\n",
            "acme.toml:3: rules.serial_source: must be subject, hardware-module-name or common-name"},
           {rule + "ends = \"soon\"\n", "acme.toml:3: rules.ends: must be a time as in 2027-01-31T00:00:00Z"},
           {rule + "orphan = true\n", "acme.toml:1: rules.masa: override and orphan want the address that counts"},
           {rule + "deprecated = \"2027-01-02T00:00:00Z\"\nends = \"2027-01-01T00:00:00Z\"\n",
            "acme.toml:1: rules.ends: lies before `deprecated`"},
           {"[[rules]]\n", "acme.toml:1: rules.name: every rule needs one"},
           {rule + rule, "acme.toml:3: rules.name: another rule is called a"},
           {"rules = []\n", "acme.toml:1: rules: must be 1 to 256 tables [[rules]]"},
           {"rules = [1]\n", "acme.toml:1: rules: must be tables [[rules]]"},
           {"anchors = [\"none.pem\"]\n", "acme.toml:1: anchors: none.pem: "},
           {"masa_anchors = [\"acme.pem\"]\n",
            "acme.toml:1: masa_anchors: acme.pem: lies among the roots of IDevIDs; put it into a folder beside this "
            "file"},
           {"user = \"x\"\n", "acme.toml:1: user: wants password_file, and the other way round"},
           {"client_key = \"x\"\n", "acme.toml:1: client_certificate: wants client_key, and the other way round"},
           {"[[rules]\n", "acme.toml:1: "}}) {
    EXPECT_TRUE(wrong(text).starts_with(said)) << text << wrong(text);
  }
}

TEST_F(MakerFiles, what_lies_among_the_roots_is_refused_wherever_the_file_is_named_from) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(data_ + "/makers");
  for (const std::string path : {"acme.toml", "./acme.toml", "acme/../acme.toml"}) {
    const auto read = parse_maker_file(path, "masa_anchors = [\"acme.pem\"]\n");
    const auto* const problems = std::get_if<1>(&read);
    ASSERT_NE(problems, nullptr) << path;
    EXPECT_NE(problems->front().text.find("lies among the roots"), std::string::npos) << problems->front().text;
  }
  std::filesystem::current_path(before);
}

TEST_F(MakerFiles, a_root_is_found_by_its_fingerprint) {
  const std::string digits = hex(acme_.certificate.fingerprint()), file = digits.substr(0, 16) + ".pem";
  const std::string elsewhere = data_ + "/elsewhere";
  std::filesystem::create_directories(elsewhere);
  const auto read = [&](const std::string& named, const std::string& roots) {
    return parse_maker_file(elsewhere + "/bolt.toml", "anchors = [\"" + named + "\"]\n", roots);
  };
  const auto says = [&](const std::string& named, const std::string& roots) {
    const auto got = read(named, roots);
    const auto* const problems = std::get_if<1>(&got);
    return problems == nullptr ? std::string("good") : problems->front().text;
  };
  const std::string makers = data_ + "/makers";
  EXPECT_NE(says("sha256:" + digits, makers).find("no root of this fingerprint in " + file), std::string::npos);
  put(file, to_pem(acme_.certificate));
  const std::string colons = fingerprint_text(acme_.certificate.fingerprint());
  for (const std::string& named : {digits, digits.substr(0, 16), colons}) {
    const auto got = read("sha256:" + named, makers);
    const auto* const maker = std::get_if<MakerFile>(&got);
    ASSERT_NE(maker, nullptr) << named;
    EXPECT_EQ(maker->anchors, std::vector{acme_.certificate});
    EXPECT_EQ(maker->rules[0].match.anchors, std::vector{acme_.certificate});
    EXPECT_TRUE(maker->files.empty()) << "it is where it belongs";
  }
  EXPECT_NE(says("sha256:" + digits, {}), "good") << "without a data folder";
  std::string other = digits;
  other.back() = other.back() == '0' ? '1' : '0';
  EXPECT_NE(says("sha256:" + other, makers), "good") << "another root whose first digits are the same";
  for (const char* const bad :
       {"sha256:", "sha256:0123456789abcde", "sha256:0123456789abcdeg", "sha256:../../../x/y"}) {
    EXPECT_NE(says(bad, makers).find("must be sha256: and 16 to 64 hexadecimal digits"), std::string::npos) << bad;
  }
  std::filesystem::copy_file(makers + "/" + file, elsewhere + "/" + file);
  const auto beside = read("sha256:" + digits, {});
  ASSERT_TRUE(std::holds_alternative<MakerFile>(beside));
  EXPECT_EQ(std::get<MakerFile>(beside).files, std::vector{file}) << "it goes along with the maker's file";
}

TEST_F(MakerFiles, a_folder_that_cannot_be_listed_is_not_the_same_as_no_makers) {
  EXPECT_FALSE(makers_unlisted(data_));
  EXPECT_FALSE(makers_unlisted(data_ + "/not-there"));
  std::filesystem::remove_all(data_ + "/makers");
  EXPECT_FALSE(makers_unlisted(data_)) << "a site without makers";
  EXPECT_FALSE(read_makers(data_, kNow).book.rules_missing);
  std::filesystem::create_symlink("makers", data_ + "/makers");  // a loop, for whoever may read everything as well
  ASSERT_TRUE(makers_unlisted(data_));
  const Makers makers = read_makers(data_, kNow);
  ASSERT_EQ(makers.unread.size(), 1U);
  EXPECT_EQ(makers.unread[0].file, data_ + "/makers");
  EXPECT_FALSE(makers.unread[0].why.empty());
  const auto found = makers.book.find(make_device(acme_), {acme_.certificate});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().rule->id, std::string_view("MAKER-FILE")) << "no device goes without a voucher for it";
}

TEST_F(MakerFiles, a_rule_for_every_device_there_is_is_refused) {
  std::filesystem::remove(data_ + "/makers/acme.pem");
  EXPECT_TRUE(wrong("[[rules]]\nname = \"a\"\nmasa = \"a.example\"\n")
                  .starts_with("acme.toml:1: rules: a rule without anchors"));
  EXPECT_EQ(wrong("[[rules]]\nname = \"a\"\nmasa = \"a.example\"\nserials = [\"*\"]\n"), "good");
}

TEST_F(MakerFiles, a_file_that_is_wrong_does_not_stop_the_others) {
  put("bad.toml", "x = 1\n");
  put("acme.toml", "[[rules]]\nname = \"a\"\nmasa = \"a.example\"\n");
  const Makers makers = read_makers(data_, kNow);
  ASSERT_EQ(makers.book.rules.size(), 1U);
  ASSERT_EQ(makers.unread.size(), 1U);
  EXPECT_EQ(makers.unread[0].file, data_ + "/makers/bad.toml");
  const auto found = makers.book.find(make_device(acme_), {acme_.certificate});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->because, "rule acme/a (makers/acme.toml:1): the IDevID names no MASA");
}

// Its rules may have been for devices of any root: of others in makers/, or by conditions without anchors.
TEST_F(MakerFiles, no_device_goes_without_a_voucher_for_a_slip_in_a_file) {
  put("acme.toml", "anchors = [\"acme/web.pem\"]\n[[rules]]\nname = \"a\"\nmasa = \"a.example\"\n");
  const auto rule_of = [&](const Party& maker) {
    const auto found = read_makers(data_, kNow).book.find(make_device(maker), {maker.certificate});
    return found ? found->url.host : std::string(found.error().rule->id);
  };
  EXPECT_EQ(rule_of(web_), "a.example");
  EXPECT_EQ(rule_of(acme_), "BRSKI-MASA-UNKNOWN");
  put("acme.toml", "anchors = [\"acme/web.pem\"]\n[[rules]\nname = \"a\"\nmasa = \"a.example\"\n");
  EXPECT_EQ(rule_of(web_), "MAKER-FILE");
  EXPECT_EQ(rule_of(acme_), "MAKER-FILE");
}

class Catalogues : public MakerFiles {
 protected:
  void SetUp() override {
    MakerFiles::SetUp();
    put("acme/catalogue.pem", to_pem(signer_.certificate));
    put("acme.toml",
        "catalogue_anchors = [\"acme/catalogue.pem\"]\n[[rules]]\nname = \"a\"\nserials = [\"L-1*\"]\n"
        "masa = \"a.example\"\n");
  }
  std::string catalogue(std::uint64_t version, Instant expires = kNow + kDay) const {
    site::MasaCatalogue out;
    out.maker = "acme";
    out.version = version;
    out.issued = kNow - kDay;
    out.expires = expires;
    out.rules = {rule_to("all", "catalogue.example")};
    out.rules[0].match.serials = {glob("*")};
    return *site::make_catalogue(out, signer_.key, {signer_.certificate});
  }
  std::string take(const std::string& text, Instant now = kNow) {
    const Makers makers = read_makers(data_, now);
    const auto taken = take_catalogue(data_, *makers.find("acme"), text, now);
    return taken ? "version " + std::to_string(taken->version) : std::string(taken.error().rule->id);
  }
  std::string masa_of(const char* subject, Instant now = kNow) {
    const auto found = read_makers(data_, now).book.find(make_device(acme_, {subject, "", ""}), {acme_.certificate});
    return found ? found->url.host : std::string(found.error().rule->id);
  }
  Party signer_ = make_root(KeyType::p256, "CN=Acme Catalogue");
};

TEST_F(Catalogues, the_operators_rules_come_first) {
  EXPECT_EQ(take(catalogue(3)), "version 3");
  EXPECT_EQ(masa_of("CN=x,serialNumber=L-100"), "a.example");
  EXPECT_EQ(masa_of("CN=x,serialNumber=M-1"), "catalogue.example");
  EXPECT_EQ(read_makers(data_, kNow).catalogues.front().version, 3U);
}

TEST_F(Catalogues, never_go_back_even_when_the_newest_is_over) {
  EXPECT_EQ(take(catalogue(3, kNow + std::chrono::hours(1))), "version 3");
  EXPECT_EQ(take(catalogue(2)), "CATALOGUE-OLD");
  EXPECT_EQ(take(catalogue(3)), "CATALOGUE-OLD");  // the same number, and another content
  const Instant later = kNow + std::chrono::hours(2);
  EXPECT_EQ(masa_of("CN=x,serialNumber=M-1", later), "BRSKI-MASA-ENDED");
  EXPECT_EQ(masa_of("CN=x,serialNumber=L-100", later), "a.example");
  EXPECT_TRUE(read_makers(data_, later).catalogues.empty());
  EXPECT_EQ(read_makers(data_, later).unread.front().why, site::kCatalogueExpired.what);
  EXPECT_EQ(take(catalogue(2), later), "CATALOGUE-OLD");
  EXPECT_EQ(take(catalogue(4), later), "version 4");
}

// A server reads the folder when it changes, and an expiry changes nothing there.
TEST_F(Catalogues, end_while_the_book_stays_open) {
  EXPECT_EQ(take(catalogue(3, kNow + std::chrono::hours(1))), "version 3");
  const Makers makers = read_makers(data_, kNow);
  const Certificate device = make_device(acme_, {"CN=x,serialNumber=M-1", "", ""});
  EXPECT_TRUE(makers.book.look_up(device, {acme_.certificate}, kNow));
  const auto over = makers.book.look_up(device, {acme_.certificate}, kNow + std::chrono::hours(1));
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().rule, &site::kMasaEnded);
}

TEST_F(Catalogues, devices_of_one_that_cannot_be_read_wait_for_it) {
  put("acme.catalogue", "nonsense");
  EXPECT_EQ(masa_of("CN=x,serialNumber=M-1"), "MAKER-FILE");
  EXPECT_EQ(masa_of("CN=x,serialNumber=L-100"), "a.example");
  EXPECT_EQ(read_makers(data_, kNow).book.find(make_device(web_), {web_.certificate}).error().rule, &site::kMasaUnknown)
      << "another maker's are not concerned";
  put("acme.toml", "x = 1\n");
  EXPECT_EQ(masa_of("CN=x,serialNumber=L-100"), "MAKER-FILE") << "nor can the file";
  const Makers makers = read_makers(data_, kNow);
  EXPECT_TRUE(makers.book.find(make_device(acme_, {"CN=x,serialNumber=L-1", "masa.example", ""}), {acme_.certificate}));
}

TEST_F(Catalogues, what_does_not_hold_leaves_the_folder_as_it_was) {
  EXPECT_EQ(take(catalogue(3)), "version 3");
  EXPECT_EQ(take(catalogue(4, kNow)), "CATALOGUE-EXPIRED");
  EXPECT_EQ(take("nonsense"), "CATALOGUE-SYNTAX");
  EXPECT_EQ(read_makers(data_, kNow).catalogues.front().version, 3U);
}

// A catalogue may say that the serial number is the common name: a device with nothing else looks like a signer.
TEST_F(Catalogues, a_ca_that_may_stand_above_devices_does_not_say_who_signs) {
  const auto below = [](const Party& ca) {
    Party out{*PrivateKey::generate(KeyType::p256), {}};
    out.certificate = ca.issue(ca.below(out.key.public_key(), "CN=lamp-7"));
    return out;
  };
  const auto taken = [&](const Certificate& anchor, const Party& signer) {
    put("acme/catalogue.pem", to_pem(anchor));
    signer_ = signer;
    return take(catalogue(3));
  };
  const Party lamps = make_ca_below(acme_, "CN=Acme Lamps CA"), apart = make_root(KeyType::p256, "CN=Acme Signing");
  EXPECT_EQ(taken(acme_.certificate, below(acme_)), "CATALOGUE-SIGNER");
  EXPECT_EQ(taken(lamps.certificate, below(lamps)), "CATALOGUE-SIGNER");
  const Party own = below(acme_);
  EXPECT_EQ(taken(own.certificate, own), "version 3") << "it is meant";
  EXPECT_EQ(taken(apart.certificate, below(apart)), "version 3") << "another root than the devices'";
}

TEST_F(Catalogues, without_anchors_of_the_maker_they_say_nothing) {
  put("other.toml",
      "catalogue_anchors = [\"acme/catalogue.pem\"]\n[[rules]]\nname = \"a\"\nserials = [\"Z\"]\nmasa = "
      "\"a.example\"\n");
  const Makers makers = read_makers(data_, kNow);
  site::MasaCatalogue theirs;
  theirs.maker = "other";
  theirs.version = 1;
  theirs.issued = kNow - kDay;
  theirs.expires = kNow + kDay;
  const auto taken = take_catalogue(data_, *makers.find("other"),
                                    *site::make_catalogue(theirs, signer_.key, {signer_.certificate}), kNow);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().rule->id, "CATALOGUE-MAKER");
}

}  // namespace
}  // namespace imprint::app
