#include "proto/brski/jpy.h"

#include <algorithm>
#include <set>

#include "base/rng.h"
#include "proto/brski/brski_testing.h"
#include "proto/brski/coap_rules.h"

namespace imprint::brski {
namespace {

using testing::vector_of;

constexpr Instant kNow{1'000'000};

Bytes bytes_in(const Json& vector, std::string_view field) {
  return *from_hex(vector[std::string(field)].get<std::string>());
}

Bytes message(std::string_view text) { return *from_hex(text); }

PledgePlace link_local() {
  PledgePlace out{.v6 = true, .port = 40001, .interface = 3};
  const Bytes ip = *from_hex("fe80000000000000021122fffe334455");
  std::ranges::copy(ip, out.ip.begin());
  return out;
}
PledgePlace global() {
  PledgePlace out = link_local();
  out.ip[0] = 0x20;
  out.interface = 0;
  return out;
}
PledgePlace v4() { return {.ip = {192, 0, 2, 7}, .port = 5, .interface = 0}; }

TEST(Jpy, the_messages_of_the_draft_are_read_and_made_again) {
  for (const std::string_view id : {"jpy-0", "jpy-1"}) {
    const auto vector = vector_of(id);
    const Bytes whole = bytes_in(vector, "message");
    const auto read = Jpy::parse(whole);
    ASSERT_TRUE(read) << id;
    EXPECT_EQ(to_bytes(read->header), bytes_in(vector, "header"));
    EXPECT_EQ(to_bytes(read->content), bytes_in(vector, "content"));
    EXPECT_EQ(read->encode(), whole);
  }
  const auto example = vector_of("jpy-example-header");
  const Bytes header = bytes_in(example, "jpy_header"), content(example["content_length"].get<std::size_t>(), 0x16);
  const Bytes prefix = bytes_in(example, "message_prefix"), made = Jpy{header, content}.encode();
  EXPECT_EQ(hex(BytesView(made).first(21)), hex(BytesView(prefix).first(21)));  // up to the content
}

TEST(Jpy, more_items_than_two_are_passed_over) {
  const Bytes in = message("84410141168201a10203f6");  // [h'01', h'16', [1, {2: 3}], null]
  const auto read = Jpy::parse(in);
  ASSERT_TRUE(read);
  EXPECT_EQ(hex(read->header) + hex(read->content), "0116");
  EXPECT_TRUE(Jpy::parse(message("82404116"))) << "an empty header is the proxy's own affair";
}

TEST(Jpy, what_is_no_such_message_is_refused) {
  const auto fault = [](const Bytes& in) { return Jpy::parse(in) ? Fault::internal : Jpy::parse(in).error().fault; };
  for (const std::string_view text :
       {"", "8141014116", "8041014116", "81410141", "814101", "82410161", "8241014116ff", "824101", "a141014116",
        "82614141 16", "8261414116", "82410140", "8341014116", "9f41014116ff", "825801014116", "82410101"}) {
    EXPECT_EQ(fault(message(text)), Fault::malformed) << text;
  }
  EXPECT_EQ(Jpy::parse(message("81")).error().rule, &kJpyUnreadable);
}

TEST(Jpy, header_array_and_message_are_bounded) {
  const Bytes header(kMaxJpyHeader, 1), longer(kMaxJpyHeader + 1, 1), content{0x16};
  EXPECT_TRUE(Jpy::parse(Jpy{header, content}.encode()));
  const auto refused = Jpy::parse(Jpy{longer, content}.encode());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::limit);

  Bytes many = message("9041014116");
  many.resize(many.size() + 14, 0xf6);
  EXPECT_TRUE(Jpy::parse(many));
  many[0] = 0x91;
  ASSERT_EQ((many = message("9141014116"), many.resize(many.size() + 15, 0xf6), Jpy::parse(many).error().fault),
            Fault::limit);
  const Bytes large(17000, 0);
  EXPECT_EQ(Jpy::parse(Jpy{header, large}.encode()).error().fault, Fault::limit);
  const Bytes usual(1024, 0);
  EXPECT_EQ(Jpy({header, usual}).encode().size(), usual.size() + kMaxJpyOverhead);
}

TEST(JpyHeader, tells_its_proxy_where_the_pledge_is_and_fits) {
  SeededRng rng(1);
  HeaderKeys keys(rng);
  for (const auto& [place, size] : {std::pair(v4(), 20U), std::pair(link_local(), 24U), std::pair(global(), 32U)}) {
    const Bytes header = keys.seal(place, kNow);
    EXPECT_EQ(header.size(), size);
    EXPECT_LE(header.size(), kMaxJpyHeader);
    const auto opened = keys.open(header, kNow);
    ASSERT_TRUE(opened);
    EXPECT_EQ(*opened, place);
    EXPECT_EQ(keys.seal(place, kNow + Duration(1)), header) << "the registrar knows a session by it";
  }
}

TEST(JpyHeader, shows_nothing_of_the_place) {
  SeededRng rng(2);
  HeaderKeys keys(rng);
  PledgePlace neighbour = link_local();
  neighbour.port ^= 1;
  const Bytes one = keys.seal(link_local(), kNow), other = keys.seal(neighbour, kNow);
  const auto same_bytes = [&](std::size_t from) {
    std::size_t out = 0;
    for (std::size_t i = from; i < one.size(); ++i) {
      out += one[i] == other[i] ? 1U : 0U;
    }
    return out;
  };
  EXPECT_LT(same_bytes(1), 6U) << "all but the generation is another one";
  HeaderKeys others(rng);
  EXPECT_NE(others.seal(link_local(), kNow), one);
  EXPECT_FALSE(others.open(one, kNow));
}

TEST(JpyHeader, no_changed_header_is_opened) {
  SeededRng rng(3);
  HeaderKeys keys(rng);
  for (const PledgePlace& place : {v4(), link_local(), global()}) {
    const Bytes header = keys.seal(place, kNow);
    for (std::size_t bit = 0; bit < header.size() * 8; ++bit) {
      Bytes changed = header;
      changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1U << (bit % 8)));
      const auto opened = keys.open(changed, kNow);
      ASSERT_FALSE(opened) << bit;
      EXPECT_EQ(opened.error(), Error(Fault::unauthentic, kJpyHeader));
    }
    for (std::size_t size = 0; size < header.size(); ++size) {
      EXPECT_FALSE(keys.open(BytesView(header).first(size), kNow)) << size;
    }
    Bytes longer = header;
    longer.resize(kMaxJpyHeader + 1);
    EXPECT_FALSE(keys.open(longer, kNow));
  }
}

TEST(JpyHeader, keys_change_once_a_day_and_the_one_before_still_opens) {
  SeededRng rng(4);
  HeaderKeys keys(rng);
  const Bytes first = keys.seal(v4(), kNow);
  const Instant late = kNow + HeaderKeys::kLife - Duration(1), next = kNow + HeaderKeys::kLife;
  EXPECT_EQ(keys.seal(v4(), late), first);
  const Bytes second = keys.seal(v4(), next);
  EXPECT_NE(second, first);
  EXPECT_TRUE(keys.open(first, next));
  EXPECT_TRUE(keys.open(first, next + HeaderKeys::kLife - Duration(1)));
  EXPECT_FALSE(keys.open(first, next + HeaderKeys::kLife)) << "two keys later";
  EXPECT_TRUE(keys.open(second, next + HeaderKeys::kLife));
}

TEST(JpyHeader, after_two_days_of_silence_no_header_counts) {
  SeededRng rng(5);
  HeaderKeys keys(rng);
  const Bytes header = keys.seal(v4(), kNow);
  EXPECT_FALSE(keys.open(header, kNow + 2 * HeaderKeys::kLife));
  HeaderKeys silent(rng);
  EXPECT_FALSE(silent.open(header, kNow)) << "one that has sealed nothing";
}

TEST(JpyHeader, generations_go_round) {
  SeededRng rng(6);
  HeaderKeys keys(rng);
  Instant now = kNow;
  std::set<std::uint8_t> seen;
  for (int day = 0; day < 300; ++day, now = now + HeaderKeys::kLife) {
    const Bytes header = keys.seal(global(), now);
    seen.insert(header[0]);
    ASSERT_TRUE(keys.open(header, now + HeaderKeys::kLife)) << day;
  }
  EXPECT_EQ(seen.size(), 256U);
}

}  // namespace
}  // namespace imprint::brski
