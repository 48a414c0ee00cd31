#include "codec/link_format.h"

#include <gtest/gtest.h>

namespace imprint {
namespace {

// RFC 9148 section 4.1.
constexpr std::string_view kEst =
    "</est/crts>;rt=\"ace.est.crts\";ct=\"281 287\",</est/sen>;rt=\"ace.est.sen\";ct=\"281 287\","
    "</est/sren>;rt=\"ace.est.sren\";ct=\"281 287\",</est/att>;rt=\"ace.est.att\";ct=285";

TEST(Links, reads_and_writes_the_example_of_rfc_9148) {
  const auto links = parse_links(kEst);
  ASSERT_TRUE(links);
  ASSERT_EQ(links->size(), 4U);
  EXPECT_EQ((*links)[1].target, "/est/sen");
  EXPECT_EQ(*(*links)[3].find("ct"), "285");
  EXPECT_EQ(encode_links(*links), kEst);
}

TEST(Links, a_query_selects) {
  const auto links = *parse_links(kEst);
  EXPECT_EQ(select_links(links, "").size(), 4U);
  EXPECT_EQ(select_links(links, "rt=ace.est*").size(), 4U);
  EXPECT_EQ(select_links(links, "rt=ace.est.s*").size(), 2U);
  EXPECT_EQ(select_links(links, "rt=ace.est.sen&ct=287").size(), 1U);
  EXPECT_EQ(select_links(links, "href=/est/att").size(), 1U);
  EXPECT_EQ(select_links(links, "if=x").size(), 0U);
  EXPECT_TRUE(links[0].has_type("ace.est.crts"));
  EXPECT_FALSE(links[0].has_type("ace.est"));
}

TEST(Links, takes_what_others_write) {
  const auto links =
      parse_links("<coaps://[2001:db8::1]:61617/est/crts> ; rt = \"a b\\\"c\" ;obs, </x>;title=\"a,b;c\"");
  ASSERT_TRUE(links);
  EXPECT_EQ((*links)[0].target, "coaps://[2001:db8::1]:61617/est/crts");
  EXPECT_EQ(*(*links)[0].find("rt"), "a b\"c");
  EXPECT_NE((*links)[0].find("obs"), nullptr);
  EXPECT_EQ(*(*links)[1].find("title"), "a,b;c");
  EXPECT_TRUE(parse_links("")->empty());
}

TEST(Links, refuses_what_has_no_form) {
  for (const char* text : {"x", "<x", "<x>,", "<x><y>", "<x>;", "<x>; ;a", "<x>;=1", "<x>;a=\"", "<x>;a=\"b\\", ",<x>"}) {
    EXPECT_FALSE(parse_links(text)) << text;
  }
  std::string many = "<a>";
  for (int i = 0; i < 256; ++i) {
    many += ",<a>";
  }
  EXPECT_EQ(parse_links(many).error().fault, Fault::limit);
}

}  // namespace
}  // namespace imprint
