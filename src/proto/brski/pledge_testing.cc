#include "proto/brski/pledge_testing.h"

#include <algorithm>

#include "proto/brski/registrar_judge.h"
#include "proto/brski/wire.h"
#include "role/table.h"

namespace imprint::brski::testing {
namespace {

template <class... F>
struct Cases : F... {
  using F::operator()...;
};
template <class... F>
Cases(F...) -> Cases<F...>;

constexpr std::string_view kRegistrarHost = "https://registrar.example:8443";

est::Edit registrar_of(std::string_view host) {
  return est::for_host(host, {std::string(eku::kServerAuth), std::string(eku::kCmcRa)});
}

}  // namespace

Players::Players()
    : maker(est::make_root("CN=Maker Root")),
      masa(est::make_below(maker, "CN=MASA", [](CertificateTemplate& t) { t.usage = key_usage::kDigitalSignature; })),
      device(est::make_below(maker, "CN=lamp,serialNumber=LAMP-1")),
      stranger(est::make_root("CN=Nobody")),
      registrar(est::make_below(est::cast().owner, "CN=Registrar", registrar_of("dns:registrar.example"))),
      other_registrar(est::make_below(est::cast().owner, "CN=Registrar 2", registrar_of("dns:registrar.example"))),
      other_domain(est::make_root("CN=Other Domain", registrar_of("dns:registrar.example"))),
      cloud_root(est::make_root("CN=Web Root")),
      cloud(est::make_below(cloud_root, "CN=Maker Cloud", registrar_of("dns:cloud.example"))) {}

const Players& players() {
  static const Players kPlayers;
  return kPlayers;
}

PledgeDesk::PledgeDesk()
    : masa(players().masa),
      chain{players().registrar.certificate, est::cast().owner.certificate},
      cloud_chain{players().cloud.certificate, players().cloud_root.certificate} {
  plan.registrars = {*Uri::parse(kRegistrarHost)};
  plan.identity = Credential{"idevid", {players().device.certificate}};
  plan.voucher_anchors = {players().maker.certificate};
  plan.enrolment.names.subject = *Name::from_text("CN=lamp-1");
  keys_["idevid"] = players().device.key;
}

void PledgeDesk::start() {
  state = Pledge::Idle{};
  inputs_.clear();
  sessions_.clear();
  timer_ = false;
  mind = {};
  inputs_.push_back(Pledge::Start{std::make_shared<const PledgePlan>(plan), imprinted, installed, asked});
}

void PledgeDesk::run() {
  start();
  go(SIZE_MAX);
}

bool PledgeDesk::run_until_cut(std::size_t actions) {
  actions_ = 0;
  start();
  return go(actions);
}

// True if the power went before the end.
bool PledgeDesk::go(std::size_t most_actions) {
  for (std::size_t i = 0; i < 400 && actions_ < most_actions; ++i) {
    if (!inputs_.empty()) {
      const Pledge::Input next = std::move(inputs_.front());
      inputs_.pop_front();
      Pledge::Turn turn(now + clock_is_off, rng_, ticket_);
      auto after = step(Pledge{}, state, next, turn);
      if (!after) {
        refused.push_back(after.error());
        continue;
      }
      ticket_ = turn.next_ticket();
      state = *std::move(after);
      states.emplace_back(state_name<Pledge>(state));
      for (const auto& action : turn.take_actions()) {
        if (actions_++ >= most_actions) {
          return true;
        }
        perform(action);
      }
    } else if (timer_) {
      timer_ = false;
      now = now + delay_;
      inputs_.emplace_back(Timeout{});
    } else {
      return false;
    }
  }
  return actions_ >= most_actions;
}

void PledgeDesk::perform(const Pledge::Turn::Action& action) {
  std::visit(
      Cases{
          [&](const Open& a) { open(a); },
          [&](const SendRequest& a) { send(a); },
          [&](const Close& a) { sessions_.erase(a.session); },
          [&](const Arm& a) {
            timer_ = true;
            delay_ = a.delay;
            rests.push_back(a.delay);
          },
          [&](const Learn& a) { sound = mind.apply(a.change) && sound; },
          [&](const Ask<SignRequestArtifact>& a) { sign_request(a); },
          [&](const Ask<MakeKey>& a) {
            const auto key = PrivateKey::generate(a.question.type);
            keys_["own"] = *key;
            inputs_.push_back(Done<KeyRef>{{a.ticket}, KeyRef{"own", key->public_key()}});
          },
          [&](const Ask<SignRequest>& a) {
            inputs_.push_back(Done<Bytes>{{a.ticket}, make_request(keys_.at(a.question.key_id), a.question.what)});
          },
          [&](const Save<Imprinted>& a) { imprinted = a.record; },
          [&](const Save<est::Asked>& a) { asked = a.record; },
          [&](const Save<est::Installed>& a) {
            installed = a.record;
            asked.reset();
          },
          [](const auto&) {},
      },
      action);
}

void PledgeDesk::open(const Open& action) {
  opened.push_back(action);
  if (lose_connections > 0) {
    lose_connections -= 1;
    inputs_.push_back(Done<SessionRef>{{action.ticket}, Error{Fault::unreachable, "connect: refused"}});
    return;
  }
  auto session = std::make_shared<Session>();
  session->id = ++session_;
  session->trust = action.trust;
  session->host = action.to.host;
  session->presented = action.to.host == "cloud.example" ? cloud_chain : chain;
  session->channel_binding = {1, 2, 3, static_cast<std::uint8_t>(session_)};
  if (action.trust == Trust::anchors) {
    const auto path = verify_chain(session->presented.front(), session->presented, action.anchors,
                                   {Purpose::any, now + clock_is_off, action.judges_time});
    if (!path) {
      inputs_.push_back(Done<SessionRef>{{action.ticket}, path.error()});
      return;
    }
    session->proven = *path;
  }
  if (on_session) {
    on_session(*session, action.to);
  }
  sessions_[session->id] = {session, action.to};
  inputs_.push_back(Done<SessionRef>{{action.ticket}, SessionRef(session)});
}

void PledgeDesk::send(const SendRequest& action) {
  const auto at = sessions_.find(action.session);
  const auto answer = [&](Result<Response> what) {
    inputs_.push_back(Done<Response>{{action.ticket}, std::move(what)});
  };
  if (at == sessions_.end()) {
    return answer(Error{Fault::unreachable, "the session is over"});
  }
  const auto [session, uri] = at->second;
  requests.push_back({action.what, uri, *session});
  Response out = serve(action.what, uri, *session);
  if (on_response) {
    on_response(out, action.what, uri);
  }
  for (auto& [end, times] : lose_answers) {
    if (times > 0 && action.what.path.ends_with(end)) {
      times -= 1;
      sessions_.erase(action.session);
      return answer(Error{Fault::unreachable, "connection"});
    }
  }
  if (out.status == 202 && break_while_waiting) {
    sessions_.erase(action.session);
    answer(std::move(out));
    inputs_.emplace_back(Lost{action.session});
    return;
  }
  if (out.status == 202 && break_behind_waiting) {
    sessions_.erase(action.session);
  }
  answer(std::move(out));
  if (closes) {
    sessions_.erase(action.session);
    inputs_.emplace_back(Lost{action.session});
  }
}

Response PledgeDesk::serve(const Request& request, const Uri& at, const Session& session) {
  const bool coaps = at.scheme == "coaps";
  switch (operation_of(request.path).value_or(Operation::describe)) {
    case Operation::request_voucher:
      if (waits > 0) {
        waits -= 1;
        return coaps ? Response{503, {}, {}, 5} : Response{202, "text/plain", {}, 5};
      }
      return give_voucher(request, coaps ? Form::cose : plan.form);
    case Operation::voucher_status:
    case Operation::enrol_status: {
      const auto telemetry = coaps ? parse_cbor_telemetry(request.body) : parse_json_telemetry(as_text(request.body));
      if (telemetry) {
        told.push_back(*telemetry);
      }
      return {200};
    }
    default:
      break;
  }
  auto seen = std::make_shared<Session>(session);  // as the server sees it
  seen->presented = {players().device.certificate};
  seen->proven =
      *verify_chain(players().device.certificate, {}, {players().maker.certificate}, {Purpose::any, now, true});
  owner.plan.server.scheme = at.scheme;
  return owner.serve(request, seen);
}

Response PledgeDesk::give_voucher(const Request& request, Form form) {
  Quirks quirks;
  quirks.base64_bodies = plan.base64_bodies;
  const auto artifact = read_body(request.body, form, quirks);
  if (!artifact) {
    return {400};
  }
  const Voucher& asked_for = artifact->voucher;
  Voucher out;
  out.assertion = Assertion::proximity;
  out.created_on = DateTime::of(now);
  out.serial_number = asked_for.serial_number;
  out.nonce = asked_for.nonce;
  out.pinned_domain_cert = est::cast().owner.certificate.der;
  if (on_voucher) {
    on_voucher(out, asked_for);
  }
  auto body = sign_voucher(out, form, Signer{masa.key, {masa.certificate}}, plan.content_type);
  if (!body) {
    return {500};
  }
  if (on_signed) {
    on_signed(*body);
  }
  return {200, std::string(media_type(form)), *body};
}

void PledgeDesk::sign_request(const Ask<SignRequestArtifact>& ask) {
  const auto& q = ask.question;
  inputs_.push_back(
      Done<Bytes>{{ask.ticket},
                  signing_fails ? Result<Bytes>(Error{Fault::internal, "key lost"})
                                : sign_voucher(q.what, q.form,
                                               Signer{keys_.at(q.as->key_id),
                                                      q.form == Form::cose ? std::vector<Certificate>{} : q.as->chain},
                                               q.content_type, q.named_voucher)});
}

const Error* PledgeDesk::failure() const {
  const auto* const failed = std::get_if<Pledge::Failed>(&state);
  return failed == nullptr ? nullptr : &failed->why;
}

std::string_view PledgeDesk::rule() const {
  const Error* const why = failure();
  return why == nullptr || why->rule == nullptr ? std::string_view() : why->rule->id;
}

std::vector<PledgeDesk::Sent> PledgeDesk::requests_to(std::string_view end) const {
  std::vector<Sent> out;
  std::ranges::copy_if(requests, std::back_inserter(out), [&](const Sent& s) { return s.what.path.ends_with(end); });
  return out;
}

}  // namespace imprint::brski::testing
