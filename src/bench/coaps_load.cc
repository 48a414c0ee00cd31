#include "bench/coaps_load.h"

#include <algorithm>
#include <charconv>

#include "bench/machine.h"
#include "crypto/random.h"
#include "io/coaps_client.h"

namespace imprint::bench {
namespace {

constexpr double kGrace_s = 10;
constexpr unsigned kMostHandshakes = 64;

// A loop with a client on it that acts for all devices.
class Clients {
 public:
  explicit Clients(const CoapsLoadPlan& plan) : plan_(plan) {
    guard_.allow_loopback();
    // Keys are named by the place of their device in the plan.
    const auto keys = [this](const std::string& id) -> Result<PrivateKey> {
      std::size_t index = 0;
      std::from_chars(id.data(), id.data() + id.size(), index);
      return (*plan_.devices)[index].key;
    };
    client_ = io::make_coaps_client(loop_, guard_, rng_, {}, keys, [](std::uint64_t) {});
    server_ = *Uri::parse("coaps://127.0.0.1:" + std::to_string(plan.port));
  }

  void open(std::size_t device, std::function<void(Result<SessionRef>)> done) {
    Open what;
    what.to = server_;
    what.anchors = {plan_.ca};
    what.as = Credential{std::to_string(device), {(*plan_.devices)[device].certificate}};
    client_->open(std::move(what), std::move(done));
  }
  io::Loop& loop() { return loop_; }
  io::RequestClient& client() { return *client_; }

 private:
  CoapsLoadPlan plan_;
  io::Loop loop_;
  SystemRng rng_;
  io::Guard guard_;
  Uri server_;
  std::unique_ptr<io::RequestClient> client_;
};

class Run {
 public:
  Run(const CoapsLoadPlan& plan, Supply& supply) : plan_(plan), supply_(supply), clients_(plan) {}

  LoadResult go() {
    const double cpu = thread_cpu_s();
    begin_ = now_s();
    end_ = begin_ + plan_.seconds;
    for (unsigned i = 0; i < plan_.at_once; ++i) {
      clients_.loop().post([this] { start(); });
    }
    watch();
    clients_.loop().run();
    out_.wall_s = std::min(now_s(), end_) - begin_;
    out_.failed += open_;
    out_.cpu_s = thread_cpu_s() - cpu;
    return std::move(out_);
  }

 private:
  bool over() const { return now_s() >= end_ || (plan_.interrupted != nullptr && *plan_.interrupted); }

  void watch() {
    if ((over() && open_ == 0) || now_s() > end_ + kGrace_s) {
      clients_.loop().stop();
    } else {
      clients_.loop().after(Duration(5), [this] { watch(); });
    }
  }

  void start() {
    const Enrolment* const what = over() ? nullptr : supply_.next();
    if (what == nullptr) {
      return;
    }
    ++open_;
    clients_.open(what->applicant, [this, what, begun = now_s()](Result<SessionRef> session) {
      if (!session) {
        end(0, begun, false, session.error().what);
      } else if (!plan_.enrol) {
        end((*session)->id, begun, true, {});
      } else {
        ask((*session)->id, *what, begun);
      }
    });
  }

  void ask(std::uint64_t session, const Enrolment& what, double begun) {
    Request request;
    request.method = Method::post;
    request.path = "/.well-known/est/sen";
    request.content_type = "application/pkcs10";
    request.body = what.der;
    clients_.client().request(session, std::move(request), [this, session, &what, begun](Result<Response> answer) {
      const bool good = answer && answer->status == 200 &&
                        !std::ranges::search(answer->body, what.spki).empty();  // a certificate for this very key
      end(session, begun, good, answer ? "another answer than a certificate" : answer.error().what);
    });
  }

  void end(std::uint64_t session, double begun, bool good, std::string_view why) {
    --open_;
    const double now = now_s();
    if (good) {
      ++out_.done;
      out_.in_time += now < end_ ? 1 : 0;
      out_.latencies_ms.push_back((now - begun) * 1000);
    } else {
      ++out_.failed;
      out_.first_failure = out_.first_failure.empty() ? std::string(why) : out_.first_failure;
    }
    if (session != 0) {
      clients_.client().close(session);
    }
    start();
  }

  const CoapsLoadPlan& plan_;
  Supply& supply_;
  Clients clients_;
  std::size_t open_ = 0;
  double begin_ = 0, end_ = 0;
  LoadResult out_;
};

}  // namespace

LoadResult run_coaps_load(const CoapsLoadPlan& plan, Supply& supply) { return Run(plan, supply).go(); }

struct IdleAssociations::Impl {
  explicit Impl(const CoapsLoadPlan& plan) : clients(plan) {}
  Clients clients;
};

IdleAssociations::IdleAssociations() = default;
IdleAssociations::~IdleAssociations() = default;

Result<std::unique_ptr<IdleAssociations>> IdleAssociations::open(const CoapsLoadPlan& plan, std::size_t count) {
  std::unique_ptr<IdleAssociations> out(new IdleAssociations());
  out->impl_ = std::make_unique<Impl>(plan);
  Clients& clients = out->impl_->clients;
  std::size_t begun = 0, opened = 0;
  std::optional<Error> failed;
  std::function<void()> next = [&] {
    if (begun == count || failed) {
      return;
    }
    clients.open(begun++ % plan.devices->size(), [&](const Result<SessionRef>& session) {
      if (!session) {
        failed = session.error();
      }
      opened += session ? 1 : 0;
      if (failed || opened == count) {
        clients.loop().stop();
      }
      next();
    });
  };
  for (unsigned i = 0; i < kMostHandshakes; ++i) {
    clients.loop().post(next);
  }
  if (count > 0) {
    clients.loop().run();
  }
  CHECK_OR(!failed, Error{Fault::unreachable, failed->what});
  return out;
}

}  // namespace imprint::bench
