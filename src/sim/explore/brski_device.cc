// What happens at the device.
#include "crypto_toy/toy.h"
#include "proto/brski/wire.h"
#include "sim/explore/brski_step.h"

namespace imprint::explore::trio {

using brski::Operation;
using brski::Pledge;

namespace {

constexpr std::uint64_t kTicketsPerSession = 64;  // more than a device asks for between two connections

std::optional<brski::Nonce> nonce_of(const Request& request) {
  const auto artifact = brski::parse_artifact(request.body);
  return artifact ? artifact->voucher.nonce : std::nullopt;
}

}  // namespace

// ---- its power and its turns ----

void Rules::Step::boot() {
  w.todo = pools_.todo.id({});
  asked_.set({});
  mind_.set({});
  w.timer = false;
  check_disk();
  const DeviceDisk& disk = *disk_;
  if (disk.imprinted && disk.imprinted->configured && disk.installed) {
    w.device = pools_.device.id(Pledge::Configured{*disk.imprinted, *disk.installed});
    return;
  }
  w.device = pools_.device.id(Pledge::Idle{});
  const bool enrolled = disk.installed.has_value();
  feed(Pledge::Start{cast_.plan, disk.imprinted, disk.installed, disk.asked});
  if (enrolled && !is<Pledge::Returning>(pools_.device[w.device])) {
    wrong("a device that has its owner's certificate begins anew");
  }
}

bool Rules::Step::feed(const Pledge::Input& input) {
  const Pledge::State& state = pools_.device[w.device];
  const std::uint64_t last = awaited(state);
  // Tickets and nonces follow from the state and not from its history: equal states stay equal.
  const std::uint64_t first = last != 0 ? last + 1 : std::uint64_t{w.sessions} * kTicketsPerSession + 1;
  const std::array memo{std::uint64_t{w.device} << 32U | w.sessions, fingerprint(encode_state(input))};
  auto at = pools_.answers.find(memo);
  if (at == pools_.answers.end()) {
    SeededRng rng(setting_.plant == Plant::device_repeats_nonces ? 1 : w.sessions + 1U);
    Pledge::Turn turn(kNow, rng, first);
    auto next = step(Pledge{}, state, input, turn);
    Pools::Answer result{static_cast<bool>(next), w.device, w.todo};
    if (next) {
      DeviceActions actions = turn.take_actions();
      if (setting_.plant == Plant::device_tells_before_save) {
        delay_saves<Save<brski::Imprinted>, SendRequest>(actions);
      }
      result.device = pools_.device.id(*std::move(next));
      result.todo = pools_.todo.id(std::move(actions));
    }
    at = pools_.answers.emplace(memo, result).first;
  }
  if (at->second.taken) {
    w.device = at->second.device;
    w.todo = at->second.todo;
  }
  return at->second.taken;
}

std::string Rules::Step::act() {
  DeviceActions todo = pools_.todo[w.todo];
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

void Rules::Step::act(const Pledge::Turn::Action& action) {
  const auto unasked = [this] { wrong("the device asks for what it has no need of"); };
  std::visit(Cases{
                 [&](const Reply&) { wrong("the device answers a request that nobody made"); },
                 [&](const SendRequest& a) { send(a); },
                 [&](const Close& a) { close(a.session); },
                 [&](const Arm&) { w.timer = true; },
                 [&](const Learn& a) {
                   if (!mind_.edit().apply(a.change)) {
                     wrong("the device's belief does not hold together: " + a.change.belief.id);
                   }
                 },
                 [&]<class R>(const Save<R>& a) { save(a.record); },
                 [&](const Ask<ConfirmFingerprint>&) { unasked(); },
                 [&](const Ask<OpenEnvelope>&) { unasked(); },
                 [&](const Ask<KeepKey>&) { unasked(); },
                 [&](const auto& question) { asked_.edit().emplace_back(question); },
             },
             action);
}

void Rules::Step::timeout() {
  w.timer = false;
  feed(Timeout{});
}

void Rules::Step::crash_device() {
  ++w.crashes;
  for (Line& x : lines_.edit()) {
    if (x.conversation == Exchange{}) {
      x.wire.client_open = false;
      x.wire.cut = true;
    }
  }
  boot();
}

void Rules::Step::reset_device() {
  crash_device();
  --w.crashes;
  ++w.acts;
  disk_.set({});
  boot();
}

// ---- what it asks for, and what it is answered ----

void Rules::Step::connect(const Open& open) {
  const std::uint64_t id = ++w.sessions;
  const bool first = open.to.host == cast_.domains.front().address.host;
  const Place to = first ? Place::owner : Place::other;
  const Domain& there = domain(to);
  const std::vector<Certificate>& shown = there.registrar.chain;
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
    const auto proven = verify_chain(server.presented.front(), server.presented, {cast_.maker, there.ca.certificate},
                                     {Purpose::tls_client, kNow, true});
    if (proven) {
      server.proven = *proven;
    }
  }
  Line line;
  line.wire.client_side = std::make_shared<const Session>(std::move(client));
  line.wire.server_side = std::make_shared<const Session>(std::move(server));
  line.to = to;
  const SessionRef session = line.wire.client_side;
  lines_.edit().push_back(std::move(line));
  feed(Done<SessionRef>{{open.ticket}, session});
}

void Rules::Step::make_key(const Ask<MakeKey>& ask, bool well) {
  if (!well) {
    feed(Done<KeyRef>{{ask.ticket}, Error{Fault::internal, "disk full"}});
    return;
  }
  auto& keys = disk_.edit().keys;
  const std::string id = "key-" + std::to_string(ask.ticket);
  keys.push_back({id, toy::key(ask.question.type, id).public_key()});
  const KeyRef made = keys.back();
  feed(Done<KeyRef>{{ask.ticket}, made});
}

void Rules::Step::sign(const Ask<SignRequest>& ask, bool well) {
  const auto key = std::ranges::find(disk_->keys, ask.question.key_id, &KeyRef::id);
  if (!well || key == disk_->keys.end()) {
    if (well) {
      wrong("the device signs with a key that it does not hold");
    }
    feed(Done<Bytes>{{ask.ticket}, Error{Fault::internal, "key folder"}});
    return;
  }
  feed(Done<Bytes>{{ask.ticket}, make_request(toy::key(key->key.type, key->id), ask.question.what)});
}

void Rules::Step::sign(const Ask<brski::SignRequestArtifact>& ask, bool well) {
  if (!well) {
    feed(Done<Bytes>{{ask.ticket}, Error{Fault::internal, "key folder"}});
    return;
  }
  const brski::SignRequestArtifact& q = ask.question;
  Signer by{toy::key(KeyType::p256, kIdevidKey), {}};
  if (q.form != brski::Form::cose) {
    by.chain = q.as->chain;
  }
  feed(Done<Bytes>{{ask.ticket}, brski::sign_voucher(q.what, q.form, by, q.content_type, q.named_voucher)});
}

void Rules::Step::answer(bool well) {
  auto& all = asked_.edit();
  const DeviceQuestion question = all.front();
  all.erase(all.begin());
  std::visit(Cases{
                 [&](const Open& open) {
                   if (well) {
                     return connect(open);
                   }
                   feed(Done<SessionRef>{{open.ticket}, Error{Fault::unreachable, "connection"}});
                 },
                 [&](const Ask<MakeKey>& ask) { make_key(ask, well); },
                 [&](const auto& ask) { sign(ask, well); },
             },
             question);
}

// ---- what leaves it ----

void Rules::Step::send(const SendRequest& action) {
  auto& lines = lines_.edit();
  const auto line = std::ranges::find_if(lines, [&](const Line& x) {
    return x.conversation == Exchange{} && x.wire.client_open && x.wire.client_side->id == action.session;
  });
  if (line == lines.end()) {
    return send_to_nobody({}, Place::owner, action);
  }
  check_sent(*line, action.what);
  if (brski::operation_of(action.what.path) == Operation::request_voucher) {
    heard_.edit().of_device = action.what;
    heard_.edit().at = line->to;
  }
  line->wire.unanswered.push_back(action.ticket);
  if (!line->wire.cut) {
    line->wire.requests.push_back({action.ticket, action.what});
  }
}

void Rules::Step::check_sent(const Line& line, const Request& request) {
  if (as_text(request.body).find("BEGIN TOY KEY") != std::string_view::npos) {
    wrong("a key leaves the device");
  }
  const auto operation = brski::operation_of(request.path);
  if (operation == Operation::request_voucher) {
    check_request(line, request);
  } else if (operation) {
    check_report(line, *operation, request);
  } else {
    check_enrols(line, request);
  }
}

// It asks for itself, by a nonce of its own, and names whom it asks.
void Rules::Step::check_request(const Line& line, const Request& request) {
  const auto artifact = brski::parse_artifact(request.body);
  if (!artifact || artifact->voucher.serial_number != kDevice) {
    return wrong("the device asks for another one, or for nothing that can be read");
  }
  const brski::Voucher& v = artifact->voucher;
  const Certificate& there = line.wire.client_side->presented.front();
  const bool named = v.proximity_registrar_cert == there.der || v.proximity_registrar_pubk == there.key.spki;
  if (!named || !v.nonce) {
    wrong("the device's request names another registrar than the one that it goes to, or has no nonce");
  }
  const std::optional<Request>& before = heard_->of_device;
  // The very same octets go once more if the registrar has asked for time (RFC 8995 section 5.6), and never else.
  const auto* const asking = std::get_if<Pledge::Asking>(&pools_.device[w.device]);
  const bool was_put_off = asking != nullptr && asking->p.polls > 0 && before && before->body == request.body;
  if (before && nonce_of(*before) == v.nonce && !was_put_off) {
    wrong("the device asks twice with one nonce");
  }
}

// What it reports to be so is so on its disk, for that registrar.
void Rules::Step::check_report(const Line& line, Operation operation, const Request& request) {
  const auto telemetry = brski::parse_json_telemetry(as_text(request.body));
  if (!telemetry) {
    return wrong("the device reports what cannot be read");
  }
  if (!telemetry->status) {
    return;
  }
  const std::optional<brski::Imprinted>& owner = disk_->imprinted;
  if (!owner || !leads_to(line.wire.client_side->presented, owner->pinned)) {
    wrong("the device tells somebody that its voucher is good, and its disk does not know that owner");
  }
  if (operation == Operation::enrol_status && !disk_->installed) {
    wrong("the device tells that it is enrolled, and its disk has no certificate");
  }
}

// EST is for the owner that a voucher has named, and for nobody before.
void Rules::Step::check_enrols(const Line& line, const Request& request) {
  const std::optional<brski::Imprinted>& owner = disk_->imprinted;
  if (!owner || !leads_to(line.wire.client_side->presented, owner->pinned)) {
    return wrong("the device begins to enrol, and its disk knows no owner by a voucher who is there");
  }
  if (request.method != Method::post) {
    return;
  }
  const auto der = est::decode_body(request.body);
  const auto csr = der ? CertificateRequest::parse(*der) : Result<CertificateRequest>(der.error());
  if (!csr || !disk_->asked || disk_->asked->key.key != csr->key) {
    wrong("a request is on its way, and the device's disk does not know its key");
  }
}

void Rules::Step::close(std::uint64_t session) {
  for (Line& x : lines_.edit()) {
    if (x.conversation == Exchange{} && x.wire.client_side->id == session) {
      x.wire.client_open = false;
      x.wire.cut = true;
    }
  }
}

// ---- what it keeps ----

void Rules::Step::save(const est::Asked& record) {
  disk_.edit().asked = record;
  check_disk();
}

void Rules::Step::save(const est::Installed& record) {
  const std::optional<Place> place = disk_->imprinted ? place_of(disk_->imprinted->pinned) : std::nullopt;
  if (!place) {
    return wrong("half imprinted: a certificate, and no owner");
  }
  const store::Tables& owner = *owners_[number(*place)];
  const auto row = std::ranges::find(owner.certificates, record.certificate.der, &store::CertificateRow::der);
  if (row == owner.certificates.end() || row->device != kDevice) {
    wrong("the device installs a certificate that its owner has no record of");
  }
  disk_.edit().installed = record;
  disk_.edit().asked.reset();
  check_disk();
}

void Rules::Step::save(const brski::Imprinted& record) {
  check_imprinted(record);
  if (setting_.plant != Plant::device_keeps_no_owner || record.configured) {
    disk_.edit().imprinted = record;
  }
  check_disk();
}

// Whom the device takes for its owner, its maker has named in a voucher that is on record, for this very request.
void Rules::Step::check_imprinted(const brski::Imprinted& record) {
  const auto artifact = brski::parse_artifact(record.voucher);
  const store::GivenVoucher* const on_record = given(record.voucher);
  if (!artifact || on_record == nullptr || on_record->entry.serial != kDevice) {
    return wrong("the device takes a voucher that its maker has no record of, or not for it");
  }
  const std::optional<Place> place = place_of(record.pinned);
  if (!place || on_record->entry.pinned_key != key_digest(record.pinned)) {
    return wrong("the device trusts a domain that its maker did not name");
  }
  if (record.configured) {
    return;
  }
  if (disk_->installed) {
    wrong("a device that has its owner's certificate takes another owner");
  }
  // The one on its disk it may take up again when the power is back: that was looked at when it came.
  const bool on_disk = disk_->imprinted && disk_->imprinted->voucher == record.voucher;
  const std::optional<brski::Nonce>& nonce = artifact->voucher.nonce;
  const bool may_lack = setting_.mode == Mode::nonceless;
  const bool is_fresh = nonce ? heard_->of_device && nonce_of(*heard_->of_device) == nonce : may_lack;
  if (!is_fresh && !on_disk) {
    wrong("the device takes a voucher of before");
  }
  if (w.acts == 0 && w.holder != number(*place) + 1) {
    wrong("the device of one owner becomes another's");
  }
}

// What a power cut would leave now is a device that has an owner altogether, or none.
void Rules::Step::check_disk() {
  const DeviceDisk& d = *disk_;
  const auto held = [&](const KeyRef& key) { return std::ranges::find(d.keys, key) != d.keys.end(); };
  if (d.asked && !held(d.asked->key)) {
    wrong("half imprinted: a request, and no key for it");
  }
  if (d.imprinted && d.imprinted->configured && !d.installed) {
    wrong("half imprinted: configured, and no certificate");
  }
  if (!d.installed) {
    return;
  }
  if (!d.imprinted) {
    return wrong("half imprinted: a certificate, and no owner");
  }
  const est::Installed& got = *d.installed;
  if (!held(got.key) || got.certificate.key != got.key.key) {
    wrong("half imprinted: a certificate, and not its key");
  }
  const std::vector<Certificate> owner{d.imprinted->pinned};
  if (!verify_chain(got.certificate, got.via, owner, {Purpose::any, kNow, true}) ||
      std::ranges::any_of(got.anchors, [&](const Certificate& c) { return c != owner.front(); })) {
    wrong("half imprinted: certificate or anchors of another than its owner");
  }
}

}  // namespace imprint::explore::trio
