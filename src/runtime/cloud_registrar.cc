#include "runtime/cloud_registrar.h"

#include <cassert>

#include "factory/masa_owner.h"
#include "factory/masa_policy.h"
#include "proto/brski/masa_rules.h"
#include "proto/brski/wire.h"
#include "runtime/engine.h"

namespace imprint {
namespace {

constexpr std::string_view kActor = "cloud";
constexpr int kMostAgain = 4;  // times that a request is begun anew because somebody else was first

using Role = brski::Cloud;

std::string rule_in(const Error& error) { return std::string(error.rule != nullptr ? error.rule->id : error.what); }

}  // namespace

// One request's way through the role. Kept alive by the map, and by whoever waits for the store on its behalf.
class CloudRegistrar::Conversation : public std::enable_shared_from_this<Conversation> {
 public:
  Conversation(CloudRegistrar& server, Asked asked)
      : server_(server),
        asked_(std::move(asked)),
        told_(asked_.told),
        engine_(Role(std::shared_ptr<const brski::CloudConfig>(asked_.site, &asked_.site->config)), *this,
                Role::Idle{}) {}

  void start() { engine_.feed(asked_.what); }
  // Not inlined: GCC 12 sees the other alternatives uninitialised.
  [[gnu::noinline]] void feed(Role::Input input) { engine_.feed(std::move(input)); }
  void leave() { feed(Gone{asked_.from}); }
  void halt() { engine_.halt(); }

  // ---- what the engine needs ----
  Instant now() const { return server_.schedule_.now(); }
  Rng& rng() { return server_.rng_; }

  void perform(const Reply& reply) {
    told_.status = reply.what.status;
    if (server_.told_) {
      server_.told_(told_);
    }
    server_.reply_(reply.to, reply.what);
  }
  void perform(const Ask<brski::FindOwner>& ask) {
    told_.device = ask.question.device.serial;
    auto reader = server_.store_.read();
    engine_.feed(Done<brski::FindOwner::Found>{
        {ask.ticket},
        reader ? factory::find_owner(**reader, ask.question) : Result<brski::FindOwner::Found>(reader.error())});
  }
  void perform(const Ask<brski::SignVoucher>& ask) {
    engine_.feed(Done<Bytes>{{ask.ticket},
                             brski::sign_voucher(ask.question.what, ask.question.form, asked_.site->voucher_signer)});
  }
  void perform(const SendRequest&) { assert(false && "a cloud registrar asks nobody"); }
  void perform(const Open&) { assert(false && "a cloud registrar opens nothing"); }
  void perform(const Close&) { assert(false && "a cloud registrar closes nothing"); }
  void perform(const Arm&) { assert(false && "a cloud registrar arms nothing"); }
  void perform(const Learn&) {}

  void keep(Note<brski::Vouched> note, std::function<void(Status)> done) {
    auto self = shared_from_this();
    server_.store_.submit(
        [given = factory::given_voucher(note.fact, now())](store::MakerWriter& w) { return w.vouched(given, kActor); },
        [self, gate = server_.gate_, done = std::move(done)](Status kept) {
          gate->post([self, kept, done] { done(kept); });
        });
  }

  void acted() {}
  void entered(const Role::State& state, std::string_view /*name*/) {
    if (std::holds_alternative<Role::Idle>(state)) {
      server_.finished(asked_.from.id);
    }
  }
  void refused(const Error& error, const Role::Input& input) {
    if (!std::holds_alternative<Gone>(input)) {
      end(error);
    }
  }
  // The note was not kept. Somebody else was first: begun anew, the request gets what there is now.
  void broken(const Error& error) {
    if (error.fault == Fault::conflict && asked_.again < kMostAgain) {
      Asked anew = asked_;
      ++anew.again;
      server_.gate_->post([&server = server_, anew] { server.begin(anew); });
      return;
    }
    end(Error{Fault::unreachable, brski::masa::kBusy});
  }

 private:
  void end(const Error& error) {
    told_.rule = rule_in(error);
    perform(Reply{asked_.from, brski::cloud_error(error)});
    server_.finished(asked_.from.id);
  }

  CloudRegistrar& server_;
  Asked asked_;
  Told told_;
  Engine<Role, Conversation> engine_;
};

CloudRegistrar::CloudRegistrar(io::Schedule& schedule, store::MakerStore& store, Rng& rng,
                               std::function<void(Exchange, const Response&)> reply)
    : schedule_(schedule),
      gate_(std::make_shared<io::Gate>(schedule)),
      store_(store),
      rng_(rng),
      reply_(std::move(reply)) {}

CloudRegistrar::~CloudRegistrar() { gate_->close(); }

bool CloudRegistrar::is_for(const Request& request, const CloudSite& site, Instant now) {
  using Operation = brski::Operation;
  const auto operation = brski::operation_of(request.path);
  const bool ours = operation == Operation::request_voucher || operation == Operation::voucher_status ||
                    operation == Operation::enrol_status;
  return ours && request.method == Method::post && request.session &&
         brski::device_at(*request.session, site.config.idevid_anchors, now);
}

void CloudRegistrar::take(Exchange from, Request request, std::shared_ptr<const CloudSite> site) {
  if (halted_) {
    return;
  }
  Asked asked{from, Gone{from}, std::move(site), {}, 0};
  if (brski::operation_of(request.path) == brski::Operation::request_voucher) {
    asked.told.path = brski::kRequestVoucher;
    asked.what = Role::RequestVoucher{from, std::move(request.session), std::move(request.body),
                                      std::move(request.content_type), std::move(request.accept)};
  } else {
    asked.told.path = brski::operation_of(request.path) == brski::Operation::voucher_status ? brski::kVoucherStatus
                                                                                            : brski::kEnrolStatus;
    asked.what =
        Role::Report{from, std::move(request.session), std::move(request.body), std::move(request.content_type)};
  }
  begin(std::move(asked));
}

// Also once more, under the same exchange: whoever leaves meanwhile is found.
void CloudRegistrar::begin(Asked asked) {
  const std::uint64_t exchange = asked.from.id;
  auto conversation = std::make_shared<Conversation>(*this, std::move(asked));
  conversations_[exchange] = conversation;
  conversation->start();
}

void CloudRegistrar::gone(Exchange from) {
  if (const auto it = conversations_.find(from.id); it != conversations_.end()) {
    const auto keep = it->second;
    keep->leave();
  }
}

void CloudRegistrar::halt() {
  halted_ = true;
  for (const auto& [id, conversation] : conversations_) {
    conversation->halt();
  }
}

void CloudRegistrar::finished(std::uint64_t exchange) {
  const auto it = conversations_.find(exchange);
  if (it == conversations_.end()) {
    return;
  }
  // The engine is still on the stack: let it go when the loop comes round.
  schedule_.post([dead = std::move(it->second)] {});
  conversations_.erase(it);
}

}  // namespace imprint
