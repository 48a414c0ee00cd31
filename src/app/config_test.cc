#include "app/config.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

// A configuration file, and environment variables that end with the test.
class ConfigTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "imprint-config-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override {
    fs::remove_all(folder_);
    for (const std::string& name : variables_) {
      ::unsetenv(name.c_str());
    }
  }

  void set_variable(const std::string& name, const std::string& value) {
    ::setenv(name.c_str(), value.c_str(), 1);
    variables_.push_back(name);
  }

  std::variant<Config, std::vector<ConfigProblem>> load(const std::string& text) {
    std::ofstream(folder_ + "/imprint.toml") << text;
    return load_config(folder_ + "/imprint.toml");
  }

  Config good(const std::string& text) {
    const auto loaded = load(text);
    if (const auto* const problems = std::get_if<1>(&loaded)) {
      ADD_FAILURE() << problems->front().text;
      return {};
    }
    return std::get<0>(loaded);
  }

  // The problems' texts without the folder's name.
  std::vector<std::string> wrong(const std::string& text) {
    const auto loaded = load(text);
    std::vector<std::string> out;
    if (const auto* const problems = std::get_if<1>(&loaded)) {
      for (const ConfigProblem& p : *problems) {
        out.push_back(p.text.starts_with(folder_) ? p.text.substr(folder_.size() + 1) : p.text);
      }
    }
    return out;
  }

  std::string folder_;
  std::vector<std::string> variables_;
};

using Texts = std::vector<std::string>;

TEST_F(ConfigTest, an_empty_file_means_the_defaults) {
  const Config config = good("");
  EXPECT_EQ(config.est.port, 8443);
  EXPECT_EQ(config.unknown, site::Unknown::queue);
  ASSERT_TRUE(config.profiles.contains("default"));
  EXPECT_EQ(config.profiles.at("default").profile.name, "default");
}

TEST_F(ConfigTest, the_printed_defaults_are_the_defaults) {
  EXPECT_EQ(config_text(good(default_config_text())), config_text(good("")));
  std::string active;  // every key is there, as a comment
  for (std::size_t at = 0, end = 0; (end = default_config_text().find('\n', at)) != std::string::npos; at = end + 1) {
    const std::string line = default_config_text().substr(at, end - at);
    active += line.starts_with("# ") && line.find(" = ") != std::string::npos ? line.substr(2) + "\n" : "";
    active += line.starts_with("[") ? line + "\n" : "";
  }
  EXPECT_EQ(config_text(good(active)), config_text(good("")));
}

TEST_F(ConfigTest, what_is_shown_reads_back_the_same) {
  const std::string text = R"(
    data = "/srv/imprint"
    [est]
    listen = "[::1]:9443"
    names = ["est.example", "::1"]
    tls12 = false
    [policy]
    unknown = "refuse"
    retry_after_s = 5
    [brski]
    log_known = ["AQID", "qg=="]
    [profiles.pumps]
    lifetime_hours = 24
    keys = ["p384"]
    key_usage = ["digitalSignature", "keyAgreement"]
    wanted_key = "p384"
    wanted_extensions = ["critical,1.2.3=0500"]
    require_linking = true
  )";
  const Config config = good(text);
  EXPECT_EQ(config.est.address, "::1");
  EXPECT_EQ(config.est.port, 9443);
  EXPECT_EQ(config.log_policy.known, (std::vector<Bytes>{{1, 2, 3}, {0xaa}}));
  EXPECT_FALSE(config.tls12);
  const ProfileConfig& pumps = config.profiles.at("pumps");
  EXPECT_EQ(pumps.profile.name, "pumps");
  EXPECT_EQ(pumps.profile.keys, std::vector{KeyType::p384});
  EXPECT_EQ(pumps.profile.usage, key_usage::kDigitalSignature | key_usage::kKeyAgreement);
  EXPECT_EQ(pumps.wanted_extensions, (std::vector{Extension{"1.2.3", true, {5, 0}}}));
  EXPECT_TRUE(config.profiles.contains("default"));
  EXPECT_EQ(config_text(good(config_text(config))), config_text(config));
}

TEST_F(ConfigTest, an_unknown_key_is_refused_with_its_line_and_the_nearest_name) {
  EXPECT_EQ(wrong("[est]\nlsten = \"127.0.0.1:1\"\n"),
            Texts{"imprint.toml:2: est.lsten: unknown key; did you mean est.listen?"});
  EXPECT_EQ(wrong("dta = \"x\"\n"), Texts{"imprint.toml:1: dta: unknown key; did you mean data?"});
  EXPECT_EQ(wrong("[estt]\nlisten = \"x\"\n"), Texts{"imprint.toml:1: estt: unknown section; did you mean est?"});
  EXPECT_EQ(wrong("[wholly_different]\n"), Texts{"imprint.toml:1: wholly_different: unknown section"});
  EXPECT_EQ(wrong("[profiles.a]\nlifetime_hour = 1\n"),
            Texts{"imprint.toml:2: profiles.a.lifetime_hour: unknown key; did you mean profiles.a.lifetime_hours?"});
}

TEST_F(ConfigTest, a_value_of_another_type_is_refused) {
  EXPECT_EQ(wrong("[est]\nthreads = \"2\"\n"), Texts{"imprint.toml:2: est.threads: must be a whole number"});
  EXPECT_EQ(wrong("[est]\ntls12 = 1\n"), Texts{"imprint.toml:2: est.tls12: must be true or false"});
  EXPECT_EQ(wrong("[est]\nnames = [1]\n"), Texts{"imprint.toml:2: est.names: must be a list of texts in brackets"});
  EXPECT_EQ(wrong("data = 1\n"), Texts{"imprint.toml:1: data: must be a text in quotes"});
  EXPECT_EQ(wrong("profiles = 1\n").size(), 1U);
  EXPECT_EQ(wrong("[profiles]\nx = 1\n"), Texts{"imprint.toml:2: profiles.x: must be a table"});
}

TEST_F(ConfigTest, a_value_out_of_range_is_refused) {
  EXPECT_EQ(wrong("[est]\nthreads = 257\n"), Texts{"imprint.toml:2: est.threads: must be 0 to 256"});
  for (const char* const text : {"[est]\nthreads = -1",
                                 "[est]\nlisten = \"localhost:1\"",
                                 "[est]\nlisten = \"127.0.0.1:65536\"",
                                 "[est]\nlisten = \"127.0.0.1\"",
                                 "[est]\nmax_body_bytes = 0",
                                 "[est]\nnames = []",
                                 "[est]\nnames = [\"no such\"]",
                                 "[ca]\nkey = \"rsa1024\"",
                                 "[ca]\nname = \"nonsense\"",
                                 "[ca]\ndays = 0",
                                 "[policy]\nunknown = \"admit\"",
                                 "[policy]\nretry_after_s = 0",
                                 "[brski]\nlog_known = [\"%\"]",
                                 "[brski]\nlog_known = [\"\"]",
                                 "[log]\nlevel = \"loud\"",
                                 "data = \"\"",
                                 "[profiles.a]\nkeys = []",
                                 "[profiles.a]\nkeys = [\"md5\"]",
                                 "[profiles.a]\nkey_usage = [\"certSign\"]",
                                 "[profiles.a]\nextended_key_usage = [\"clientAuth\"]",
                                 "[profiles.a]\nwanted_extensions = [\"1.2.3\"]",
                                 "[profiles.a]\nlifetime_hours = 0",
                                 "[profiles.\"a/b\"]\n",
                                 "[profiles.cacerts]\n"}) {
    EXPECT_EQ(wrong(text).size(), 1U) << text;
  }
}

TEST_F(ConfigTest, beyond_loopback_the_admin_api_wants_tls_and_administrators) {
  const std::string listen = "[api]\nlisten = '0.0.0.0:8480'\n";
  const std::string pin = "pins = ['" + std::string(64, 'a') + "']\n";
  EXPECT_EQ(wrong(listen).size(), 1U);
  EXPECT_EQ(wrong(listen + "tls = true\n").size(), 1U);
  EXPECT_EQ(wrong(listen + pin).size(), 1U);
  EXPECT_TRUE(good(listen + "tls = true\n" + pin).api_tls);
  EXPECT_EQ(good(listen + "tls = true\nadministrators = ['a.pem']\n").administrators.size(), 1U);
  EXPECT_EQ(wrong("[api]\ntls = true\nrevocation_lists = ['a.crl']\n").size(), 1U);
  EXPECT_TRUE(good("[api]\ntls = true\n").api_tls);
}

TEST_F(ConfigTest, a_pin_is_a_fingerprint_as_tools_print_it) {
  std::string colons;
  for (int i = 0; i < 32; ++i) {
    colons += colons.empty() ? "AB" : ":AB";
  }
  const Config read = good("[api]\ntls = true\npins = ['" + colons + "']\n");
  std::string wanted;
  for (int i = 0; i < 32; ++i) {
    wanted += "ab";
  }
  EXPECT_EQ(read.administrator_pins, std::vector<std::string>{wanted});
  for (const std::string& bad : {std::string("ab"), std::string(64, 'g'), std::string(66, 'a'), std::string()}) {
    EXPECT_EQ(wrong("[api]\ntls = true\npins = ['" + bad + "']\n").size(), 1U) << bad;
  }
}

TEST_F(ConfigTest, one_way_to_log_in_has_to_be_left) {
  EXPECT_EQ(wrong("[est]\nbasic = false\n").size(), 1U);
  EXPECT_TRUE(good("[est]\nbasic = false\ndigest = true\n").digest);
}

TEST_F(ConfigTest, the_admin_api_stays_on_loopback) {
  EXPECT_EQ(wrong("[api]\nlisten = \"0.0.0.0:8480\"\n").size(), 1U);
  EXPECT_EQ(good("[api]\nlisten = \"[::1]:0\"\n").api.address, "::1");
}

TEST_F(ConfigTest, every_problem_is_told_at_once_and_nothing_is_taken) {
  EXPECT_EQ(wrong("[est]\nthreads = 999\nlsten = 1\n[log]\nlevel = 1\n").size(), 3U);
}

TEST_F(ConfigTest, what_is_not_toml_is_told_with_its_line) {
  const Texts problems = wrong("data = \"x\"\n[est\n");
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_TRUE(problems.front().starts_with("imprint.toml:2: ")) << problems.front();
}

TEST_F(ConfigTest, a_file_that_is_not_there_is_a_problem) {
  const auto loaded = load_config(folder_ + "/none.toml");
  EXPECT_EQ(loaded.index(), 1U);
}

TEST_F(ConfigTest, the_environment_goes_over_the_file) {
  set_variable("IMPRINT_EST_LISTEN", "127.0.0.1:7000");
  set_variable("IMPRINT_EST_TLS12", "false");
  set_variable("IMPRINT_POLICY_RETRY_AFTER_S", "7");
  set_variable("IMPRINT_EST_NAMES", "a.example,b.example");
  const Config config = good("[est]\nlisten = \"127.0.0.1:1\"\n");
  EXPECT_EQ(config.est.port, 7000);
  EXPECT_FALSE(config.tls12);
  EXPECT_EQ(config.retry_after, std::chrono::seconds(7));
  EXPECT_EQ(config.names, (Texts{"a.example", "b.example"}));
}

TEST_F(ConfigTest, a_wrong_variable_is_told_by_its_name) {
  set_variable("IMPRINT_EST_THREADS", "many");
  set_variable("IMPRINT_EST_LSTEN", "x");
  set_variable("IMPRINT_SOMETHING_ELSE", "another program's");
  Texts problems = wrong("");
  std::ranges::sort(problems);
  EXPECT_EQ(problems, (Texts{"IMPRINT_EST_LSTEN: unknown variable; did you mean IMPRINT_EST_LISTEN?",
                             "IMPRINT_EST_THREADS: must be a whole number"}));
}

TEST_F(ConfigTest, places_of_certificate_status_are_http_uris) {
  EXPECT_FALSE(good("").status.has_value());
  const Config all = good(
      "[ca]\nlisten = '[::1]:8490'\nocsp_uri = 'http://status.example/ocsp'\ncrl_uri = 'http://status.example/crl'\n");
  ASSERT_TRUE(all.status.has_value());
  EXPECT_EQ(all.status->port, 8490);
  EXPECT_EQ(all.ocsp_uri, "http://status.example/ocsp");
  EXPECT_EQ(all.crl_uri, "http://status.example/crl");
  for (const std::string bad : {"https://status.example/ocsp", "ftp://x/y", "status.example", "http://a b/"}) {
    EXPECT_FALSE(wrong("[ca]\nocsp_uri = '" + bad + "'\n").empty()) << bad;
  }
  EXPECT_FALSE(wrong("[ca]\ncrl_uri = 'http://x/" + std::string(250, 'a') + "'\n").empty());
  EXPECT_EQ(good("[ca]\ncrl_uri = 'http://x/crl/{issuer}'\n").crl_uri, "http://x/crl/{issuer}");
  EXPECT_FALSE(wrong("[ca]\ncrl_uri = 'http://x/crl/{isuer}'\n").empty());
  EXPECT_FALSE(wrong("[ca]\ncrl_uri = 'http://x/{issuer}" + std::string(235, 'a') + "'\n").empty())
      << "too long once the id is in it";
}

TEST_F(ConfigTest, what_only_a_restart_changes_is_told) {
  const Config before = good("[est]\nlisten = '127.0.0.1:8443'\n");
  EXPECT_TRUE(keys_for_restart(before, before).empty());
  const Config after = good(
      "data = 'elsewhere'\n[est]\nlisten = '127.0.0.1:9443'\nthreads = 3\nmax_body_bytes = 2048\nmax_connections = 7\n"
      "coaps = '127.0.0.1:5684'\ncoaps_join = '127.0.0.1:5685'\nmax_associations = 8\nassociations_per_certificate = "
      "3\n"
      "tls12 = false\n[api]\nlisten = '127.0.0.1:9480'\n[ca]\nlisten = '127.0.0.1:9490'\n"
      "ocsp_uri = 'http://a.example/ocsp'\n[runs]\nkeep = 5\n");
  EXPECT_EQ(keys_for_restart(before, after),
            (std::vector<std::string>{"data", "est.listen", "est.threads", "est.max_body_bytes", "est.max_connections",
                                      "est.coaps", "est.coaps_join", "est.max_associations",
                                      "est.associations_per_certificate", "api.listen", "ca.listen"}));
  EXPECT_EQ(after.runs_keep, 5U);
}

TEST_F(ConfigTest, a_registrar_is_announced_where_it_can_be_reached) {
  EXPECT_TRUE(good("").announce.empty());
  const Config config =
      good("[est]\nlisten = '[::]:8443'\n[brski]\nannounce = ['eth0', 'eth1']\nannounce_as = 'Hall'\n");
  EXPECT_EQ(config.announce, (Texts{"eth0", "eth1"}));
  EXPECT_EQ(config.announce_as, "Hall");
  EXPECT_EQ(keys_for_restart(good("[est]\nlisten = '[::]:8443'\n"), config),
            (Texts{"brski.announce", "brski.announce_as"}));
  EXPECT_EQ(good("[brski]\nannounce = ['lo']\n").announce, Texts{"lo"}) << "on this machine";
  EXPECT_EQ(wrong("[brski]\nannounce = ['eth0']\n").size(), 1U) << "est.listen is on loopback";
  const std::string anywhere = "[est]\nlisten = '[::]:8443'\n[brski]\n";
  EXPECT_EQ(wrong(anywhere + "registrar = false\nannounce = ['eth0']\n").size(), 1U);
  for (const std::string bad : {"'eth0', 'eth0'", "''", "'a b'", "'../etc'", "'0123456789abcdef'"}) {
    EXPECT_EQ(wrong(anywhere + "announce = [" + bad + "]\n").size(), 1U) << bad;
  }
  EXPECT_EQ(wrong(anywhere + "announce_as = '" + std::string(64, 'a') + "'\n").size(), 1U);
}

TEST_F(ConfigTest, an_acp_has_a_domain_name_and_perhaps_a_part_of_it) {
  EXPECT_TRUE(good("").acp.name.empty()) << "off unless somebody says so";
  const Config config = good("[brski]\nacp_domain = 'acp.example.com'\nacp_rsub = 'area51.research'\n");
  EXPECT_EQ(config.acp, (AcpDomain{"acp.example.com", "area51.research"}));
  EXPECT_TRUE(keys_for_restart(good(""), config).empty());
  EXPECT_EQ(good("[brski]\nacp_domain = 'acp.example.com'\n").acp.rsub, "");
  for (const std::string bad : {"1.example", "a b", "-a", "a_b", "a..b", "a@b"}) {
    EXPECT_EQ(wrong("[brski]\nacp_domain = '" + bad + "'\n").size(), 1U) << bad;
  }
  EXPECT_EQ(wrong("[brski]\nacp_rsub = 'research'\n").size(), 1U) << "of no domain";
  EXPECT_EQ(wrong("[brski]\nacp_domain = 'acp.example'\nregistrar = false\n").size(), 1U);
  std::string longest = "a";
  while (longest.size() < 251) {
    longest += ".a";
  }
  EXPECT_EQ(wrong("[brski]\nacp_domain = '" + longest + "'\nacp_rsub = 'abc'\n").size(), 1U) << "together";
}

TEST_F(ConfigTest, join_proxies_come_to_the_address_of_coaps) {
  EXPECT_EQ(good("[est]\ncoaps = '127.0.0.1:5684'\ncoaps_join = '127.0.0.1:5685'\n").coaps_join->port, 5685);
  EXPECT_FALSE(good("[est]\ncoaps = '127.0.0.1:5684'\ncoaps_join = ''\n").coaps_join);
  EXPECT_EQ(wrong("[est]\ncoaps = '127.0.0.1:5684'\ncoaps_join = '127.0.0.2:5685'\n").size(), 1U);
  EXPECT_EQ(wrong("[est]\ncoaps_join = '127.0.0.1:5685'\n").size(), 1U);
}

// ---- a gateway ----

TEST_F(ConfigTest, a_gateway_names_whom_it_believes_and_who_it_is) {
  const Config config = good(
      "[upstream]\nuri = \"https://est.example/.well-known/est\"\nlabel = \"devices\"\nanchors = \"a.pem\"\n"
      "certificate = \"c.pem\"\nkey = \"k.pem\"\ntimeout_s = 5\nconnections = 3\n");
  EXPECT_EQ(config.upstream.label, "devices");
  EXPECT_EQ(config.upstream.patience, std::chrono::seconds(5));
  EXPECT_EQ(config.upstream.connections, 3U);
  EXPECT_EQ(config_text(good(config_text(config))), config_text(config));
  good("[upstream]\nuri = \"https://est.example\"\nanchors = \"a.pem\"\nuser = \"gw\"\npassword_file = \"p\"\n");
}

TEST_F(ConfigTest, half_a_gateway_is_wrong) {
  const auto problems = wrong("[upstream]\nuri = \"https://est.example\"\nkey = \"k.pem\"\nuser = \"gw\"\n");
  ASSERT_EQ(problems.size(), 3U);
  EXPECT_NE(problems[0].find("upstream.anchors"), std::string::npos);
  EXPECT_NE(problems[1].find("upstream.certificate and upstream.key"), std::string::npos);
  EXPECT_NE(problems[2].find("upstream.user and upstream.password_file"), std::string::npos);
  EXPECT_EQ(wrong("[upstream]\nuri = \"https://est.example\"\nanchors = \"a.pem\"\n").size(), 1U);
  EXPECT_EQ(wrong("[upstream]\nuri = \"http://est.example\"\n").size(), 1U + 2U);
}

TEST_F(ConfigTest, a_gateway_makes_no_keys) {
  EXPECT_EQ(wrong("[upstream]\nuri = \"https://est.example\"\nanchors = \"a.pem\"\nuser = \"gw\"\n"
                  "password_file = \"p\"\n[profiles.default]\nserver_keys = \"clear\"\n")
                .size(),
            1U);
}

TEST_F(ConfigTest, what_is_handed_on_makes_no_registration_authorities) {
  EXPECT_EQ(wrong("[profiles.x]\nhanded_on = true\nextended_key_usage = [\"1.3.6.1.5.5.7.3.28\"]\n").size(), 1U);
  EXPECT_EQ(wrong("[profiles.x]\nhanded_on = true\nextended_key_usage = []\n").size(), 1U);
  EXPECT_TRUE(good("[profiles.x]\nhanded_on = true\n").profiles.at("x").profile.handed_on);
}

}  // namespace
}  // namespace imprint::app
