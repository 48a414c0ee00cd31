// The thread that makes keys: told when to go on, never timed.
#include "runtime/key_thread.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "site/rules.h"

namespace imprint {
namespace {

constexpr Instant kNow{1'800'000'000'000};

// A maker that waits until it is told, and those who wait for it.
class Bench {
 public:
  KeyThread::Make maker() {
    return [this](const KeyDelivery&, const site::WrapMeans&) -> Result<MadeKey> {
      std::unique_lock lock(mutex_);
      ++begun_;
      changed_.notify_all();
      wait(lock, [this] { return told_; });
      return MadeKey{};
    };
  }
  KeyThread::Answered answer() {
    return [this](const Result<MadeKey>& made) {
      const std::scoped_lock lock(mutex_);
      ++(made ? good_ : bad_);
      fault_ = made ? fault_ : made.error().fault;
      rule_ = made ? rule_ : made.error().rule;
      changed_.notify_all();
    };
  }
  void tell() {
    const std::scoped_lock lock(mutex_);
    told_ = true;
    changed_.notify_all();
  }
  void await_begun(std::size_t count) {
    std::unique_lock lock(mutex_);
    wait(lock, [&] { return begun_ >= count; });
  }
  void await_answers(std::size_t good, std::size_t bad) {
    std::unique_lock lock(mutex_);
    wait(lock, [&] { return good_ >= good && bad_ >= bad; });
    EXPECT_EQ(good_, good);
    EXPECT_EQ(bad_, bad);
  }
  std::size_t begun() {
    const std::scoped_lock lock(mutex_);
    return begun_;
  }
  std::size_t answered() {
    const std::scoped_lock lock(mutex_);
    return good_ + bad_;
  }
  Fault fault() {
    const std::scoped_lock lock(mutex_);
    return fault_;
  }
  const Rule* rule() {
    const std::scoped_lock lock(mutex_);
    return rule_;
  }

 private:
  template <class Until>
  void wait(std::unique_lock<std::mutex>& lock, Until until) {
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(60), until));
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool told_ = false;
  std::size_t begun_ = 0, good_ = 0, bad_ = 0;
  Fault fault_ = Fault::internal;
  const Rule* rule_ = nullptr;
};

class KeyThreadTest : public testing::Test {
 protected:
  // Of another device each time.
  KeyThread::Order order(Instant asked = kNow) {
    return {KeyDelivery{}, {}, "dev-" + std::to_string(++devices_), asked, asker_};
  }

  std::size_t devices_ = 0;
  std::shared_ptr<int> asker_ = std::make_shared<int>(0);
  Bench bench_;
};

TEST_F(KeyThreadTest, makes_what_is_ordered) {
  KeyThread keys;
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Result<MadeKey>> got;
  KeyThread::Order clear = order();
  clear.delivery = {KeyType::rsa2048, KeyDelivery::InClear{}, {}};
  keys.make(clear, [&](Result<MadeKey> made) {
    const std::scoped_lock lock(mutex);
    got = std::move(made);
    changed.notify_all();
  });
  std::unique_lock lock(mutex);
  ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(60), [&] { return got.has_value(); }));
  ASSERT_TRUE(*got);
  EXPECT_EQ((*got)->key.type, KeyType::rsa2048);
  EXPECT_EQ(parse_pkcs8((*got)->body)->public_key(), (*got)->key);
}

TEST_F(KeyThreadTest, whoever_comes_when_the_queue_is_full_is_told_at_once) {
  KeyThread keys(bench_.maker());
  keys.make(order(), bench_.answer());
  bench_.await_begun(1);
  for (std::size_t i = 0; i < KeyThread::kMostWaiting; ++i) {
    keys.make(order(), bench_.answer());
  }
  EXPECT_EQ(bench_.answered(), 0U);
  keys.make(order(), bench_.answer());
  bench_.await_answers(0, 1);
  EXPECT_EQ(bench_.fault(), Fault::unreachable);
  bench_.tell();
  bench_.await_answers(1 + KeyThread::kMostWaiting, 1);
}

TEST_F(KeyThreadTest, whoever_has_waited_too_long_is_told_when_the_next_one_comes) {
  KeyThread keys(bench_.maker());
  keys.make(order(), bench_.answer());
  bench_.await_begun(1);
  keys.make(order(), bench_.answer());
  keys.make(order(kNow + KeyThread::kPatience), bench_.answer());
  EXPECT_EQ(bench_.answered(), 0U);
  keys.make(order(kNow + KeyThread::kPatience + Duration(1)), bench_.answer());
  bench_.await_answers(0, 1);
  bench_.tell();
  bench_.await_answers(3, 1);
}

TEST_F(KeyThreadTest, no_key_is_made_for_whoever_has_left_and_takes_no_place) {
  KeyThread keys(bench_.maker());
  keys.make(order(), bench_.answer());
  bench_.await_begun(1);
  for (std::size_t i = 0; i < KeyThread::kMostWaiting; ++i) {
    const auto leaves = std::make_shared<int>(0);
    KeyThread::Order of_one_who_leaves = order();
    of_one_who_leaves.asker = leaves;
    keys.make(std::move(of_one_who_leaves), bench_.answer());
  }
  keys.make(order(), bench_.answer());
  bench_.tell();
  bench_.await_answers(2, 0);
  EXPECT_EQ(bench_.begun(), 2U);
}

// Else one device could have its orders made, and leave, until nobody else's turn comes.
TEST_F(KeyThreadTest, one_device_has_one_order_at_a_time) {
  KeyThread keys(bench_.maker());
  const auto of = [&](const char* device, const std::shared_ptr<int>& asker) {
    KeyThread::Order out = order();
    out.device = device;
    out.asker = asker;
    return out;
  };
  keys.make(of("dev-a", asker_), bench_.answer());
  bench_.await_begun(1);
  keys.make(of("dev-a", asker_), bench_.answer());  // one is being made
  bench_.await_answers(0, 1);
  EXPECT_EQ(bench_.rule(), &site::kKeysBusy);
  auto another = std::make_shared<int>(0);
  keys.make(of("dev-b", another), bench_.answer());
  keys.make(of("dev-b", asker_), bench_.answer());  // one waits
  bench_.await_answers(0, 2);
  another.reset();
  keys.make(of("dev-b", asker_), bench_.answer());  // who has left is in nobody's way
  bench_.tell();
  bench_.await_answers(2, 2);
  keys.make(of("dev-a", asker_), bench_.answer());
  bench_.await_answers(3, 2);
}

TEST_F(KeyThreadTest, once_it_has_ended_nobody_is_told) {
  KeyThread keys(bench_.maker());
  keys.make(order(), bench_.answer());
  bench_.await_begun(1);
  for (std::size_t i = 0; i < KeyThread::kMostWaiting; ++i) {
    keys.make(order(), bench_.answer());
  }
  std::thread ender([&] { keys.end(); });  // waits for the key that is being made
  std::size_t told = 0;
  do {  // while it has not begun to end, whoever comes to the full queue is told at once
    told = bench_.answered();
    keys.make(order(), bench_.answer());
  } while (bench_.answered() != told);
  bench_.tell();
  ender.join();
  EXPECT_EQ(bench_.answered(), told);
  EXPECT_EQ(bench_.begun(), 1U);
}

TEST_F(KeyThreadTest, only_rsa_takes_long) {
  EXPECT_TRUE(takes_long(KeyType::rsa2048) && takes_long(KeyType::rsa3072) && takes_long(KeyType::rsa4096));
  EXPECT_FALSE(takes_long(KeyType::p256) || takes_long(KeyType::p521) || takes_long(KeyType::ed25519));
}

}  // namespace
}  // namespace imprint
