// What a MASA's server is made of: one request's way through the role. For masa_*.cc alone.
#pragma once

#include <cassert>

#include "proto/brski/masa_rules.h"
#include "proto/brski/wire.h"
#include "runtime/engine.h"
#include "runtime/masa_server.h"

namespace imprint {

inline constexpr std::string_view kMasaActor = "masa";
inline constexpr int kMostMasaAgain = 4;  // times that a request is begun anew because somebody else was first

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
    asked_.answer(server_.with_challenges(reply.what));
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

  void keep(const Note<brski::Vouched>& note, std::function<void(Status)> done) {
    submit([given = factory::given_voucher(note.fact, now())](
               store::MakerWriter& w) { return w.vouched(given, kMasaActor); },
           std::move(done));
  }
  void keep(const Note<brski::ClaimRefused>& note, std::function<void(Status)> done) {
    submit([claim = factory::refused_claim(note.fact, now())](
               store::MakerWriter& w) { return w.claim_refused(claim, kMasaActor); },
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
    if (error.fault == Fault::conflict && asked_.again < kMostMasaAgain) {
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

}  // namespace imprint
