#include "runtime/work_pool.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>

namespace imprint {

struct WorkPool::Waiting final : WorkPool::Queue {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> work;
  bool ended = false;

  void post(std::function<void()> one) override {
    {
      const std::scoped_lock lock(mutex);
      if (ended) {
        return;
      }
      work.push_back(std::move(one));
    }
    changed.notify_one();
  }

  void run() {
    while (true) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [this] { return ended || !work.empty(); });
      if (ended) {
        return;
      }
      const std::function<void()> one = std::move(work.front());
      work.pop_front();
      lock.unlock();
      one();
    }
  }

  void end() {
    std::deque<std::function<void()>> left;
    {
      const std::scoped_lock lock(mutex);
      ended = true;
      left.swap(work);  // what it holds may hold us: it ends outside the lock
    }
    changed.notify_all();
  }
};

WorkPool::WorkPool(unsigned threads) : waiting_(std::make_shared<Waiting>()) {
  for (unsigned i = 0; i < std::max(threads, 1U); ++i) {
    threads_.emplace_back([waiting = waiting_] { waiting->run(); });
  }
}

WorkPool::~WorkPool() {
  waiting_->end();
  for (std::thread& one : threads_) {
    one.join();
  }
}

std::shared_ptr<WorkPool::Queue> WorkPool::queue() const { return waiting_; }

unsigned WorkPool::cores() { return std::clamp(std::thread::hardware_concurrency(), 1U, 16U); }

}  // namespace imprint
