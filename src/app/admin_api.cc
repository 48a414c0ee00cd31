#include "app/admin_api.h"

#include <charconv>
#include <condition_variable>
#include <set>
#include <thread>
#include <utility>

#include "app/admin_once.h"
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
    for (const auto& [exchange, stream] : streams_) {
      hub_.unlisten(stream.listener);
    }
    if (worker_.joinable()) {
      worker_.join();
    }
    in_flight_->wait();
  }

  Status listen(const std::string& address, std::uint16_t port, Access access) {
    loopback_ = is_loopback(address);
    const bool by_certificate = access.tls && access.administrators && access.administrators->any();
    CHECK_OR(loopback_ || by_certificate, Error{Fault::refused, "api: not a loopback address"});
    access_ = std::move(access);
    address_ = address;
    access_.names.push_back(address);
    io::HttpsServerOptions options;
    options.tls = access_.tls;
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

  void take(Access access) {
    loop_.post([self = weak_from_this(), access = std::move(access)] {
      if (const std::shared_ptr<Impl> api = self.lock()) {
        api->take_access(access);
      }
    });
  }

 private:
  // ---- from request to answer ----

  void take(Exchange from, Request& request) {
    const Result<std::string> who = asker_of(request);
    if (who) {
      server_->known(from);
    }
    std::variant<Outcome, Response> out = outcome(request, who);
    std::visit([&](auto&& what) { perform(from, request, std::forward<decltype(what)>(what)); }, std::move(out));
    wipe(request.body);  // a manifest has tokens
  }

  // Who asks, as the audit log says it; else why that is nobody we listen to.
  Result<std::string> asker_of(const Request& request) const {
    if (loopback_ && request.bearer) {
      CHECK_OR(same(*request.bearer, token_), Error{Fault::unauthentic, kApiToken});
      return std::string("admin");
    }
    if (request.session && !request.session->presented.empty() && access_.administrators) {
      return access_.administrators->name_of(request.session->presented, loop_.now());
    }
    return loopback_ ? Error{Fault::unauthentic, kApiToken} : Error{Fault::refused, kApiCertificate};
  }

  // A browser shows our certificate's holder to every page: what one of another origin asks is not the holder's wish.
  std::optional<Error> wrong_place(const Request& request) const {
    if (!is_own_host(request.host, port(), access_.names)) {
      return Error{Fault::refused, kApiHost};
    }
    const std::string scheme = access_.tls ? "https://" : "http://";
    const std::string_view origin = request.origin;
    const bool own = origin.starts_with(scheme) && is_own_host(origin.substr(scheme.size()), port(), access_.names);
    return origin.empty() || own ? std::nullopt : std::optional(Error{Fault::refused, kApiOrigin});
  }

  // Only whom we know may send us more than one read of the socket takes in.
  std::optional<Response> body_refused(const Request& head) const {
    if (const std::optional<Error> wrong = wrong_place(head)) {
      return problem(*wrong);
    }
    const Result<std::string> who = asker_of(head);
    return who ? std::nullopt : std::optional(problem(who.error()));
  }

  std::variant<Outcome, Response> outcome(const Request& request, const Result<std::string>& who) {
    if (const std::optional<Error> wrong = wrong_place(request)) {
      return problem(*wrong);
    }
    const Match found = match(routes_, request);
    const bool open = loopback_ && found.route != nullptr && found.route->open;
    if (!open && !who) {
      return problem(who.error());
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
    const Env env{store_, hub_, site_, rng_, loop_.now(), who ? *who : std::string()};
    const bool keyed = found.route->changes() && request.idempotency_key;
    const std::optional<std::string> key = keyed ? parse_key(*request.idempotency_key) : std::nullopt;
    if (keyed && !key) {
      return problem(Error{Fault::malformed, kApiKey});
    }
    Result<Outcome> out = found.route->handler(env, std::get<Call>(call));
    if (!out) {
      return failed(out.error());
    }
    if (auto* const change = std::get_if<Change>(&*out); change != nullptr && key) {
      return made_once(std::move(*change), once_key(*key, act_of(env), request, site_.pepper), env.now);
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
    if (change.once && !under_way_.insert(*change.once).second) {
      Response busy = problem(Error{Fault::conflict, kApiKeyBusy});
      reply(to, busy);
      return;
    }
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
    if (change.once) {
      under_way_.erase(*change.once);
    }
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
    const std::uint64_t listener =
        hub_.listen(last_seen(request), [&loop = loop_, self = weak_from_this(), to](const Event& event) {
          loop.post([self, to, text = event_text(event)] {
            if (const std::shared_ptr<Impl> api = self.lock()) {
              api->send(to, text);
            }
          });
        });
    Request asked;  // what says who listens
    asked.session = request.session;
    asked.bearer = request.bearer;
    streams_.emplace(to.id, Listening{listener, std::move(asked)});
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
      hub_.unlisten(it->second.listener);
      streams_.erase(it);
    }
  }

  void take_access(const Access& access) {
    access_.administrators = access.administrators;
    access_.names = access.names;
    access_.names.push_back(address_);
    if (access.tls) {
      access_.tls = access.tls;
      server_->set_tls(access.tls);
    }
    end_strangers();
  }

  // Time passes, and administrators go.
  void end_strangers() {
    std::vector<std::uint64_t> strangers;
    for (const auto& [exchange, stream] : streams_) {
      if (!asker_of(stream.asked)) {
        strangers.push_back(exchange);
      }
    }
    for (const std::uint64_t exchange : strangers) {
      server_->end_stream(Exchange{exchange});
      gone(Exchange{exchange});
    }
  }

  // Keeps streams alive, and finds out who has left.
  void beat() {
    end_strangers();
    std::vector<std::uint64_t> all;
    for (const auto& [exchange, stream] : streams_) {
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
  struct Listening {
    std::uint64_t listener = 0;  // the hub's
    Request asked;
  };
  std::map<std::uint64_t, Listening> streams_;  // by exchange
  Access access_;
  std::string address_;
  bool loopback_ = true;
  std::set<Sha256> under_way_;  // changes on their way to the disk, by their key
  std::uint64_t heartbeat_ = 0;
  bool working_ = false;
  std::thread worker_;
  std::unique_ptr<io::HttpsServer> server_;
};

AdminApi::AdminApi(io::Loop& loop, store::Store& store, Hub& hub, Site site, Secret token)
    : impl_(std::make_shared<Impl>(loop, store, hub, std::move(site), std::move(token))) {}
AdminApi::~AdminApi() = default;

Status AdminApi::listen(const std::string& address, std::uint16_t port, Access access) {
  return impl_->listen(address, port, std::move(access));
}
void AdminApi::take(Access access) { impl_->take(std::move(access)); }
std::uint16_t AdminApi::port() const { return impl_->port(); }

}  // namespace imprint::app
