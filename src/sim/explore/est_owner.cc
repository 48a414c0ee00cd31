// What happens at the owner's: the server, its store, its policy and its CA.
#include "crypto/cms.h"
#include "proto/est/http.h"
#include "sim/explore/est_step.h"

namespace imprint {

// The owner's check of a secret, as far as this world has one.
template <>
struct Checker<KnownSecret> {
  static Verified<KnownSecret> check(KnownSecret secret) { return Verified<KnownSecret>(std::move(secret)); }
};

namespace explore {

using est::Server;

namespace {

constexpr std::uint64_t kAttackerSession = 1000;

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

void EstRules::Step::replay() {
  ++w.replays;
  Wire wire;
  Session session;
  session.id = kAttackerSession + w.replays;
  session.channel_binding = to_bytes("binding " + std::to_string(session.id));
  wire.server_side = std::make_shared<const Session>(std::move(session));
  serve(2 * kAttackerSession + w.replays, wire, {0, **heard_}, true);
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
  one.state = Server::Idle{};
  one.mind = cast_.site;
  Request request = sent.what;
  request.session = one.session;
  const auto message = est::parse_request(one.exchange, request, *cast_.config);
  if (message) {
    std::visit([&](const auto& m) { feed_served(one, m); }, *message);
  } else {
    one.todo.assign(1, Reply{one.exchange, est::wire_error(message.error())});
  }
  served_.edit().push_back(std::move(one));
}

void EstRules::Step::feed_served(Served& one, const Server::Input& input) {
  SeededRng rng(1);
  Server::Turn turn(kNow, rng, is<Server::Idle>(one.state) ? 1 : 2);
  auto next = step(Server(cast_.config), one.state, input, turn);
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
  const auto once = [](std::vector<Bytes>& all, const Bytes& key) {
    if (std::ranges::find(all, key) == all.end()) {
      all.push_back(key);
    }
  };
  std::visit(Cases{
                 [&](const Reply& a) { reply(one, a); },
                 [&](const Learn& a) {
                   if (!one.mind.apply(a.change)) {
                     wrong("the server's belief does not hold together: " + a.change.belief.id);
                   }
                 },
                 [&](const Note<Issued>& a) { note(one, a.fact); },
                 [&](const Note<Pended>& a) { once(owner_.edit().pending, a.fact.request_key); },
                 [&](const Note<Denied>& a) { once(owner_.edit().denied, a.fact.request_key); },
                 [&]<class Q>(const Ask<Q>& q) { one.asked = q; },
                 [&](const auto&) { wrong("the server opens connections or sets timers"); },
             },
             action);
  return "server: " + action_name(action);
}

void EstRules::Step::reply(const Served& from, const Reply& r) {
  if (r.to != from.exchange) {
    wrong("the server answers another exchange");
  }
  if (from.enrols && r.what.status == 200) {
    const auto der = est::decode_body(r.what.body);
    const auto sent = der ? parse_certs_only(*der) : Result<std::vector<Certificate>>(der.error());
    const auto on_record = [&](const OwnerDisk::Record& x) { return x.certificate == sent->front().der; };
    if (!sent || std::ranges::none_of(owner_->issued, on_record)) {
      wrong("the server hands out a certificate that the owner has no record of");
    }
    if (from.attacker) {
      wrong("a replayed request gets a certificate");
    }
  }
  if (from.enrols && r.what.status == 202 && owner_->pending.empty()) {
    wrong("the server says that a request waits, and has no record of it");
  }
  for (std::size_t i = 0; i < wires_->size(); ++i) {
    const Wire& x = (*wires_)[i];
    if (x.server_side->id == from.session->id && x.client_open && !x.cut) {
      wires_.edit()[i].answers.push_back({from.ticket, r.what});
    }
  }
}

// The store takes no second certificate for one request, and no second use of a token: the transaction fails, nothing
// after it leaves, and the connection ends.
void EstRules::Step::note(Served& from, const Issued& fact) {
  if (from.attacker) {
    wrong("a replayed request leads to a certificate");
  }
  const auto again = [&](const OwnerDisk::Record& r) { return r.request_key == fact.request_key; };
  if (std::ranges::any_of(owner_->issued, again) || (!fact.spent.empty() && owner_->token_spent)) {
    from.todo.clear();
    from.state = Server::Idle{};
    for (Wire& x : wires_.edit()) {
      x.cut = x.cut || x.server_side->id == from.session->id;
    }
    return;
  }
  OwnerDisk& owner = owner_.edit();
  owner.issued.push_back({fact.request_key, fact.certificate});
  owner.token_spent = owner.token_spent || !fact.spent.empty();
}

// The policy of the site in its own order: who is it, do I want it, was it answered before, what does it get.
Decision EstRules::Step::decide(const Admit& q) const {
  const auto answered = std::ranges::find(owner_->issued, q.request_key, &OwnerDisk::Record::request_key);
  const bool was_answered = answered != owner_->issued.end();
  Decision d;
  if (q.session->proven) {
    d.identity = "certificate";
  } else if (q.login && same(q.login->password, Secret(kToken)) && (!owner_->token_spent || was_answered)) {
    d.secret = Checker<KnownSecret>::check({"dev-1", q.login->user, true});
    d.spent = kUser;
  } else {
    d.verdict = Verdict::unauthenticated;
    return d;
  }
  if (w.admission != Admission::approved) {
    d.verdict = w.admission == Admission::waiting ? Verdict::pending : Verdict::refused;
    d.retry_after = std::chrono::seconds(5);
    return d;
  }
  if (was_answered) {
    d.verdict = Verdict::already;
    d.certificate = answered->certificate;
    return d;
  }
  d.verdict = Verdict::issue;
  d.grant.device = "dev-1";
  d.grant.names.subject = q.request->subject;
  d.grant.spki = q.request->key.spki;
  return d;
}

Bytes EstRules::Step::issue(const Issue& q, const Served& by) const {
  CertificateTemplate what;
  what.serial = {static_cast<std::uint8_t>(1 + by.exchange.id / 256), static_cast<std::uint8_t>(by.exchange.id % 256)};
  what.issuer = cast_.owner.subject;
  what.subject = q.grant.names.subject;
  what.not_before = kNow;
  what.not_after = kNow + std::chrono::hours(24);
  what.spki = q.grant.spki;
  return *sign_certificate(cast_.owner_key, what);
}

void EstRules::Step::answer_served(std::size_t i, bool well) {
  Served& one = served_.edit()[i];
  const ServerQuestion q = *std::exchange(one.asked, std::nullopt);
  std::visit(Cases{
                 [&](const Ask<Admit>& ask) {
                   feed_served(one, well ? Done<Decision>{{ask.ticket}, decide(ask.question)}
                                         : Done<Decision>{{ask.ticket}, Error{Fault::unreachable, "store"}});
                 },
                 [&](const Ask<Issue>& ask) {
                   feed_served(one, well ? Done<Bytes>{{ask.ticket}, issue(ask.question, one)}
                                         : Done<Bytes>{{ask.ticket}, Error{Fault::unreachable, "ca"}});
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

}  // namespace explore
}  // namespace imprint
