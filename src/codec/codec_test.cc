#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "codec/der.h"
#include "codec/json.h"
#include "codec/uri.h"

namespace imprint {
namespace {

Bytes bytes(std::string_view text) { return *from_hex(text); }

template <class T>
Fault fault(const Result<T>& result) {
  return result ? Fault::internal : result.error().fault;
}

// RFC 4648 section 10.
TEST(Base64, gives_the_rfc_test_vectors) {
  EXPECT_EQ(base64(view("")), "");
  EXPECT_EQ(base64(view("f")), "Zg==");
  EXPECT_EQ(base64(view("fo")), "Zm8=");
  EXPECT_EQ(base64(view("foobar")), "Zm9vYmFy");
  EXPECT_EQ(*parse_base64("Zm9vYmE="), to_bytes("fooba"));
}

TEST(Base64, takes_what_est_peers_send) {
  EXPECT_EQ(*parse_base64("Zm9v\r\n YmE\t=\n"), to_bytes("fooba"));
  EXPECT_EQ(*parse_base64("Zg"), to_bytes("f"));
  EXPECT_EQ(base64_lines(Bytes(49, 0)).substr(63, 3), "A\nA");
}

TEST(Base64, refuses_other_characters_and_bits_left_over) {
  for (const char* text : {"Zg==Zg==", "Z", "Zh==", "Zg=", "Zm9v====", "Zm-_", "Zg===", "\x80"}) {
    EXPECT_FALSE(parse_base64(text)) << text;
  }
}

// RFC 4648 section 10, RFC 7515 appendix C.
TEST(Base64url, gives_the_rfc_test_vectors) {
  EXPECT_EQ(base64url(view("")), "");
  EXPECT_EQ(base64url(view("f")), "Zg");
  EXPECT_EQ(base64url(view("foobar")), "Zm9vYmFy");
  EXPECT_EQ(base64url(Bytes{3, 236, 255, 224, 193}), "A-z_4ME");
  for (const std::string_view text : {"", "Zg", "Zm8", "Zm9v", "A-z_4ME", "-_-_"}) {
    ASSERT_TRUE(parse_base64url(text)) << text;
    EXPECT_EQ(base64url(*parse_base64url(text)), text);
  }
}

TEST(Base64url, refuses_padding_blanks_the_other_alphabet_and_bits_left_over) {
  for (const char* text : {"Zg==", "Zm8=", "=", "A+z_", "A/z_", "Zm9v\n", " Zm9v", "Zm\t9v", "Zm\r9v", "Z", "Zm9vY",
                           "Zh", "Zm9", "Z.9v", "\x80"}) {
    EXPECT_EQ(fault(parse_base64url(text)), Fault::malformed) << text;
  }
  EXPECT_FALSE(parse_base64url(std::string_view("Zm9v\0", 5)));
}

TEST(Der, reads_items_in_order) {
  const Bytes in = bytes("02010530030101ff0400");
  der::Reader r(in);
  EXPECT_EQ(hex(r.next(der::kInteger).content), "05");
  EXPECT_TRUE(r.has(der::kSequence));
  EXPECT_FALSE(r.maybe(der::kSet));
  EXPECT_EQ(hex(r.maybe(der::kSequence)->whole), "30030101ff");
  EXPECT_FALSE(r.done());
  EXPECT_TRUE(r.next().content.empty());
  EXPECT_TRUE(r.done());
}

TEST(Der, refuses_lengths_that_are_not_der) {
  for (const char* text : {"3080", "30800000", "308100", "30817f", "3082007f", "30840000000100", "3001", "30", "30ff",
                           "1f0100", "3f8101", ""}) {
    const Bytes in = bytes(text);
    der::Reader r(in);
    r.next();
    EXPECT_FALSE(r.good()) << text;
  }
}

TEST(Der, takes_each_length_form_and_writes_it) {
  for (const std::size_t n : {0U, 1U, 0x7fU, 0x80U, 0xffU, 0x100U, 0xffffU, 0x10000U}) {
    const Bytes written = der::item(der::kOctetString, Bytes(n, 7));
    der::Reader r(written);
    EXPECT_EQ(r.next(der::kOctetString).content.size(), n);
    EXPECT_TRUE(r.done());
    const Bytes cut(written.begin(), written.end() - 1);
    der::Reader short_one(cut);
    short_one.next();
    EXPECT_FALSE(short_one.good());
  }
}

TEST(Der, reads_nothing_after_a_failure) {
  const Bytes in = bytes("020105020106");
  der::Reader r(in);
  r.next(der::kSequence);
  EXPECT_FALSE(r.good());
  EXPECT_TRUE(r.next().whole.empty());
  EXPECT_FALSE(r.has(der::kInteger));
  EXPECT_FALSE(r.done());
}

TEST(Der, writes_integers_minimal_and_positive) {
  EXPECT_EQ(hex(der::integer(0)), "020100");
  EXPECT_EQ(hex(der::integer(127)), "02017f");
  EXPECT_EQ(hex(der::integer(128)), "02020080");
  EXPECT_EQ(hex(der::integer(0xffffffffffffffffU)), "020900ffffffffffffffff");
  EXPECT_EQ(hex(der::integer(BytesView(bytes("0000ff")))), "020200ff");
}

TEST(Der, sorts_sets) {
  EXPECT_EQ(hex(der::set_of({bytes("020109"), bytes("0101ff"), bytes("020101")})), "31090101ff020101020109");
}

TEST(Der, object_identifiers_round_trip) {
  for (const char* dotted : {"1.2.840.113549.1.9.7", "0.0", "2.999.1", "2.5.4.3", "1.39", "2.18446744073709551535"}) {
    const Bytes written = der::oid(dotted);
    der::Reader r(written);
    EXPECT_EQ(*der::parse_oid(r.next(der::kOid).content), dotted);
  }
  EXPECT_EQ(hex(der::oid("1.2.840.113549.1.9.7")), "06092a864886f70d010907");
}

TEST(Der, refuses_object_identifiers_that_are_none) {
  for (const char* dotted : {"", "1", "3.1", "1.40", "1.2.", ".1", "1.02", "1.a", "1.2.18446744073709551616"}) {
    EXPECT_FALSE(der::valid_oid(dotted)) << dotted;
  }
  for (const char* content : {"", "80", "8001", "2a80", "2a8001", "2affffffffffffffffff7f"}) {
    EXPECT_EQ(fault(der::parse_oid(bytes(content))), Fault::malformed) << content;
  }
}

TEST(Der, an_object_identifier_that_is_read_can_be_written) {
  const Result<std::string> longest = der::parse_oid(Bytes(63, 1));
  ASSERT_TRUE(longest);
  EXPECT_TRUE(der::valid_oid(*longest));
  EXPECT_EQ(fault(der::parse_oid(Bytes(64, 1))), Fault::malformed);
}

TEST(JsonText, parses_and_keeps_order) {
  const Result<Json> json = parse_json(R"({"b": [1, {"x": "\"}{"}], "a": null})");
  ASSERT_TRUE(json);
  EXPECT_EQ(json->dump(), R"({"b":[1,{"x":"\"}{"}],"a":null})");
}

TEST(JsonText, refuses_what_is_not_strict) {
  for (const char* text : {"", "{", "[1,]", "{'a':1}", "[1] 2", "nan", "[1e999]", "\"\xff\"", "// x\n1", "01"}) {
    EXPECT_EQ(fault(parse_json(text)), Fault::malformed) << text;
  }
  EXPECT_EQ(fault(parse_json(std::string_view("{}\0{}", 5))), Fault::malformed);  // nothing follows the end
}

TEST(JsonText, refuses_a_member_name_twice) {
  EXPECT_EQ(fault(parse_json(R"({"a":1,"a":2})")), Fault::malformed);
  EXPECT_EQ(fault(parse_json(R"([{"b":{"a":1,"\u0061":2}}])")), Fault::malformed);
  EXPECT_TRUE(parse_json(R"({"a":{"a":1},"b":{"a":2}})"));
}

TEST(JsonText, bounds_depth_and_size) {
  EXPECT_TRUE(parse_json(std::string(64, '[') + std::string(64, ']')));
  EXPECT_EQ(fault(parse_json(std::string(65, '[') + std::string(65, ']'))), Fault::limit);
  EXPECT_EQ(fault(parse_json(std::string((16U << 20U) + 1, ' '))), Fault::limit);
}

TEST(UriText, reads_the_forms_that_onboarding_uses) {
  EXPECT_EQ(*Uri::parse("https://Host.Example/.well-known/est?a=b%20c"),
            (Uri{"https", "host.example", 443, "/.well-known/est", "a=b%20c"}));
  EXPECT_EQ(*Uri::parse("HTTP://127.0.0.1:8080"), (Uri{"http", "127.0.0.1", 8080, "/", ""}));
  EXPECT_EQ(Uri::parse("https://[2001:DB8::1]:8443/x")->authority(), "[2001:db8::1]:8443");
  EXPECT_EQ(Uri::parse("https://h?q")->text(), "https://h/?q");
}

TEST(UriText, text_parses_to_the_same) {
  for (const char* text :
       {"https://h/", "https://[::1]/a", "http://h:81/a?b", "coaps://h/.well-known/est", "coaps://h:61616/"}) {
    EXPECT_EQ(Uri::parse(text)->text(), text);
  }
}

// RFC 6874: where a device heard somebody on its own link. On the wire the zone is left out (section 3).
TEST(UriText, a_link_local_address_names_its_interface) {
  const auto uri = Uri::parse("https://[FE80::1%25Eth-0.1]:8443/x");
  ASSERT_TRUE(uri);
  EXPECT_EQ(uri->host, "fe80::1%Eth-0.1");
  EXPECT_EQ(uri->authority(), "[fe80::1]:8443");
  EXPECT_EQ(uri->text(), "https://[fe80::1%25Eth-0.1]:8443/x");
  for (const char* text :
       {"https://[fe80::1%25]/", "https://[fe80::1%25a/b]/", "https://[fe80::1%eth0]/", "https://[2001:db8::1%25eth0]/",
        "https://[fe80::1%250123456789abcdef]/", "https://[fe80::1%25a%25b]/", "https://[169.254.0.1%25eth0]/"}) {
    EXPECT_EQ(fault(Uri::parse(text)), Fault::malformed) << text;
  }
}

TEST(UriText, refuses_everything_else) {
  for (const char* text : {"",
                           "host",
                           "//h/",
                           "https:///",
                           "https://",
                           "https://u@h/",
                           "https://u:p@h/",
                           "https://h/#f",
                           "https://h/a b",
                           "https://h/\n",
                           "https://h:0/",
                           "https://h:65536/",
                           "https://h:/",
                           "https://h:8o/",
                           "https://[::1",
                           "https://[::1]x/",
                           "https://[1.2.3.4]/",
                           "https://::1/",
                           "https://h/%4",
                           "https://h/%zz",
                           "1https://h/",
                           "https://h\\x/",
                           "https://h%41/"}) {
    EXPECT_EQ(fault(Uri::parse(text)), Fault::malformed) << text;
  }
  EXPECT_EQ(fault(Uri::parse("https://h/" + std::string(2048, 'a'))), Fault::limit);
}

}  // namespace
}  // namespace imprint
