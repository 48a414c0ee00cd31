#include "runtime/key_thread.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "site/rules.h"

namespace imprint {
namespace {

const Error kBusy{Fault::unreachable, site::kKeysBusy};

struct Job {
  KeyThread::Order order;
  KeyThread::Answered done;
};

// With the mutex held.
bool is_busy(const std::deque<Job>& waiting, const std::string& making, const std::string& device) {
  return waiting.size() >= KeyThread::kMostWaiting || making == device ||
         std::ranges::any_of(waiting, [&](const Job& job) { return job.order.device == device; });
}

}  // namespace

struct KeyThread::Shared {
  Make maker;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Job> waiting;
  std::string making;  // for whom a key is made just now; empty: for nobody
  bool ended = false;
  std::thread thread;

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return ended || !waiting.empty(); });
      if (ended) {
        return;
      }
      const Job job = std::move(waiting.front());
      waiting.pop_front();
      if (job.order.asker.expired()) {
        continue;
      }
      making = job.order.device;
      lock.unlock();
      auto made = maker(job.order.delivery, job.order.means);
      lock.lock();
      making.clear();
      const bool tell = !ended;
      lock.unlock();
      if (tell) {
        job.done(std::move(made));
      }
      lock.lock();
    }
  }

  // Those who have waited too long; those who have left take no place.
  std::deque<Job> take_tired(Instant now) {
    std::deque<Job> out;
    std::erase_if(waiting, [](const Job& job) { return job.order.asker.expired(); });
    while (!waiting.empty() && now - waiting.front().order.asked > kPatience) {
      out.push_back(std::move(waiting.front()));
      waiting.pop_front();
    }
    return out;
  }
};

bool takes_long(KeyType type) {
  return type == KeyType::rsa2048 || type == KeyType::rsa3072 || type == KeyType::rsa4096;
}

KeyThread::KeyThread(Make make) : shared_(std::make_unique<Shared>()) {
  shared_->maker = std::move(make);
  shared_->thread = std::thread([shared = shared_.get()] { shared->run(); });
}

KeyThread::~KeyThread() { end(); }

void KeyThread::end() {
  {
    const std::scoped_lock lock(shared_->mutex);
    shared_->ended = true;
    shared_->waiting.clear();
  }
  shared_->changed.notify_all();
  if (shared_->thread.joinable()) {
    shared_->thread.join();
  }
}

void KeyThread::make(Order order, Answered done) {
  std::deque<Job> turned_away;
  {
    const std::scoped_lock lock(shared_->mutex);
    if (shared_->ended) {
      return;
    }
    turned_away = shared_->take_tired(order.asked);
    if (is_busy(shared_->waiting, shared_->making, order.device)) {
      turned_away.push_back({std::move(order), std::move(done)});
    } else {
      shared_->waiting.push_back({std::move(order), std::move(done)});
    }
  }
  shared_->changed.notify_one();
  for (const Job& job : turned_away) {
    job.done(kBusy);
  }
}

}  // namespace imprint
