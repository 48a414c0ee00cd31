#include "proto/est/pair.h"

#include <algorithm>

#include "codec/base64.h"
#include "crypto/cms.h"
#include "role/step.h"
#include "role/table.h"

namespace imprint {

// The owner's check of a secret, in tests: the pair has compared it.
template <>
struct Checker<KnownSecret> {
  static Verified<KnownSecret> check(KnownSecret secret) { return Verified<KnownSecret>(std::move(secret)); }
};

namespace est {
namespace {

template <class... F>
struct Cases : F... {
  using F::operator()...;
};
template <class... F>
Cases(F...) -> Cases<F...>;  // clang 14 deduces none for aggregates

}  // namespace

Certificate certify(const Party& issuer, std::string_view name, const PublicKey& key, const Edit& edit) {
  CertificateTemplate what;
  what.serial = {0x11};
  what.issuer = issuer.certificate.subject;
  what.subject = *Name::from_text(name);
  what.not_before = kStart - kDay;
  what.not_after = kStart + 365 * kDay;
  what.spki = key.spki;
  what.authority_key_id = key_identifier(issuer.key.public_key());
  if (edit) {
    edit(what);
  }
  return *Certificate::parse(*sign_certificate(issuer.key, what));
}

Party make_root(std::string_view name, const Edit& edit) {
  Party out{*PrivateKey::generate(KeyType::p256), {}};
  out.certificate.subject = *Name::from_text(name);
  out.certificate = certify(out, name, out.key.public_key(), [&](CertificateTemplate& what) {
    as_ca(what);
    if (edit) {
      edit(what);
    }
  });
  return out;
}

Party make_below(const Party& issuer, std::string_view name, const Edit& edit) {
  PrivateKey key = *PrivateKey::generate(KeyType::p256);
  Certificate certificate = certify(issuer, name, key.public_key(), edit);
  return {std::move(key), std::move(certificate)};
}

void as_ca(CertificateTemplate& what) {
  what.is_ca = true;
  what.usage = key_usage::kCertSign | key_usage::kCrlSign;
}

Edit for_host(std::string_view host, std::vector<std::string> extended) {
  return [name = *GeneralName::from_text(host), extended = std::move(extended)](CertificateTemplate& what) {
    what.alt_names = {name};
    what.extended = extended;
  };
}

Cast::Cast()
    : owner(make_root("CN=Owner Root")),
      issuing(make_below(owner, "CN=Owner Issuing CA", as_ca)),
      server(make_below(owner, "CN=EST server", for_host("dns:est.example"))),
      maker(make_root("CN=Maker")),
      device(make_below(maker, "CN=dev-1")),
      old(make_below(owner, "CN=dev-1")) {}

const Cast& cast() {
  static const Cast kCast;
  return kCast;
}

Pair::Pair()
    : server(cast().server),
      client_anchors{cast().maker.certificate, cast().owner.certificate},
      issuer(cast().issuing),
      key_signer(cast().server),
      full_answerer(cast().server) {
  plan.server = *Uri::parse("https://est.example");
  plan.explicit_anchors = {cast().owner.certificate};
  plan.credential = Credential{"idevid", {cast().device.certificate}};
  plan.names.subject = *Name::from_text("CN=dev-1");
  config.labels[""].ca_certificates = encode_certs_only({cast().owner.certificate.der, cast().issuing.certificate.der});
  config.owner_anchors = {cast().owner.certificate};
}

void Pair::run(std::optional<Asked> before) {
  device = Client::Idle{};
  device_mind = {};
  timer_ = false;
  inputs_.clear();
  inputs_.push_back(Client::Start{std::make_shared<const Plan>(plan), std::move(before)});
  for (std::size_t i = 0; i < max_inputs; ++i) {
    if (!inputs_.empty()) {
      const Client::Input next = std::move(inputs_.front());
      inputs_.pop_front();
      feed(next);
    } else if (timer_) {
      timer_ = false;
      now = now + delay_;
      feed(Timeout{});
    } else {
      return;
    }
  }
}

void Pair::feed(const Client::Input& input) {
  Client::Turn turn(now, rng_, next_ticket_);
  auto next = step(Client{}, device, input, turn);
  if (!next) {
    refused.push_back(next.error());
    return;
  }
  next_ticket_ = turn.next_ticket();
  device = *std::move(next);
  states.emplace_back(state_name<Client>(device));
  for (const auto& action : turn.take_actions()) {
    perform(action);
  }
}

void Pair::perform(const Client::Turn::Action& action) {
  std::visit(
      Cases{
          [](const Reply&) {},
          [&](const SendRequest& a) { send(a); },
          [&](const Open& a) { open(a); },
          [&](const Close& a) { open_sessions.erase(a.session); },
          [&](const Arm& a) {
            timer_ = true;
            delay_ = a.delay;
            rests.push_back(a.delay);
          },
          [&](const Learn& a) { sound = device_mind.apply(a.change) && sound; },
          [&](const Ask<MakeKey>& a) {
            if (key_fails) {
              inputs_.push_back(Done<KeyRef>{{a.ticket}, Error{Fault::internal, "no space"}});
              return;
            }
            const std::string id = "key-" + std::to_string(keys.size());
            keys[id] = *PrivateKey::generate(a.question.type);
            inputs_.push_back(Done<KeyRef>{{a.ticket}, KeyRef{id, keys[id].public_key()}});
          },
          [&](const Ask<SignRequest>& a) { sign(a); },
          [&](const Ask<OpenEnvelope>& a) {
            const auto own = keys.find(a.question.key_id);
            auto inside = own == keys.end() ? open_envelope(a.question.message, shared_key)
                                            : open_envelope(a.question.message, own->second);
            if (on_opened) {
              on_opened(inside);
            }
            inputs_.push_back(Done<Secret>{{a.ticket}, std::move(inside)});
          },
          [&](const Ask<KeepKey>& a) {
            const auto key = parse_pkcs8(a.question.pkcs8);
            keys["given"] = key ? *key : PrivateKey{};
            inputs_.push_back(Done<KeyRef>{{a.ticket},
                                           key && !key_fails ? Result<KeyRef>(KeyRef{"given", key->public_key()})
                                                             : Result<KeyRef>(Error{Fault::internal, "no space"})});
          },
          [&](const Ask<ConfirmFingerprint>& a) {
            const bool yes = expected_root && expected_root->fingerprint() == a.question.of.sha256;
            inputs_.push_back(Done<Confirmed<Fingerprint>>{
                {a.ticket},
                yes ? Result<Confirmed<Fingerprint>>(PersonsWord::yes(a.question.of))
                    : Result<Confirmed<Fingerprint>>(Error{Fault::refused, "not this one"})});
          },
          [&](const Save<Asked>& a) { asked = a.record; },
          [&](const Save<Installed>& a) { installed = a.record; },
      },
      action);
}

void Pair::open(const Open& action) {
  opened.push_back(action);
  const auto answer = [&](Result<SessionRef> r) { inputs_.push_back(Done<SessionRef>{{action.ticket}, std::move(r)}); };
  if (lose_connections > 0) {
    --lose_connections;
    return answer(lost_with);
  }
  const std::uint64_t id = ++last_session;
  Session client{id, action.trust, action.to.host, {server.certificate}, {}, {}, "TLSv1.3"};
  client.channel_binding = to_bytes("binding of session " + std::to_string(id));
  Session accepted{id, Trust::anchors, {}, {}, {}, client.channel_binding, client.protocol};
  if (action.srp) {
    if (action.srp->user != user || !same(action.srp->password, Secret(password))) {
      return answer(Error{Fault::malformed, "bad record mac"});
    }
    client.presented.clear();
    client.srp_user = accepted.srp_user = user;
    accepted.srp_record = to_bytes(user);
  } else if (action.trust == Trust::anchors) {
    const auto proven =
        verify_chain(server.certificate, {}, action.anchors, {Purpose::tls_server, now, action.judges_time});
    if (!proven) {
      return answer(proven.error());
    }
    client.proven = *proven;
  }
  if (action.as) {
    accepted.presented = action.as->chain;
    const auto proven =
        verify_chain(accepted.presented.front(), accepted.presented, client_anchors, {Purpose::tls_client, now, true});
    if (proven) {
      accepted.proven = *proven;
    }
  }
  if (on_session) {
    on_session(client, accepted);
  }
  open_sessions[id] = std::make_shared<const Session>(std::move(client));
  server_sessions_[id] = std::make_shared<const Session>(std::move(accepted));
  answer(open_sessions[id]);
}

SessionRef Pair::server_session(std::uint64_t id) const { return server_sessions_.at(id); }

void Pair::send(const SendRequest& action) {
  requests.push_back(action.what);
  const auto answer = [&](Result<Response> r) { inputs_.push_back(Done<Response>{{action.ticket}, std::move(r)}); };
  if (!open_sessions.contains(action.session)) {
    return answer(Error{Fault::unreachable, "connection closed"});
  }
  Request request = action.what;
  if (on_request) {
    on_request(request);
  }
  Response response = serve(request, server_sessions_.at(action.session));
  if (on_response) {
    on_response(response, action.what);
  }
  for (auto& [tail, times] : lose_answers) {
    if (times > 0 && action.what.path.ends_with(tail)) {
      --times;
      return answer(lost_with);
    }
  }
  answer(std::move(response));
  if (closes) {
    open_sessions.erase(action.session);
    inputs_.emplace_back(Lost{action.session});
  }
}

void Pair::sign(const Ask<SignRequest>& ask) {
  if (signing_fails) {
    inputs_.push_back(Done<Bytes>{{ask.ticket}, Error{Fault::internal, "key lost"}});
    return;
  }
  RequestTemplate what = ask.question.what;
  if (on_csr) {
    on_csr(what);
  }
  const auto key = keys.find(ask.question.key_id);
  auto csr = key == keys.end() ? Result<Bytes>(Error{Fault::internal, "no such key"})
             : !ask.question.full
                 ? make_request(key->second, what)
                 : make_full_request(key->second, what, {ask.question.full->transaction, ask.question.full->nonce},
                                     full_signer(ask.question.full->by));
  if (csr && on_signed) {
    on_signed(*csr);
  }
  inputs_.push_back(Done<Bytes>{{ask.ticket}, std::move(csr)});
}

std::optional<Signer> Pair::full_signer(const std::optional<Credential>& by) const {
  const auto key = by ? keys.find(by->key_id) : keys.end();
  return key != keys.end() ? std::optional(Signer{key->second, by->chain}) : std::nullopt;
}

Response Pair::serve(Request request, SessionRef session) {
  request.session = std::move(session);
  Response out;
  const bool coap = plan.server.scheme == "coaps";
  if (coap && request.path == "/.well-known/core") {
    return discovery(request, config);
  }
  const Exchange from{next_exchange_++};
  HttpRequest read = coap ? HttpRequest{std::nullopt, parse_coap_request(from, request, config)}
                          : parse_http_request(from, request, config, now);
  const auto& message = read.message;
  if (message) {
    const std::size_t before = server_refused.size();
    drive(*message, out);
    if (read.full && server_refused.size() > before) {
      blame(*read.full, server_refused.back());
    }
  } else {
    server_refused.push_back(message.error());
    out = wire_error(message.error());
  }
  if (wants_envelope(read.full, out)) {
    const Bytes nonce(16, 0x6e);
    out = *to_full_response(*read.full, out, {full_answerer.key, {full_answerer.certificate}}, nonce, now);
  }
  return coap ? to_coap(std::move(out), request) : to_http(std::move(out), request);
}

void Pair::drive(const ServerMessage& message, Response& out) {
  const Server role(std::make_shared<const ServerConfig>(config));
  Server::State state = Server::Idle{};
  std::deque<Server::Input> inputs;
  std::visit([&](const auto& m) { inputs.push_back(m); }, message);
  std::uint64_t ticket = 1;
  for (; !inputs.empty(); inputs.pop_front()) {
    Server::Turn turn(now, rng_, ticket);
    auto next = step(role, state, inputs.front(), turn);
    if (!next) {
      server_refused.push_back(next.error());
      out = wire_error(next.error());
      return;
    }
    state = *std::move(next);
    ticket = turn.next_ticket();
    for (const auto& action : turn.take_actions()) {
      std::visit(
          Cases{
              [&](const Reply& a) { out = a.what; },
              [&](const Learn& a) { server_mind.apply(a.change); },
              [&](const Ask<Admit>& a) {
                inputs.push_back(Done<Decision>{{a.ticket},
                                                store_fails ? Result<Decision>(Error{Fault::unreachable, "store"})
                                                            : Result<Decision>(decide(a.question))});
              },
              [&](const Ask<MakeKeyFor>& a) {
                auto made = make_key(a.question.delivery);
                if (on_made_key) {
                  on_made_key(made);
                }
                inputs.push_back(Done<MadeKey>{{a.ticket}, std::move(made)});
              },
              [&](const Ask<Issue>& a) {
                const Result<Bytes> der = issue(a.question.grant);
                inputs.push_back(Done<Signed>{{a.ticket}, der ? Result<Signed>(Signed{*der}) : der.error()});
              },
              [&](const Note<Issued>& a) { issued.push_back(a.fact); },
              [&](const Note<Pended>& a) { pended.push_back(a.fact); },
              [&](const Note<Denied>& a) { denied.push_back(a.fact); },
              [](const auto&) {},
          },
          action);
    }
  }
}

Decision Pair::decide(const Admit& q) {
  Decision d;
  d.verdict = Verdict::unauthenticated;
  if (q.session->proven) {
    d.identity = "certificate";
    d.verdict = Verdict::issue;
  } else if (!q.session->srp_record.empty()) {
    d.secret = Checker<KnownSecret>::check({"dev-1", user, true});
    d.spent = user;
    d.verdict = Verdict::issue;
  } else if (q.login && q.login->user == user && same(q.login->password, Secret(password))) {
    d.secret = Checker<KnownSecret>::check({"dev-1", user, true});
    d.spent = user;
    d.verdict = Verdict::issue;
  }
  const auto before = std::ranges::find(issued, q.request_key, &Issued::request_key);
  if (q.request.possession() == nullptr) {
    const KeyWrapping& wrapping = q.request->wrapping;
    d.delivery = KeyDelivery{q.request->key.type, KeyDelivery::InClear{}, wrapping.capabilities};
    if (wrapping.shared_key_id) {
      d.delivery->form = KeyDelivery::SharedKeyId{*wrapping.shared_key_id};
    }
    if (wrapping.own_key_id) {
      d.delivery->form = (*q.session->proven)->leaf;
    }
    d.supersedes = before == issued.end() ? Bytes{} : Certificate::parse(issued.back().certificate)->serial;
  } else if (d.verdict == Verdict::issue && before != issued.end()) {
    d.verdict = Verdict::already;
    d.certificate = before->certificate;
  }
  d.grant.device = "dev-1";
  d.grant.names = {q.request->subject, q.request->alt_names};
  if (q.request->change_names) {
    d.grant.names.subject = q.request->change_names->subject.value_or(Name{});
    d.grant.names.alt_names = q.request->change_names->alt_names.value_or(std::vector<GeneralName>{});
  }
  if (q.request.possession() != nullptr) {
    d.grant.spki = q.request->key.spki;
  }
  if (on_decision) {
    on_decision(d, q);
  }
  return d;
}

Result<MadeKey> Pair::make_key(const KeyDelivery& delivery) {
  TRY(const PrivateKey key, PrivateKey::generate(made_type.value_or(delivery.type)));
  MadeKey out{key.public_key(), delivery.wrapped(), {}};
  if (!delivery.wrapped()) {
    TRY(out.body, encode_pkcs8(key));
    return out;
  }
  const auto* const recipient = std::get_if<Certificate>(&delivery.form);
  const Recipient to = recipient != nullptr ? Recipient(*recipient) : Recipient(shared_key);
  TRY(const Bytes sealed, seal_key(key, to, delivery.capabilities, {key_signer.key, {key_signer.certificate}}));
  out.body = Secret(BytesView(sealed));
  return out;
}

Result<Bytes> Pair::issue(const Grant& grant) {
  if (ca_fails) {
    return Error{Fault::unreachable, "ca"};
  }
  const Party& by = issuer;
  CertificateTemplate what;
  what.serial = {0x20, next_serial_++};
  what.issuer = by.certificate.subject;
  what.subject = grant.names.subject;
  what.alt_names = grant.names.alt_names;
  what.not_before = now - std::chrono::minutes(1);
  what.not_after = now + 30 * kDay;
  what.spki = grant.spki;
  what.authority_key_id = key_identifier(by.key.public_key());
  if (on_issue) {
    on_issue(what);
  }
  return sign_certificate(by.key, what);
}

const Error* Pair::failure() const {
  const auto* failed = std::get_if<Client::Failed>(&device);
  return failed == nullptr ? nullptr : &failed->why;
}

std::string_view Pair::rule() const {
  const Error* why = failure();
  return why == nullptr || why->rule == nullptr ? std::string_view() : why->rule->id;
}

std::string Pair::detail() const {
  const auto* failed = std::get_if<Client::Failed>(&device);
  return failed == nullptr ? std::string() : failed->detail;
}

}  // namespace est
}  // namespace imprint
