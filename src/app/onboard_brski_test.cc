// Options of `imprint onboard brski` that contradict each other, and where the further credentials of a profile come
// from.
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "app/cli_rules.h"
#include "app/credential_set.h"
#include "app/onboard_brski_set.h"
#include "app/onboard_set.h"
#include "crypto/random.h"
#include "io/file.h"
#include "proto/brski/artifact.h"
#include "proto/est/rules.h"
#include "site/ca.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;
using Told = CredentialSet::Told;

constexpr std::string_view kLamp =
    "identity = \"network\"\n[credentials.network]\nwanted_key = \"p384\"\n[credentials.broker]\nnames = "
    "[\"dns:{id}.broker.example\"]\n[credentials.building]\nserver = \"https://est.building.example\"\nanchors = "
    "\"building.pem\"\n[credentials.annex]\nserver = \"https://annex.example\"\n";

class OnboardBrski : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = (fs::temp_directory_path() / ("imprint-brski-" + hex(random_secret(rng_, 8).expose()))).string();
    ca_ = *site::make_root(KeyType::p256, *Name::from_text("CN=Owner"), kNow, std::chrono::hours(99), rng_);
    put("lamp.toml", kLamp);
    put("dev/device.json", R"({"id": "lamp-1", "server": "https://factory.example", "label": "lamp"})");
    put("dev/idevid.pem", to_pem(ca_.certificate));
    put("dev/idevid-key.pem", "no matter");
    put("dev/token", "9J8kWmZpQ2rT5vXyB7cD4fG6hK1nL3sA\n");
    put("dev/anchors.pem", to_pem(ca_.certificate));
    options_.common.device = folder_ + "/dev";
    options_.common.out = folder_ + "/out";
    options_.common.profile = folder_ + "/lamp.toml";
  }
  void TearDown() override { fs::remove_all(folder_); }

  void put(const std::string& name, std::string_view text) {
    const std::string path = folder_ + "/" + name;
    ASSERT_TRUE(io::make_folder(fs::path(path).parent_path().string()));
    ASSERT_TRUE(io::write_file(path, view(text)));
  }
  CredentialSet set(Told told = Told::by_protocol) {
    auto out = CredentialSet::of(options_.common, told);
    EXPECT_TRUE(out);
    return *out;
  }
  // As if this one had come already.
  void obtained(const std::string& name, const std::string& where = "obtaining") {
    put("out/" + where + "/" + name + "/current/cert.pem", to_pem(ca_.certificate));
  }
  std::string refused() {
    const auto out = check_together(options_);
    return out ? "" : out.error().rule;
  }
  brski::Imprinted owner(const std::string& registrar, const std::string& est_domain = {}) {
    brski::Voucher voucher;
    voucher.serial_number = "SN-1";
    if (!est_domain.empty()) {
      voucher.est_domain = est_domain;
    }
    auto signed_one = brski::sign_voucher(voucher, brski::Form::cms, Signer{ca_.key, {ca_.certificate}});
    EXPECT_TRUE(signed_one);
    return {*Uri::parse(registrar), signed_one ? *signed_one : Bytes(), ca_.certificate};
  }

  static constexpr Instant kNow{1'790'000'000'000};
  SystemRng rng_;
  std::string folder_;
  site::Ca ca_;
  BrskiOptions options_;
};

// ---- options ----

TEST_F(OnboardBrski, options_that_go_together_are_taken) {
  options_.registrars = {"localhost:8443"};
  EXPECT_EQ(refused(), "");
  options_.common.certificate = "c";
  options_.common.key = "k";
  options_.cloud = "https://cloud.example";
  options_.cloud_anchors = "a";
  options_.form = "cms";
  options_.content_type = "data";
  EXPECT_EQ(refused(), "");
  options_.registrars = {"coaps://a", "https://b"};
  EXPECT_EQ(refused(), "") << "the second one may want it";
  options_ = {};
  options_.registrars = {"coaps://a"};
  options_.form = "cose";
  EXPECT_EQ(refused(), "");
}

TEST_F(OnboardBrski, options_that_contradict_each_other_are_refused) {
  const BrskiOptions fresh = options_;
  struct Case {
    std::string_view why;
    std::function<void(BrskiOptions&)> say;
    const Rule* rule;
  };
  for (const Case& c : {Case{"no key", [](auto& o) { o.common.certificate = "c"; }, &kOption},
                        Case{"no certificate", [](auto& o) { o.common.key = "k"; }, &kOption},
                        Case{"anchors of nobody", [](auto& o) { o.cloud_anchors = "a"; }, &kOption},
                        Case{"no such cloud", [](auto& o) { o.cloud = "coaps://c"; }, &kOption},
                        Case{"COSE alone",
                             [](auto& o) {
                               o.registrars = {"coaps://a"};
                               o.form = "jws";
                             },
                             &kOption},
                        Case{"no CMS over CoAPS",
                             [](auto& o) {
                               o.registrars = {"coaps://a"};
                               o.content_type = "data";
                             },
                             &kOption},
                        Case{"no CMS",
                             [](auto& o) {
                               o.form = "cose";
                               o.content_type = "voucher";
                             },
                             &kOption},
                        Case{"beliefs of a set", [](auto& o) { o.common.beliefs = true; }, &kProfileOptions}}) {
    options_ = fresh;
    c.say(options_);
    EXPECT_EQ(refused(), c.rule->id) << c.why;
  }
}

TEST_F(OnboardBrski, a_folder_is_for_one_kind_of_onboarding) {
  EXPECT_TRUE(check_kind_of_folder(options_));
  put("out/owner", "x");
  EXPECT_EQ(check_kind_of_folder(options_).error().rule, kConflict.id);
  options_.common.profile.clear();
  EXPECT_TRUE(check_kind_of_folder(options_));
  for (const std::string name : {"credentials", "obtaining"}) {
    fs::remove_all(folder_ + "/out");
    put("out/" + name + "/network/owner", "x");
    EXPECT_EQ(check_kind_of_folder(options_).error().rule, kConflict.id) << name;
    options_.common.profile = "p";
    EXPECT_TRUE(check_kind_of_folder(options_)) << name;
    options_.common.profile.clear();
  }
}

TEST_F(OnboardBrski, the_makers_anchors_are_beside_the_device) {
  EXPECT_EQ(maker_anchors_of(options_), "");
  put("masa-anchors.pem", "x");
  EXPECT_TRUE(maker_anchors_of(options_).ends_with("/../masa-anchors.pem"));
  put("dev/masa-anchors.pem", "x");
  EXPECT_EQ(maker_anchors_of(options_), folder_ + "/dev/masa-anchors.pem");
  options_.maker_anchors = "mine";
  EXPECT_EQ(maker_anchors_of(options_), "mine");
}

// ---- what each credential is obtained with ----

TEST_F(OnboardBrski, the_first_one_is_asked_for_with_the_idevid_and_nobody_is_trusted) {
  const CredentialSet all = set();
  const CredentialConfig& network = all.profile().credentials.front();
  const OnboardOptions first = all.options_for(network, "there");
  EXPECT_EQ(first.certificate, folder_ + "/dev/idevid.pem");
  EXPECT_EQ(first.key, folder_ + "/dev/idevid-key.pem");
  EXPECT_EQ(first.subject, "CN=lamp-1");
  EXPECT_EQ(first.label, "lamp");
  EXPECT_EQ(first.key_type, "p384");
  EXPECT_EQ(first.out, "there");
  EXPECT_EQ(first.server + first.anchors + first.user + first.password_file, "") << "the factory's, for EST alone";
  EXPECT_TRUE(all.of_owner(network));
}

TEST_F(OnboardBrski, the_others_are_asked_for_with_the_first) {
  obtained("network");
  const CredentialSet all = set();
  const std::string own = folder_ + "/out/obtaining/network";
  EXPECT_EQ(all.place_of_identity(), own);
  const OnboardOptions broker = all.options_for(*all.profile().find("broker"), "there");
  EXPECT_EQ(broker.certificate, own + "/chain.pem");
  EXPECT_EQ(broker.key, own + "/key.pem");
  EXPECT_EQ(broker.anchors, own + "/anchors.pem");
  EXPECT_EQ(broker.label, "lamp-broker");
  EXPECT_EQ(broker.alt_names, std::vector<std::string>{"dns:lamp-1.broker.example"});
  EXPECT_EQ(broker.server, "") << "the voucher says";
  const OnboardOptions building = all.options_for(*all.profile().find("building"), "there");
  EXPECT_EQ(building.server, "https://est.building.example");
  EXPECT_EQ(building.anchors, folder_ + "/building.pem");
  EXPECT_EQ(building.certificate, own + "/chain.pem") << "the IDevID is no business of theirs";
  EXPECT_FALSE(all.of_owner(*all.profile().find("building")));
  EXPECT_EQ(all.options_for(*all.profile().find("annex"), "there").anchors, own + "/anchors.pem") << "the owner's, too";
}

TEST_F(OnboardBrski, what_is_in_force_speaks_for_what_comes_later) {
  obtained("network");
  obtained("network", "credentials");
  const CredentialSet all = set();
  EXPECT_TRUE(all.complete_before());
  EXPECT_EQ(all.place_of_identity(), folder_ + "/out/credentials/network");
  EXPECT_TRUE(all.has(all.profile().credentials.front()));
  EXPECT_FALSE(all.has(*all.profile().find("broker")));
}

TEST_F(OnboardBrski, by_the_options_alone_the_idevid_speaks_for_all) {
  obtained("network");
  options_.common.server = "https://owner.example";
  const CredentialSet all = set(Told::by_options);
  const OnboardOptions broker = all.options_for(*all.profile().find("broker"), "there");
  EXPECT_EQ(broker.certificate, folder_ + "/dev/idevid.pem");
  EXPECT_EQ(broker.server, "https://owner.example");
  EXPECT_FALSE(all.of_owner(*all.profile().find("broker")));
}

// ---- where they come from ----

TEST_F(OnboardBrski, est_is_beside_the_registrar_or_where_the_voucher_says) {
  EXPECT_EQ(est_server_of(owner("https://reg.example:8443/brski")).text(), "https://reg.example:8443/");
  EXPECT_EQ(est_server_of(owner("https://est.example/base", "https://est.example/base")).text(),
            "https://est.example/base");
  EXPECT_EQ(est_server_of(owner("https://reg.example/base", "https://est.example/base")).path, "/")
      << "a registrar's voucher may have it as well: there it says nothing";
}

TEST_F(OnboardBrski, an_owner_that_has_moved_is_asked_where_it_is_now) {
  options_.registrars = {"other.example:1", "https://reg.example/brski", "coaps://reg.example"};
  EXPECT_EQ(est_servers_of(owner("https://reg.example/brski"), options_),
            (std::vector<std::string>{"https://reg.example/", "https://other.example:1/", "coaps://reg.example/"}));
}

TEST_F(OnboardBrski, an_address_that_only_a_voucher_told_is_guarded) {
  options_.registrars = {"reg.example"};
  const Reach voucher = reach_of(owner("https://10.0.0.1", "https://10.0.0.1"), options_);
  EXPECT_EQ(voucher.allowed, std::vector<Uri>{*Uri::parse("https://reg.example")});
  EXPECT_FALSE(voucher.inside);
  options_.redirect_inside = true;
  const Reach registrar = reach_of(owner("https://10.0.0.1"), options_);
  EXPECT_EQ(registrar.allowed.back(), *Uri::parse("https://10.0.0.1")) << "the pledge has been there";
  EXPECT_TRUE(registrar.inside);
}

TEST_F(OnboardBrski, a_server_that_says_no_is_the_last_one_asked) {
  const auto ends_with = [](const Rule& rule) {
    return Ending{{}, std::nullopt, Problem(Error{Fault::unreachable, rule})};
  };
  std::vector<std::string> asked;
  const auto run = [&](const std::string& server) -> OrProblem<Ending> {
    asked.push_back(server);
    return server == "gone"     ? ends_with(est::kUnreachable)
           : server == "taken"  ? ends_with(est::kServerUntrusted)
           : server == "named"  ? ends_with(est::kServerName)
           : server == "honest" ? ends_with(est::kRefused)
                                : Ending{};
  };
  EXPECT_EQ((*run_at({"gone", "taken", "named", "honest", "good"}, run)).problem->rule, est::kRefused.id);
  EXPECT_EQ(asked, (std::vector<std::string>{"gone", "taken", "named", "honest"}));
  EXPECT_FALSE((*run_at({"gone", "good", "honest"}, run)).problem);
  EXPECT_EQ(asked.back(), "good");
  EXPECT_EQ((*run_at({"gone"}, run)).problem->rule, est::kUnreachable.id);
  EXPECT_FALSE(run_at({}, run));
}

}  // namespace
}  // namespace imprint::app
