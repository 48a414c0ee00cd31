// What happens at the device.
#include "crypto/enveloped.h"
#include "crypto_toy/toy.h"
#include "sim/explore/est_step.h"

namespace imprint::explore {

using est::Client;

namespace {

constexpr std::uint64_t kTicketsPerSession = 16;  // more than a client asks for on one connection

}  // namespace

void EstRules::Step::check_bare(BytesView bytes, std::string_view where) {
  const std::string_view text = as_text(bytes);
  for (const std::string_view secret : {kToken, std::string_view("BEGIN TOY KEY")}) {
    if (text.find(secret) != std::string_view::npos) {
      wrong("a secret shows in " + std::string(where));
    }
  }
}

void EstRules::Step::boot() {
  w.client = pools_.client.id(Client::Idle{});
  w.todo = pools_.todo.id({});
  asked_.set({});
  mind_.set({});
  w.timer = false;
  if (disk_->installed) {
    w.client = pools_.client.id(Client::Enrolled{*disk_->installed});
  } else {
    feed(Client::Start{cast_.plan, disk_->asked});
  }
}

bool EstRules::Step::feed(const Client::Input& input) {
  const Client::State& state = pools_.client[w.client];
  const std::uint64_t last = awaited(state);
  // Tickets follow from the state and not from its history: equal states stay equal.
  const std::uint64_t first = last != 0 ? last + 1 : std::uint64_t{w.sessions} * kTicketsPerSession + 1;
  const std::array memo{std::uint64_t{w.client} << 32U | w.sessions, fingerprint(encode_state(input))};
  auto at = pools_.answers.find(memo);
  if (at == pools_.answers.end()) {
    SeededRng rng(1);
    Client::Turn turn(kNow, rng, first);
    auto next = step(Client{}, state, input, turn);
    Pools::Answer result{static_cast<bool>(next), w.client, w.todo};
    if (next) {
      ClientActions actions = turn.take_actions();
      if (setting_.plant == Plant::client_sends_before_save) {
        delay_saves<Save<est::Asked>, SendRequest>(actions);
      }
      result.client = pools_.client.id(*std::move(next));
      result.todo = pools_.todo.id(std::move(actions));
    }
    at = pools_.answers.emplace(memo, result).first;
  }
  if (at->second.taken) {
    w.client = at->second.client;
    w.todo = at->second.todo;
  }
  return at->second.taken;
}

std::string EstRules::Step::act() {
  ClientActions todo = pools_.todo[w.todo];
  std::string name;
  for (bool more = true; more;) {
    const auto action = std::move(todo.front());
    todo.erase(todo.begin());
    act(action);
    name = action_name(action);
    more = is<Learn>(action) && !todo.empty();  // changes memory alone: a power cut after it is one before it
  }
  w.todo = pools_.todo.id(std::move(todo));
  return "device: " + name;
}

void EstRules::Step::act(const Client::Turn::Action& action) {
  std::visit(Cases{
                 [&](const Reply&) { wrong("the client answers a request that nobody made"); },
                 [&](const SendRequest& a) { send(a); },
                 [&](const Close& a) { close(a.session); },
                 [&](const Arm&) { w.timer = true; },
                 [&](const Learn& a) {
                   check_bare(encode_state(a.change), "a belief of the device");
                   if (!mind_.edit().apply(a.change)) {
                     wrong("the client's belief does not hold together: " + a.change.belief.id);
                   }
                 },
                 [&]<class R>(const Save<R>& a) { save(a.record); },
                 [&](const auto& question) { asked_.edit().emplace_back(question); },
             },
             action);
}

void EstRules::Step::send(const SendRequest& action) {
  auto& wires = wires_.edit();
  const auto wire =
      std::ranges::find_if(wires, [&](const Wire& x) { return x.client_open && x.client_side->id == action.session; });
  if (wire == wires.end()) {
    return wrong("a request on a connection that the client has closed");
  }
  check_sent(*wire, action.what);
  wire->unanswered.push_back(action.ticket);
  if (!wire->cut) {
    wire->requests.push_back({action.ticket, action.what});
  }
  if (setting_.bounds.replay > 0 && action.what.method == Method::post) {
    heard_.set(action.what);
  }
}

void EstRules::Step::check_sent(const Wire& wire, const Request& request) {
  const bool provisional = wire.client_side->trust == Trust::provisional;
  const bool is_cacerts = request.method == Method::get && request.path.ends_with("/cacerts");
  if (provisional && (!is_cacerts || request.login || !request.body.empty())) {
    wrong("more than GET cacerts on a connection to nobody in particular");
  }
  if (request.login && !wire.client_side->proven) {
    wrong("a password for a server that nobody has proven");
  }
  for (const std::string* text : {&request.path, &request.query, &request.content_type, &request.accept}) {
    check_bare(view(*text), "a request");
  }
  if (request.method != Method::post) {
    return;
  }
  const auto der = est::decode_body(request.body);
  const auto csr = der ? CertificateRequest::parse(*der) : Result<CertificateRequest>(der.error());
  check_bare(der ? *der : request.body, "a request");
  if (!csr) {
    wrong("the client sends a request that cannot be read");
  } else if (!disk_->asked || disk_->asked->key.key != csr->key) {
    wrong("a request is on its way, and the client's disk does not know its key");
  }
}

void EstRules::Step::close(std::uint64_t session) {
  for (Wire& x : wires_.edit()) {
    if (x.client_side->id == session) {
      x.client_open = false;
      x.cut = true;
    }
  }
}

void EstRules::Step::save(const est::Asked& record) {
  check_bare(encode_state(record), "a record of the device");
  disk_.edit().asked = record;
}

void EstRules::Step::save(const est::Installed& record) {
  check_bare(encode_state(record), "a record of the device");
  const auto row = std::ranges::find(owner_->certificates, record.certificate.der, &store::CertificateRow::der);
  if (row == owner_->certificates.end()) {
    wrong("the client installs a certificate that the owner has no record of");
  } else if (row->device != kDevice) {  // I7: both sides mean the same device
    wrong("the client installs a certificate that the owner gave to another device");
  }
  if (std::ranges::find(disk_->keys, record.key) == disk_->keys.end() || record.certificate.key != record.key.key) {
    wrong("the client installs a certificate for a key that it does not hold");
  }
  if (!verify_chain(record.certificate, record.via, owner_roots(), {Purpose::any, kNow, true})) {
    wrong("the client installs a certificate that is not its owner's");
  }
  disk_.edit().installed = record;
}

void EstRules::Step::connect(const Open& open) {
  const std::uint64_t id = ++w.sessions;
  const std::vector<Certificate>& shown = reign(w.rolled).server.chain;
  Session client{id, open.trust, open.to.host, shown, {}, to_bytes("binding " + std::to_string(id)), "TLSv1.3"};
  if (open.trust == Trust::anchors) {
    const auto proven = verify_chain(shown.front(), shown, open.anchors, {Purpose::tls_server, kNow, true});
    if (!proven) {
      feed(Done<SessionRef>{{open.ticket}, proven.error()});
      return;
    }
    client.proven = *proven;
  }
  Session server{id, Trust::anchors, {}, {}, {}, client.channel_binding, client.protocol};
  if (open.as) {
    server.presented = open.as->chain;
    const auto proven = verify_chain(server.presented.front(), server.presented, {cast_.maker, cast_.owner},
                                     {Purpose::tls_client, kNow, true});
    if (proven) {
      server.proven = *proven;
    }
  }
  Wire wire;
  wire.client_side = std::make_shared<const Session>(std::move(client));
  wire.server_side = std::make_shared<const Session>(std::move(server));
  const SessionRef session = wire.client_side;
  wires_.edit().push_back(std::move(wire));
  feed(Done<SessionRef>{{open.ticket}, session});
}

void EstRules::Step::make_key(const Ask<MakeKey>& ask, bool well) {
  if (!well) {
    feed(Done<KeyRef>{{ask.ticket}, Error{Fault::internal, "disk full"}});
    return;
  }
  auto& keys = disk_.edit().keys;
  const std::string id = "key-" + std::to_string(keys.size());
  keys.push_back({id, toy::key(ask.question.type, id).public_key()});
  const KeyRef made = keys.back();
  feed(Done<KeyRef>{{ask.ticket}, made});
}

void EstRules::Step::sign(const Ask<SignRequest>& ask, bool well) {
  if (!well) {
    feed(Done<Bytes>{{ask.ticket}, Error{Fault::internal, "key folder"}});
    return;
  }
  const auto key = std::ranges::find(disk_->keys, ask.question.key_id, &KeyRef::id);
  if (key == disk_->keys.end()) {
    return wrong("the client signs with a key that it does not hold");
  }
  feed(Done<Bytes>{{ask.ticket}, make_request(toy::key(key->key.type, key->id), ask.question.what)});
}

void EstRules::Step::confirm(const Ask<ConfirmFingerprint>& ask, bool well) {
  if (well && ask.question.of.sha256 == cast_.owner.fingerprint()) {
    feed(Done<Confirmed<Fingerprint>>{{ask.ticket}, PersonsWord::yes(ask.question.of)});
  } else {
    feed(Done<Confirmed<Fingerprint>>{{ask.ticket}, Error{Fault::refused, "not the one"}});
  }
}

void EstRules::Step::unwrap(const Ask<OpenEnvelope>& ask, bool well) {
  if (!well) {
    feed(Done<Secret>{{ask.ticket}, Error{Fault::internal, "key folder"}});
    return;
  }
  feed(Done<Secret>{{ask.ticket}, open_envelope(ask.question.message, device_key())});
}

void EstRules::Step::keep_key(const Ask<KeepKey>& ask, bool well) {
  if (!well) {
    feed(Done<KeyRef>{{ask.ticket}, Error{Fault::internal, "disk full"}});
    return;
  }
  const auto key = parse_pkcs8(ask.question.pkcs8);
  if (!key) {
    return wrong("the client keeps what is no key");
  }
  const KeyRef kept{"kept-" + std::to_string(disk_->keys.size()), key->public_key()};
  if (setting_.plant != Plant::device_keeps_no_key) {
    disk_.edit().keys.push_back(kept);
  }
  feed(Done<KeyRef>{{ask.ticket}, kept});
}

void EstRules::Step::answer(std::size_t question, bool well) {
  auto& all = asked_.edit();
  const ClientQuestion q = all[question];
  all.erase(all.begin() + static_cast<std::ptrdiff_t>(question));
  std::visit(Cases{
                 [&](const Open& open) {
                   if (well) {
                     return connect(open);
                   }
                   feed(Done<SessionRef>{{open.ticket}, Error{Fault::unreachable, "connection"}});
                 },
                 [&](const Ask<MakeKey>& ask) { make_key(ask, well); },
                 [&](const Ask<SignRequest>& ask) { sign(ask, well); },
                 [&](const Ask<ConfirmFingerprint>& ask) { confirm(ask, well); },
                 [&](const Ask<OpenEnvelope>& ask) { unwrap(ask, well); },
                 [&](const Ask<KeepKey>& ask) { keep_key(ask, well); },
             },
             q);
}

void EstRules::Step::deliver(std::size_t wire) {
  Wire& x = wires_.edit()[wire];
  const Wire::Answer got = x.answers.front();
  x.answers.erase(x.answers.begin());
  const bool waited_for = std::erase(x.unanswered, got.ticket) > 0;
  const bool taken = feed(Done<Response>{{got.ticket}, got.what});
  if (taken && !waited_for) {
    wrong("the client takes the answer to one request twice");
  }
}

void EstRules::Step::notice(std::size_t wire) {
  Wire& x = wires_.edit()[wire];
  x.client_open = false;
  const auto unanswered = std::exchange(x.unanswered, {});
  const std::uint64_t session = x.client_side->id;
  for (const std::uint64_t ticket : unanswered) {
    feed(Done<Response>{{ticket}, Error{Fault::unreachable, "connection"}});
  }
  if (unanswered.empty()) {
    feed(Lost{session});
  }
}

void EstRules::Step::timeout() {
  w.timer = false;
  feed(Timeout{});
}

void EstRules::Step::crash_device() {
  ++w.crashes;
  for (Wire& x : wires_.edit()) {
    x.client_open = false;
    x.cut = true;
  }
  boot();
}

}  // namespace imprint::explore
