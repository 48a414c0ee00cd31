#include "model/acp_name.h"

#include <gtest/gtest.h>

#include "codec/der.h"

namespace imprint {
namespace {

constexpr std::string_view kExample = "fd89b714f3db00000200000064000000+area51.research@acp.example.com";
const AcpDomain kDomain{"acp.example.com", "area51.research"};

GeneralName other(std::string_view oid, const Bytes& value) {
  return {GeneralName::Kind::other, der::concat({der::oid(oid), der::item(der::context(0), value)})};
}

TEST(AcpName, the_example_of_rfc_8994) {
  const auto name = AcpNodeName::parse(kExample);
  ASSERT_TRUE(name);
  EXPECT_EQ(*name, (AcpNodeName{"fd89b714f3db00000200000064000000", kDomain, {}}));
  EXPECT_EQ(name->text(), kExample);
}

TEST(AcpName, every_form_of_the_grammar_is_read_and_written_again) {
  for (const std::string_view text :
       {"@acp.example", "0@acp.example", "0+area51@acp.example", "+area51@acp.example", "++ext@acp.example",
        "FD89b714f3db00000200000064000000++a!#$%&'*-/=?^_`{|}~9+second@a.b", "0@x", "0@a-1.b2"}) {
    const auto name = AcpNodeName::parse(text);
    ASSERT_TRUE(name) << text;
    EXPECT_EQ(name->text(), text);
  }
  EXPECT_EQ(AcpNodeName::parse("++ext+more@a")->extensions, (std::vector<std::string>{"ext", "more"}));
  EXPECT_EQ(AcpNodeName::parse("0+@a")->text(), "0@a") << "an empty rsub is none";
}

TEST(AcpName, what_is_not_of_the_grammar_is_refused) {
  const std::string label(64, 'a');
  const std::string many = [] {
    std::string out = "a";
    while (out.size() < 254) {
      out += ".a";
    }
    return out;
  }();
  for (const std::string& text : {std::string(),
                                  std::string("acp.example"),
                                  std::string("0@"),
                                  std::string("1@a"),
                                  std::string("00@a"),
                                  std::string("fd89b714f3db0000020000006400000@a"),
                                  std::string("fd89b714f3db000002000000640000000@a"),
                                  std::string("gd89b714f3db00000200000064000000@a"),
                                  std::string("0@a@b"),
                                  std::string("fd89b714f3db00000200000064000000"),
                                  std::string("0@a."),
                                  std::string("0@.a"),
                                  std::string("0@a..b"),
                                  std::string("0@1a"),
                                  std::string("0@-a"),
                                  std::string("0@a-"),
                                  std::string("0@a_b"),
                                  std::string("0@ "),
                                  std::string("0+a.@b"),
                                  std::string("0+1@b"),
                                  std::string("0+a+@b"),
                                  std::string("0+a+(@b"),
                                  "0@" + label,
                                  "0+" + label + "@a",
                                  "0@" + many,
                                  "0+a@" + many.substr(2),
                                  "0+a+" + std::string(512, 'x') + "@a"}) {
    EXPECT_FALSE(AcpNodeName::parse(text)) << text;
  }
  EXPECT_TRUE(AcpNodeName::parse("0@" + label.substr(1)));
  EXPECT_TRUE(AcpNodeName::parse("0@" + many.substr(2))) << "253 octets";
}

TEST(AcpName, an_address_is_of_its_domain_and_its_node) {
  const Bytes node{1, 2, 3};
  const auto one = acp_address(kDomain, node);
  // RFC 8994 section 6.11.2: "the 40-bit ULA Global ID is 89b714f3db"; behind it Type, Z and Zone-ID, 0 each.
  EXPECT_EQ(hex(one).substr(0, 16), "fd89b714f3db0000");
  EXPECT_EQ(one[15] & 1U, 0U) << "V";
  EXPECT_EQ(one, acp_address(kDomain, node));
  EXPECT_EQ(one, acp_address({"ACP.Example.com", "area51.Research"}, node)) << "names do not depend on case";
  EXPECT_NE(hex(one).substr(16), hex(acp_address(kDomain, Bytes{1, 2, 4})).substr(16));
  const auto elsewhere = acp_address({"acp.example.com", ""}, node);
  EXPECT_NE(hex(one).substr(0, 12), hex(elsewhere).substr(0, 12));
  EXPECT_NE(hex(one).substr(16), hex(elsewhere).substr(16));
}

TEST(AcpName, in_a_certificate_it_is_an_other_name) {
  const AcpNodeName name = *AcpNodeName::parse(kExample);
  const GeneralName as_general = acp_general_name(name);
  // 1.3.6.1.5.5.7.8.10, then [0] with an IA5String of 64 octets.
  EXPECT_EQ(hex(as_general.value).substr(0, 28), "06082b0601050507080aa0421640");
  EXPECT_TRUE(is_acp_name(as_general));
  EXPECT_FALSE(is_acp_name(*GeneralName::from_text("dns:acp.example.com")));
  EXPECT_FALSE(is_acp_name({GeneralName::Kind::x400, as_general.value}));
  EXPECT_FALSE(is_acp_name(other("1.3.6.1.5.5.7.8.4", der::text(der::kIa5, kExample))));

  const GeneralName host = *GeneralName::from_text("dns:dev-1");
  EXPECT_EQ(**acp_name_in({host, as_general}), name);
  EXPECT_EQ(*acp_name_in({host}), std::nullopt);
}

TEST(AcpName, one_that_cannot_be_read_is_no_name) {
  constexpr std::string_view kOid = "1.3.6.1.5.5.7.8.10";
  const Bytes good = der::text(der::kIa5, kExample);
  const GeneralName as_general = acp_general_name(*AcpNodeName::parse(kExample));
  EXPECT_FALSE(acp_name_in({as_general, as_general})) << "twice";
  EXPECT_FALSE(acp_name_in({other(kOid, der::text(der::kUtf8, kExample))}));
  EXPECT_FALSE(acp_name_in({other(kOid, der::text(der::kIa5, "nonsense"))}));
  EXPECT_FALSE(acp_name_in({other(kOid, der::concat({good, good}))}));
  GeneralName longer = as_general;
  longer.value.push_back(0);
  EXPECT_FALSE(acp_name_in({longer}));
}

}  // namespace
}  // namespace imprint
