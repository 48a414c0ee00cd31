// A registrar between a device and a MASA that do as they are told: the real role, connections in memory. For tests.
#pragma once

#include <algorithm>
#include <deque>

#include "crypto/cose.h"
#include "proto/brski/registrar.h"
#include "proto/brski/registrar_rules.h"
#include "proto/brski/rules.h"
#include "proto/est/pair.h"

namespace imprint::brski::testing {

inline constexpr Instant kNow = est::kStart;

struct RegistrarCast {
  est::Party maker = est::make_root("CN=Maker");
  est::Party device = est::make_below(maker, "CN=lamp,serialNumber=SN-1");
  est::Party stranger = est::make_below(maker, "CN=lamp,serialNumber=SN-2");
  est::Party masa_root = est::make_root("CN=MASA TLS");
  est::Party masa = est::make_below(masa_root, "CN=MASA", est::for_host("dns:masa.example"));
  est::Party signer = est::make_below(maker, "CN=MASA signer");
  est::Party owner = est::make_root("CN=Owner");
  est::Party registrar = est::make_below(owner, "CN=Registrar", [](CertificateTemplate& what) {
    what.extended = {std::string(eku::kServerAuth), std::string(eku::kCmcRa), std::string(eku::kClientAuth)};
  });
};
inline const RegistrarCast& registrar_cast() {
  static const RegistrarCast kCast;
  return kCast;
}

class Desk {
 public:
  using Facts = std::variant<PledgeWaits, VoucherObtained, VoucherReported, EnrolmentReported, PledgeRefused>;

  Desk() {
    const auto& c = registrar_cast();
    config.chain = {c.registrar.certificate, c.owner.certificate};
    prove(c.device);
    decision.verdict = AdmitPledge::Decision::Verdict::wanted;
    decision.id = {"SN-1", issuer_key_id(c.device.certificate), to_bytes(sha256(c.device.certificate.key.spki))};
    decision.device = "dev-1";
    decision.masa.url = *Uri::parse("https://masa.example");
    decision.masa.anchors = {c.masa_root.certificate};
    request.kind = Voucher::Kind::request;
    request.serial_number = "SN-1";
    request.assertion = Assertion::proximity;
    request.nonce = std::string("bm9uY2Ugb2YgdGhlIGRldg==");
    request.proximity_registrar_cert = c.registrar.certificate.der;
    voucher.serial_number = "SN-1";
    voucher.assertion = Assertion::proximity;
    voucher.created_on = DateTime::of(kNow);
    voucher.nonce = request.nonce;
    voucher.pinned_domain_cert = c.owner.certificate.der;
    row.id = decision.id;
    row.device = "dev-1";
    row.request = to_bytes("\x30 the registrar's request");
    row.voucher = Bytes{1};
    row.nonce = std::get<std::string>(*request.nonce);
    row.vouchered = row.first = row.last = kNow;
    row.stage = PledgeStage::vouchered;
  }

  void prove(const est::Party& who) {
    const auto& c = registrar_cast();
    session.proven =
        *verify_chain(who.certificate, {}, {c.maker.certificate, c.owner.certificate}, {Purpose::any, kNow, true});
    session.presented = {who.certificate};
  }

  // ---- what is told ----
  RegistrarConfig config;
  Session session;
  Voucher request, voucher;
  est::Party signs = registrar_cast().device;       // the request
  est::Party masa_signs = registrar_cast().signer;  // the voucher
  est::Party masa_answers = registrar_cast().masa;  // at the other end of TLS
  Form form = Form::cms;
  std::string content_type, accept;  // empty: those of the form
  AdmitPledge::Decision decision;
  PledgeRow row;
  std::string certificate;                                   // of Recalled
  std::function<void(Response&, const Request&)> on_answer;  // of the MASA
  std::function<void(Bytes&)> on_body;
  std::optional<Error> connecting_fails, answering_fails, deciding_fails, recalling_fails, signing_fails;
  std::string log = R"({"version":1,"events":[]})";

  // ---- the conversation ----
  Response ask_for_voucher() {
    Request r;
    r.method = Method::post;
    r.path = path_of(Operation::request_voucher);
    r.content_type = content_type.empty() ? std::string(media_type(form)) : content_type;
    r.accept = accept;
    r.body = *sign_voucher(request, form, Signer{signs.key, {signs.certificate}});
    if (on_body) {
      on_body(r.body);
    }
    return serve(std::move(r));
  }
  Response report(Operation what, bool status, const std::string& reason = {}) {
    Request r;
    r.method = Method::post;
    r.path = path_of(what);
    r.content_type = kJsonType;
    r.body = to_bytes(encode_json_telemetry({1, status, reason, {}, {}}));
    return serve(std::move(r));
  }
  Response serve(Request r) {
    r.session = std::make_shared<const Session>(session);
    auto message = parse_registrar_request({7}, r);
    if (!message) {
      return wire_error(message.error());
    }
    std::visit([&](auto&& m) { inputs.emplace_back(std::forward<decltype(m)>(m)); }, *std::move(message));
    run();
    return reply.value_or(Response{});
  }
  void run() {
    while (!inputs.empty()) {
      const Registrar::Input input = std::move(inputs.front());
      inputs.pop_front();
      feed(input);
    }
  }
  void feed(const Registrar::Input& input) {
    const Registrar role(std::make_shared<const RegistrarConfig>(config));
    Registrar::Turn turn(kNow, rng_, next_ticket_);
    auto next = step(role, state, input, turn);
    if (!next) {
      refused.push_back(next.error());
      reply = wire_error(next.error());
      return;
    }
    next_ticket_ = turn.next_ticket();
    state = *std::move(next);
    for (const auto& action : turn.take_actions()) {
      std::visit([&](const auto& one) { perform(one); }, action);
    }
  }
  template <class F>
  const F* fact() const {
    const auto at = std::ranges::find_if(facts, [](const Facts& f) { return std::holds_alternative<F>(f); });
    return at == facts.end() ? nullptr : &std::get<F>(*at);
  }
  bool idle() const { return std::holds_alternative<Registrar::Idle>(state); }

  // ---- afterwards ----
  Registrar::State state = Registrar::Idle{};
  std::optional<Response> reply;
  std::vector<Facts> facts;
  std::vector<std::string> order;  // of facts, requests and replies
  std::vector<Request> asked;      // of the MASA
  std::vector<Open> opened;
  std::vector<std::uint64_t> closed;
  std::vector<Error> refused;
  std::optional<SignRequestArtifact> signed_;
  std::deque<Registrar::Input> inputs;
  bool answers = true;  // the MASA answers at once

 private:
  void perform(const Reply& r) {
    order.emplace_back("reply");
    reply = r.what;
  }
  void perform(const Learn&) {}
  void perform(const Arm&) {}
  void perform(const Close& c) { closed.push_back(c.session); }
  void perform(const Open& o) {
    opened.push_back(o);
    if (connecting_fails) {
      inputs.emplace_back(Done<SessionRef>{{o.ticket}, *connecting_fails});
      return;
    }
    Session masa;
    masa.id = 99;
    masa.host = o.to.host;
    const auto proven = verify_chain(masa_answers.certificate, {}, o.anchors, {Purpose::any, kNow, true});
    if (proven) {
      masa.proven = *proven;
    }
    inputs.emplace_back(Done<SessionRef>{{o.ticket}, std::make_shared<const Session>(masa)});
  }
  void perform(const SendRequest& r) {
    order.emplace_back("request");
    asked.push_back(r.what);
    if (!answers) {
      return;
    }
    if (answering_fails) {
      inputs.emplace_back(Done<Response>{{r.ticket}, *answering_fails});
      return;
    }
    Response out{200};
    if (r.what.path.ends_with(kRequestAuditLog)) {
      out.content_type = kJsonType;
      out.body = to_bytes(log);
    } else {
      out.content_type = media_type(form);
      out.body = *sign_voucher(voucher, form, Signer{masa_signs.key, {masa_signs.certificate}});
    }
    if (on_answer) {
      on_answer(out, r.what);
    }
    inputs.emplace_back(Done<Response>{{r.ticket}, out});
  }
  void perform(const Ask<AdmitPledge>& a) {
    using Answer = AdmitPledge::Decision;
    inputs.emplace_back(
        Done<Answer>{{a.ticket}, deciding_fails ? Result<Answer>(*deciding_fails) : Result<Answer>(decision)});
  }
  void perform(const Ask<SignRequestArtifact>& a) {
    signed_ = a.question;
    const auto& c = registrar_cast();
    Signer by{c.registrar.key, config.chain};
    by.chain.insert(by.chain.end(), a.question.along.begin(), a.question.along.end());
    inputs.emplace_back(Done<Bytes>{{a.ticket},
                                    signing_fails ? Result<Bytes>(*signing_fails)
                                                  : sign_voucher(a.question.what, a.question.form, by,
                                                                 a.question.content_type, a.question.named_voucher)});
  }
  void perform(const Ask<RecallPledge>& a) {
    using Answer = RecallPledge::Recalled;
    inputs.emplace_back(Done<Answer>{
        {a.ticket},
        recalling_fails ? Result<Answer>(*recalling_fails) : Result<Answer>(Answer{row, certificate, decision.masa})});
  }
  template <class F>
  void perform(const Note<F>& n) {
    order.emplace_back("fact");
    facts.emplace_back(n.fact);
  }

  SeededRng rng_{5};
  std::uint64_t next_ticket_ = 1;
};

}  // namespace imprint::brski::testing
