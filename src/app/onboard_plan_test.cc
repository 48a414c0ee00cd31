// From the command line of `imprint onboard est` to the plan: what is the factory's is what stood in its folder.
#include "app/onboard_plan.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "app/run_file.h"
#include "crypto/random.h"
#include "io/file.h"
#include "site/ca.h"

namespace imprint::app {
namespace {

using est::Origin;

class OnboardPlan : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        (std::filesystem::temp_directory_path() / ("imprint-plan-" + hex(random_secret(rng_, 8).expose()))).string();
    const auto ca = site::make_root(KeyType::p256, *Name::from_text("CN=Owner"), Instant{1'800'000'000'000},
                                    std::chrono::hours(24), rng_);
    ASSERT_TRUE(ca);
    put("ca.pem", to_pem(ca->certificate));
    put("dev/device.json", R"({"id": "dev-1", "server": "https://factory.example:8443"})");
    put("dev/token", "9J8kWmZpQ2rT5vXyB7cD4fG6hK1nL3sA\n");
    put("dev/anchors.pem", to_pem(ca->certificate));
    options_.device = folder_ + "/dev";
    options_.out = folder_ + "/out";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void put(const std::string& name, const std::string& text) {
    const std::string path = folder_ + "/" + name;
    ASSERT_TRUE(io::make_folder(std::filesystem::path(path).parent_path().string()));
    ASSERT_TRUE(io::write_file(path, view(text)));
  }
  est::Plan plan() {
    auto out = prepare(options_);
    EXPECT_TRUE(out);
    return out ? *(*out).plan : est::Plan{};
  }

  SystemRng rng_;
  std::string folder_;
  OnboardOptions options_;
};

TEST_F(OnboardPlan, what_stands_in_the_device_folder_is_the_factorys) {
  const est::Plan got = plan();
  EXPECT_EQ(got.server.host, "factory.example");
  EXPECT_EQ(got.origins.server, Origin::factory);
  EXPECT_EQ(got.origins.anchors, Origin::factory);
  EXPECT_EQ(got.origins.login, Origin::factory);
}

TEST_F(OnboardPlan, what_the_command_line_says_is_not) {
  options_.server = "https://localhost:8443";
  options_.anchors = folder_ + "/ca.pem";
  const est::Plan got = plan();
  EXPECT_EQ(got.server.host, "localhost");
  EXPECT_EQ(got.origins.server, Origin::operator_);
  EXPECT_EQ(got.origins.anchors, Origin::operator_);
  EXPECT_EQ(got.origins.login, Origin::factory);
}

TEST_F(OnboardPlan, a_shared_key_comes_from_the_folder_where_the_server_makes_the_key) {
  put("dev/wrap-key", "0a1b d90c1f5a6be28347f1a0b3c45e7d9168\n");
  EXPECT_FALSE(plan().wrap);
  options_.server_key = "clear";
  EXPECT_FALSE(plan().wrap);
  options_.server_key = "wrapped";
  const est::Plan got = plan();
  ASSERT_TRUE(got.wrap);
  EXPECT_TRUE(got.wrap->shared);
  EXPECT_EQ(got.wrap->identifier, (Bytes{0x0a, 0x1b}));
  put("other", "d90c1f5a6be28347f1a0b3c45e7d9169");
  options_.wrap_key = folder_ + "/other";
  options_.wrap_key_id = "77";
  EXPECT_EQ(plan().wrap->identifier, Bytes{0x77}) << "the command line's comes first";
}

TEST_F(OnboardPlan, a_run_file_of_somebody_else_is_named_and_stays) {
  put("out/run.json", "precious");
  const auto got = prepare(options_);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().rule, "DEVICE-FOLDER-FILE");
  EXPECT_NE(got.error().what.find("run.json"), std::string::npos);
  EXPECT_EQ(as_text(*io::read_file(folder_ + "/out/run.json")), "precious");
}

TEST_F(OnboardPlan, a_run_is_written_for_its_reader_alone_and_reads_back) {
  imprint::Run run;
  run.id = "0123456789abcdef";
  run.mode = "bootstrap";
  run.role = "client";
  run.started = Instant{1};
  run.ended = Instant{42};
  run.result = "operational";
  run.obtained = {"certificate CN=dev-1"};
  run.counts.round_trips = 3;
  run.steps = {{"Waiting", "202", Instant{2}, Duration(1), "", "ask the owner"}};
  BeliefChange change;
  change.belief = {"endpoint", Topic::endpoint, "there", kNoEnd};
  change.evidence = {Ground::person, "configured", {1, 2, 3}, {}};
  run.beliefs = {change};
  const std::string path = folder_ + "/dev/run.json";
  ASSERT_TRUE(write_run(path, run));
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(path).permissions(), perms::owner_read | perms::owner_write);
  EXPECT_FALSE(foreign_run_file(path));
  auto back = read_run(path);
  ASSERT_TRUE(back) << back.error().what;
  const imprint::Run& got = *back;
  EXPECT_EQ(got.id, run.id);
  EXPECT_EQ(got.mode, run.mode);
  EXPECT_EQ(got.ended, run.ended);
  EXPECT_EQ(got.obtained, run.obtained);
  EXPECT_EQ(got.steps, run.steps);
  EXPECT_EQ(got.beliefs, run.beliefs);
  EXPECT_EQ(got.counts, run.counts);
}

}  // namespace
}  // namespace imprint::app
