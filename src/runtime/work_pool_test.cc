#include "runtime/work_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace imprint {
namespace {

TEST(WorkPool, everything_is_done_once_whoever_posts_it) {
  constexpr int kPosters = 4, kEach = 500;
  std::atomic<int> done = 0;
  std::promise<void> all;
  {
    const WorkPool pool(3);
    std::vector<std::thread> posters;
    for (int i = 0; i < kPosters; ++i) {
      posters.emplace_back([&, queue = pool.queue()] {
        for (int k = 0; k < kEach; ++k) {
          queue->post([&] {
            if (++done == kPosters * kEach) {
              all.set_value();
            }
          });
        }
      });
    }
    for (std::thread& one : posters) {
      one.join();
    }
    all.get_future().wait();
  }
  EXPECT_EQ(done, kPosters * kEach);
}

TEST(WorkPool, one_thread_begins_in_order) {
  std::vector<int> seen;
  std::promise<void> last;
  const WorkPool pool(0);  // at least one
  EXPECT_EQ(pool.threads(), 1U);
  for (int i = 0; i < 5; ++i) {
    pool.queue()->post([&seen, i] { seen.push_back(i); });
  }
  pool.queue()->post([&last] { last.set_value(); });
  last.get_future().wait();
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(WorkPool, what_waits_at_the_end_is_dropped_and_so_is_what_comes_after) {
  std::promise<void> begun, go;
  std::atomic<int> done = 0;
  const auto held = std::make_shared<int>(7);  // by what waits
  std::shared_ptr<WorkPool::Queue> queue;
  auto pool = std::make_unique<WorkPool>(1);
  queue = pool->queue();
  queue->post([&] {
    begun.set_value();
    go.get_future().wait();
    ++done;
  });
  queue->post([&done, held] { ++done; });
  begun.get_future().wait();
  std::thread ending([&] { pool.reset(); });
  while (held.use_count() > 1) {  // the end has dropped it, while the first is still under way
    std::this_thread::yield();
  }
  go.set_value();
  ending.join();
  EXPECT_EQ(done, 1);
  queue->post([&] { ++done; });
  EXPECT_EQ(done, 1);
}

}  // namespace
}  // namespace imprint
