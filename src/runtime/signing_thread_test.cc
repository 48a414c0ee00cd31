#include "runtime/signing_thread.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "crypto/random.h"
#include "site/ca.h"

namespace imprint {
namespace {

constexpr Instant kNow{1'800'000'000'000};

// Answers as they come, from whatever thread.
class Answers {
 public:
  std::function<void(Result<Signed>)> next() {
    return [this](Result<Signed> answer) {
      const std::scoped_lock lock(mutex_);
      all_.push_back(std::move(answer));
      changed_.notify_all();
    };
  }
  std::vector<Result<Signed>> wait(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(60), [&] { return all_.size() >= count; });
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Result<Signed>> all_;
};

class SigningThreadTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = site::make_root(KeyType::p256, *Name::from_text("CN=Owner"), kNow, std::chrono::hours(24), rng_);
    ASSERT_TRUE(made);
    ca_ = *std::move(made);
    grant_.names.subject = *Name::from_text("CN=dev-1");
    grant_.spki = PrivateKey::generate(KeyType::p256)->public_key().spki;
    grant_.lifetime = std::chrono::hours(1);
  }

  SystemRng rng_;
  site::Ca ca_;
  Grant grant_;
};

TEST_F(SigningThreadTest, signs_what_it_is_asked) {
  Answers answers;
  SigningThread signer(ca_);
  signer.issue({grant_}, kNow, answers.next());
  signer.issue({grant_}, kNow, answers.next());
  const auto all = answers.wait(2);
  ASSERT_EQ(all.size(), 2U);
  for (const auto& answer : all) {
    ASSERT_TRUE(answer);
    EXPECT_TRUE(
        verify_chain(*Certificate::parse(answer->certificate), {}, {ca_.certificate}, {Purpose::any, kNow, true}));
  }
}

// A signature that hangs: whoever asks meanwhile waits in the queue, and no longer than it may.
TEST_F(SigningThreadTest, while_the_token_hangs_the_queue_is_bounded_and_the_patient_are_told) {
  Answers answers;
  std::mutex hang;
  std::unique_lock hanging(hang);
  std::mutex begun_mutex;
  std::condition_variable begun;
  bool has_begun = false;
  auto signer = std::make_unique<SigningThread>(ca_);
  signer->issue({grant_}, kNow, [&](const Result<Signed>&) {
    {
      const std::scoped_lock lock(begun_mutex);
      has_begun = true;
    }
    begun.notify_all();
    const std::scoped_lock lock(hang);
  });
  {
    std::unique_lock lock(begun_mutex);
    begun.wait(lock, [&] { return has_begun; });
  }
  for (std::size_t i = 0; i < SigningThread::kMostWaiting; ++i) {
    signer->issue({grant_}, kNow, answers.next());
  }
  EXPECT_TRUE(answers.wait(0).empty());
  signer->issue({grant_}, kNow, answers.next());  // one too many: told at once
  const auto full = answers.wait(1);
  ASSERT_EQ(full.size(), 1U);
  EXPECT_EQ(full[0].error().fault, Fault::unreachable);
  signer->issue({grant_}, kNow + SigningThread::kPatience + Duration(1),
                answers.next());  // those before have waited enough
  const auto tired = answers.wait(1 + SigningThread::kMostWaiting);
  EXPECT_EQ(tired.size(), 1 + SigningThread::kMostWaiting);
  signer.reset();  // does not wait for the token
  hanging.unlock();
  const auto last = answers.wait(2 + SigningThread::kMostWaiting);
  ASSERT_EQ(last.size(), 2 + SigningThread::kMostWaiting);
  EXPECT_EQ(last.back().error().fault, Fault::unreachable);
}

}  // namespace
}  // namespace imprint
