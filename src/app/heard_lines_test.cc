#include "app/heard_lines.h"

#include <gtest/gtest.h>

namespace imprint::app {
namespace {

Uri at(std::size_t n) { return {"https", "fe80::1%eth0", static_cast<std::uint16_t>(n), "/", {}}; }

TEST(HeardLines, each_place_is_told_once_and_there_is_a_last_one) {
  using Word = HeardLines::Word;
  HeardLines lines;
  EXPECT_EQ(lines.take(at(1)), Word::fresh);
  EXPECT_EQ(lines.take(at(1)), Word::known);
  for (std::size_t i = 2; i < HeardLines::kMost; ++i) {
    ASSERT_EQ(lines.take(at(i)), Word::fresh) << i;
  }
  EXPECT_EQ(lines.take(at(1)), Word::known) << "however much came after it";
  EXPECT_EQ(lines.take(at(5000)), Word::last);
  EXPECT_EQ(lines.take(at(5001)), Word::known);
}

}  // namespace
}  // namespace imprint::app
