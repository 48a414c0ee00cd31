#include "app/wrap_key_file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "crypto/random.h"
#include "io/file.h"

namespace imprint::app {
namespace {

constexpr const char* kKey = "d90c1f5a6be28347f1a0b3c45e7d9168";

class WrapKeyFile : public testing::Test {
 protected:
  void SetUp() override {
    SystemRng rng;
    path_ = (std::filesystem::temp_directory_path() / ("imprint-wrap-" + hex(random_secret(rng, 8).expose()))).string();
  }
  void TearDown() override { std::filesystem::remove(path_); }
  OrProblem<SharedKey> read(const std::string& text, const std::string& id) {
    EXPECT_TRUE(io::write_file(path_, view(text)));
    return read_wrap_key(path_, id);
  }

  std::string path_;
};

TEST_F(WrapKeyFile, says_the_key_and_perhaps_its_identifier) {
  for (const std::string& text : {std::string(kKey) + "\n", std::string("2QwfWmvig0fxoLPEXn2RaA==")}) {
    auto key = read(text, "0a1b");
    ASSERT_TRUE(key) << text;
    EXPECT_EQ((*key).id, (Bytes{0x0a, 0x1b}));
    EXPECT_EQ(hex((*key).key.expose()), kKey);
  }
  for (const std::string& id : {std::string(), std::string("0A:1B")}) {
    auto key = read(std::string("0a1b  ") + kKey + "\n", id);
    ASSERT_TRUE(key) << id;
    EXPECT_EQ((*key).id, (Bytes{0x0a, 0x1b}));
    EXPECT_EQ(hex((*key).key.expose()), kKey);
  }
}

TEST_F(WrapKeyFile, that_says_something_else_is_named_without_its_contents) {
  const std::pair<std::string, std::string> wrong[] = {{kKey, ""},
                                                       {kKey, "xy"},
                                                       {"", "0a"},
                                                       {"0a", "0a"},
                                                       {std::string("0a ") + kKey, "0b"},
                                                       {"0a ", ""},
                                                       {"zz " + std::string(kKey), ""},
                                                       {std::string(kKey) + "00", "0a"}};
  for (const auto& [text, id] : wrong) {
    const auto key = read(text, id);
    ASSERT_FALSE(key) << text << " " << id;
    EXPECT_EQ(key.error().rule, "CLI-OPTION") << text;
    EXPECT_EQ((key.error().what + key.error().state + key.error().next).find("d90c1f"), std::string::npos);
  }
  EXPECT_FALSE(read_wrap_key(path_ + ".none", "0a"));
}

}  // namespace
}  // namespace imprint::app
