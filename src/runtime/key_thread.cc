#include "runtime/key_thread.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace imprint {
namespace {

const Error kBusy{Fault::unreachable, "keys: too many are to be made"};

struct Job {
  KeyThread::Order order;
  KeyThread::Answered done;
};

}  // namespace

struct KeyThread::Shared {
  Make maker;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Job> waiting;
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
      lock.unlock();
      auto made = maker(job.order.delivery, job.order.means);
      lock.lock();
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

KeyThread::KeyThread(Make make) : shared_(std::make_unique<Shared>()) { shared_->maker = std::move(make); }

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
    if (shared_->waiting.size() >= kMostWaiting) {
      turned_away.push_back({std::move(order), std::move(done)});
    } else {
      shared_->waiting.push_back({std::move(order), std::move(done)});
    }
    if (!shared_->thread.joinable()) {
      shared_->thread = std::thread([shared = shared_.get()] { shared->run(); });
    }
  }
  shared_->changed.notify_one();
  for (const Job& job : turned_away) {
    job.done(kBusy);
  }
}

}  // namespace imprint
