#include "sim/explore/est_world.h"

#include "crypto/cms.h"
#include "crypto_toy/toy.h"
#include "sim/explore/est_step.h"
#include "site/operations.h"
#include "site/rollover.h"

namespace imprint::explore {
namespace {

constexpr std::string_view kHost = "est.example";
constexpr std::string_view kServerName = "CN=server", kOwnerName = "CN=owner", kNextName = "CN=next owner";

// A root is its own issuer; the next one outlives the first.
Certificate certificate(const PrivateKey& issuer, std::string_view issuer_name, std::string_view name,
                        const PublicKey& key, std::uint8_t serial) {
  CertificateTemplate what;
  what.serial = {serial};
  what.issuer = *Name::from_text(issuer_name);
  what.subject = *Name::from_text(name);
  what.not_before = kNow - std::chrono::hours(24);
  what.not_after = kNow + std::chrono::hours(24 * 365) * (issuer_name == kNextName ? 2 : 1);
  what.spki = key.spki;
  what.is_ca = issuer_name == name;
  if (name == kServerName) {
    what.alt_names = {*GeneralName::from_text("dns:" + std::string(kHost))};
  }
  return *Certificate::parse(*sign_certificate(issuer, what));
}

// The owner with a root of this name, and a server under it.
Reign reign_of(std::string_view name) {
  const PrivateKey key = toy::key(KeyType::p256, name), server = toy::key(KeyType::p256, kServerName);
  const Certificate root = certificate(key, name, name, key.public_key(), 1);
  return {{key, root, {}}, {server, {certificate(key, name, kServerName, server.public_key(), 2)}}, nullptr};
}

std::shared_ptr<const est::ServerConfig> config_with(const std::vector<Certificate>& ca_certificates, Mode mode) {
  std::vector<Bytes> all;
  for (const Certificate& one : ca_certificates) {
    all.push_back(one.der);
  }
  est::ServerConfig out;
  out.labels[""].ca_certificates = encode_certs_only(all);
  out.labels[""].server_keys = mode == Mode::server_key;
  return std::make_shared<const est::ServerConfig>(std::move(out));
}

// What the owner changes over to. Who holds the root of before is led to it by what the server sends along, and to the
// root itself by what is among the CA certificates.
Reign reign_after(const Reign& first, const Setting& setting) {
  Reign out = reign_of(kNextName);
  std::vector<Certificate> roots{out.ca.certificate, first.ca.certificate};
  SeededRng rng(1);
  if (setting.plant != Plant::owner_sends_no_links) {
    const std::vector<Certificate> links = *site::make_links(first.ca, out.ca, rng);
    out.server.chain.push_back(links.front());
    roots.insert(roots.end(), links.begin(), links.end());
  }
  out.config = config_with(roots, setting.mode);
  return out;
}

est::Plan plan_of(Mode mode, const Certificate& owner, const Certificate& idevid, const Certificate& old) {
  est::Plan plan;
  plan.server = *Uri::parse("https://" + std::string(kHost));
  plan.names = {old.subject, old.alt_names};
  plan.polls = 3;
  if (mode != Mode::bootstrap) {
    plan.explicit_anchors = {owner};
  }
  if (mode == Mode::token) {
    plan.login = Login{std::string(kDevice), Secret(kToken)};
  } else if (mode == Mode::renewal) {
    plan.credential = Credential{"old", {old}};
    plan.renew = true;
  } else {
    plan.credential = Credential{"device", {idevid}};
  }
  if (mode == Mode::server_key) {
    plan.server_key = true;
    plan.wrap = est::WrapKey{"device", false, key_identifier(idevid.key)};
  }
  return plan;
}

struct Known {
  Certificate idevid, insider, old;
};

// The inventory before anybody asks: the device with what it will present, and another one.
Status fill(store::Tables& disk, const Setting& setting, const Secret& pepper, const Known& known) {
  store::MemoryWriter store(disk);
  const site::Act act{"factory", kNow};
  ManifestEntry device;
  device.id = kDevice;
  if (setting.mode == Mode::token) {
    device.one_time = Secret(kToken);
  } else {
    device.idevid = known.idevid;
  }
  TRY(Ok{}, site::register_device(store, pepper, device, act));
  ManifestEntry insider;
  insider.id = kInsider;
  insider.idevid = known.insider;
  TRY(Ok{}, site::register_device(store, pepper, insider, act));
  if (setting.mode == Mode::renewal) {
    Issued before;
    before.grant.device = kDevice;
    before.certificate = known.old.der;
    before.request_key = to_bytes("of before");
    TRY(Ok{}, store.issued(before, kNow, "est"));
  }
  if (setting.approval) {
    TRY(std::optional<Device> waiting, store.device(kDevice));
    waiting->admission = Admission::waiting;
    TRY(Ok{}, store.update_device(*waiting, "cli", "device.waiting"));
  }
  return Ok{};
}

}  // namespace

EstRules::EstRules(Setting setting)
    : setting_(setting), cast_(std::make_unique<Cast>()), pools_(std::make_unique<Pools>()) {
  Cast& c = *cast_;
  c.first = reign_of(kOwnerName);
  c.first.config = config_with({c.first.ca.certificate}, setting.mode);
  c.next = reign_after(c.first, setting);
  c.owner = c.first.ca.certificate;
  const PrivateKey& owner_key = c.first.ca.key;
  const PrivateKey maker_key = toy::key(KeyType::p256, "maker");
  const auto made_by = [](const PrivateKey& issuer, std::string_view issuer_name, std::string_view name,
                          std::uint8_t serial) {
    return certificate(issuer, issuer_name, name, toy::key(KeyType::p256, name).public_key(), serial);
  };
  c.maker = certificate(maker_key, "CN=maker", "CN=maker", maker_key.public_key(), 1);
  c.insider = made_by(maker_key, "CN=maker", "CN=" + std::string(kInsider), 5);
  const Certificate idevid = made_by(maker_key, "CN=maker", "CN=" + std::string(kDevice), 3);
  const Certificate old =
      certificate(owner_key, kOwnerName, "CN=" + std::string(kDevice), toy::key(KeyType::p256, "old").public_key(), 4);
  c.plan = std::make_shared<const est::Plan>(plan_of(setting.mode, c.owner, idevid, old));
  c.policy.profiles[""].server_keys = site::ServerKeys::wrapped;
  c.policy.unknown = site::Unknown::refuse;
  c.policy.owner_anchors = {c.owner};
  if (setting.mode == Mode::rollover) {
    c.policy.owner_anchors.push_back(c.next.ca.certificate);
  }
  c.policy.pepper = Secret("the pepper of the site");
  [[maybe_unused]] const Status ready = fill(c.disk, setting, c.policy.pepper, {idevid, c.insider, old});
  assert(ready);
}

EstRules::~EstRules() = default;

EstWorld EstRules::start() {
  EstWorld w;
  w.disk = pools_->disk.id({});
  w.owner = pools_->owner.id(cast_->disk);
  w.wires = pools_->wires.id({});
  w.served = pools_->served.id({});
  w.heard = pools_->heard.id({});
  Step first(*this, w);
  first.boot();
  return first.done();
}

template <class What>
void EstRules::happen(const EstWorld& world, const Emit& emit, std::string_view label, bool fault, What what) {
  Step s(*this, world);
  if constexpr (std::is_void_v<decltype(what(s))>) {
    what(s);
    s.emit(emit, label, fault);
  } else {
    const std::string exactly = what(s);
    s.emit(emit, exactly, fault);
  }
}

// While somebody's turn has actions left, only these and a power cut there are looked at: whatever the others do
// meanwhile commutes with them.
void EstRules::moves(const EstWorld& world, const Emit& emit) {
  const bool device_busy = !pools_->todo[world.todo].empty();
  const auto& served = pools_->served[world.served];
  const auto busy = std::ranges::find_if(served, [](const Served& x) { return !x.todo.empty(); });
  const bool may_crash = world.crashes < setting_.bounds.crash;
  if (may_crash && (device_busy || busy == served.end()) && !(world.ended && pools_->disk[world.disk].installed)) {
    happen(world, emit, "power cut at the device", true, [](Step& s) { s.crash_device(); });
  }
  if (device_busy) {
    happen(world, emit, {}, false, [](Step& s) { return s.act(); });
    return;
  }
  if (may_crash && (busy != served.end() || world.wires != pools_->no_wires)) {
    happen(world, emit, "power cut at the server", true, [](Step& s) { s.crash_server(); });
  }
  if (busy != served.end()) {
    happen(world, emit, {}, false,
           [&](Step& s) { return s.act_served(static_cast<std::size_t>(busy - served.begin())); });
    return;
  }
  moves_of_device(world, emit);
  moves_of_network(world, emit);
  moves_of_owner(world, emit);
}

void EstRules::moves_of_device(const EstWorld& world, const Emit& emit) {
  const Bounds& b = setting_.bounds;
  const auto& asked = pools_->asked[world.asked];
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const std::string name = action_name(asked[i]);
    happen(world, emit, "device: " + name + " answered", false, [&](Step& s) { s.answer(i, true); });
    const bool is_open = is<Open>(asked[i]);
    if (is_open ? world.losses < b.loss : world.failures < b.failure) {
      happen(world, emit, "device: " + name + " failed", true, [&](Step& s) {
        ++(is_open ? s.world().losses : s.world().failures);
        s.answer(i, false);
      });
    }
  }
  const auto& wires = pools_->wires[world.wires];
  for (std::size_t i = 0; i < wires.size(); ++i) {
    if (wires[i].client_open && !wires[i].answers.empty()) {
      happen(world, emit, "device: reads an answer", false, [&](Step& s) { s.deliver(i); });
    }
    if (wires[i].client_open && wires[i].cut) {
      happen(world, emit, "device: notices that the connection is gone", false, [&](Step& s) { s.notice(i); });
    }
  }
  if (world.timer) {
    happen(world, emit, "device: timer", false, [](Step& s) { s.timeout(); });
  }
}

void EstRules::moves_of_network(const EstWorld& world, const Emit& emit) {
  const Bounds& b = setting_.bounds;
  const auto& wires = pools_->wires[world.wires];
  for (std::size_t i = 0; i < wires.size(); ++i) {
    if (wires[i].server_open && !wires[i].requests.empty()) {
      const std::string path = wires[i].requests.front().what.path;
      happen(world, emit, "server: reads " + path, false, [&](Step& s) { s.arrive(i, false); });
      if (world.dups < b.dup) {
        happen(world, emit, "server: reads " + path + ", and will again", true, [&](Step& s) { s.arrive(i, true); });
      }
    }
    if (!wires[i].cut && world.losses < b.loss) {
      happen(world, emit, "the connection breaks", true, [&](Step& s) { s.lose(i); });
    }
  }
  if (world.replays < b.replay && pools_->heard[world.heard]) {
    happen(world, emit, "somebody else sends the request again", true, [](Step& s) { s.replay(false); });
    happen(world, emit, "another device sends the request again", true, [](Step& s) { s.replay(true); });
  }
}

void EstRules::moves_of_owner(const EstWorld& world, const Emit& emit) {
  const Bounds& b = setting_.bounds;
  const auto& served = pools_->served[world.served];
  for (std::size_t i = 0; i < served.size(); ++i) {
    if (served[i].asked) {
      const std::string name = action_name(*served[i].asked);
      happen(world, emit, "server: " + name + " answered", false, [&](Step& s) { s.answer_served(i, true); });
      if (world.failures < b.failure) {
        happen(world, emit, "server: " + name + " failed", true, [&](Step& s) {
          ++s.world().failures;
          s.answer_served(i, false);
        });
      }
    }
  }
  const auto& wires = pools_->wires[world.wires];
  for (std::size_t i = 0; i < wires.size(); ++i) {
    if (wires[i].cut && wires[i].server_open) {
      happen(world, emit, "server: notices that the connection is gone", false, [&](Step& s) { s.server_notices(i); });
    }
  }
  const store::Tables& owner = pools_->owner[world.owner];
  for (const store::PendingRow& row : owner.pending) {
    if (row.state == Admission::waiting) {
      const Bytes& key = row.what.request_key;
      happen(world, emit, "the administrator approves", false,
             [&](Step& s) { s.decide_request(key, Admission::approved); });
      happen(world, emit, "the administrator refuses", false,
             [&](Step& s) { s.decide_request(key, Admission::refused); });
    }
  }
  if (setting_.mode == Mode::rollover && !world.rolled) {
    happen(world, emit, "the owner changes its root", true, [](Step& s) { s.roll_over(); });
  }
  if (world.acts < b.acts) {
    happen(world, emit, "the owner retires the device", true, [](Step& s) { s.retire(); });
    for (const store::CertificateRow& row : owner.certificates) {
      if (!row.revoked) {
        happen(world, emit, "the owner revokes a certificate", true, [&](Step& s) { s.revoke(row.serial); });
      }
    }
  }
}

EstRules::Step::Step(EstRules& rules, const EstWorld& world)
    : setting_(rules.setting_),
      cast_(*rules.cast_),
      pools_(*rules.pools_),
      w(world),
      asked_(pools_.asked, w.asked),
      disk_(pools_.disk, w.disk),
      mind_(pools_.mind, w.mind),
      owner_(pools_.owner, w.owner),
      wires_(pools_.wires, w.wires),
      served_(pools_.served, w.served),
      heard_(pools_.heard, w.heard) {}

const EstWorld& EstRules::Step::done() {
  settle();
  asked_.put_back();
  disk_.put_back();
  mind_.put_back();
  owner_.put_back();
  wires_.put_back();
  served_.put_back();
  heard_.put_back();
  return w;
}

void EstRules::Step::emit(const Emit& to, std::string_view label, bool fault) {
  done();
  to(w, label, fault, violation_);
}

std::vector<Certificate> EstRules::Step::owner_roots() const {
  std::vector<Certificate> out{cast_.owner};
  if (w.rolled) {
    out.push_back(cast_.next.ca.certificate);
  }
  return out;
}

// Whoever has anchors keeps some by which the owner's server of now is known, and none but the owner's roots: the old
// one goes when the next one is there, and no earlier.
void EstRules::Step::check_anchors() {
  const std::vector<Certificate> roots = owner_roots();
  const std::vector<Certificate>& server = reign(w.rolled).server.chain;
  const auto check = [&](const std::vector<Certificate>& anchors) {
    if (!verify_chain(server.front(), server, anchors, {Purpose::tls_server, kNow, true})) {
      wrong("the client's anchors lead to its owner's server no more");
    }
    if (!std::ranges::all_of(anchors,
                             [&](const Certificate& a) { return std::ranges::find(roots, a) != roots.end(); })) {
      wrong("the client has an anchor that is no root of its owner's");
    }
  };
  std::visit(
      [&](const auto& state) {
        if constexpr (requires { state.p.anchors; }) {
          check(state.p.anchors);
        }
      },
      pools_.client[w.client]);
  if (disk_->installed) {
    check(disk_->installed->anchors);
  }
}

// What is over is forgotten, so that equal worlds look equal.
void EstRules::Step::settle() {
  const auto half_dead = [](const Wire& x) {
    return !x.client_open && (!x.answers.empty() || !x.unanswered.empty() || !x.server_open);
  };
  if (std::ranges::any_of(*wires_, half_dead)) {
    for (Wire& x : wires_.edit()) {
      if (!x.client_open) {
        x.answers.clear();
        x.unanswered.clear();
      }
    }
    std::erase_if(wires_.edit(), [](const Wire& x) { return !x.client_open && !x.server_open; });
  }
  const auto over = [](const Served& x) { return x.todo.empty() && is<est::Server::Idle>(x.state); };
  if (std::ranges::any_of(*served_, over)) {
    std::erase_if(served_.edit(), over);
  }
  using est::Client;
  const Client::State& state = pools_.client[w.client];
  const bool quiet = pools_.todo[w.todo].empty();
  w.well = is<Client::Enrolled>(state);
  w.ended = quiet && (w.well || is<Client::Failed>(state));
  const bool at_rest = w.ended || (quiet && (is<Client::Resting>(state) || is<Client::Waiting>(state)));
  if (at_rest && std::ranges::any_of(*wires_, [](const Wire& x) { return x.client_open && !x.cut; })) {
    wrong("the client rests and leaves a connection open");
  }
  if (setting_.mode == Mode::rollover) {
    check_anchors();
  }
}

Report explore_est(const Setting& setting, std::size_t max_states) {
  EstRules rules(setting);
  return Explorer<EstWorld, EstRules>(rules, max_states).run(rules.start());
}

}  // namespace imprint::explore
