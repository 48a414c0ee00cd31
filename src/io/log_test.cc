#include "io/log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "codec/json.h"

namespace imprint::io {
namespace {

std::string logged(bool json, LogLevel least, LogLevel level, std::string_view event, std::string_view value) {
  testing::internal::CaptureStderr();
  set_log(least, json);
  log(level, event, {{"key", value}});
  set_log(LogLevel::info, true);
  return testing::internal::GetCapturedStderr();
}

TEST(Log, a_line_is_one_json_object_whatever_the_value_is) {
  for (const std::string_view value :
       {std::string_view("plain"), std::string_view("a\"b\\c\nd\r\x1b[31m\x7f\0e", 16),
        std::string_view("\xc3\xa9\xe2\x82\xac"), std::string_view("\xff\xc0\x80\xed\xa0\x80\xf5\xe2\x82"),
        std::string_view("")}) {
    const std::string line = logged(true, LogLevel::info, LogLevel::warning, "x.y", value);
    ASSERT_TRUE(line.ends_with("}\n")) << line;
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    EXPECT_TRUE(parse_json(line)) << line;
    EXPECT_NE(line.find(R"("level":"warning","event":"x.y","key":")"), std::string::npos) << line;
  }
}

TEST(Log, text_is_one_line_too) {
  const std::string line = logged(false, LogLevel::info, LogLevel::error, "x.y", "a\nb\"");
  EXPECT_TRUE(line.ends_with(" error x.y key=\"a\\u000ab\\\"\"\n")) << line;
}

TEST(Log, values_are_cut_and_lesser_levels_dropped) {
  EXPECT_LT(logged(true, LogLevel::info, LogLevel::info, "x", std::string(5000, 'a')).size(), 1200U);
  EXPECT_EQ(logged(true, LogLevel::warning, LogLevel::info, "x", "v"), "");
  EXPECT_EQ(logged(true, LogLevel::off, LogLevel::error, "x", "v"), "");
}

TEST(Log, lines_of_several_threads_do_not_mix) {
  testing::internal::CaptureStderr();
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([] {
        for (int i = 0; i < 100; ++i) {
          log(LogLevel::info, "x", {{"key", "a long enough value to be torn apart"}});
        }
      });
    }
  }
  std::string all = testing::internal::GetCapturedStderr();
  std::size_t lines = 0;
  for (; !all.empty(); ++lines) {
    const std::size_t end = all.find('\n');
    EXPECT_TRUE(parse_json(all.substr(0, end)));
    all.erase(0, end + 1);
  }
  EXPECT_EQ(lines, 400U);
}

}  // namespace
}  // namespace imprint::io
