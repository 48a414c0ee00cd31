#include "runtime/signing_thread.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "crypto/random.h"
#include "io/log.h"

namespace imprint {
namespace {

using Answered = std::function<void(Result<Signed>)>;

struct Job {
  Grant grant;
  Instant asked;
  Answered done;
};

const Error kSlow{Fault::unreachable, "ca: its token is slow"};

void tell(const std::deque<Job>& jobs) {
  for (const Job& job : jobs) {
    job.done(kSlow);
  }
}

}  // namespace

// Belongs to the thread as much as to its owner: a token that hangs must not keep the owner from ending.
struct SigningThread::Shared {
  site::Ca ca;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Job> waiting;
  bool started = false, ended = false;

  std::string trouble;  // of the thread alone

  // Once for each trouble: a PIN that was changed wants a person.
  void complain(const Result<Bytes>& outcome) {
    const std::string now = outcome ? "" : std::string(outcome.error().what);
    if (!now.empty() && now != trouble) {
      const Rule* const rule = outcome.error().rule;
      io::log(io::LogLevel::error, "ca.not_signing",
              {{"why", now}, {"rule", rule == nullptr ? "" : rule->id}, {"next", rule == nullptr ? "" : rule->next}});
    }
    trouble = now;
  }

  void run() {
    SystemRng rng;
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return ended || !waiting.empty(); });
      if (ended) {
        break;
      }
      Job job = std::move(waiting.front());
      waiting.pop_front();
      lock.unlock();
      auto der = site::issue(ca, job.grant, job.asked, rng);
      complain(der);
      job.done(der ? Result<Signed>(Signed{*std::move(der)}) : der.error());
      job = {};  // who waited may hold the last of us, and its end takes the mutex
      lock.lock();
    }
    const std::deque<Job> left = std::exchange(waiting, {});
    lock.unlock();
    tell(left);
  }
};

SigningThread::SigningThread(const site::Ca& ca) : shared_(std::make_shared<Shared>()) { shared_->ca = ca; }

SigningThread::~SigningThread() {
  const std::scoped_lock lock(shared_->mutex);
  shared_->ended = true;
  shared_->changed.notify_all();
}

void SigningThread::issue(const Issue& question, Instant now, Answered done) {
  std::deque<Job> tired;
  bool full = false;
  {
    const std::scoped_lock lock(shared_->mutex);
    std::deque<Job>& waiting = shared_->waiting;
    while (!waiting.empty() && now - waiting.front().asked > kPatience) {
      tired.push_back(std::move(waiting.front()));
      waiting.pop_front();
    }
    full = waiting.size() >= kMostWaiting;
    if (!full) {
      waiting.push_back({question.grant, now, done});
    }
    if (!shared_->started) {
      shared_->started = true;
      std::thread([shared = shared_] { shared->run(); }).detach();
    }
    shared_->changed.notify_one();
  }
  tell(tired);
  if (full) {
    done(kSlow);
  }
}

}  // namespace imprint
