#include "runtime/masa_server.h"

#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "codec/json.h"
#include "proto/brski/masa_rules.h"
#include "proto/brski/wire.h"
#include "runtime/engine.h"

namespace imprint {
namespace {

constexpr std::string_view kActor = "masa";
constexpr std::string_view kLinesType = "application/x-ndjson";
constexpr std::size_t kTogether = 64;  // requests of one bulk call that are under way
constexpr std::size_t kMostBulk = 8;   // bulk calls at once
constexpr int kMostAgain = 4;          // times that a request is begun anew because somebody else was first

Request without_body(Request request) {
  request.body.clear();
  return request;
}

// What a line of a bulk answer says of the end of a request.
std::string bulk_line(std::size_t n, const std::string& id, const Response& answer) {
  Json out{{"n", n}, {"status", answer.status}};
  if (!id.empty()) {
    out["id"] = id;
  }
  if (answer.status == 200) {
    out["type"] = answer.content_type;
    out["voucher"] = base64(answer.body);
  } else {
    std::string text(as_text(answer.body));
    while (!text.empty() && text.back() == '\n') {
      text.pop_back();
    }
    out["error"] = text;
  }
  return out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

struct MasaServer::Asked {
  brski::Masa::Asked what;
  bool for_log = false;
  std::function<void(const Response&)> answer;
  int again = 0;
};

// One request's way through the role. Kept alive by the map, and by whoever waits for the store on its behalf.
class MasaServer::Conversation : public std::enable_shared_from_this<Conversation> {
 public:
  Conversation(MasaServer& server, std::uint64_t id, Asked asked)
      : server_(server),
        site_(server.site_),
        id_(id),
        asked_(std::move(asked)),
        engine_(brski::Masa(std::shared_ptr<const brski::MasaConfig>(site_, &site_->config)), *this,
                brski::Masa::Idle{}) {
    told_.path = asked_.for_log ? brski::kRequestAuditLog : brski::kRequestVoucher;
  }

  void start() {
    if (asked_.for_log) {
      engine_.feed(brski::Masa::RequestAuditLog{asked_.what});
    } else {
      engine_.feed(brski::Masa::RequestVoucher{asked_.what});
    }
  }
  void leave() { engine_.feed(Gone{asked_.what.from}); }
  void halt() { engine_.halt(); }

  // ---- what the engine needs ----
  Instant now() const { return server_.schedule_.now(); }
  Rng& rng() { return server_.rng_; }

  void perform(const Reply& reply) {
    told_.status = reply.what.status;
    server_.tell(told_);
    asked_.answer(reply.what);
  }
  void perform(const Ask<brski::FindIdevid>& ask) {
    auto reader = server_.store_.read();
    engine_.feed(Done<std::vector<Certificate>>{
        {ask.ticket},
        reader ? factory::find_idevid(**reader, ask.question) : Result<std::vector<Certificate>>(reader.error())});
  }
  void perform(const Ask<brski::JudgeClaim>& ask) {
    auto reader = server_.store_.read();
    auto ruling = reader ? factory::judge_claim(site_->policy, **reader, ask.question, now())
                         : Result<brski::JudgeClaim::Ruling>(reader.error());
    if (ruling) {
      told_.device = ruling->device ? ruling->device->serial : std::string();
      told_.customer = ruling->customer;
      told_.rule = ruling->rule != nullptr ? ruling->rule->id : std::string_view();
    }
    engine_.feed(Done<brski::JudgeClaim::Ruling>{{ask.ticket}, std::move(ruling)});
  }
  void perform(const Ask<brski::ReadDeviceLog>& ask) {
    auto reader = server_.store_.read();
    engine_.feed(
        Done<brski::ReadDeviceLog::Log>{{ask.ticket},
                                        reader ? factory::read_device_log(site_->policy, **reader, ask.question, now())
                                               : Result<brski::ReadDeviceLog::Log>(reader.error())});
  }
  void perform(const Ask<brski::SignVoucher>& ask) {
    engine_.feed(
        Done<Bytes>{{ask.ticket}, brski::sign_voucher(ask.question.what, ask.question.form, site_->voucher_signer)});
  }
  void perform(const SendRequest&) { assert(false && "a MASA asks nobody"); }
  void perform(const Open&) { assert(false && "a MASA opens nothing"); }
  void perform(const Close&) { assert(false && "a MASA closes nothing"); }
  void perform(const Arm&) { assert(false && "a MASA arms nothing"); }
  void perform(const Learn&) {}

  void keep(Note<brski::Vouched> note, std::function<void(Status)> done) {
    submit(
        [given = factory::given_voucher(note.fact, now())](store::MakerWriter& w) { return w.vouched(given, kActor); },
        std::move(done));
  }
  void keep(Note<brski::ClaimRefused> note, std::function<void(Status)> done) {
    submit([claim = factory::refused_claim(note.fact, now())](
               store::MakerWriter& w) { return w.claim_refused(claim, kActor); },
           std::move(done));
  }

  void acted() {
    if (server_.acted_) {
      server_.acted_();
    }
  }
  void entered(const brski::Masa::State& state, std::string_view /*name*/) {
    if (std::holds_alternative<brski::Masa::Idle>(state)) {
      server_.finished(id_);
    }
  }
  void refused(const Error& error, const brski::Masa::Input& input) {
    if (std::holds_alternative<Gone>(input)) {
      return;
    }
    end(error);
  }
  // The note was not kept. Somebody else was first: the same request gets the same voucher, if it is begun anew.
  void broken(const Error& error) {
    if (error.fault == Fault::conflict && asked_.again < kMostAgain) {
      Asked anew = asked_;
      ++anew.again;
      server_.gate_->post([&server = server_, id = id_, anew] { server.begin_again(id, anew); });
      return;
    }
    end(Error{Fault::unreachable, brski::masa::kBusy});
  }

 private:
  void end(const Error& error) {
    told_.rule = error.rule != nullptr ? error.rule->id : error.what;
    perform(Reply{asked_.what.from, brski::masa_error(error)});
    server_.finished(id_);
  }
  void submit(store::MakerStore::Change change, std::function<void(Status)> done) {
    auto self = shared_from_this();
    server_.store_.submit(std::move(change), [self, gate = server_.gate_, done = std::move(done)](Status kept) {
      gate->post([self, kept, done] { done(kept); });
    });
  }

  MasaServer& server_;
  std::shared_ptr<const MasaSite> site_;
  std::uint64_t id_;
  Asked asked_;
  Told told_;
  Engine<brski::Masa, Conversation> engine_;
};

// Many requests of one call: some at a time, each answered by a line as soon as it is done.
class MasaServer::BulkCall : public std::enable_shared_from_this<BulkCall> {
 public:
  BulkCall(MasaServer& server, Exchange from, const Request& request, std::vector<BulkItem> items)
      : server_(server), from_(from), session_(request.session), login_(request.login), items_(std::move(items)) {}

  void go_on() {
    while (!over_ && under_way_ < kTogether && next_ < items_.size()) {
      const std::size_t n = next_++;
      BulkItem item = std::move(items_[n]);
      const auto form = brski::form_of(item.request);
      if (!item.wrong.empty() || !form) {
        Error error{Fault::malformed, brski::masa::kBulkBody};
        error.what = item.wrong.empty() ? std::string_view("no voucher request in any form") : item.wrong;
        line(n, item.id, brski::masa_error(error));
        continue;
      }
      ++under_way_;
      Asked asked;
      asked.what = {{}, session_, login_, std::move(item.request), std::string(brski::media_type(*form)), item.accept};
      asked.answer = [weak = weak_from_this(), n, id = item.id](const Response& answer) {
        if (const auto self = weak.lock()) {
          self->done(n, id, answer);
        }
      };
      server_.begin(std::move(asked));
    }
    if (!over_ && under_way_ == 0 && next_ == items_.size()) {
      finish();
    }
  }
  void leave() { over_ = true; }

 private:
  void done(std::size_t n, const std::string& id, const Response& answer) {
    --under_way_;
    if (over_) {
      return;
    }
    line(n, id, answer);
    // Not from inside the conversation that has just answered.
    server_.gate_->post([self = shared_from_this()] { self->go_on(); });
  }
  void line(std::size_t n, const std::string& id, const Response& answer) {
    ++(answer.status == 200 ? good_ : bad_);
    if (!over_ && !server_.https_->stream(from_, bulk_line(n, id, answer))) {
      end();  // it has left, or reads too slowly: what it lacks it asks for again
    }
  }
  void finish() {
    const Json last{{"end", true}, {"vouchers", good_}, {"errors", bad_}};
    server_.https_->stream(from_, last.dump() + "\n");
    server_.https_->end_stream(from_);
    end();
  }
  void end() {
    over_ = true;
    server_.gate_->post([self = shared_from_this()] { self->server_.bulk_.erase(self->from_.id); });
  }

  MasaServer& server_;
  Exchange from_;
  SessionRef session_;
  std::optional<Login> login_;
  std::vector<BulkItem> items_;
  std::size_t next_ = 0, under_way_ = 0, good_ = 0, bad_ = 0;
  bool over_ = false;
};

MasaServer::MasaServer(io::Schedule& schedule, store::MakerStore& store, Rng& rng, std::shared_ptr<const MasaSite> site)
    : schedule_(schedule),
      gate_(std::make_shared<io::Gate>(schedule)),
      store_(store),
      rng_(rng),
      site_(std::move(site)),
      cloud_(schedule, store, rng, [this](Exchange to, const Response& answer) { front_->reply(to, answer); }) {
  cloud_.on_told([this](const CloudRegistrar::Told& t) { tell({t.path, t.status, t.device, {}, t.rule}); });
}

MasaServer::~MasaServer() { gate_->close(); }

io::HttpsServer::Handlers MasaServer::handlers() {
  io::HttpsServer::Handlers out;
  out.request = [this](Exchange from, Request request) { take(from, std::move(request)); };
  out.gone = [this](Exchange from) { gone(from); };
  out.body_limit = [](const Request& head) {  // strangers must not be able to fill the memory with what nobody reads
    return head.path == kMasaBulkPath ? kMasaBulkBytes : brski::kMaxArtifact;
  };
  return out;
}

Status MasaServer::listen(io::Loop& loop, io::HttpsServerOptions options) {
  TRY(auto https, io::HttpsServer::listen(loop, std::move(options), handlers()));
  https_ = https.get();
  attach(std::move(https));
  return Ok{};
}

void MasaServer::halt() {
  halted_ = true;
  cloud_.halt();
  for (const auto& [id, conversation] : conversations_) {
    conversation->halt();
  }
}

void MasaServer::tell(const Told& told) const {
  if (told_) {
    told_(told);
  }
}

void MasaServer::take(Exchange from, Request request) {
  if (halted_) {
    return;
  }
  if (const auto answer = public_answer(request)) {
    front_->reply(from, *answer);
    return;
  }
  if (site_->cloud && CloudRegistrar::is_for(request, *site_->cloud, schedule_.now())) {
    cloud_.take(from, std::move(request), site_->cloud);
    return;
  }
  const auto operation = brski::operation_of(request.path);
  const bool bulk = request.path == kMasaBulkPath;
  const bool ours =
      bulk || operation == brski::Operation::request_voucher || operation == brski::Operation::request_audit_log;
  if (!ours || request.method != Method::post) {
    Response out = brski::masa_error(ours ? Error{Fault::unexpected, brski::masa::kMethod}
                                          : Error{Fault::unsupported, brski::masa::kNoPath});
    out.allow = ours ? "POST" : "";
    tell({request.path, out.status, {}, {}, ours ? "MASA-METHOD" : "MASA-PATH"});
    front_->reply(from, out);
    return;
  }
  if (bulk) {
    take_bulk(from, std::move(request));
    return;
  }
  Asked asked;
  asked.for_log = operation == brski::Operation::request_audit_log;
  asked.what = {from,
                request.session,
                request.login,
                std::move(request.body),
                std::move(request.content_type),
                std::move(request.accept)};
  asked.answer = [this, from](const Response& answer) {
    of_exchange_.erase(from.id);
    front_->reply(from, answer);
  };
  of_exchange_[from.id] = next_;
  begin(std::move(asked));
}

void MasaServer::take_bulk(Exchange from, Request request) {
  const auto refuse = [&](const Error& error) {
    const Response out = brski::masa_error(error);
    tell({kMasaBulkPath, out.status, {}, {}, std::string(error.rule->id)});
    front_->reply(from, out);
  };
  auto reader = store_.read();
  const auto account =
      reader ? factory::account_of(site_->policy, **reader, *request.session, request.login, nullptr, schedule_.now())
             : Result<std::string>(reader.error());
  if (!account && account.error().rule != nullptr) {
    refuse(account.error());
    return;
  }
  if (!account || https_ == nullptr || bulk_.size() >= kMostBulk) {
    refuse(Error{Fault::unreachable, brski::masa::kBusy});
    return;
  }
  if (!holds(!account->empty())) {
    refuse(Error{Fault::refused, brski::masa::kBulkUnknown});
    return;
  }
  auto items = parse_bulk(as_text(request.body), site_->most_at_once);
  if (!items) {
    refuse(items.error());
    return;
  }
  front_->known(from);
  Response head;
  head.status = 200;
  head.content_type = kLinesType;
  if (!https_->start_stream(from, head)) {
    return;
  }
  tell({kMasaBulkPath, 200, {}, *account, {}});
  const auto call = std::make_shared<BulkCall>(*this, from, without_body(std::move(request)), *std::move(items));
  bulk_[from.id] = call;
  call->go_on();
}

std::uint64_t MasaServer::begin(Asked asked) {
  const std::uint64_t id = next_++;
  begin_again(id, std::move(asked));
  return id;
}

// Under the same id: whoever leaves meanwhile is found.
void MasaServer::begin_again(std::uint64_t id, Asked asked) {
  auto conversation = std::make_shared<Conversation>(*this, id, std::move(asked));
  conversations_[id] = conversation;
  conversation->start();
}

void MasaServer::finished(std::uint64_t id) {
  const auto it = conversations_.find(id);
  if (it == conversations_.end()) {
    return;
  }
  // The engine is still on the stack: let it go when the loop comes round.
  schedule_.post([dead = std::move(it->second)] {});
  conversations_.erase(it);
}

void MasaServer::gone(Exchange from) {
  cloud_.gone(from);
  if (const auto call = bulk_.find(from.id); call != bulk_.end()) {
    call->second->leave();
    bulk_.erase(call);
    return;
  }
  const auto id = of_exchange_.find(from.id);
  if (id == of_exchange_.end()) {
    return;
  }
  const auto it = conversations_.find(id->second);
  of_exchange_.erase(id);
  if (it != conversations_.end()) {
    const auto keep = it->second;
    keep->leave();
  }
}

}  // namespace imprint
