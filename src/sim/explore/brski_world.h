// The world of one run of BRSKI, as the explorer sees it: the real pledge, the real registrar and EST server of one
// owner or of two, the real MASA, all their disks and connections, and all that can go wrong between them.
#pragma once

#include <functional>
#include <map>

#include "factory/masa_policy.h"
#include "proto/brski/masa.h"
#include "proto/brski/pledge.h"
#include "proto/brski/registrar.h"
#include "proto/est/server.h"
#include "sim/explore/parts.h"
#include "site/ca.h"
#include "site/pledges.h"
#include "store/memory/maker.h"

namespace imprint {

// The plan does not change during a run, and what was read of an artefact follows from its octets.
namespace brski {
inline void put_shared(Encoder&, const PledgePlan&) {}
inline void put_shared(Encoder& to, const Artifact& artifact) { to.put(artifact.received); }
}  // namespace brski

// Neither the customers, which nobody changes, nor counters and the audit log are part of a state.
template <>
inline Bytes encode_state(const store::MakerTables& tables) {
  Encoder to;
  to.put(tables.devices);
  for (const store::GivenVoucher& one : tables.given) {
    to.put(one.request);
    to.put(one.voucher);
  }
  return std::move(to).bytes();
}

}  // namespace imprint

namespace imprint::explore::trio {

// Whose device it is, and who is there to take it.
enum class Mode : std::uint8_t {
  claim,      // nobody has bought it, and its owner's registrar is the only one that it finds
  rivals,     // nobody has bought it, and it finds two registrars that both want it
  sold,       // the maker knows whose it is; it finds another registrar first
  nonceless,  // its owner has a voucher for it that was fetched beforehand
  approval,   // its owner's administrator has to say yes
};

// How often each fault may strike in one run.
struct Bounds {
  unsigned loss = 0, dup = 0, crash = 0, replay = 0;
  unsigned failure = 0;  // a key, the policy's store or the maker's book does not answer once
  unsigned acts = 0;     // the maker is told that its owner gives it up; it goes back to factory default
};

// A deliberate mistake, which the explorer has to find.
enum class Plant : std::uint8_t {
  none,
  device_tells_before_save,
  registrar_replies_before_note,
  masa_replies_before_note,
  device_keeps_no_owner,  // its disk says that it has the record of the owner, and has not
  device_repeats_nonces,  // its randomness is the same at each attempt
  masa_forgets_claims,    // its book has every device as unclaimed
  registrar_has_no_gate,  // EST is open to everybody of the maker's
  masa_lacks_the_device,  // its book has not been told of it
};

struct Setting {
  Mode mode = Mode::claim;
  Bounds bounds;
  Plant plant = Plant::none;
  brski::Form form = brski::Form::cms;
};

// Two owners and a maker. The first owner is the one that the device was made for, where it was made for one.
enum class Place : std::uint8_t { owner, other, maker };
inline constexpr std::size_t kOwners = 2;

using DeviceActions = std::vector<brski::Pledge::Turn::Action>;
using DeviceQuestion = std::variant<Open, Ask<brski::SignRequestArtifact>, Ask<MakeKey>, Ask<SignRequest>>;

// What the device keeps without power.
struct DeviceDisk {
  std::optional<brski::Imprinted> imprinted;
  std::optional<est::Asked> asked;
  std::optional<est::Installed> installed;
  std::vector<KeyRef> keys;
};

// A connection, and who is at its ends: the device and an owner, or a conversation of an owner's and the maker.
struct Line {
  Wire wire;
  Place from = Place::owner, to = Place::owner;  // from: of a conversation
  Exchange conversation;                         // 0: the device's
};

// An instance of a server's role, as far as it has come.
template <class R, class... Q>
struct TalkOf {
  using Role = R;
  typename R::State state;
  std::vector<typename R::Turn::Action> todo;
  std::optional<std::variant<Q...>> asked;
};
using EstTalk = TalkOf<est::Server, Ask<Admit>, Ask<MakeKeyFor>, Ask<Issue>>;
using RegistrarTalk =
    TalkOf<brski::Registrar, Open, Ask<brski::AdmitPledge>, Ask<brski::RecallPledge>, Ask<brski::SignRequestArtifact>>;
using MasaTalk = TalkOf<brski::Masa, Ask<brski::FindIdevid>, Ask<brski::JudgeClaim>, Ask<brski::ReadDeviceLog>,
                        Ask<brski::SignVoucher>>;
using Talk = std::variant<EstTalk, RegistrarTalk, MasaTalk>;

// One request at a server.
struct Served {
  Exchange exchange;
  std::uint64_t ticket = 0;
  SessionRef session;
  Place at = Place::owner;
  bool attacker = false;
  bool noted = false, replied = false;  // put on record, answered
  std::uint8_t again = 0;               // begun anew because somebody else was first
  std::uint32_t request = 0, talk = 0;
};

// The latest requests for a voucher, as whoever listens has them.
struct Heard {
  std::optional<Request> of_device, of_registrar;
  Place at = Place::owner;  // whom the device asked
};

// A state of the whole. The parts are numbers of values in the pools of Rules.
struct World {
  std::uint32_t device = 0, todo = 0, asked = 0, disk = 0, mind = 0, maker = 0, lines = 0, served = 0, heard = 0;
  std::array<std::uint32_t, kOwners> owners{};
  std::uint8_t sessions = 0, losses = 0, dups = 0, crashes = 0, replays = 0, failures = 0, acts = 0;
  std::uint8_t holder =
      0;  // whose the device is, by the vouchers given since it was given up: Place and 1; 0: nobody's
  bool timer = false, ended = false, well = false;  // well: configured

  using Key = std::array<std::uint32_t, 14>;
  Key key() const {
    const auto pack = [](unsigned a, unsigned b, unsigned c, unsigned d) { return a << 24U | b << 16U | c << 8U | d; };
    return {device,
            todo,
            asked,
            disk,
            mind,
            maker,
            lines,
            served,
            heard,
            owners[0],
            owners[1],
            pack(sessions, acts, losses, dups),
            pack(crashes, replays, failures, holder),
            pack(0, 0, timer, ended)};
  }
  bool finished() const { return ended; }
  bool succeeded() const { return ended && well; }
};

using Emit = std::function<void(const World&, std::string_view label, bool fault, std::string_view violation)>;

struct Cast;

// What can happen in a state, and what must never.
class Rules {
 public:
  explicit Rules(Setting setting);
  ~Rules();
  World start();
  void moves(const World& world, const Emit& emit);

 private:
  class Step;
  struct Pools;
  template <class What>
  void happen(const World& world, const Emit& emit, std::string_view label, bool fault, What what);
  bool moves_of_busy(const World& world, const Emit& emit);
  bool is_held(const World& world) const;
  void power_cuts(const World& world, const Emit& emit);
  void moves_of_device(const World& world, const Emit& emit);
  void moves_of_network(const World& world, const Emit& emit);
  void moves_of_replay(const World& world, const Emit& emit);
  void moves_of_servers(const World& world, const Emit& emit);
  void moves_of_people(const World& world, const Emit& emit);

  Setting setting_;
  std::unique_ptr<Cast> cast_;
  std::unique_ptr<Pools> pools_;
};

// The whole search of one setting.
Report explore(const Setting& setting, std::size_t max_states);

}  // namespace imprint::explore::trio
