#include "io/loop.h"

#include <event2/event.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cassert>
#include <chrono>
#include <csignal>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace imprint::io {
namespace {

timeval as_timeval(Duration delay) {
  const std::int64_t ms = delay.count() < 0 ? 0 : delay.count();
  return {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
}

struct EventFree {
  void operator()(event* e) const { event_free(e); }
};
using EventPtr = std::unique_ptr<event, EventFree>;

}  // namespace

struct Loop::Impl {
  struct Timer {
    Impl* loop;
    std::uint64_t id;
    std::function<void()> work;
    EventPtr event;
  };
  struct Signal {
    std::function<void()> work;
    EventPtr event;
  };

  event_base* base = event_base_new();
  int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  EventPtr wake;
  std::atomic<bool> stopping = false;
  std::mutex mutex;
  std::vector<std::function<void()>> posted;  // under the mutex
  std::unordered_map<std::uint64_t, std::unique_ptr<Timer>> timers;
  std::uint64_t last_timer = 0;
  std::vector<std::unique_ptr<Signal>> signals;

  // Async-signal-safe.
  void rouse() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = write(wake_fd, &one, sizeof one);  // fails only if it is awake already
  }

  void woken() {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t n = read(wake_fd, &count, sizeof count);
    std::vector<std::function<void()>> work;
    {
      const std::lock_guard lock(mutex);
      work.swap(posted);
    }
    for (const auto& f : work) {
      f();
    }
    if (stopping) {
      event_base_loopbreak(base);
    }
  }

  static void fire(evutil_socket_t /*fd*/, short /*what*/, void* arg) {
    auto* timer = static_cast<Timer*>(arg);
    const auto node = timer->loop->timers.extract(timer->id);  // before the work: it may cancel() its own id
    node.mapped()->work();
  }
};

Instant wall_clock() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::milliseconds>(now).count()};
}

Instant steady_clock() {
  return {std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()).count()};
}

Loop::Loop() : impl_(std::make_unique<Impl>()) {
  assert(impl_->base != nullptr && impl_->wake_fd >= 0);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file at its limit is an error of its write, as a full disk is
  const auto woken = [](evutil_socket_t, short, void* arg) { static_cast<Impl*>(arg)->woken(); };
  impl_->wake.reset(event_new(impl_->base, impl_->wake_fd, EV_READ | EV_PERSIST, woken, impl_.get()));
  event_add(impl_->wake.get(), nullptr);
}

Loop::~Loop() {
  impl_->signals.clear();
  impl_->timers.clear();
  impl_->wake.reset();
  event_base_free(impl_->base);
  close(impl_->wake_fd);
}

void Loop::run() {
  event_base_loop(impl_->base, EVLOOP_NO_EXIT_ON_EMPTY);
  impl_->stopping = false;
}

void Loop::stop() {
  impl_->stopping = true;
  impl_->rouse();
}

void Loop::post(std::function<void()> work) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->posted.push_back(std::move(work));
  }
  impl_->rouse();
}

std::uint64_t Loop::after(Duration delay, std::function<void()> work) {
  const std::uint64_t id = ++impl_->last_timer;
  auto timer = std::make_unique<Impl::Timer>(Impl::Timer{impl_.get(), id, std::move(work), nullptr});
  timer->event.reset(evtimer_new(impl_->base, &Impl::fire, timer.get()));
  const timeval when = as_timeval(delay);
  evtimer_add(timer->event.get(), &when);
  impl_->timers.emplace(id, std::move(timer));
  return id;
}

void Loop::cancel(std::uint64_t timer) { impl_->timers.erase(timer); }

void Loop::on_signal(int signal, std::function<void()> work) {
  auto entry = std::make_unique<Impl::Signal>(Impl::Signal{std::move(work), nullptr});
  const auto call = [](evutil_socket_t, short, void* arg) { static_cast<Impl::Signal*>(arg)->work(); };
  entry->event.reset(evsignal_new(impl_->base, signal, call, entry.get()));
  event_add(entry->event.get(), nullptr);
  impl_->signals.push_back(std::move(entry));
}

event_base* Loop::base() const { return impl_->base; }

}  // namespace imprint::io
