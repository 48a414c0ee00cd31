// Runs for tests: the real client role, stepped against an owner's CA in memory.
#pragma once

#include <deque>

#include "crypto/cms.h"
#include "model/run.h"
#include "proto/est/client.h"
#include "proto/est/messages.h"
#include "role/step.h"
#include "role/table.h"
#include "site/ca.h"

namespace imprint::survey {

inline constexpr Instant kNow{1'800'000'000'000};
inline constexpr Duration kYear = std::chrono::hours(24 * 365);

// An owner with a CA and an EST server, and a device that runs est::Client against it.
class Onboarding {
 public:
  // Runs a plan to its end. The run is named as the program names it.
  Run run(est::Plan plan, std::string mode) {
    run_ = Run{};
    run_.id = "00000000000000" + std::to_string(10 + ++runs_);
    run_.protocol = "est";
    run_.mode = std::move(mode);
    run_.role = "client";
    run_.device = "dev-1";
    run_.started = kNow;
    run_.ended = kNow + Duration(40);
    plan.server = *Uri::parse("https://localhost:8443/.well-known/est");
    plan.names.subject = *Name::from_text("CN=dev-1");
    feed(est::Client::Start{std::make_shared<const est::Plan>(std::move(plan)), {}});
    while (!inputs_.empty()) {
      est::Client::Input input = std::move(inputs_.front());
      inputs_.pop_front();
      take(input);
    }
    state_ = est::Client::Idle{};
    return run_;
  }

  Run certificate() {
    est::Plan plan;
    plan.origins = est::kAllFromFactory;
    plan.explicit_anchors = {ca_.certificate};
    plan.credential = Credential{"idevid", {maker_.certificate}};
    return run(std::move(plan), "certificate");
  }
  Run bootstrap() { return run({}, "bootstrap"); }

  const site::Ca& ca() const { return ca_; }

 private:
  void feed(est::Client::Input input) { inputs_.push_back(std::move(input)); }

  void take(const est::Client::Input& input) {
    est::Client::Turn turn(kNow, rng_, ticket_);
    auto next = step(est::Client{}, state_, input, turn);
    assert(next);
    state_ = *std::move(next);
    ticket_ = turn.next_ticket();
    for (auto& action : turn.take_actions()) {
      std::visit([this](auto& a) { act(a); }, action);
    }
    run_.steps.push_back({std::string(state_name<est::Client>(state_)), {}, kNow, Duration(4), {}, {}});
    run_.result = std::holds_alternative<est::Client::Enrolled>(state_) ? "operational" : "";
  }

  void act(const Learn& a) { run_.beliefs.push_back(a.change); }
  void act(const Open& a) {
    Session session;
    session.id = ++sessions_;
    session.trust = a.trust;
    session.presented = {server_};
    session.channel_binding = Bytes(32, 7);
    if (a.trust == Trust::anchors) {
      session.proven = *verify_chain(server_, {}, a.anchors, {Purpose::tls_server, kNow});
    }
    run_.counts.connections += 1;
    feed(Done<SessionRef>{{a.ticket}, std::make_shared<const Session>(std::move(session))});
  }
  void act(const SendRequest& a) {
    run_.counts.messages += 2;
    run_.counts.round_trips += 1;
    Response answer;
    answer.status = 200;
    if (a.what.path.ends_with("cacerts")) {
      answer.body = est::encode_body(encode_certs_only({ca_.certificate.der}));
    } else if (a.what.path.ends_with("csrattrs")) {
      answer.status = 404;
    } else {
      answer.body = est::encode_body(encode_certs_only({certificate_for(a.what.body)}));
    }
    answer.content_type = "application/pkcs7-mime";
    run_.counts.bytes += static_cast<std::uint32_t>(a.what.body.size() + answer.body.size());
    feed(Done<Response>{{a.ticket}, std::move(answer)});
  }
  void act(const Ask<MakeKey>& a) { feed(Done<KeyRef>{{a.ticket}, KeyRef{"new", device_key_.public_key()}}); }
  void act(const Ask<SignRequest>& a) { feed(Done<Bytes>{{a.ticket}, make_request(device_key_, a.question.what)}); }
  void act(const Ask<ConfirmFingerprint>& a) {
    run_.counts.persons_acts += 1;
    feed(Done<Confirmed<Fingerprint>>{{a.ticket}, PersonsWord::yes(a.question.of)});
  }
  template <class Action>
  void act(const Action&) {}  // records and closed connections leave nothing in a run

  Bytes certificate_for(BytesView body) {
    const auto request = CertificateRequest::parse(*est::decode_body(body));
    Grant grant;
    grant.names.subject = request->subject;
    grant.spki = request->key.spki;
    grant.lifetime = kYear;
    return *site::issue(ca_, grant, kNow, rng_);
  }

  SeededRng rng_{1};
  site::Ca ca_ = *site::make_root(KeyType::p256, *Name::from_text("CN=Owner CA"), kNow, kYear * 10, rng_);
  site::Ca maker_ = *site::make_root(KeyType::p256, *Name::from_text("CN=dev-1,O=Maker"), kNow, kYear * 10, rng_);
  PrivateKey device_key_ = *PrivateKey::generate(KeyType::p256);
  Certificate server_ = *site::issue_server(ca_, PrivateKey::generate(KeyType::p256)->public_key(),
                                            {*GeneralName::from_text("dns:localhost")}, kNow, kYear, rng_);
  est::Client::State state_ = est::Client::Idle{};
  std::deque<est::Client::Input> inputs_;
  std::uint64_t ticket_ = 1, sessions_ = 0, runs_ = 0;
  Run run_;
};

}  // namespace imprint::survey
