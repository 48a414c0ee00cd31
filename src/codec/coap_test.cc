#include "codec/coap.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace imprint::coap {
namespace {

// RFC 7252 appendix A, figure 16: a GET with a piggybacked answer.
TEST(CoapMessage, reads_and_writes_the_example_of_the_rfc) {
  Message get;
  get.id = 0x7d34;
  get.code = kGet;
  get.add(kUriPath, "temperature");
  EXPECT_EQ(hex(get.encode()), "40017d34bb74656d7065726174757265");
  EXPECT_EQ(*Message::parse(get.encode()), get);
  Message answer{Type::acknowledgement, kContent, 0x7d34, {}, {}, to_bytes("22.3 C")};
  EXPECT_EQ(hex(answer.encode()), "60457d34ff32322e332043");
  EXPECT_EQ(*Message::parse(answer.encode()), answer);
}

TEST(CoapMessage, refuses_what_is_malformed) {
  for (const char* text : {"", "40", "400112", "00011234", "80011234", "c0011234", "49011234000000000000000000",
                           "4f011234", "41011234", "40001234ff", "4000123400", "40011234ff", "40011234b1", "40011234d1",
                           "40011234e1ff", "40011234f1", "400112341f", "40011234effff0", "40011234e0fff0e0fff0"}) {
    EXPECT_FALSE(Message::parse(*from_hex(text))) << text;
  }
}

TEST(CoapMessage, each_form_of_delta_and_length_survives) {
  for (const std::size_t number : {1U, 12U, 13U, 268U, 269U, 65535U}) {
    for (const std::size_t size : {0U, 12U, 13U, 268U, 269U, 1034U}) {
      Message m;
      m.code = kGet;
      m.add(static_cast<std::uint16_t>(number), Bytes(size, 1));
      EXPECT_EQ(*Message::parse(m.encode()), m) << number << " " << size;
    }
  }
}

TEST(CoapMessage, options_are_sorted_by_number_and_repeated_ones_keep_their_order) {
  Message m;
  m.code = kPost;
  m.add_number(kAccept, 281);
  m.add(kUriPath, "b");
  m.add(kUriPath, "a");
  m.add(kUriHost, "h");
  const auto back = Message::parse(m.encode());
  ASSERT_TRUE(back);
  ASSERT_EQ(back->options.size(), 4U);
  EXPECT_EQ(back->options[0].number, kUriHost);
  EXPECT_EQ(as_text(back->options[1].value), "b");
  EXPECT_EQ(as_text(back->options[2].value), "a");
  EXPECT_EQ(back->number(kAccept), 281U);
}

TEST(CoapMessage, numbers_take_as_few_bytes_as_they_need) {
  Message m;
  m.add_number(1, 0);
  m.add_number(2, 255);
  m.add_number(3, 256);
  m.add_number(4, 0x01000000);
  EXPECT_EQ(m.options[0].value.size(), 0U);
  EXPECT_EQ(m.options[1].value.size(), 1U);
  EXPECT_EQ(m.options[2].value.size(), 2U);
  EXPECT_EQ(m.options[3].value.size(), 4U);
  EXPECT_EQ(m.number(4), 0x01000000U);
  m.add(9, Bytes(5, 1));
  EXPECT_EQ(m.number(9), std::nullopt);
}

TEST(CoapMessage, more_than_64_options_are_too_many) {
  Message m;
  m.code = kGet;
  for (int i = 0; i < 64; ++i) {
    m.add(kUriPath, "x");
  }
  EXPECT_TRUE(Message::parse(m.encode()));
  m.add(kUriPath, "x");
  EXPECT_EQ(Message::parse(m.encode()).error().fault, Fault::limit);
}

TEST(CoapBlock, reads_what_it_writes_and_refuses_the_rest) {
  for (const Block& b : {Block{0, false, 0}, Block{1, true, 6}, Block{0xfffff, true, 3}, Block{15, false, 6}}) {
    Message m;
    m.add_number(kBlock1, b.encode());
    EXPECT_EQ(*Block::parse(m.options.front().value), b);
  }
  EXPECT_EQ(Block::parse({})->size(), 16U);
  EXPECT_FALSE(Block::parse(Bytes{7}));
  EXPECT_FALSE(Block::parse(Bytes(4, 0)));
}

}  // namespace
}  // namespace imprint::coap
