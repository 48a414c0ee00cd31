#include "app/admin_api.h"

#include <charconv>
#include <condition_variable>
#include <set>
#include <thread>
#include <utility>

#include "app/admin_request.h"
#include "app/rules.h"
#include "crypto/random.h"
#include "io/https_server.h"
#include "io/log.h"

namespace imprint::app {
namespace {

using namespace admin;

constexpr std::size_t kMaxBody = 8 * 1024 * 1024;  // a manifest of some 6,000 devices with IDevIDs
constexpr std::size_t kMaxStreams = 32;
constexpr Duration kHeartbeat{15000};  // under the minute after which proxies give up

bool is_loopback(std::string_view address) { return address.starts_with("127.") || address == "::1"; }

// Changes on their way to the disk: their callbacks come on the store's thread and use the loop, so it has to wait.
class InFlight {
 public:
  void begin() {
    const std::lock_guard lock(mutex_);
    ++count_;
  }
  void end() {
    const std::lock_guard lock(mutex_);
    --count_;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t count_ = 0;
};

// The WHATWG's HTML standard, section 9.2: the lines of an event. The JSON is one line, so nothing in it can end the
// event.
std::string event_text(const Event& event) {
  return "id: " + std::to_string(event.id) + "\nevent: " + event.name + "\ndata: " + event.json + "\n\n";
}

}  // namespace

class AdminApi::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(io::Loop& loop, store::Store& store, Hub& hub, Site site, Secret token)
      : loop_(loop), store_(store), hub_(hub), site_(std::move(site)), token_(std::move(token)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    loop_.cancel(heartbeat_);
    for (const auto& [exchange, listener] : streams_) {
      hub_.unlisten(listener);
    }
    if (worker_.joinable()) {
      worker_.join();
    }
    in_flight_->wait();
  }

  Status listen(const std::string& address, std::uint16_t port) {
    CHECK_OR(is_loopback(address), Error{Fault::refused, "api: not a loopback address"});
    io::HttpsServerOptions options;
    options.address = address;
    options.port = port;
    options.max_body_bytes = kMaxBody;
    options.max_connections = AdminApi::kMaxConnections;
    io::HttpsServer::Handlers handlers;
    handlers.request = [this](Exchange from, Request request) { take(from, request); };
    handlers.body_comes = [this](const Request& head) { return body_refused(head); };
    handlers.gone = [this](Exchange from) { gone(from); };
    TRY(server_, io::HttpsServer::listen(loop_, std::move(options), std::move(handlers)));
    beat();
    return Ok{};
  }

  std::uint16_t port() const { return server_->port(); }

 private:
  // ---- from request to answer ----

  void take(Exchange from, Request& request) {
    if (has_token(request)) {
      server_->known(from);
    }
    std::variant<Outcome, Response> out = outcome(request);
    std::visit([&](auto&& what) { perform(from, request, std::forward<decltype(what)>(what)); }, std::move(out));
    wipe(request.body);  // a manifest has tokens
  }

  bool has_token(const Request& request) const { return request.bearer && same(*request.bearer, token_); }

  // Only who has the token may send us more than one read of the socket takes in.
  std::optional<Response> body_refused(const Request& head) const {
    if (!is_own_host(head.host, port())) {
      return problem(Error{Fault::refused, kApiHost});
    }
    return has_token(head) ? std::nullopt : std::optional(problem(Error{Fault::unauthentic, kApiToken}));
  }

  std::variant<Outcome, Response> outcome(const Request& request) {
    if (!is_own_host(request.host, port())) {
      return problem(Error{Fault::refused, kApiHost});
    }
    const Match found = match(routes_, request);
    const bool open = found.route != nullptr && found.route->open;
    if (!open && !has_token(request)) {
      return problem(Error{Fault::unauthentic, kApiToken});
    }
    if (found.route == nullptr) {
      Response out = problem(Error{Fault::refused, found.allow.empty() ? kApiPath : kApiMethod});
      out.allow = found.allow;
      return out;
    }
    std::variant<Call, Response> call = read_call(*found.route, request, found.id);
    if (auto* refused = std::get_if<Response>(&call)) {
      return std::move(*refused);
    }
    Result<Outcome> out = found.route->handler({store_, hub_, site_, rng_, loop_.now()}, std::get<Call>(call));
    if (!out) {
      return failed(out.error());
    }
    return *std::move(out);
  }

  Response failed(const Error& error) {
    Response out = problem(error);
    if (out.status == 500) {
      io::log(io::LogLevel::error, "api.failed", {{"fault", imprint::name(error.fault)}, {"what", error.what}});
    }
    return out;
  }

  void perform(Exchange to, const Request& request, Outcome&& outcome) {
    std::visit([&](auto&& what) { perform(to, request, std::forward<decltype(what)>(what)); }, std::move(outcome));
  }

  void perform(Exchange to, const Request& /*request*/, Response&& response) { reply(to, response); }

  void reply(Exchange to, Response& response) {
    server_->reply(to, response);
    wipe(response.body);  // it may show a token
  }

  void perform(Exchange to, const Request& /*request*/, Change&& change) {
    const auto done = std::make_shared<Changed>();
    const auto what = std::make_shared<const Change>(std::move(change));
    in_flight_->begin();
    store_.submit(
        [what, done](store::Writer& writer) -> Status {
          TRY(*done, what->run(writer));
          return Ok{};
        },
        [&loop = loop_, self = weak_from_this(), waiting = in_flight_, to, what, done](const Status& status) {
          loop.post([self, to, what, done, status] {
            if (const std::shared_ptr<Impl> api = self.lock()) {
              api->changed(to, *what, *done, status);
            }
          });
          waiting->end();
        });
  }

  void changed(Exchange to, const Change& change, Changed& done, const Status& status) {
    if (!status) {
      Response refused = change.refused ? change.refused(status.error()) : failed(status.error());
      reply(to, refused);
      return;
    }
    reply(to, done.answer);
    if (!done.event.empty()) {
      hub_.tell(done.event, done.event_json);
    }
  }

  void perform(Exchange to, const Request& /*request*/, Work&& work) {
    if (working_) {
      Response busy = problem(Error{Fault::unreachable, kApiBusy});
      reply(to, busy);
      return;
    }
    if (worker_.joinable()) {
      worker_.join();  // it has posted its answer
    }
    working_ = true;
    worker_ = std::thread([&loop = loop_, self = weak_from_this(), to, work = std::move(work)] {
      const Result<Response> answer = work();
      loop.post([self, to, answer] {
        if (const std::shared_ptr<Impl> api = self.lock()) {
          api->working_ = false;
          Response response = answer ? *answer : api->failed(answer.error());
          api->reply(to, response);
        }
      });
    });
  }

  // ---- events ----

  void perform(Exchange to, const Request& request, Stream&& /*stream*/) {
    if (streams_.size() >= kMaxStreams) {
      Response busy = problem(Error{Fault::unreachable, kApiBusy});
      reply(to, busy);
      return;
    }
    Response head;
    head.status = 200;
    head.content_type = "text/event-stream";
    if (!server_->start_stream(to, head)) {
      return;
    }
    streams_[to.id] = hub_.listen(last_seen(request), [&loop = loop_, self = weak_from_this(), to](const Event& event) {
      loop.post([self, to, text = event_text(event)] {
        if (const std::shared_ptr<Impl> api = self.lock()) {
          api->send(to, text);
        }
      });
    });
    send(to, ": imprint\n\n");  // who reads this misses nothing that happens from now on
  }

  // Without a good Last-Event-ID the stream begins now.
  static std::uint64_t last_seen(const Request& request) {
    const std::string& text = request.last_event_id;
    std::uint64_t out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    const bool good = !text.empty() && error == std::errc{} && end == text.data() + text.size();
    return good ? out : UINT64_MAX;
  }

  void send(Exchange to, std::string_view text) {
    if (streams_.contains(to.id) && !server_->stream(to, text)) {
      gone(to);
    }
  }

  void gone(Exchange from) {
    if (const auto it = streams_.find(from.id); it != streams_.end()) {
      hub_.unlisten(it->second);
      streams_.erase(it);
    }
  }

  // Keeps streams alive, and finds out who has left.
  void beat() {
    std::vector<std::uint64_t> all;
    for (const auto& [exchange, listener] : streams_) {
      all.push_back(exchange);
    }
    for (const std::uint64_t exchange : all) {
      send(Exchange{exchange}, ":\n\n");
    }
    heartbeat_ = loop_.after(kHeartbeat, [this] { beat(); });
  }

  io::Loop& loop_;
  store::Store& store_;
  Hub& hub_;
  const Site site_;
  const Secret token_;
  const std::vector<Route> routes_ = routes();
  SystemRng rng_;
  const std::shared_ptr<InFlight> in_flight_ = std::make_shared<InFlight>();
  std::map<std::uint64_t, std::uint64_t> streams_;  // exchange to the hub's listener
  std::uint64_t heartbeat_ = 0;
  bool working_ = false;
  std::thread worker_;
  std::unique_ptr<io::HttpsServer> server_;
};

AdminApi::AdminApi(io::Loop& loop, store::Store& store, Hub& hub, Site site, Secret token)
    : impl_(std::make_shared<Impl>(loop, store, hub, std::move(site), std::move(token))) {}
AdminApi::~AdminApi() = default;

Status AdminApi::listen(const std::string& address, std::uint16_t port) { return impl_->listen(address, port); }
std::uint16_t AdminApi::port() const { return impl_->port(); }

}  // namespace imprint::app
