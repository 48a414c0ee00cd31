// Whose CAs are no administrators' CAs: those of devices, wherever the data folder has them from.
#include "app/api_access.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "app/cli_rules.h"
#include "app/pem_file.h"
#include "io/file.h"
#include "store/store_testing.h"

namespace imprint::app {
namespace {

constexpr Instant kNow{1'800'000'000'000};
constexpr Duration kYear = std::chrono::hours(24 * 365);

class ApiAccessTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_.path = temporary_.file() + "-site";
    ASSERT_TRUE(io::make_folder(folder_.path));
    folder_.ca = root("CN=Owner");
  }
  void TearDown() override { std::filesystem::remove_all(folder_.path); }

  site::Ca root(std::string_view name) {
    return *site::make_root(KeyType::p256, *Name::from_text(name), kNow, kYear * 10, rng_);
  }
  // The CA of devices that stood below this root before.
  void moved_from_below(const site::Ca& root) {
    const site::Ca issuing = this->root("CN=Devices");
    for (const std::string part : {"/ca", "/ca/former"}) {
      ASSERT_TRUE(io::make_folder(folder_.path + part));
    }
    const std::string file = folder_.path + "/ca/former/0011223344556677.pem";
    ASSERT_TRUE(io::write_file(file, view(pem_of({issuing.certificate, root.certificate}))));
  }
  // Whether the server would have this CA for its administrators.
  bool takes(const site::Ca& ca) {
    Config config = std::get<Config>(load_config(""));
    config.administrators = {folder_.path + "/administrators.pem"};
    EXPECT_TRUE(io::write_file(config.administrators.front(), view(to_pem(ca.certificate))));
    const auto out = administrators_of(config, folder_);
    EXPECT_TRUE(out || out.error().rule == &kAdministrators);
    return static_cast<bool>(out);
  }

  SystemRng rng_;
  store::TestFolder temporary_;
  DataFolder folder_;
};

TEST_F(ApiAccessTest, the_owners_ca_and_what_is_above_it) {
  EXPECT_TRUE(takes(root("CN=Company")));
  EXPECT_FALSE(takes(folder_.ca));
  const site::Ca company = root("CN=Company");
  folder_.ca.above = {company.certificate};
  EXPECT_FALSE(takes(company));
}

TEST_F(ApiAccessTest, makers) {
  const site::Ca maker = root("CN=Maker");
  folder_.makers = {maker.certificate};
  EXPECT_FALSE(takes(maker));
}

TEST_F(ApiAccessTest, what_was_above_the_owners_ca_before) {
  const site::Ca company = root("CN=Company");
  moved_from_below(company);
  EXPECT_FALSE(takes(company));
}

TEST_F(ApiAccessTest, what_is_behind_a_gateway) {
  const site::Ca upstream = root("CN=Upstream"), configured = root("CN=Company");
  folder_.upstream.emplace();
  folder_.upstream->ca = {upstream.certificate};
  folder_.upstream->site.trust.anchors = {configured.certificate};
  EXPECT_FALSE(takes(upstream));
  EXPECT_FALSE(takes(configured));
}

}  // namespace
}  // namespace imprint::app
