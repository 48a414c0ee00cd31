#include "proto/brski/brski_pair.h"

#include <algorithm>

#include "crypto/cms.h"

namespace imprint::brski::testing {
namespace {

template <class... F>
struct Cases : F... {
  using F::operator()...;
};
template <class... F>
Cases(F...) -> Cases<F...>;  // clang 14 deduces none for aggregates

const Error kPowerOff{Fault::unreachable, "connection: ended"};

// The rule that an answer names, as "(BRSKI-PATH, RFC …".
std::string rule_in(const Response& answer) {
  const std::string text(as_text(answer.body));
  for (const std::string_view family : {"(BRSKI-", "(MASA-", "(EST-"}) {
    if (const auto at = text.find(family); at != std::string::npos) {
      return text.substr(at + 1, text.find(',', at) - at - 1);
    }
  }
  return {};
}

est::Edit as_registrar(std::string_view host) {
  return est::for_host(host, {std::string(eku::kServerAuth), std::string(eku::kCmcRa)});
}

}  // namespace

Trio::Trio() {
  const Players& p = players();
  static const est::Party kMasaServer = est::make_below(p.maker, "CN=MASA TLS", est::for_host("dns:masa.example"));
  masa.signer = p.masa;
  masa.server = kMasaServer;
  masa.config.idevid_anchors = {p.maker.certificate};
  masa.devices["LAMP-1"] = p.device.certificate;
  RegistrarSide& own = add_registrar("registrar.example", est::cast().owner);
  own.who = p.registrar;
  own.config.chain = {p.registrar.certificate, est::cast().owner.certificate};
  plan.registrars = {*Uri::parse("https://registrar.example")};
  plan.voucher_anchors = {p.maker.certificate};
  plan.enrolment.names.subject = *Name::from_text("CN=lamp-1");
  plan.rounds = 1;
  become(p.device);
}

RegistrarSide& Trio::add_registrar(const std::string& host, const est::Party& root) {
  RegistrarSide& out = registrars[host];
  out.who = est::make_below(root, "CN=Registrar", as_registrar("dns:" + host));
  out.config.chain = {out.who.certificate, root.certificate};
  out.masa.url = *Uri::parse("https://masa.example");
  out.masa.anchors = out.masa.voucher_anchors = {players().maker.certificate};
  out.est.issuer = root;
  out.est.config.labels[""].ca_certificates = encode_certs_only({root.certificate.der});
  return out;
}

void Trio::become(const est::Party& idevid) {
  device = DeviceSide{idevid, {}, {}, {}, {{"idevid", idevid.key}}};
  plan.identity = Credential{"idevid", {idevid.certificate}};
}

void Trio::reset() { become(est::Party(device.idevid)); }

void Trio::behave() {
  join = upstream = {};
  pledge_signs = registrar_signs = masa_signs = {};
  on_ruling = {};
  cut.reset();
  rules.clear();
}

std::string_view Trio::rule() const {
  const auto* const failed = std::get_if<Pledge::Failed>(&state);
  return failed == nullptr || failed->why.rule == nullptr ? std::string_view() : failed->why.rule->id;
}

bool Trio::refused(Player by, std::string_view id) const { return rules.contains({by, std::string(id)}); }

std::string Trio::refusals() const {
  constexpr std::array kNames{"pledge", "registrar", "masa"};
  std::string out;
  for (const auto& [by, id] : rules) {
    out.append(kNames.at(static_cast<std::size_t>(by))).append(": ").append(id).append("; ");
  }
  return out;
}

const PledgeRow* Trio::row() const {
  const auto& rows = registrars.at("registrar.example").rows;
  const auto at = rows.find(serial_of(device.idevid.certificate));
  return at == rows.end() ? nullptr : &at->second;
}

void Trio::heard(Player by, const Rule* rule) {
  if (rule != nullptr) {
    rules.emplace(by, rule->id);
  }
}

void Trio::heard(Player by, const Response& answer) {
  if (answer.status >= 400) {
    rules.emplace(by, rule_in(answer));
  }
}

// Whether the power goes before this player's next action. It is back at once, but what was under way is lost.
bool Trio::off(Player who) {
  std::size_t& acted = acted_.at(static_cast<std::size_t>(who));
  if (cut && cut->who == who && acted++ >= cut->after) {
    cut.reset();
    cut_happened_ = true;
    return true;
  }
  return false;
}

// ---- the device ----

bool Trio::run() {
  state = Pledge::Idle{};
  mind = {};
  timer_ = false;
  joined_.clear();
  inputs_.clear();
  inputs_.push_back(
      Pledge::Start{std::make_shared<const PledgePlan>(plan), device.imprinted, device.installed, device.asked});
  return go();
}

bool Trio::go() {
  for (std::size_t i = 0; i < 2000; ++i) {
    if (!inputs_.empty()) {
      const Pledge::Input next = std::move(inputs_.front());
      inputs_.pop_front();
      if (!take(next)) {
        return false;
      }
    } else if (timer_) {
      timer_ = false;
      now = now + delay_;
      inputs_.emplace_back(Timeout{});
    } else {
      break;
    }
  }
  return true;
}

bool Trio::take(const Pledge::Input& input) {
  Pledge::Turn turn(now, rng_, ticket_);
  auto after = step(Pledge{}, state, input, turn);
  if (!after) {
    return true;
  }
  ticket_ = turn.next_ticket();
  state = *std::move(after);
  std::visit(Cases{[&](const Pledge::Complaining& s) { heard(Player::pledge, s.p.last.rule); },
                   [&](const Pledge::Resting& s) { heard(Player::pledge, s.p.last.rule); },
                   [&](const Pledge::Opening& s) { heard(Player::pledge, s.p.last.rule); },
                   [&](const Pledge::Failed& s) { heard(Player::pledge, s.why.rule); }, [](const auto&) {}},
             state);
  for (const auto& action : turn.take_actions()) {
    if (off(Player::pledge)) {
      return false;
    }
    perform(action);
  }
  return true;
}

void Trio::perform(const Pledge::Turn::Action& action) {
  std::visit(Cases{
                 [&](const Open& a) { open(a); },
                 [&](const SendRequest& a) { send(a); },
                 [&](const Close& a) { joined_.erase(a.session); },
                 [&](const Arm& a) {
                   timer_ = true;
                   delay_ = a.delay;
                 },
                 [&](const Learn& a) { sound = mind.apply(a.change) && sound; },
                 [&](const Ask<SignRequestArtifact>& a) {
                   Voucher what = a.question.what;
                   Signer by{device.keys.at(a.question.as->key_id),
                             plan.form == Form::cose ? std::vector<Certificate>{} : a.question.as->chain};
                   if (pledge_signs) {
                     pledge_signs(what, by);
                   }
                   inputs_.emplace_back(Done<Bytes>{
                       {a.ticket},
                       sign_voucher(what, a.question.form, by, a.question.content_type, a.question.named_voucher)});
                 },
                 [&](const Ask<MakeKey>& a) {
                   const std::string id = "key-" + std::to_string(device.keys.size());
                   device.keys[id] = *PrivateKey::generate(a.question.type);
                   inputs_.emplace_back(Done<KeyRef>{{a.ticket}, KeyRef{id, device.keys[id].public_key()}});
                 },
                 [&](const Ask<SignRequest>& a) {
                   inputs_.emplace_back(
                       Done<Bytes>{{a.ticket}, make_request(device.keys.at(a.question.key_id), a.question.what)});
                 },
                 [&](const Save<Imprinted>& a) { device.imprinted = a.record; },
                 [&](const Save<est::Asked>& a) { device.asked = a.record; },
                 [&](const Save<est::Installed>& a) {
                   device.installed = a.record;
                   device.asked.reset();
                 },
                 [](const auto&) {},
             },
             action);
}

void Trio::open(const Open& action) {
  hosts.push_back(action.to.host);
  const auto answer = [&](Result<SessionRef> r) {
    inputs_.emplace_back(Done<SessionRef>{{action.ticket}, std::move(r)});
  };
  const auto at = registrars.find(action.to.host);
  if (at == registrars.end()) {
    return answer(Error{Fault::unreachable, "connect: refused"});
  }
  const std::uint64_t id = ++session_;
  Session client{
      id,       action.trust, action.to.host, at->second.config.chain, {}, Bytes{7, static_cast<std::uint8_t>(id)},
      "TLSv1.3"};
  Session server{id, Trust::anchors, {}, action.as->chain, {}, client.channel_binding, client.protocol};
  const std::vector<Certificate> known{players().maker.certificate, est::cast().owner.certificate,
                                       at->second.config.chain.back()};
  const auto proven = verify_chain(server.presented.front(), server.presented, known, {Purpose::any, now, true});
  if (proven) {
    server.proven = *proven;
  }
  if (join.on_session) {
    join.on_session(client, server);
  }
  if (action.trust == Trust::anchors) {
    const auto path = verify_chain(client.presented.front(), client.presented, action.anchors,
                                   {Purpose::any, now, action.judges_time});
    if (!path) {
      return answer(path.error());
    }
    client.proven = *path;
  }
  joined_[id] = {action.to.host, std::make_shared<const Session>(server)};
  answer(std::make_shared<const Session>(client));
}

void Trio::send(const SendRequest& action) {
  const auto answer = [&](Result<Response> r) { inputs_.emplace_back(Done<Response>{{action.ticket}, std::move(r)}); };
  const auto at = joined_.find(action.session);
  if (at == joined_.end()) {
    return answer(kPowerOff);
  }
  const auto [host, session] = at->second;
  if (join.before) {
    if (const auto why = join.before(action.what)) {
      return answer(*why);
    }
  }
  Request request = action.what;
  if (join.on_request) {
    join.on_request(request);
  }
  asked_registrar.push_back(request);
  if (const auto telemetry = parse_json_telemetry(as_text(request.body)); telemetry) {
    told.push_back(*telemetry);
  }
  Result<Response> out = serve(registrars.at(host), request, session);
  if (out && join.on_response) {
    join.on_response(*out, action.what);
  }
  if (const auto why = join.after ? join.after(action.what) : std::nullopt) {
    out = *why;
  }
  if (!out) {
    joined_.erase(action.session);
  }
  answer(std::move(out));
}

}  // namespace imprint::brski::testing
