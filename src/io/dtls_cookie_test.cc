#include "io/dtls_cookie.h"

#include "io/dtls_record.h"
#include "io/dtls_test.h"

namespace imprint::io {
namespace {

using State = DtlsConnection::State;

TEST(Cookies, belong_to_an_address_and_a_port) {
  Cookies cookies;
  const Instant now{1000};
  const Bytes cookie = cookies.make(address_of(7), now);
  EXPECT_TRUE(cookies.good(address_of(7), cookie, now));
  EXPECT_FALSE(cookies.good(address_of(8), cookie, now));
  EXPECT_FALSE(cookies.good(*Address::parse("192.0.2.2", 7), cookie, now));
  EXPECT_FALSE(cookies.good(address_of(7), BytesView(cookie).first(31), now));
  EXPECT_FALSE(Cookies().good(address_of(7), cookie, now));
}

TEST(Cookies, count_under_the_secret_before_and_no_longer) {
  Cookies cookies;
  const Bytes cookie = cookies.make(address_of(7), Instant{0});
  EXPECT_TRUE(cookies.good(address_of(7), cookie, Instant{60000}));
  EXPECT_NE(cookies.make(address_of(7), Instant{60001}), cookie);
  EXPECT_TRUE(cookies.good(address_of(7), cookie, Instant{119999}));
  EXPECT_FALSE(cookies.good(address_of(7), cookie, Instant{120000}));
}

TEST(Cookies, are_void_after_a_long_silence) {
  Cookies cookies;
  const Bytes cookie = cookies.make(address_of(7), Instant{0});
  EXPECT_FALSE(cookies.good(address_of(7), cookie, Instant{1000000}));
}

TEST(DtlsRecord, reads_a_hello_and_nothing_else_as_one) {
  DtlsPair pair;
  const auto hello = pair.client->take_datagram();
  ASSERT_TRUE(hello);
  const auto head = client_hello(*hello);
  ASSERT_TRUE(head);
  EXPECT_FALSE(head->has_cookie);
  for (std::size_t n = 0; n < hello->size(); ++n) {
    EXPECT_FALSE(client_hello(BytesView(*hello).first(n))) << n;
  }
  Bytes other = *hello;
  other[13] = 2;  // the type of the message
  EXPECT_FALSE(client_hello(other));
}

TEST(DtlsAcceptor, gives_a_new_cookie_to_who_shows_anothers) {
  DtlsPair pair;
  const auto hello = pair.client->take_datagram();
  const DtlsAnswer first = pair.acceptor->accept(address_of(1), *hello, pair.now);
  ASSERT_TRUE(first.reply);
  pair.client->receive(*first.reply);
  const auto with_cookie = pair.client->take_datagram();
  ASSERT_TRUE(with_cookie && client_hello(*with_cookie)->has_cookie);
  const DtlsAnswer stolen = pair.acceptor->accept(address_of(2), *with_cookie, pair.now);
  EXPECT_EQ(stolen.connection, nullptr);
  ASSERT_TRUE(stolen.reply);
  EXPECT_NE(*stolen.reply, *first.reply);
  const DtlsAnswer right = pair.acceptor->accept(address_of(1), *with_cookie, pair.now);
  EXPECT_FALSE(right.reply);
  EXPECT_NE(right.connection, nullptr);
}

TEST(DtlsAcceptor, replies_with_less_than_it_was_sent) {
  DtlsPair pair;
  const auto hello = pair.client->take_datagram();
  const DtlsAnswer answer = pair.acceptor->accept(address_of(1), *hello, pair.now);
  ASSERT_TRUE(answer.reply);
  EXPECT_LT(answer.reply->size(), hello->size());
}

TEST(DtlsAcceptor, says_nothing_to_what_is_no_hello) {
  DtlsPair pair;
  SeededRng rng(1);
  const auto hello = pair.client->take_datagram();
  for (int i = 0; i < 2000; ++i) {
    Bytes random(rng.below(200));
    rng.fill(random);
    const DtlsAnswer answer = pair.acceptor->accept(address_of(1), random, pair.now);
    EXPECT_FALSE(answer.reply);
    EXPECT_EQ(answer.connection, nullptr);
  }
  EXPECT_TRUE(pair.acceptor->accept(address_of(1), *hello, pair.now).reply);
}

TEST(AllocatedBytes, count_what_a_connection_holds) {
  const std::size_t before = allocated_bytes();
  const DtlsPair pair;
  EXPECT_GT(allocated_bytes(), before + 4096);
}

TEST(DtlsAcceptor, keeps_nothing_of_ten_thousand_hellos) {
  DtlsPair pair;
  const auto hello = pair.client->take_datagram();
  for (std::uint16_t port = 1; port <= 100; ++port) {
    ASSERT_TRUE(pair.acceptor->accept(address_of(port), *hello, pair.now).reply);
  }
  const std::size_t before = allocated_bytes();
  for (std::uint16_t port = 1; port <= 10000; ++port) {
    const DtlsAnswer answer = pair.acceptor->accept(address_of(port), *hello, pair.now);
    ASSERT_TRUE(answer.reply);
    ASSERT_EQ(answer.connection, nullptr);
  }
  EXPECT_LT(allocated_bytes(), before + 4096);
  pair.client->receive(*pair.acceptor->accept(pair.address, *hello, pair.now).reply);
  EXPECT_TRUE(pair.settle());
  EXPECT_TRUE(pair.open());
}

}  // namespace
}  // namespace imprint::io
