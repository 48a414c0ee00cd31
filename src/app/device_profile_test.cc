#include "app/device_profile.h"

#include <gtest/gtest.h>

namespace imprint::app {
namespace {

DeviceProfile read(std::string_view text, const std::string& path = "lamp.toml") {
  auto out = parse_device_profile(path, text);
  EXPECT_TRUE(std::holds_alternative<DeviceProfile>(out)) << std::get<1>(out).front().text;
  return std::get<DeviceProfile>(std::move(out));
}

std::string problem(std::string_view text, const std::string& path = "lamp.toml") {
  const auto out = parse_device_profile(path, text);
  return std::holds_alternative<DeviceProfile>(out) ? "" : std::get<1>(out).front().text;
}

TEST(DeviceProfile, what_is_left_out_is_filled_in) {
  const DeviceProfile p = read("identity = \"b\"\n[credentials.a]\n[credentials.b]\n[credentials.c]\nlabel = \"x\"\n");
  EXPECT_EQ(p.name, "lamp");
  ASSERT_EQ(p.credentials.size(), 3U);
  EXPECT_EQ(p.credentials[0].name, "b");
  EXPECT_EQ(p.credentials[0].label, "lamp");
  EXPECT_TRUE(p.credentials[0].given.profile.identity);
  EXPECT_EQ(p.find("a")->label, "lamp-a");
  EXPECT_EQ(p.find("c")->label, "x");
  EXPECT_EQ(p.find("c")->given.profile.name, "lamp/c");
  EXPECT_EQ(p.find("c")->given.profile.group, "lamp");
  EXPECT_FALSE(p.find("c")->given.profile.identity);
  EXPECT_EQ(p.find("d"), nullptr);
}

TEST(DeviceProfile, one_credential_identifies_by_itself) { EXPECT_EQ(read("[credentials.only]\n").identity, "only"); }

TEST(DeviceProfile, the_example_is_right) { EXPECT_EQ(read(example_device_profile()).credentials.size(), 2U); }

TEST(DeviceProfile, another_server_needs_no_label) {
  const DeviceProfile p =
      read("identity = \"a\"\n[credentials.a]\n[credentials.b]\nserver = \"https://b:1\"\nanchors = \"b.pem\"\n");
  EXPECT_EQ(p.find("b")->label, "");
  EXPECT_EQ(p.find("b")->anchors, "b.pem");
}

TEST(DeviceProfile, says_where_something_is_wrong) {
  EXPECT_NE(problem("\n[credentials.a]\nlifetime_hous = 3\n").find("lamp.toml:3: credentials.a.lifetime_hous"),
            std::string::npos);
  EXPECT_NE(problem("surprise = 1\n[credentials.a]\n").find("surprise"), std::string::npos);
  EXPECT_NE(problem("[credentials]\na = 1\n").find("table"), std::string::npos);
  EXPECT_NE(problem("[credentials.\"a/b\"]\n").find("name must be"), std::string::npos);
  EXPECT_NE(problem("[credentials.a]\nsubject = \"{id}\"\n").find("CN={id}"), std::string::npos);
  EXPECT_NE(problem("[credentials.a]\nnames = [\"x\"]\n").find("dns:"), std::string::npos);
  EXPECT_NE(problem("[credentials.a]\n", "a b.toml").find("name must be"), std::string::npos);
}

TEST(DeviceProfile, has_as_many_credentials_as_one_may_have) {
  std::string text = "identity = \"c0\"\n";
  for (int i = 0; i < 32; ++i) {
    text += "[credentials.c" + std::to_string(i) + "]\n";
  }
  EXPECT_EQ(read(text).credentials.size(), 32U);
  EXPECT_NE(problem(text + "[credentials.more]\n").find("1 to 32"), std::string::npos);
}

TEST(DeviceProfile, the_id_is_filled_in) {
  EXPECT_EQ(filled_in("CN={id}", "lamp-7"), "CN=lamp-7");
  EXPECT_EQ(filled_in("{id}.{id}", "x"), "x.x");
  EXPECT_EQ(filled_in("{id}", "{id}"), "{id}");
  EXPECT_EQ(filled_in("plain", "x"), "plain");
}

}  // namespace
}  // namespace imprint::app
