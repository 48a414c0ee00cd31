#include "runtime/registrar.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "proto/brski/coap.h"
#include "proto/brski/registrar_rules.h"
#include "runtime/engine.h"
#include "runtime/registrar_words.h"
#include "store/store.h"

namespace imprint {
namespace {

constexpr std::string_view kActor = "brski";
// A device that waits for a person asks every half a minute, or as fast as it likes; that it still does is written this
// often.
constexpr Duration kStillWaits = std::chrono::minutes(5);

using Role = brski::Registrar;

const SessionRef& session_of(const brski::RegistrarMessage& message) {
  return std::visit([](const auto& m) -> const SessionRef& { return m.session; }, message);
}

// A device is counted by the key of its certificate; nobody without one gets a MASA asked or anything written.
std::string pace_key(const SessionRef& session) {
  if (!session || !session->proven) {
    return {};
  }
  const Sha256 digest = sha256((*session->proven)->leaf.key.spki);
  return {digest.begin(), digest.end()};
}

// 202 where the device knows it (RFC 8995 section 5.6), else 503.
Response too_often(brski::Operation operation, Duration wait) {
  Response out = operation == brski::Operation::request_voucher
                     ? Response{202}
                     : brski::wire_error(Error{Fault::unreachable, brski::kTooOften});
  out.retry_after_s = std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(wait).count());
  return out;
}

// Whether the store would learn nothing from it but that the device has asked once more.
bool says_nothing_new(const std::optional<PledgeRow>& row, const PledgeWaits& fact, Instant now) {
  return row && row->stage == PledgeStage::asked && row->id == fact.id && row->device == fact.device &&
         row->reason == fact.reason && row->last <= now && now - row->last < kStillWaits;
}

Error store_trouble(const Error& error) {
  return error.rule != nullptr ? error : Error{Fault::unreachable, brski::kSignerMute};
}

}  // namespace

// One request's way through the role. Kept alive by the map, and by whoever waits for the store on its behalf.
class RegistrarServer::Conversation : public std::enable_shared_from_this<Conversation> {
 public:
  Conversation(RegistrarServer& server, const Asked& asked, std::shared_ptr<const RegistrarSite> site,
               std::shared_ptr<const site::Policy> policy, std::string mode, std::string who)
      : server_(server),
        site_(std::move(site)),
        policy_(std::move(policy)),
        asked_(asked),
        who_(std::move(who)),
        recorder_("brski", std::move(mode), "registrar", server.schedule_.now(), server.rng_, &server.journal_),
        engine_(Role(site_->role), *this, Role::Idle{}) {
    recorder_.run().anonymous = who_.empty();  // strangers are not kept: they must not be able to fill the disk
  }

  void feed(Role::Input input) { engine_.feed(std::move(input)); }
  void halt() { engine_.halt(); }

  // ---- what the engine needs ----
  Instant now() const { return server_.schedule_.now(); }
  Rng& rng() { return server_.rng_; }

  void perform(const Reply& reply) {
    recorder_.count_request(reply.what.body.size(), 0);
    const int status = reply.what.status;
    if (status != 200) {  // what was obtained or told is said by keep()
      result_ = status == 202 ? "pending" : status >= 500 ? "failed" : "refused";
    }
    if (status >= 400) {
      const Rule* const named = registrar_rule_in(reply.what);
      rule_ = rule_ != nullptr ? rule_ : named;
    }
    server_.answer(asked_, reply.what);
  }
  void perform(const Learn& learn) { recorder_.learned(learn.change); }
  void perform(const Ask<brski::AdmitPledge>& ask) {
    auto answer = with_reader<brski::AdmitPledge::Decision>(
        [&](store::Reader& reader) { return site::admit_pledge(*policy_, reader, ask.question, site_->find_masa); });
    if (answer) {
      recorder_.run().device = answer->device;
    }
    feed(Done<brski::AdmitPledge::Decision>{{ask.ticket}, std::move(answer)});
  }
  void perform(const Ask<brski::RecallPledge>& ask) {
    auto answer = with_reader<brski::RecallPledge::Recalled>(
        [&](store::Reader& reader) { return site::recall_pledge(*policy_, reader, ask.question, site_->find_masa); });
    if (answer) {
      recorder_.run().device = answer->row.device;
    }
    feed(Done<brski::RecallPledge::Recalled>{{ask.ticket}, std::move(answer)});
  }
  void perform(const Ask<brski::SignRequestArtifact>& ask) {
    Signer by = site_->signer;
    by.chain.insert(by.chain.end(), ask.question.along.begin(), ask.question.along.end());
    feed(Done<Bytes>{{ask.ticket},
                     brski::sign_voucher(ask.question.what, ask.question.form, by, ask.question.content_type,
                                         ask.question.named_voucher)});
  }
  void perform(Open open) {
    count();
    const std::uint64_t ticket = open.ticket;
    server_.masa_->open(std::move(open), [self = shared_from_this(), ticket](Result<SessionRef> session) {
      self->feed(Done<SessionRef>{{ticket}, std::move(session)});
    });
  }
  void perform(SendRequest send) {
    const std::uint64_t ticket = send.ticket;
    server_.masa_->request(send.session, std::move(send.what),
                           [self = shared_from_this(), ticket](Result<Response> answer) {
                             self->feed(Done<Response>{{ticket}, std::move(answer)});
                           });
  }
  void perform(const Close& close) { server_.masa_->close(close.session); }
  void perform(const Arm&) { assert(false && "the registrar arms nothing"); }

  void keep(Note<PledgeWaits> note, std::function<void(Status)> done) {
    told_ = fact_words(note.fact);
    waits_for_ = &registrar_rule(note.fact);
    const PledgeId& id = note.fact.id;
    const auto row = with_reader<std::optional<PledgeRow>>(
        [&](store::Reader& reader) { return reader.pledge(id.issuer, id.serial); });
    if (row && says_nothing_new(*row, note.fact, now())) {
      server_.gate_->post([self = shared_from_this(), done = std::move(done)] { done(Ok{}); });
      return;
    }
    submit([fact = std::move(note.fact), at = now()](store::Writer& w) { return w.pledge_waits(fact, at, kActor); },
           std::move(done));
  }
  void keep(Note<VoucherObtained> note, std::function<void(Status)> done) {
    count();
    told_ = fact_words(note.fact);
    note.fact.run = recorder_.run().id;
    recorder_.run().obtained.push_back("voucher for " + note.fact.id.serial);
    recorder_.run().mode = registrar_mode(note.fact) + recorder_.run().mode;
    result_ = registrar_result(note.fact);
    submit([fact = std::move(note.fact), at = now()](store::Writer& w) { return w.voucher_obtained(fact, at, kActor); },
           std::move(done));
  }
  void keep(Note<VoucherReported> note, std::function<void(Status)> done) {
    count();
    told_ = fact_words(note.fact);
    rule_ = registrar_rule(note.fact.rule);
    result_ = registrar_result(note.fact);
    submit([fact = std::move(note.fact), at = now()](store::Writer& w) { return w.voucher_reported(fact, at, kActor); },
           std::move(done));
  }
  void keep(Note<EnrolmentReported> note, std::function<void(Status)> done) {
    count();
    told_ = fact_words(note.fact);
    result_ = registrar_result(note.fact);
    if (!note.fact.certificate.empty()) {
      recorder_.run().obtained.push_back("certificate " + note.fact.certificate + ", by which it reports");
    }
    submit(
        [fact = std::move(note.fact), at = now()](store::Writer& w) { return w.enrolment_reported(fact, at, kActor); },
        std::move(done));
  }
  void keep(Note<PledgeRefused> note, std::function<void(Status)> done) {
    count();
    told_ = fact_words(note.fact);
    rule_ = registrar_rule(note.fact.rule);
    submit([fact = std::move(note.fact), at = now()](store::Writer& w) { return w.pledge_refused(fact, at, kActor); },
           std::move(done));
  }

  void acted() {
    if (server_.acted_) {
      server_.acted_();
    }
  }
  void entered(const Role::State& state, std::string_view name) {
    if (!std::holds_alternative<Role::Idle>(state)) {
      recorder_.entered(name, registrar_words(state), now());
      return;
    }
    if (rule_ != nullptr) {
      recorder_.failed(name, Error{Fault::refused, *rule_}, told_, now());
    } else if (waits_for_ != nullptr) {
      recorder_.run().rule = waits_for_->id;
      recorder_.entered(name, told_, now(), registrar_waits_for(*waits_for_, recorder_.run().device));
    } else {
      recorder_.entered(name, told_, now());
    }
    finish();
  }
  void refused(const Error& error, const Role::Input& input) {
    if (std::holds_alternative<Gone>(input)) {
      return;
    }
    recorder_.failed(state_name<Role>(engine_.state()), error, {}, now());
    result_ = "refused";
    server_.answer(asked_, brski::wire_error(error));
    finish();
  }
  // The device may simply ask again: what was to be on record is not, and nothing after it has left.
  void broken(const Error& error) {
    const Error told = store_trouble(error);
    recorder_.failed(state_name<Role>(engine_.state()), told, std::string(error.what), now());
    result_ = "failed";
    server_.answer(asked_, brski::wire_error(told));
    finish();
  }

 private:
  // Once for a request, if it has its maker asked or something written; who only waits for a person costs neither.
  void count() {
    if (!std::exchange(counted_, true)) {
      server_.pace_.count(who_, now(), site_->pace);
    }
  }
  template <class Answer, class F>
  Result<Answer> with_reader(F ask) {
    auto reader = server_.store_.read();
    return reader ? ask(**reader) : Result<Answer>(reader.error());
  }
  void submit(store::Store::Change change, std::function<void(Status)> done) {
    auto self = shared_from_this();
    server_.store_.submit(std::move(change), [self, gate = server_.gate_, done = std::move(done)](Status kept) {
      gate->post([self, kept, done] { done(kept); });
    });
  }
  void finish() {
    recorder_.end(result_, now());
    server_.finished(asked_.from.id);
  }

  RegistrarServer& server_;
  std::shared_ptr<const RegistrarSite> site_;
  std::shared_ptr<const site::Policy> policy_;
  Asked asked_;
  const std::string who_;            // the device's key; empty: it has proven none
  bool counted_ = false;             // in its pace
  std::string told_;                 // what the last step leaves behind, in words
  const Rule* rule_ = nullptr;       // that was broken, or holds the device for a person
  const Rule* waits_for_ = nullptr;  // whose word is missing
  std::string result_ = "answered";
  Recorder recorder_;
  Engine<Role, Conversation> engine_;
};

RegistrarServer::RegistrarServer(io::Schedule& schedule, store::Store& store, Rng& rng, Journal& journal,
                                 std::unique_ptr<io::RequestClient> masa,
                                 std::function<void(Exchange, const Response&)> reply)
    : schedule_(schedule),
      gate_(std::make_shared<io::Gate>(schedule)),
      store_(store),
      rng_(rng),
      journal_(journal),
      masa_(std::move(masa)),
      reply_(std::move(reply)) {}

RegistrarServer::~RegistrarServer() {
  gate_->close();
  masa_.reset();  // none of its answers comes any more
}

bool RegistrarServer::is_for(const Request& request, RegistrarBinding binding) {
  if (binding == RegistrarBinding::coaps) {
    return request.path.starts_with(brski::kRoot) || request.path.starts_with(brski::kShortRoot);
  }
  return brski::operation_of(request.path).has_value();
}

void RegistrarServer::answer(const Asked& to, const Response& what) {
  reply_(to.from, to.binding == RegistrarBinding::coaps ? brski::to_coap(what, to.operation) : what);
}

void RegistrarServer::take(Exchange from, Request request, RegistrarBinding binding,
                           std::shared_ptr<const RegistrarSite> site, std::shared_ptr<const site::Policy> policy) {
  if (halted_) {
    return;
  }
  const bool coaps = binding == RegistrarBinding::coaps;
  const auto operation =
      coaps ? brski::parse_coap_request(request) : Result<brski::Operation>(brski::operation_of(request.path).value());
  if (!operation) {
    reply_(from, brski::coap_refusal(operation.error()));
    return;
  }
  if (request.method == Method::get && *operation == brski::Operation::describe) {
    reply_(from, brski::describe_registrar(site->about, request.if_none_match, schedule_.now()));
    return;
  }
  const Asked asked{from, binding, *operation};
  auto message = brski::parse_registrar_request(from, request);
  if (!message) {
    answer(asked, brski::wire_error(message.error()));
    return;
  }
  const SessionRef& session = session_of(*message);
  if (put_off(asked, session, site->pace)) {
    return;
  }
  std::string mode = std::string(coaps ? "coaps, " : "") + std::string(registrar_mode(*message));
  auto conversation = std::make_shared<Conversation>(*this, asked, std::move(site), std::move(policy), std::move(mode),
                                                     pace_key(session));
  conversations_.emplace(from.id, conversation);
  std::visit([&](auto&& m) { conversation->feed(std::forward<decltype(m)>(m)); }, *std::move(message));
}

bool RegistrarServer::put_off(const Asked& asked, const SessionRef& session, const PaceLimits& limits) {
  const std::string who = pace_key(session);
  const Duration wait = who.empty() ? Duration(0) : pace_.wait(who, schedule_.now(), limits);
  if (wait <= Duration(0)) {
    return false;
  }
  answer(asked, too_often(asked.operation, wait));
  return true;
}

void RegistrarServer::gone(Exchange from) {
  if (const auto it = conversations_.find(from.id); it != conversations_.end()) {
    const auto keep = it->second;
    keep->feed(Gone{from});
  }
}

void RegistrarServer::halt() {
  halted_ = true;
  for (const auto& [id, conversation] : conversations_) {
    conversation->halt();
  }
}

void RegistrarServer::finished(std::uint64_t exchange) {
  const auto it = conversations_.find(exchange);
  if (it == conversations_.end()) {
    return;
  }
  // The engine is still on the stack: let it go when the loop comes round.
  schedule_.post([dead = std::move(it->second)] {});
  conversations_.erase(it);
}

}  // namespace imprint
