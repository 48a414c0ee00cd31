#include "runtime/est_device.h"

#include "proto/est/fullcmc.h"
#include "runtime/engine.h"
#include "runtime/est_words.h"

namespace imprint {
namespace {

// How device and server know each other.
std::string_view known_by(const est::Plan& plan) {
  if (plan.renew) {
    return "renewal";
  }
  if (plan.login_by == est::LoginBy::srp) {  // without anchors, too, nobody is asked
    return "srp";
  }
  if (plan.explicit_anchors.empty() && plan.implicit_anchors.empty()) {
    return "bootstrap";
  }
  if (plan.server.scheme == "coaps") {
    return "coaps";
  }
  return plan.credential ? "certificate" : plan.login ? "secret" : "nobody";
}

std::string mode_of(const est::Plan& plan) {
  const std::string_view asks = plan.server_key ? "server key, " : plan.full_cmc ? "fullcmc, " : "";
  return std::string(asks).append(known_by(plan));
}

}  // namespace

class EstDevice::World {
 public:
  World(io::Schedule& schedule, Rng& rng, const Connector& connector, DeviceStorage& storage, Journal* journal,
        std::string device, Hooks hooks)
      : schedule_(schedule),
        rng_(rng),
        storage_(storage),
        journal_(journal),
        device_(std::move(device)),
        hooks_(std::move(hooks)),
        client_(connector([this](const std::string& id) { return storage_.key(id); },
                          [this](std::uint64_t session) { engine_.feed(Lost{session}); })),
        engine_(est::Client{}, *this, est::Client::Idle{}) {}
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() { schedule_.cancel(timer_); }

  void start(est::PlanRef plan) {
    recorder_.emplace("est", mode_of(*plan), "client", now(), rng_, journal_);
    recorder_->run().device = device_;
    plan_ = plan;
    auto before = storage_.asked();
    if (!before) {
      broken(before.error());
      return;
    }
    engine_.feed(est::Client::Start{std::move(plan), *std::move(before)});
  }

  void halt() { engine_.halt(); }

  // ---- what the engine needs ----
  Instant now() const { return schedule_.now(); }
  Rng& rng() { return rng_; }

  void perform(const Reply&) { assert(false && "a device answers nobody"); }
  void perform(SendRequest send) {
    const std::size_t sent = send.what.body.size();
    client_->request(send.session, std::move(send.what), [this, ticket = send.ticket, sent](Result<Response> answer) {
      recorder_->count_request(sent, answer ? answer->body.size() : 0);
      status_ = answer ? answer->status : 0;
      engine_.feed(Done<Response>{{ticket}, std::move(answer)});
    });
  }
  void perform(const Open& open) {
    recorder_->run().counts.connections += 1;
    client_->open(open, [this, ticket = open.ticket, own = open.as.has_value()](Result<SessionRef> session) {
      if (session) {
        count_handshake(**session, own);
      }
      engine_.feed(Done<SessionRef>{{ticket}, std::move(session)});
    });
  }
  void perform(const Close& close) { client_->close(close.session); }
  void perform(const Arm& arm) {
    schedule_.cancel(timer_);
    delay_ = arm.delay;
    timer_ = schedule_.after(arm.delay, [this] { engine_.feed(Timeout{}); });
  }
  void perform(const Learn& learn) { recorder_->learned(learn.change); }
  void perform(const Ask<MakeKey>& ask) {
    recorder_->run().counts.public_key_operations += 1;
    engine_.feed(Done<KeyRef>{{ask.ticket}, storage_.make_key(ask.question.type)});
  }
  void perform(const Ask<SignRequest>& ask) {
    recorder_->run().counts.public_key_operations += 1;
    engine_.feed(Done<Bytes>{{ask.ticket}, sign(ask.question)});
  }
  void perform(const Ask<OpenEnvelope>& ask) {
    recorder_->run().counts.public_key_operations += plan_->wrap && !plan_->wrap->shared ? 1 : 0;
    engine_.feed(Done<Secret>{{ask.ticket}, storage_.unwrap(ask.question.key_id, ask.question.message)});
  }
  void perform(const Ask<KeepKey>& ask) {
    engine_.feed(Done<KeyRef>{{ask.ticket}, storage_.keep_key(ask.question.pkcs8)});
  }
  void perform(const Ask<ConfirmFingerprint>& ask) {
    if (plan_->expected) {  // said before the run: nobody is asked
      confirmed(ask.ticket, ask.question.of, *plan_->expected == ask.question.of.sha256);
      return;
    }
    hooks_.confirm(ask.question, [this, ticket = ask.ticket, of = ask.question.of](bool yes) {
      recorder_->run().counts.persons_acts += 1;
      confirmed(ticket, of, yes);
    });
  }
  template <class R>
  void keep(Save<R> save, const std::function<void(Status)>& done) {
    done(storage_.save(save.record));
  }

  Result<Bytes> sign(const SignRequest& question) {
    TRY(const PrivateKey key, storage_.key(question.key_id));
    if (!question.full) {
      return make_request(key, question.what);
    }
    std::optional<Signer> by;
    if (question.full->by) {
      TRY(PrivateKey own, storage_.key(question.full->by->key_id));
      by = Signer{std::move(own), question.full->by->chain};
    }
    recorder_->run().counts.public_key_operations += 1;
    return est::make_full_request(key, question.what, {question.full->transaction, question.full->nonce}, by);
  }

  void acted() {
    if (hooks_.acted) {
      hooks_.acted();
    }
  }
  void entered(const est::Client::State& state, std::string_view name) {
    if (const auto* failed = std::get_if<est::Client::Failed>(&state)) {
      recorder_->failed(name, failed->why, failed->detail, now());
      end(failed->why.fault == Fault::refused || failed->why.fault == Fault::unauthentic ? "refused" : "failed");
      return;
    }
    const bool waits = std::holds_alternative<est::Client::Waiting>(state) && status_ == 202;
    recorder_->entered(name, client_words(state, status_, delay_), now(),
                       waits ? approval_words(device_) : std::string());
    if (const auto* enrolled = std::get_if<est::Client::Enrolled>(&state)) {
      const Certificate& c = enrolled->result.certificate;
      recorder_->run().obtained = {"certificate " + c.subject.text + " until " + utc_text(c.not_after),
                                   std::to_string(enrolled->result.anchors.size()) + " anchor(s)"};
      end("operational");
    }
  }
  // A late answer or the end of a session that is no longer used.
  void refused(const Error&, const est::Client::Input&) {}
  void broken(const Error& error) {
    broken_ = error;
    recorder_->failed(state_name<est::Client>(engine_.state()), error, {}, now());
    end("failed");
  }

 private:
  void confirmed(std::uint64_t ticket, const Fingerprint& of, bool yes) {
    using Word = Confirmed<Fingerprint>;
    engine_.feed(Done<Word>{
        {ticket}, yes ? Result<Word>(PersonsWord::yes(of)) : Error{Fault::refused, "fingerprint: not confirmed"}});
  }
  void count_handshake(const Session& session, bool own_certificate) {
    const std::size_t path = session.proven ? (*session.proven)->via.size() + 1 : 0;
    recorder_->run().counts.public_key_operations += static_cast<std::uint32_t>(2 + path + (own_certificate ? 1 : 0));
  }
  void end(std::string result) {
    recorder_->end(std::move(result), now());
    schedule_.post([this] { hooks_.ended(engine_.state(), recorder_->run(), broken_); });
  }

  io::Schedule& schedule_;
  Rng& rng_;
  DeviceStorage& storage_;
  Journal* journal_;
  std::string device_;
  Hooks hooks_;
  std::optional<Recorder> recorder_;
  std::optional<Error> broken_;
  est::PlanRef plan_;
  int status_ = 0;    // of the last answer
  Duration delay_{};  // of the last timer
  std::uint64_t timer_ = 0;
  std::unique_ptr<io::RequestClient> client_;
  Engine<est::Client, World> engine_;
};

EstDevice::EstDevice(io::Schedule& schedule, Rng& rng, const Connector& connector, DeviceStorage& storage,
                     Journal* journal, std::string device, Hooks hooks)
    : world_(std::make_unique<World>(schedule, rng, connector, storage, journal, std::move(device), std::move(hooks))) {
}

EstDevice::~EstDevice() = default;

void EstDevice::start(est::PlanRef plan) { world_->start(std::move(plan)); }

void EstDevice::halt() { world_->halt(); }

Connector over_sockets(io::Loop& loop, const io::Guard& guard, Rng& rng) {
  return [&loop, &guard, &rng](const io::HttpsClient::Keys& keys, std::function<void(std::uint64_t)> lost) {
    return io::make_any_client(loop, guard, rng, keys, std::move(lost));
  };
}

}  // namespace imprint
