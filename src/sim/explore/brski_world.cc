#include "sim/explore/brski_world.h"

#include "sim/explore/brski_step.h"

namespace imprint::explore::trio {

using brski::Pledge;

namespace {

constexpr std::uint8_t kMostSessions = 8;
constexpr std::array kOwnerPlaces{Place::owner, Place::other};
constexpr std::array kPlaces{Place::owner, Place::other, Place::maker};

std::string name_of(Place place) {
  return place == Place::maker ? "the maker's" : place == Place::owner ? "the owner's" : "the other owner's";
}

bool rests(const Talk& talk) {
  return std::visit(
      []<class T>(const T& t) { return t.todo.empty() && std::holds_alternative<typename T::Role::Idle>(t.state); },
      talk);
}

template <class T>
std::string question_name(const T& talk) {
  return talk.asked ? action_name(*talk.asked) : std::string();
}

// Whether such a run may end with a failure that the device reports: nobody says yes, or what it needs once does not
// come. Else it has to come to its owner from everywhere.
bool may_fail(const Setting& setting) { return setting.mode == Mode::approval || setting.bounds.failure > 0; }

}  // namespace

Rules::Rules(Setting setting)
    : setting_(setting), cast_(std::make_unique<Cast>(make_cast(setting))), pools_(std::make_unique<Pools>()) {}

Rules::~Rules() = default;

World Rules::start() {
  World out;
  out.disk = pools_->disk.id({});
  out.maker = pools_->maker.id(cast_->book);
  out.lines = pools_->lines.id({});
  out.served = pools_->served.id({});
  out.heard = pools_->heard.id({});
  for (std::size_t i = 0; i < kOwners; ++i) {
    out.owners.at(i) = pools_->owners.id(cast_->domains.at(i).disk);
  }
  out.holder = cast_->holder;
  Step first(*this, out);
  first.boot();
  return first.done();
}

template <class What>
void Rules::happen(const World& world, const Emit& emit, std::string_view label, bool fault, What what) {
  Step s(*this, world);
  if constexpr (std::is_void_v<decltype(what(s))>) {
    what(s);
    s.emit(emit, label, fault);
  } else {
    const std::string exactly = what(s);
    s.emit(emit, exactly, fault);
  }
}

// While somebody has something to do that no other can see or change, only this and a power cut there are looked at:
// whatever the others do meanwhile commutes with it.
void Rules::moves(const World& world, const Emit& emit) {
  if (moves_of_busy(world, emit)) {
    return;
  }
  // A device that is held comes again and again: some time a person has seen it.
  if (world.sessions >= kMostSessions && is_held(world)) {
    moves_of_people(world, emit);
    return;
  }
  power_cuts(world, emit);
  moves_of_device(world, emit);
  moves_of_network(world, emit);
  moves_of_replay(world, emit);
  moves_of_servers(world, emit);
  moves_of_people(world, emit);
}

bool Rules::is_held(const World& world) const {
  return std::ranges::any_of(world.owners, [&](std::uint32_t id) {
    const auto& rows = pools_->owners[id].pledges;
    return std::ranges::any_of(rows, [&](const PledgeRow& r) { return store::is_held(r); });
  });
}

bool Rules::moves_of_busy(const World& world, const Emit& emit) {
  const Bounds& b = setting_.bounds;
  const bool may_crash = world.crashes < b.crash;
  const auto& asked = pools_->asked[world.asked];
  if (pools_->todo[world.todo].empty() && !asked.empty()) {
    const std::string name = action_name(asked.front());
    const bool is_open = is<Open>(asked.front());
    happen(world, emit, "device: " + name + " answered", false, [](Step& s) { s.answer(true); });
    if (is_open ? world.losses < b.loss : world.failures < b.failure) {
      happen(world, emit, "device: " + name + " failed", true, [&](Step& s) {
        ++(is_open ? s.world().losses : s.world().failures);
        s.answer(false);
      });
    }
  } else if (!pools_->todo[world.todo].empty()) {
    happen(world, emit, {}, false, [](Step& s) { return s.act(); });
  } else {
    const auto& served = pools_->served[world.served];
    const auto busy = std::ranges::find_if(served, [&](const Served& x) { return is_busy(pools_->talks[x.talk]); });
    if (busy == served.end()) {
      return false;
    }
    const auto i = static_cast<std::size_t>(busy - served.begin());
    if (may_crash) {
      happen(world, emit, "power cut at " + name_of(busy->at), true, [&](Step& s) { s.crash_server(busy->at); });
    }
    const Talk& talk = pools_->talks[busy->talk];
    if (!asks(talk)) {
      happen(world, emit, {}, false, [&](Step& s) { return s.act_served(i); });
      return true;
    }
    const std::string name = name_of(busy->at) + " " + std::visit([](const auto& t) { return question_name(t); }, talk);
    happen(world, emit, name + " answered", false, [&](Step& s) { s.answer_served(i, true); });
    const bool is_open = name.ends_with(" Open");
    if (is_open ? world.losses < b.loss : world.failures < b.failure) {
      happen(world, emit, name + " failed", true, [&](Step& s) {
        ++(is_open ? s.world().losses : s.world().failures);
        s.answer_served(i, false);
      });
    }
    return true;
  }
  if (may_crash) {
    happen(world, emit, "power cut at the device", true, [](Step& s) { s.crash_device(); });
  }
  return true;
}

void Rules::power_cuts(const World& world, const Emit& emit) {
  if (world.crashes >= setting_.bounds.crash) {
    return;
  }
  if (!world.well) {
    happen(world, emit, "power cut at the device", true, [](Step& s) { s.crash_device(); });
  }
  const auto& lines = pools_->lines[world.lines];
  const auto& served = pools_->served[world.served];
  for (const Place place : kPlaces) {
    const bool on_line = std::ranges::any_of(lines, [&](const Line& x) { return x.to == place && x.wire.server_open; });
    if (on_line || std::ranges::any_of(served, [&](const Served& x) { return x.at == place; })) {
      happen(world, emit, "power cut at " + name_of(place), true, [&](Step& s) { s.crash_server(place); });
    }
  }
}

void Rules::moves_of_device(const World& world, const Emit& emit) {
  const auto& lines = pools_->lines[world.lines];
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string who = lines[i].conversation == Exchange{} ? "device" : name_of(lines[i].from) + " registrar";
    if (lines[i].wire.client_open && !lines[i].wire.answers.empty()) {
      happen(world, emit, who + ": reads an answer", false, [&](Step& s) { s.deliver(i); });
    }
    if (lines[i].wire.client_open && lines[i].wire.cut) {
      happen(world, emit, who + ": notices that the connection is gone", false, [&](Step& s) { s.notice(i); });
    }
  }
  if (world.timer) {
    happen(world, emit, "device: timer", false, [](Step& s) { s.timeout(); });
  }
}

void Rules::moves_of_network(const World& world, const Emit& emit) {
  const Bounds& b = setting_.bounds;
  const auto& lines = pools_->lines[world.lines];
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const Wire& wire = lines[i].wire;
    const std::string who = name_of(lines[i].to) + " server";
    if (wire.server_open && !wire.requests.empty()) {
      const std::string path = wire.requests.front().what.path;
      happen(world, emit, who + ": reads " + path, false, [&](Step& s) { s.arrive(i, false); });
      if (world.dups < b.dup) {
        happen(world, emit, who + ": reads " + path + ", and will again", true, [&](Step& s) { s.arrive(i, true); });
      }
    }
    if (wire.cut && wire.server_open) {
      happen(world, emit, who + ": notices that the connection is gone", false, [&](Step& s) { s.server_notices(i); });
    }
    if (!wire.cut && world.losses < b.loss) {
      happen(world, emit, "the connection to " + who + " breaks", true, [&](Step& s) { s.lose(i); });
    }
  }
}

void Rules::moves_of_replay(const World& world, const Emit& emit) {
  if (world.replays >= setting_.bounds.replay) {
    return;
  }
  const Heard& heard = pools_->heard[world.heard];
  const bool two = setting_.mode == Mode::rivals || setting_.mode == Mode::sold;
  for (const Place place : kOwnerPlaces) {
    if (heard.of_device && (two || place == Place::owner)) {
      const std::string to = " sends the request again, to " + name_of(place) + " server";
      happen(world, emit, "somebody" + to, true, [&](Step& s) { s.replay_to_owner(place, false); });
      happen(world, emit, "another device" + to, true, [&](Step& s) { s.replay_to_owner(place, true); });
    }
  }
  if (heard.of_registrar) {
    happen(world, emit, "somebody sends the registrar's request again", true, [](Step& s) { s.replay_to_maker(); });
  }
  const auto* const asking = std::get_if<Pledge::Asking>(&pools_->device[world.device]);
  const auto& lines = pools_->lines[world.lines];
  const bool is_there = asking != nullptr && std::ranges::any_of(lines, [&](const Line& x) {
                          return x.conversation == Exchange{} && x.wire.client_open && !x.wire.cut &&
                                 x.wire.client_side->id == asking->tls->id;
                        });
  for (const store::GivenVoucher& one : pools_->maker[world.maker].given) {
    if (is_there) {
      happen(world, emit, "whom the device has asked answers with a voucher of before", true,
             [&](Step& s) { s.answer_with(one.voucher); });
    }
  }
}

void Rules::moves_of_servers(const World& world, const Emit& emit) {
  const auto& served = pools_->served[world.served];
  for (std::size_t i = 0; i < served.size(); ++i) {
    if (waits_for_store(pools_->talks[served[i].talk])) {
      happen(world, emit, {}, false, [&](Step& s) { return s.act_served(i); });
    }
  }
}

void Rules::moves_of_people(const World& world, const Emit& emit) {
  for (const Place place : kOwnerPlaces) {
    const store::Tables& owner = pools_->owners[world.owners.at(number(place))];
    const Bytes key = to_bytes(sha256(cast_->idevid.key.spki));
    const auto row =
        std::ranges::find_if(owner.pledges, [&](const PledgeRow& r) { return r.id.key == key && store::is_held(r); });
    if (row != owner.pledges.end()) {
      happen(world, emit, "a person at " + name_of(place) + " lets the device on", false,
             [&](Step& s) { s.let_on(place); });
    }
    const auto device = std::ranges::find(owner.devices, std::string(kDevice), &imprint::Device::id);
    if (device->admission == Admission::waiting) {
      happen(world, emit, "the administrator approves", false, [](Step& s) { s.approve(true); });
      happen(world, emit, "the administrator refuses", false, [](Step& s) { s.approve(false); });
    }
  }
  if (world.acts < setting_.bounds.acts) {
    if (world.holder != 0) {
      happen(world, emit, "the maker is told that the owner gives the device up", true, [](Step& s) { s.give_up(); });
    }
    happen(world, emit, "the device goes back to factory default", true, [](Step& s) { s.reset_device(); });
    if (world.well) {
      happen(world, emit, "the owner sells the device on", true, [](Step& s) {
        s.reset_device();
        s.give_up();
        --s.world().acts;  // both are one act
      });
    }
  }
}

Rules::Step::Step(Rules& rules, const World& world)
    : setting_(rules.setting_),
      cast_(*rules.cast_),
      pools_(*rules.pools_),
      w(world),
      asked_(pools_.asked, w.asked),
      disk_(pools_.disk, w.disk),
      mind_(pools_.mind, w.mind),
      maker_(pools_.maker, w.maker),
      lines_(pools_.lines, w.lines),
      served_(pools_.served, w.served),
      heard_(pools_.heard, w.heard),
      owners_{Part<store::Tables>(pools_.owners, w.owners[0]), Part<store::Tables>(pools_.owners, w.owners[1])} {}

const World& Rules::Step::done() {
  settle();
  asked_.put_back();
  disk_.put_back();
  mind_.put_back();
  maker_.put_back();
  lines_.put_back();
  served_.put_back();
  heard_.put_back();
  for (auto& owner : owners_) {
    owner.put_back();
  }
  return w;
}

void Rules::Step::emit(const Emit& to, std::string_view label, bool fault) {
  done();
  to(w, label, fault, violation_);
}

std::optional<Place> Rules::Step::place_of(const Certificate& root) const {
  for (const Place place : kOwnerPlaces) {
    if (domain(place).ca.certificate == root) {
      return place;
    }
  }
  return std::nullopt;
}

const store::GivenVoucher* Rules::Step::given(const Bytes& voucher) const {
  const auto at = std::ranges::find(maker_->given, voucher, &store::GivenVoucher::voucher);
  return at == maker_->given.end() ? nullptr : &*at;
}

bool Rules::Step::leads_to(const std::vector<Certificate>& server, const Certificate& root) const {
  return static_cast<bool>(verify_chain(server.front(), server, {root}, {Purpose::any, kNow, true}));
}

// What is over is forgotten, so that equal worlds look equal; nobody has to notice the end of a connection on which
// nothing is under way.
void Rules::Step::settle() {
  const auto over = [&](const Served& x) { return rests(pools_.talks[x.talk]); };
  if (std::ranges::any_of(*served_, over)) {
    for (const Served& x : *served_) {
      const bool open = std::ranges::any_of(*lines_, [&](const Line& line) {
        return line.conversation == x.exchange && line.from == x.at && line.wire.client_open && !line.wire.cut;
      });
      if (over(x) && open) {
        wrong("a registrar is done and leaves its connection to the maker open");
      }
    }
    std::erase_if(served_.edit(), over);
  }
  settle_lines();
  const Pledge::State& state = pools_.device[w.device];
  const bool quiet = pools_.todo[w.todo].empty() && asked_->empty();
  w.well = is<Pledge::Configured>(state);
  w.ended = quiet && (w.well || (is<Pledge::Failed>(state) && may_fail(setting_)));
  const bool at_rest =
      quiet && (w.well || is<Pledge::Failed>(state) || is<Pledge::Resting>(state) || is<Pledge::Pausing>(state));
  if (at_rest && std::ranges::any_of(*lines_, [](const Line& x) {
        return x.conversation == Exchange{} && x.wire.client_open && !x.wire.cut;
      })) {
    wrong("the device rests and leaves a connection open");
  }
}

void Rules::Step::settle_lines() {
  const auto serves = [&](const Line& x) {
    return std::ranges::any_of(
        *served_, [&](const Served& one) { return one.at == x.to && one.session->id == x.wire.server_side->id; });
  };
  const auto server_is_through = [&](const Line& x) {
    return x.wire.cut && x.wire.server_open && x.wire.requests.empty() && !serves(x);
  };
  const auto client_is_through = [](const Line& x) {
    return !x.wire.client_open && (!x.wire.answers.empty() || !x.wire.unanswered.empty() || !x.wire.server_open);
  };
  if (std::ranges::none_of(*lines_, [&](const Line& x) { return server_is_through(x) || client_is_through(x); })) {
    return;
  }
  for (Line& x : lines_.edit()) {
    x.wire.server_open = x.wire.server_open && !server_is_through(x);
    if (!x.wire.client_open) {
      x.wire.answers.clear();
      x.wire.unanswered.clear();
    }
  }
  std::erase_if(lines_.edit(), [](const Line& x) { return !x.wire.client_open && !x.wire.server_open; });
}

Report explore(const Setting& setting, std::size_t max_states) {
  Rules rules(setting);
  return Explorer<World, Rules>(rules, max_states).run(rules.start());
}

}  // namespace imprint::explore::trio
