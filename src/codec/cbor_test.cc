#include "codec/cbor.h"

#include <gtest/gtest.h>

namespace imprint::cbor {
namespace {

Item read(std::string_view text) {
  static Bytes kept;
  kept = *from_hex(text);
  Reader r(kept);
  const Item out = r.next();
  return r.done() || out.kind == Kind::array || out.kind == Kind::map || out.kind == Kind::tag ? out : Item{};
}

// RFC 8949 appendix A.
TEST(Cbor, reads_the_examples_of_the_rfc) {
  for (const auto& [text, value] : {std::pair("00", 0ULL),
                                    {"17", 23ULL},
                                    {"1818", 24ULL},
                                    {"1903e8", 1000ULL},
                                    {"1a000f4240", 1000000ULL},
                                    {"1bffffffffffffffff", 18446744073709551615ULL}}) {
    EXPECT_EQ(read(text).kind, Kind::number) << text;
    EXPECT_EQ(read(text).value, value) << text;
  }
  EXPECT_EQ(read("3903e7").kind, Kind::negative);
  EXPECT_EQ(read("3903e7").value, 999U);
  EXPECT_EQ(hex(read("4401020304").content), "01020304");
  EXPECT_EQ(as_text(read("6449455446").content), "IETF");
  EXPECT_EQ(read("83010203").kind, Kind::array);
  EXPECT_EQ(read("a201020304").value, 2U);
  EXPECT_EQ(read("c074").kind, Kind::tag);
  EXPECT_EQ(read("f5").value, 1U);
  EXPECT_EQ(read("f6").kind, Kind::null);
}

TEST(Cbor, refuses_what_is_not_strict) {
  for (const char* text : {"",     "1817", "190017", "1a00000017", "1b0000000000000017",
                           "5801", "41",   "62c3",   "580141",     "5f42010243030405ff",
                           "9fff", "bfff", "f97c00", "fa47c35000", "f7",
                           "f0",   "ff",   "1c",     "fc",         "5bffffffffffffffff00",
                           "9b"}) {
    EXPECT_EQ(read(text).kind, Kind::none) << text;
  }
}

TEST(Cbor, counts_are_told_and_not_believed) {
  const Bytes in = *from_hex("9bffffffffffffffff");
  Reader r(in);
  EXPECT_EQ(r.next(Kind::array).value, 0xffffffffffffffffU);
  EXPECT_TRUE(r.done());
  r.next();
  EXPECT_FALSE(r.good());
}

TEST(Cbor, an_item_of_another_kind_is_a_failure) {
  const Bytes in = *from_hex("0102");
  Reader r(in);
  EXPECT_EQ(r.peek(), Kind::number);
  EXPECT_EQ(r.next(Kind::text).kind, Kind::none);
  EXPECT_FALSE(r.good());
  EXPECT_EQ(r.next().kind, Kind::none);
}

// RFC 8949 appendix A.
TEST(Cbor, writes_negative_numbers_in_their_shortest_form) {
  for (const auto& [value, text] : {std::pair(0ULL, "20"),
                                    {9ULL, "29"},
                                    {99ULL, "3863"},
                                    {999ULL, "3903e7"},
                                    {18446744073709551615ULL, "3bffffffffffffffff"}}) {
    Writer w;
    w.negative(value);
    EXPECT_EQ(hex(std::move(w).out()), text);
  }
}

TEST(Cbor, an_item_is_taken_with_everything_in_it) {
  for (const char* text : {"00", "f6", "80", "a0", "43010203", "826161a161626163", "c11a514b67b0", "d2828001",
                           "a20102820304a10506", "8180"}) {
    const Bytes in = *from_hex(std::string(text) + "07");
    Reader r(in);
    EXPECT_EQ(hex(r.whole()), text);
    EXPECT_EQ(r.next(Kind::number).value, 7U) << text;
    for (std::size_t n = 0; n + 1 < in.size(); ++n) {
      Reader cut(BytesView(in).first(n));
      EXPECT_TRUE(cut.whole().empty()) << text << n;
      EXPECT_FALSE(cut.good()) << text << n;
    }
  }
}

TEST(Cbor, an_item_is_taken_however_deep_and_however_it_counts) {
  Bytes deep(60000, 0x81);
  deep.push_back(0);
  Reader r(deep);
  EXPECT_EQ(r.whole().size(), deep.size());
  EXPECT_TRUE(r.done());
  for (const char* text : {"9bffffffffffffffff00", "bb8000000000000000", "9b7fffffffffffffff9b8000000000000001"}) {
    const Bytes in = *from_hex(text);
    Reader lying(in);
    EXPECT_TRUE(lying.whole().empty()) << text;
    EXPECT_FALSE(lying.good()) << text;
  }
}

// RFC 8949 appendices A and F: well-formed, whether the strict reader takes it or not, and not well-formed.
TEST(Cbor, anything_well_formed_is_stepped_over) {
  for (const char* text : {"00",
                           "f6",
                           "80",
                           "a0",
                           "43010203",
                           "a20102820304a10506",
                           "f90000",
                           "fa47c35000",
                           "fb7ff0000000000000",
                           "f7",
                           "f0",
                           "f8ff",
                           "1800",
                           "190001",
                           "1b0000000000000000",
                           "580101",
                           "9800",
                           "b800",
                           "d80100",
                           "5f42010243030405ff",
                           "7f657374726561646d696e67ff",
                           "9f018202039f0405ffff",
                           "bf61610161629f0203ffff",
                           "9fff",
                           "bfff",
                           "5fff",
                           "c0f90000",
                           "81818181818181818181818181818180"}) {
    const Bytes in = *from_hex(std::string(text) + "07");
    Reader r(in);
    EXPECT_EQ(hex(r.anything()), text);
    EXPECT_EQ(r.next(Kind::number).value, 7U) << text;
    for (std::size_t n = 0; n + 1 < in.size(); ++n) {
      Reader cut(BytesView(in).first(n));
      EXPECT_TRUE(cut.anything().empty()) << text << n;
      EXPECT_FALSE(cut.good()) << text << n;
    }
  }
}

TEST(Cbor, what_is_not_well_formed_or_too_deep_is_not_stepped_over) {
  for (const char* text : {"",
                           "ff",
                           "1c",
                           "1d",
                           "1e",
                           "1f",
                           "3f",
                           "df00",
                           "f800",
                           "f81f",
                           "fc",
                           "5f00ff",
                           "5f6100ff",
                           "7f4100ff",
                           "5f5f4100ffff",
                           "7f7f6100ffff",
                           "bf00ff",
                           "81ff",
                           "a1ff",
                           "a100ff",
                           "c0ff",
                           "9f81ff",
                           "9f829fff",
                           "5bffffffffffffffff00",
                           "9bffffffffffffffff00",
                           "bb8000000000000000",
                           "8181818181818181818181818181818180",
                           "d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d600",
                           "9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9fffffffffffffffffffffffffffffffffff"}) {
    const Bytes in = *from_hex(text);
    Reader r(in);
    EXPECT_TRUE(r.anything().empty()) << text;
    EXPECT_FALSE(r.good()) << text;
  }
}

TEST(Cbor, writes_what_it_reads) {
  Writer w;
  w.array(9);
  w.number(65536);
  w.negative(6);
  w.negative(0xffffffffffffffff);
  w.bytes(Bytes(300, 7));
  w.text("IETF");
  w.map(0);
  w.tag(18);
  w.null();
  w.boolean(false);
  const Bytes out = std::move(w).out();
  Reader r(out);
  EXPECT_EQ(r.next(Kind::array).value, 9U);
  EXPECT_EQ(r.next(Kind::number).value, 65536U);
  EXPECT_EQ(r.next(Kind::negative).value, 6U);
  EXPECT_EQ(r.next(Kind::negative).value, 0xffffffffffffffffU);
  EXPECT_EQ(r.next(Kind::bytes).content.size(), 300U);
  EXPECT_EQ(as_text(r.next(Kind::text).content), "IETF");
  EXPECT_EQ(r.next(Kind::map).value, 0U);
  EXPECT_EQ(r.next(Kind::tag).value, 18U);
  EXPECT_EQ(r.next(Kind::null).kind, Kind::null);
  EXPECT_EQ(r.next(Kind::boolean).value, 0U);
  EXPECT_TRUE(r.done());
}

}  // namespace
}  // namespace imprint::cbor
