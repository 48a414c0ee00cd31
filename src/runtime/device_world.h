// What every role that a device plays wants of the world around it: its storage, its connections and its timer, on one
// schedule. Each protocol's own device adds its questions and its words.
#pragma once

#include <functional>
#include <memory>

#include "proto/est/fullcmc.h"
#include "runtime/engine.h"
#include "runtime/est_device.h"

namespace imprint {

template <class Role, class Self>
class DeviceWorld {
 public:
  using State = typename Role::State;

  DeviceWorld(io::Schedule& schedule, Rng& rng, const Connector& connector, DeviceStorage& storage, Journal* journal,
              std::string device, DeviceHooks<State> hooks)
      : schedule_(schedule),
        rng_(rng),
        storage_(storage),
        journal_(journal),
        device_(std::move(device)),
        hooks_(std::move(hooks)),
        client_(connector([this](const std::string& id) { return storage_.key(id); },
                          [this](std::uint64_t session) { engine_.feed(Lost{session}); })),
        engine_(Role{}, static_cast<Self&>(*this), typename Role::Idle{}) {}
  DeviceWorld(const DeviceWorld&) = delete;
  DeviceWorld& operator=(const DeviceWorld&) = delete;
  ~DeviceWorld() { schedule_.cancel(timer_); }

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

  void acted() {
    if (hooks_.acted) {
      hooks_.acted();
    }
  }
  // A late answer or the end of a session that is no longer used.
  void refused(const Error&, const typename Role::Input&) {}
  void broken(const Error& error) {
    broken_ = error;
    recorder_->failed(state_name<Role>(engine_.state()), error, {}, now());
    end("failed");
  }

 protected:
  void failed(std::string_view state, const Error& why, const std::string& detail) {
    recorder_->failed(state, why, detail, now());
    end(why.fault == Fault::refused || why.fault == Fault::unauthentic ? "refused" : "failed");
  }
  void operational(const est::Installed& got) {
    const Certificate& c = got.certificate;
    recorder_->run().obtained = {"certificate " + c.subject.text + " until " + utc_text(c.not_after),
                                 std::to_string(got.anchors.size()) + " anchor(s)"};
    end("operational");
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
  DeviceHooks<State> hooks_;
  std::optional<Recorder> recorder_;
  std::optional<Error> broken_;
  std::shared_ptr<const est::Plan> plan_;  // of the enrolment
  int status_ = 0;                         // of the last answer
  Duration delay_{};                       // of the last timer
  std::uint64_t timer_ = 0;
  std::unique_ptr<io::RequestClient> client_;
  Engine<Role, Self> engine_;

 private:
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
  void confirmed(std::uint64_t ticket, const Fingerprint& of, bool yes) {
    using Word = Confirmed<Fingerprint>;
    engine_.feed(Done<Word>{
        {ticket}, yes ? Result<Word>(PersonsWord::yes(of)) : Error{Fault::refused, "fingerprint: not confirmed"}});
  }
  void count_handshake(const Session& session, bool own_certificate) {
    const std::size_t path = session.proven ? (*session.proven)->via.size() + 1 : 0;
    recorder_->run().counts.public_key_operations += static_cast<std::uint32_t>(2 + path + (own_certificate ? 1 : 0));
  }
};

}  // namespace imprint
