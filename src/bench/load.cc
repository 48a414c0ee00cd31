#include "bench/load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <unordered_map>

#include "bench/machine.h"
#include "codec/base64.h"
#include "crypto/cms.h"

namespace imprint::bench {
namespace {

constexpr double kGrace_s = 10;
constexpr std::size_t kMostOpen = 4096;
constexpr std::uint32_t kSources = 200;  // 127.0.0.1 and on: closed connections hold their port for a minute
constexpr std::string_view kEndOfHead = "\r\n\r\n";

using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;
using Ticket = std::unique_ptr<SSL_SESSION, Free<SSL_SESSION_free>>;

std::string request_text(const Enrolment& what, const std::string& login) {
  std::string out =
      "POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\n"
      "Content-Length: " +
      std::to_string(what.body.size()) + "\r\n";
  if (!login.empty()) {
    out += "Authorization: " + login + "\r\n";
  }
  return out + "\r\n" + what.body;
}

// The body once the whole answer is there.
std::optional<std::string_view> whole_body(std::string_view answer) {
  const std::size_t head = answer.find(kEndOfHead);
  const std::size_t field = answer.find("Content-Length: ");
  if (head == std::string_view::npos) {
    return std::nullopt;
  }
  const std::size_t length = field < head ? std::strtoul(answer.data() + field + 16, nullptr, 10) : 0;
  answer.remove_prefix(head + kEndOfHead.size());
  return answer.size() >= length ? std::optional(answer) : std::nullopt;
}

bool is_certificate_for(std::string_view body, const Bytes& spki) {
  const auto der = parse_base64(body);
  const auto certificates = der ? parse_certs_only(*der) : Result<std::vector<Certificate>>(der.error());
  return certificates && certificates->front().key.spki == spki;
}

int connect_to(std::uint16_t port, std::uint32_t turn) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  sockaddr_in from{};
  from.sin_family = AF_INET;
  from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + turn % kSources);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&from), sizeof from) == 0 &&
      (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 || errno == EINPROGRESS)) {
    return fd;
  }
  close(fd);
  return -1;
}

int ticket_slot() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

int keep_ticket(SSL* ssl, SSL_SESSION* session) {
  auto* slot = static_cast<Ticket*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), ticket_slot()));
  slot->reset(session);
  return 1;  // ours now
}

Context client_context(Ticket* slot) {
  Context out(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(out.get(), TLS1_3_VERSION);
  SSL_CTX_set1_groups_list(out.get(), "X25519");
  SSL_CTX_set_mode(out.get(), SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_ex_data(out.get(), ticket_slot(), slot);
  SSL_CTX_set_session_cache_mode(out.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(out.get(), keep_ticket);
  return out;
}

// One connection.
struct Client {
  Client(SSL_CTX* context, int socket, const Applicant* who) : fd(socket), ssl(SSL_new(context)) {
    SSL_set_fd(ssl, fd);
    if (who != nullptr) {
      SSL_use_certificate(ssl, who->certificate.get());
      SSL_use_PrivateKey(ssl, who->key.get());
    }
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() {
    SSL_shutdown(ssl);
    ERR_clear_error();
    SSL_free(ssl);
    close(fd);
  }

  enum class Step : std::uint8_t { waits, answered, broken };

  bool only_waits(int result) const {
    const int why = SSL_get_error(ssl, result);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
  }
  // Goes on as far as the socket lets it. Without a request it stops after the handshake.
  Step advance() {
    ERR_clear_error();
    if (!ready) {
      const int result = SSL_connect(ssl);
      if (result != 1) {
        return only_waits(result) ? Step::waits : Step::broken;
      }
      ready = true;
    }
    if (!request.empty()) {
      const int result = SSL_write(ssl, request.data(), static_cast<int>(request.size()));
      if (result <= 0) {
        return only_waits(result) ? Step::waits : Step::broken;
      }
      request.clear();
      sent = true;
    }
    while (sent) {
      std::array<char, 4096> buffer{};
      const int n = SSL_read(ssl, buffer.data(), static_cast<int>(buffer.size()));
      if (n <= 0) {
        return only_waits(n) ? Step::waits : Step::broken;
      }
      answer.append(buffer.data(), static_cast<std::size_t>(n));
      if (whole_body(answer)) {
        return Step::answered;
      }
    }
    return Step::waits;
  }

  int fd;
  SSL* ssl;
  const Enrolment* what = nullptr;
  double due_s = 0;
  bool ready = false, sent = false;
  std::string request, answer;
};

class Run {
 public:
  Run(const LoadPlan& plan, Supply& supply) : plan_(plan), supply_(supply), context_(client_context(&ticket_)) {
    epoll_event timer{EPOLLIN, {.fd = timer_}};
    epoll_ctl(poll_, EPOLL_CTL_ADD, timer_, &timer);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() {
    clients_.clear();
    close(timer_);
    close(poll_);
  }

  LoadResult go() {
    const double cpu = thread_cpu_s();
    begin_ = now_s();
    end_ = begin_ + plan_.seconds;
    if (plan_.per_second <= 0) {
      while (clients_.size() < plan_.at_once && start(now_s())) {
      }
    }
    while (!finished()) {
      start_due();
      poll();
    }
    out_.wall_s = (ended_ > 0 ? std::min(ended_, end_) : end_) - begin_;
    out_.failed += clients_.size();
    note_failure(clients_.empty() ? "" : "no answer within 10 seconds");
    out_.cpu_s = thread_cpu_s() - cpu;
    return std::move(out_);
  }

 private:
  bool finished() {
    const double now = now_s();
    if (plan_.interrupted != nullptr && *plan_.interrupted && ended_ == 0) {
      ended_ = now;
    }
    return (over(now) && clients_.empty()) || now > end_ + kGrace_s;
  }
  bool over(double now) const { return ended_ > 0 || now >= end_; }

  // Connections on a beat: those that are due start, the next one sets the timer.
  void start_due() {
    while (plan_.per_second > 0 && !over(now_s())) {
      const double due = begin_ + static_cast<double>(started_) / plan_.per_second;
      if (due > now_s()) {
        itimerspec at{};
        at.it_value.tv_sec = static_cast<time_t>(due);
        at.it_value.tv_nsec = static_cast<long>((due - std::floor(due)) * 1e9);
        timerfd_settime(timer_, TFD_TIMER_ABSTIME, &at, nullptr);
        return;
      }
      if (!start(due)) {
        return;
      }
    }
  }

  bool start(double due) {
    const Enrolment* what = over(now_s()) || clients_.size() >= kMostOpen ? nullptr : supply_.next();
    if (what == nullptr) {
      ended_ = ended_ > 0 ? ended_ : now_s();
      return false;
    }
    const int fd = connect_to(plan_.port, static_cast<std::uint32_t>(started_++));
    if (fd < 0) {
      fail("connect");
      return true;
    }
    const Applicant* who = plan_.applicants != nullptr ? &(*plan_.applicants)[what->applicant] : nullptr;
    auto client = std::make_unique<Client>(context_.get(), fd, who);
    client->what = what;
    client->due_s = due;
    client->request = request_text(*what, plan_.login);
    if (plan_.resume && ticket_ != nullptr) {
      SSL_set_session(client->ssl, ticket_.get());
    }
    epoll_event wanted{EPOLLIN | EPOLLOUT | EPOLLET, {.fd = fd}};
    epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &wanted);
    clients_.emplace(fd, std::move(client));
    return true;
  }

  void poll() {
    std::array<epoll_event, 64> events{};
    const int n = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), 100);
    for (int i = 0; i < n; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == timer_) {
        std::uint64_t times = 0;
        [[maybe_unused]] const ssize_t read_bytes = read(timer_, &times, sizeof times);
      } else if (const auto it = clients_.find(fd); it != clients_.end()) {
        serve(it);
      }
    }
  }

  void serve(std::unordered_map<int, std::unique_ptr<Client>>::iterator it) {
    const Client& client = *it->second;
    const Client::Step step = it->second->advance();
    if (step == Client::Step::waits) {
      return;
    }
    if (step == Client::Step::broken) {
      fail(client.ready ? "the server left before its answer" : "handshake");
    } else {
      take_answer(client);
    }
    clients_.erase(it);
    if (plan_.per_second <= 0) {
      start(now_s());
    }
  }

  void take_answer(const Client& client) {
    const bool good = client.answer.starts_with("HTTP/1.1 200") &&
                      (!plan_.check || is_certificate_for(*whole_body(client.answer), client.what->spki));
    if (!good) {
      fail(client.answer.substr(0, client.answer.find('\r')));
      return;
    }
    const double now = now_s();
    ++out_.done;
    out_.in_time += over(now) ? 0 : 1;
    out_.resumed += SSL_session_reused(client.ssl) == 1 ? 1 : 0;
    out_.latencies_ms.push_back((now - client.due_s) * 1000);
  }

  void fail(const std::string& why) {
    ++out_.failed;
    note_failure(why);
  }
  void note_failure(const std::string& why) {
    if (out_.first_failure.empty()) {
      out_.first_failure = why;
    }
  }

  const LoadPlan& plan_;
  Supply& supply_;
  Ticket ticket_;
  Context context_;
  int poll_ = epoll_create1(EPOLL_CLOEXEC);
  int timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  std::unordered_map<int, std::unique_ptr<Client>> clients_;
  std::uint64_t started_ = 0;
  double begin_ = 0, end_ = 0, ended_ = 0;
  LoadResult out_;
};

}  // namespace

void LoadResult::add(const LoadResult& other) {
  const double longest = std::max(wall_s, other.wall_s);
  append(other);
  wall_s = longest;
}

void LoadResult::append(const LoadResult& other) {
  done += other.done;
  in_time += other.in_time;
  failed += other.failed;
  resumed += other.resumed;
  wall_s += other.wall_s;
  cpu_s += other.cpu_s;
  latencies_ms.insert(latencies_ms.end(), other.latencies_ms.begin(), other.latencies_ms.end());
  if (first_failure.empty()) {
    first_failure = other.first_failure;
  }
}

LoadResult run_load(const LoadPlan& plan, Supply& supply) { return Run(plan, supply).go(); }

struct IdleConnections::Impl {
  Ticket ticket;
  Context context = client_context(&ticket);
  std::vector<std::unique_ptr<Client>> clients;
};

IdleConnections::IdleConnections() : impl_(std::make_unique<Impl>()) {}
IdleConnections::~IdleConnections() = default;

Result<std::unique_ptr<IdleConnections>> IdleConnections::open(std::uint16_t port, std::size_t count,
                                                               const std::vector<Applicant>& applicants) {
  std::unique_ptr<IdleConnections> out(new IdleConnections());
  for (std::size_t i = 0; i < count; ++i) {
    const int fd = connect_to(port, static_cast<std::uint32_t>(i));
    CHECK_OR(fd >= 0, Error{Fault::unreachable, "bench: an idle connection"});
    auto& client = out->impl_->clients.emplace_back(
        std::make_unique<Client>(out->impl_->context.get(), fd, &applicants[i % applicants.size()]));
    for (const double end = now_s() + kGrace_s; !client->ready;) {
      CHECK_OR(client->advance() == Client::Step::waits && now_s() < end,
               Error{Fault::unreachable, "bench: the handshake of an idle connection"});
      if (!client->ready) {
        usleep(50);
      }
    }
  }
  return out;
}

}  // namespace imprint::bench
