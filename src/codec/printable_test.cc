#include "codec/printable.h"

#include <gtest/gtest.h>

namespace imprint {
namespace {

TEST(Printable, ordinary_text_stays) {
  for (const char* const text : {"", "CN=dev-1,O=Example", "Müller", "日本語", "ключ", "🔑", "a\\u{202e}b"}) {
    EXPECT_EQ(printable(text), text);
  }
}

TEST(Printable, controls_become_question_marks) {
  EXPECT_EQ(printable("a\x1b[31mb\r\n\tc\x7f"), "a?[31mb???c?");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a?b");
  EXPECT_EQ(printable("a\x1b\n\tb", true), "a?\n\tb");
}

TEST(Printable, what_is_not_seen_is_written_out) {
  EXPECT_EQ(printable("dev\u202e1-ved"), "dev\\u{202e}1-ved");  // right-to-left override
  EXPECT_EQ(printable("a\u2066b\u2069"), "a\\u{2066}b\\u{2069}");
  EXPECT_EQ(printable("a\u200bb\ufeff"), "a\\u{200b}b\\u{feff}");
  EXPECT_EQ(printable("a\u061cb\u00adc"), "a\\u{61c}b\\u{ad}c");
  EXPECT_EQ(printable("a\u2028b"), "a\\u{2028}b");
  EXPECT_EQ(printable("a\U000e0041"), "a\\u{e0041}");
  EXPECT_EQ(printable("a\xc2\x9b"
                      "31m"),
            "a\\u{9b}31m");  // CSI in one character
}

TEST(Printable, what_is_no_utf_8_becomes_question_marks) {
  EXPECT_EQ(printable("a\xff"
                      "b\x9b"),
            "a?b?");
  EXPECT_EQ(printable("\xc0\xaf"), "??");            // overlong
  EXPECT_EQ(printable("\xe2\x80"), "??");            // cut off
  EXPECT_EQ(printable("\xe0\x80\xaf"), "???");       // overlong
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "????");  // beyond Unicode
}

}  // namespace
}  // namespace imprint
