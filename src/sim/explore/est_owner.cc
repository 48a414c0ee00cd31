// What happens at the owner's: the server, its store, its policy and its CA.
#include "crypto/cms.h"
#include "crypto/enveloped.h"
#include "proto/est/http.h"
#include "sim/explore/est_step.h"
#include "site/operations.h"

namespace imprint::explore {

using est::Server;

namespace {

constexpr std::uint64_t kAttackerSession = 1000;

// Tickets follow from the state, as the client's do.
std::uint64_t first_ticket(const Server::State& state) {
  return is<Server::Idle>(state) ? 1 : is<Server::Keying>(state) ? 3 : 2;
}

// The certificates in a good answer to a request for one; beside them there may be the key.
Result<std::vector<Certificate>> certificates_in(const Response& answer) {
  if (!answer.parts.empty()) {
    return parse_certs_only(answer.parts.back().body.expose());
  }
  TRY(const Bytes body, est::decode_body(answer.body));
  return parse_certs_only(body);
}

}  // namespace

void EstRules::Step::arrive(std::size_t wire, bool again) {
  const Wire from = (*wires_)[wire];
  if (again) {
    ++w.dups;
  } else {
    auto& requests = wires_.edit()[wire].requests;
    requests.erase(requests.begin());
  }
  const Wire::Sent& sent = from.requests.front();
  // An id that follows from the request: a counter would keep worlds apart that differ in nothing else.
  serve(2 * sent.ticket + (again ? 1 : 0), from, sent, false);
}

// On a connection of its own: by nobody in particular, with all that was sent, or by a device of the site under its own
// certificate.
void EstRules::Step::replay(bool by_insider) {
  ++w.replays;
  Wire wire;
  Session session;
  session.id = kAttackerSession + 2 * w.replays + (by_insider ? 1 : 0);
  session.channel_binding = to_bytes("binding " + std::to_string(session.id));
  Request request = **heard_;
  if (by_insider) {
    session.presented = {cast_.insider};
    session.proven = *verify_chain(cast_.insider, {}, {cast_.maker}, {Purpose::tls_client, kNow, true});
    request.login.reset();
  }
  const std::uint64_t exchange = 2 * session.id;
  wire.server_side = std::make_shared<const Session>(std::move(session));
  serve(exchange, wire, {0, std::move(request)}, true);
}

void EstRules::Step::lose(std::size_t wire) {
  ++w.losses;
  wires_.edit()[wire].cut = true;
}

void EstRules::Step::serve(std::uint64_t exchange, const Wire& wire, const Wire::Sent& sent, bool attacker) {
  Served one;
  one.exchange = {exchange};
  one.ticket = sent.ticket;
  one.session = wire.server_side;
  one.enrols = sent.what.method == Method::post;
  one.attacker = attacker;
  one.rolled = w.rolled;
  one.state = Server::Idle{};
  Request request = sent.what;
  request.session = one.session;
  const auto message = est::parse_request(one.exchange, request, *reign(one.rolled).config);
  if (message) {
    std::visit([&](const auto& m) { feed_served(one, m); }, *message);
  } else {
    one.todo.assign(1, Reply{one.exchange, est::wire_error(message.error())});
  }
  served_.edit().push_back(std::move(one));
}

void EstRules::Step::feed_served(Served& one, const Server::Input& input) {
  SeededRng rng(1);
  Server::Turn turn(kNow, rng, first_ticket(one.state));
  auto next = step(Server(reign(one.rolled).config), one.state, input, turn);
  if (next) {
    one.state = *std::move(next);
    one.todo = turn.take_actions();
    if (setting_.plant == Plant::server_replies_before_note) {
      delay_saves<Note<Issued>, Reply>(one.todo);
    }
  } else if (is<Server::Idle>(one.state)) {
    one.todo.assign(1, Reply{one.exchange, est::wire_error(next.error())});
  }
}

std::string EstRules::Step::act_served(std::size_t i) {
  Served& one = served_.edit()[i];
  const auto action = std::move(one.todo.front());
  one.todo.erase(one.todo.begin());
  std::visit(Cases{
                 [&](const Reply& a) { reply(one, a); },
                 [&](const Learn& a) {
                   check_bare(encode_state(a.change), "a belief of the server");
                   if (!one.mind.apply(a.change)) {
                     wrong("the server's belief does not hold together: " + a.change.belief.id);
                   }
                 },
                 [&](const Note<Issued>& a) { note_issued(one, a.fact); },
                 [&](const Note<Pended>& a) {
                   one.pended = true;
                   note(one, a.fact, &store::MemoryWriter::pended);
                 },
                 [&](const Note<Denied>& a) { note(one, a.fact, &store::MemoryWriter::denied); },
                 [&]<class Q>(const Ask<Q>& q) { one.asked = q; },
                 [&](const auto&) { wrong("the server opens connections or sets timers"); },
             },
             action);
  return "server: " + action_name(action);
}

void EstRules::Step::reply(Served& from, const Reply& r) {
  if (r.to != from.exchange) {
    wrong("the server answers another exchange");
  }
  if (std::exchange(from.replied, true)) {
    wrong("the server answers twice");
  }
  const auto body = est::decode_body(r.what.body);
  check_bare(body ? *body : r.what.body, "an answer");
  if (from.noted && r.what.status != 200) {
    wrong("the server puts a certificate on record and answers with an error");
  }
  if (from.enrols && r.what.status == 200) {
    check_certified(from, r.what);
  }
  if (r.what.status == 202 && !from.pended) {
    wrong("the server says that a request waits, and has no record of it");
  }
  for (std::size_t i = 0; i < wires_->size(); ++i) {
    const Wire& x = (*wires_)[i];
    if (x.server_side->id == from.session->id && x.client_open && !x.cut) {
      wires_.edit()[i].answers.push_back({from.ticket, r.what});
    }
  }
}

void EstRules::Step::check_certified(const Served& from, const Response& answer) {
  const auto sent = certificates_in(answer);
  const auto on_record = [&](const store::CertificateRow& x) { return x.der == sent->front().der; };
  if (!sent || std::ranges::none_of(owner_->certificates, on_record)) {
    return wrong("the server hands out a certificate that the owner has no record of");
  }
  if (from.attacker) {
    wrong("a replayed request gets a certificate");
  }
  if (setting_.mode == Mode::server_key) {
    check_key_given(answer, sent->front());
  }
}

// A key that the owner made leaves in one form only: wrapped for the device, beside the certificate for it.
void EstRules::Step::check_key_given(const Response& answer, const Certificate& certificate) {
  if (answer.parts.size() != 2 || answer.parts.front().content_type != est::kWrappedKeyType) {
    return wrong("the server gives no wrapped key beside the certificate");
  }
  check_bare(answer.parts.back().body.expose(), "the certificates beside a key");
  const auto inside = open_envelope(answer.parts.front().body.expose(), device_key());
  const auto given = inside ? open_signed_key(*inside) : Result<SignedKey>(inside.error());
  if (!given || given->key.public_key() != certificate.key) {
    wrong("the server gives another key than that of the certificate, or to somebody else");
  }
}

// The owner's store takes the fact, or its transaction fails: then nothing after it leaves, and the connection ends.
template <class Fact>
void EstRules::Step::note(Served& from, const Fact& fact,
                          Status (store::MemoryWriter::*how)(const Fact&, Instant, std::string_view)) {
  check_bare(encode_state(fact), "a record of the server");
  store::MemoryWriter store(owner_.edit());
  if ((store.*how)(fact, kNow, "est")) {
    return;
  }
  from.todo.clear();
  from.state = Server::Idle{};
  for (Wire& x : wires_.edit()) {
    x.cut = x.cut || x.server_side->id == from.session->id;
  }
}

void EstRules::Step::note_issued(Served& from, const Issued& fact) {
  if (from.attacker) {
    wrong("a replayed request leads to a certificate");
  }
  if (std::exchange(from.noted, true)) {
    wrong("one exchange leads to two certificates");
  }
  const std::size_t before = owner_->certificates.size();
  const auto entries = [&] {
    return std::ranges::count(owner_->audit, std::string("certificate.issued"), &AuditEntry::action);
  };
  const auto audited = entries();
  note(from, fact, &store::MemoryWriter::issued);
  const std::size_t added = owner_->certificates.size() - before;
  if (entries() != audited + static_cast<std::ptrdiff_t>(added)) {
    wrong("a certificate without its one audit entry");  // I9
  }
  if (added == 0) {
    return;
  }
  check_issued(fact);
}

// What must hold of a certificate on record, whatever the policy thought.
void EstRules::Step::check_issued(const Issued& fact) {
  const auto device = std::ranges::find(owner_->devices, std::string(kDevice), &Device::id);
  if (fact.grant.device != kDevice) {
    wrong("a certificate for another device than the one that asked");
  }
  const auto asked = std::ranges::find(owner_->pending, fact.request_key,
                                       [](const store::PendingRow& p) -> const Bytes& { return p.what.request_key; });
  const bool approved = asked != owner_->pending.end() && asked->state == Admission::approved;
  if (device->admission != Admission::approved && !approved) {
    wrong("a certificate for a device that its owner does not want");
  }
  const auto same_key = [&](const store::CertificateRow& r) { return !r.revoked && r.request_key == fact.request_key; };
  if (std::ranges::count_if(owner_->certificates, same_key) > 1) {
    wrong("two certificates for one request");
  }
  const auto by_token = [](const store::CertificateRow& r) { return r.identity.starts_with("one-time token"); };
  if (std::ranges::count_if(owner_->certificates, by_token) > 1) {
    wrong("one token leads to two certificates");
  }
}

Result<Decision> EstRules::Step::decide(const Admit& q) {
  store::MemoryReader store(*owner_);
  Result<Decision> decision = site::admit(cast_.policy, store, q, kNow);
  if (decision && decision->verdict == Verdict::already) {
    const auto given = std::ranges::find(owner_->certificates, decision->certificate, &store::CertificateRow::der);
    if (given == owner_->certificates.end() || given->revoked) {
      wrong("a revoked certificate is given again");
    }
  }
  return decision;
}

Result<Bytes> EstRules::Step::issue(const Issue& q, const Served& by) const {
  SeededRng rng(by.exchange.id);  // a serial number that follows from the request, for fewer different worlds
  return site::issue(reign(by.rolled).ca, q.grant, kNow, rng);
}

void EstRules::Step::act_of_owner(Status done) {
  if (!done) {
    wrong("the owner cannot have its way: " + std::string(done.error().what));
  }
}

void EstRules::Step::decide_request(const Bytes& request_key, Admission verdict) {
  store::MemoryWriter store(owner_.edit());
  act_of_owner(site::decide_request(store, request_key, verdict, {"admin", kNow}));
}

void EstRules::Step::retire() {
  ++w.acts;
  store::MemoryWriter store(owner_.edit());
  act_of_owner(site::retire_device(store, {std::string(kDevice), std::nullopt}, {"admin", kNow}));
}

void EstRules::Step::revoke(const Bytes& serial) {
  ++w.acts;
  store::MemoryWriter store(owner_.edit());
  act_of_owner(site::revoke_certificate(store, serial, RevocationReason::superseded, {"admin", kNow}));
}

Result<Signed> EstRules::Step::signed_for(const Issue& q, const Served& by) const {
  TRY(Bytes der, issue(q, by));
  return Signed{std::move(der)};
}

// As site::make_key_for() would, but for the key, which follows from the request like the serial number.
Result<MadeKey> EstRules::Step::make_key_for(const MakeKeyFor& q, const Served& by) {
  const auto* const device = std::get_if<Certificate>(&q.delivery.form);
  if (device == nullptr) {
    wrong("the server makes a key that is not for the device alone");
    return Error{Fault::internal, "delivery"};
  }
  const PrivateKey key = toy::key(q.delivery.type, "made for " + std::to_string(by.exchange.id));
  TRY(const Bytes sealed, seal_key(key, *device, q.delivery.capabilities, reign(by.rolled).server));
  return MadeKey{key.public_key(), true, Secret(BytesView(sealed))};
}

void EstRules::Step::answer_served(std::size_t i, bool well) {
  Served& one = served_.edit()[i];
  const ServerQuestion q = *std::exchange(one.asked, std::nullopt);
  std::visit(
      Cases{
          [&](const Ask<Admit>& ask) {
            feed_served(one,
                        Done<Decision>{{ask.ticket}, well ? decide(ask.question) : Error{Fault::unreachable, "store"}});
          },
          [&](const Ask<MakeKeyFor>& ask) {
            feed_served(one, Done<MadeKey>{{ask.ticket},
                                           well ? make_key_for(ask.question, one) : Error{Fault::unreachable, "keys"}});
          },
          [&](const Ask<Issue>& ask) {
            feed_served(one, Done<Signed>{{ask.ticket},
                                          well ? signed_for(ask.question, one) : Error{Fault::unreachable, "ca"}});
          },
      },
      q);
}

void EstRules::Step::server_notices(std::size_t wire) {
  Wire& x = wires_.edit()[wire];
  x.server_open = false;
  x.requests.clear();
  for (Served& one : served_.edit()) {
    if (one.session->id == x.server_side->id && !is<Server::Idle>(one.state)) {
      feed_served(one, Gone{one.exchange});
    }
  }
}

void EstRules::Step::crash_server() {
  ++w.crashes;
  served_.set({});
  for (Wire& x : wires_.edit()) {
    x.server_open = false;
    x.cut = true;
    x.requests.clear();
  }
}

}  // namespace imprint::explore
