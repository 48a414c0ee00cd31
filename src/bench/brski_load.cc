#include "bench/brski_load.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/machine.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/random.h"
#include "io/https_client.h"
#include "proto/brski/registrar_judge.h"
#include "runtime/brski_device.h"

namespace imprint::bench {
namespace {

constexpr double kGrace_s = 20;
constexpr std::string_view kOwnKey = "credential", kHost = "https://127.0.0.1:";
constexpr std::size_t kMostAnswer = std::size_t{64} << 20U;

Result<Uri> local(std::uint16_t port, const std::string& path = "/") {
  return Uri::parse(std::string(kHost) + std::to_string(port) + path);
}

std::string words_of(const brski::Pledge::State& state, const std::optional<Error>& broken) {
  const auto* const failed = std::get_if<brski::Pledge::Failed>(&state);
  const std::string what(broken              ? broken->what
                         : failed != nullptr ? failed->why.what
                                             : std::string_view("ended early"));
  return failed != nullptr && !failed->detail.empty() ? what + ": " + failed->detail : what;
}

// All devices of one thread, at most so many at once.
class Pledges {
 public:
  Pledges(const PledgePlanOf& plan, Uri registrar, std::size_t next)
      : plan_(plan), registrar_(std::move(registrar)), next_(next) {
    guard_.allow(registrar_);
  }

  LoadResult run() {
    const double cpu = thread_cpu_s();
    begin_ = now_s();
    end_ = begin_ + plan_.seconds;
    for (unsigned i = 0; i < std::min<std::size_t>(plan_.at_once, plan_.devices->size()); ++i) {
      slots_.push_back(std::make_unique<Slot>());
      loop_.post([this, slot = slots_.back().get()] { start(*slot); });
    }
    open_ = slots_.size();
    const auto limit = std::chrono::milliseconds(static_cast<std::int64_t>((plan_.seconds + kGrace_s) * 1000));
    const std::uint64_t timer = loop_.after(limit, [this] { loop_.stop(); });
    loop_.run();
    loop_.cancel(timer);
    for (const auto& slot : slots_) {
      if (slot->device) {
        slot->device->halt();
        fail("no end of it in time");
      }
    }
    out_.wall_s = std::max(last_, end_) - begin_;
    out_.cpu_s = thread_cpu_s() - cpu;
    return std::move(out_);
  }

 private:
  struct Slot {
    std::unique_ptr<MemoryStorage> storage;
    std::unique_ptr<BrskiDevice> device;
    double begun = 0;
  };

  brski::PledgePlanRef plan_for(const EstDevice& device) const {
    auto out = std::make_shared<brski::PledgePlan>();
    out->registrars = {registrar_};
    out->identity = {std::string(kOwnKey), {device.certificate}};
    out->voucher_anchors = {plan_.maker};
    out->enrolment.names.subject = device.certificate.subject;
    out->rounds = 1;
    return out;
  }

  void start(Slot& slot) {
    const bool over = now_s() >= end_ || (plan_.interrupted != nullptr && *plan_.interrupted);
    if (over) {
      if (--open_ == 0) {
        loop_.stop();
      }
      return;
    }
    const EstDevice& device = (*plan_.devices)[next_++ % plan_.devices->size()];
    slot.begun = now_s();
    slot.storage = std::make_unique<MemoryStorage>();
    slot.storage->add_key(std::string(kOwnKey), device.key);
    BrskiDevice::Hooks hooks;
    hooks.ended = [this, &slot](const brski::Pledge::State& state, const Run&, const std::optional<Error>& broken) {
      ended(slot, state, broken);
    };
    slot.device = std::make_unique<BrskiDevice>(loop_, rng_, pledge_over_sockets(loop_, guard_, rng_), *slot.storage,
                                                nullptr, device.id, std::move(hooks));
    slot.device->start(plan_for(device));
  }

  void ended(Slot& slot, const brski::Pledge::State& state, const std::optional<Error>& broken) {
    const double now = now_s();
    if (!broken && std::holds_alternative<brski::Pledge::Configured>(state)) {
      ++out_.done;
      ++out_.in_time;
      last_ = now;
      out_.latencies_ms.push_back((now - slot.begun) * 1e3);
    } else {
      fail(words_of(state, broken));
    }
    loop_.post([this, &slot] {  // not inside its own hook
      slot.device.reset();
      start(slot);
    });
  }

  void fail(const std::string& why) {
    ++out_.failed;
    if (out_.first_failure.empty()) {
      out_.first_failure = why;
    }
  }

  const PledgePlanOf& plan_;
  Uri registrar_;
  std::size_t next_;
  io::Loop loop_;
  io::Guard guard_;
  SystemRng rng_;
  double begin_ = 0, end_ = 0, last_ = 0;
  std::size_t open_ = 0;
  std::vector<std::unique_ptr<Slot>> slots_;
  LoadResult out_;
};

Result<std::string> bulk_line(const BulkPlan& plan, const EstDevice& device, Instant now) {
  brski::Voucher what = brski::make_registrar_request(brski::Artifact{}, device.certificate, brski::Quirks{}, now);
  what.prior_signed_voucher_request.reset();
  what.assertion.reset();
  what.nonce.reset();
  TRY(const Bytes request, brski::sign_voucher(what, brski::Form::cms, Signer{plan.key, plan.chain}));
  return Json{{"id", device.id}, {"request", base64(request)}}.dump() + "\n";
}

// One connection, asked once.
class BulkCall {
 public:
  explicit BulkCall(const BulkPlan& plan) : plan_(plan) {}

  Result<BulkResult> run(Bytes body, const std::function<void()>& began) {
    TRY(const Uri masa, local(plan_.port));
    guard_.allow(masa);
    io::HttpsClientOptions options;
    options.request_timeout = std::chrono::minutes(5);
    options.max_response_bytes = kMostAnswer;
    client_ = io::HttpsClient::make(
        loop_, guard_, options, [this](const std::string&) -> Result<PrivateKey> { return plan_.key; },
        [](std::uint64_t) {});
    TRY(const SessionRef session, open(masa));
    Request ask;
    ask.method = Method::post;
    ask.path = "/.well-known/brski/requestvouchers";
    ask.content_type = ask.accept = "application/x-ndjson";
    ask.body = std::move(body);
    began();
    const double begin = now_s();
    TRY(const Response answer, send(session->id, std::move(ask)));
    const double end = now_s();
    CHECK_OR(answer.status == 200, Error{Fault::unreachable, "bench: the MASA refuses the bulk call"});
    TRY(BulkResult out, read(as_text(answer.body)));
    out.wall_s = end - begin;
    return out;
  }

 private:
  Result<SessionRef> open(const Uri& masa) {
    std::optional<Result<SessionRef>> got;
    Open what;
    what.to = masa;
    what.anchors = {plan_.maker};
    what.as = Credential{std::string(kOwnKey), plan_.chain};
    client_->open(std::move(what), [&](Result<SessionRef> r) {
      got = std::move(r);
      loop_.stop();
    });
    loop_.run();
    CHECK_OR(got, Error{Fault::unreachable, "bench: no connection to the MASA"});
    return *std::move(got);
  }
  Result<Response> send(std::uint64_t session, Request what) {
    std::optional<Result<Response>> got;
    client_->request(session, std::move(what), [&](Result<Response> r) {
      got = std::move(r);
      loop_.stop();
    });
    loop_.run();
    CHECK_OR(got, Error{Fault::unreachable, "bench: no answer of the MASA"});
    return *std::move(got);
  }
  static Result<BulkResult> read(std::string_view text) {
    BulkResult out;
    bool whole = false;
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(text.size(), line.size() + 1));
      TRY(const Json json, parse_json(line));
      whole = whole || json.contains("end");
      if (json.contains("end")) {
        continue;
      }
      const bool good = json.contains("voucher");
      ++(good ? out.vouchers : out.failed);
      if (!good && out.first_failure.empty()) {
        out.first_failure = json.value("error", std::string("no voucher"));
      }
    }
    CHECK_OR(whole, Error{Fault::unreachable, "bench: the bulk answer was cut"});
    return out;
  }

  const BulkPlan& plan_;
  io::Loop loop_;
  io::Guard guard_;
  std::unique_ptr<io::RequestClient> client_;
};

}  // namespace

LoadResult run_pledges(const PledgePlanOf& plan, std::size_t first) {
  auto registrar = local(plan.port);
  return registrar ? Pledges(plan, *std::move(registrar), first).run() : LoadResult{};
}

Result<Bytes> make_bulk_body(const BulkPlan& plan, const std::vector<EstDevice>& devices) {
  std::vector<std::string> lines(devices.size());
  std::vector<Status> done(cores(), Ok{});
  const Instant now = io::wall_clock();
  {
    std::vector<std::jthread> signers;
    for (std::size_t t = 0; t < done.size(); ++t) {
      signers.emplace_back([&, t] {
        for (std::size_t i = t; i < devices.size() && done[t]; i += done.size()) {
          auto line = bulk_line(plan, devices[i], now);
          done[t] = line ? Status(Ok{}) : Status(line.error());
          lines[i] = line ? *std::move(line) : std::string();
        }
      });
    }
  }
  Bytes out;
  for (const Status& one : done) {
    TRY([[maybe_unused]] const Ok good, one);
  }
  for (const std::string& line : lines) {
    out.insert(out.end(), line.begin(), line.end());
  }
  return out;
}

Result<BulkResult> run_bulk(const BulkPlan& plan, Bytes body, const std::function<void()>& began) {
  return BulkCall(plan).run(std::move(body), began);
}

}  // namespace imprint::bench
