#include "io/resolver.h"

#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace imprint::io {
namespace {

constexpr int kMaxLookups = 16;
constexpr std::size_t kMaxAddresses = 8;

struct AddressFree {
  void operator()(addrinfo* a) const { freeaddrinfo(a); }
};

Result<std::vector<std::string>> look_up(const std::string& host, int flags) {
  addrinfo hints{};
  hints.ai_flags = flags;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  CHECK_OR(getaddrinfo(host.c_str(), nullptr, &hints, &found) == 0, Error{Fault::unreachable, "resolve: no such name"});
  const std::unique_ptr<addrinfo, AddressFree> all(found);
  std::vector<std::string> out;
  for (const addrinfo* a = found; a != nullptr && out.size() < kMaxAddresses; a = a->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (getnameinfo(a->ai_addr, a->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) == 0) {
      out.emplace_back(text.data());
    }
  }
  return out;
}

}  // namespace

// Where the helper threads leave their answers. They may outlive the resolver, which then has taken its loop away.
struct Resolver::Desk {
  std::mutex mutex;
  Loop* loop = nullptr;  // null once nobody waits
  int lookups = 0;

  void leave(Done done, Result<std::vector<std::string>> answer, int finished) {
    const std::lock_guard lock(mutex);
    lookups -= finished;
    if (loop != nullptr) {
      loop->post([done = std::move(done), answer = std::move(answer)] { done(answer); });
    }
  }

  bool begin() {
    const std::lock_guard lock(mutex);
    if (lookups == kMaxLookups) {
      return false;
    }
    ++lookups;
    return true;
  }
};

Resolver::Resolver(Loop& loop) : desk_(std::make_shared<Desk>()) { desk_->loop = &loop; }

Resolver::~Resolver() {
  const std::lock_guard lock(desk_->mutex);
  desk_->loop = nullptr;
}

void Resolver::resolve(const std::string& host, Done done) {
  auto numeric = look_up(host, AI_NUMERICHOST);
  if (numeric) {
    desk_->leave(std::move(done), std::move(numeric), 0);
    return;
  }
  if (!desk_->begin()) {
    desk_->leave(std::move(done), Error{Fault::limit, "resolve: too many names at once"}, 0);
    return;
  }
  try {
    std::thread([desk = desk_, host, done] { desk->leave(done, look_up(host, AI_ADDRCONFIG), 1); }).detach();
  } catch (const std::system_error&) {
    desk_->leave(std::move(done), Error{Fault::limit, "resolve: no thread"}, 1);
  }
}

}  // namespace imprint::io
