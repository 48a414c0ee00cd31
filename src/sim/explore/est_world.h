// The world of one EST run, as the explorer sees it: the real client and server roles, their disks, their connections,
// the owner's policy and CA, and all that can go wrong between them.
#pragma once

#include <functional>
#include <map>

#include "proto/est/server.h"
#include "sim/explore/parts.h"
#include "site/ca.h"
#include "site/policy.h"

namespace imprint::explore {

// How the device applies. With server_key it asks for a key that its owner makes, wrapped for the key of its IDevID;
// with rollover it applies by its IDevID, and its owner changes its root at some time.
enum class Mode : std::uint8_t { idevid, token, bootstrap, renewal, server_key, rollover };

// How often each fault may strike in one run.
struct Bounds {
  unsigned loss = 1, dup = 0, crash = 1, replay = 0;
  unsigned failure = 1;  // CA, store, key folder or the confirming person fail once
  unsigned acts = 0;     // the owner retires the device or revokes its certificate
};

// A deliberate mistake, which the explorer has to find.
enum class Plant : std::uint8_t {
  none,
  client_sends_before_save,
  server_replies_before_note,
  device_keeps_no_key,   // the key folder says that it has a key which it has not written
  owner_sends_no_links,  // nothing leads from the root of before to the next one
};

struct Setting {
  Mode mode = Mode::idevid;
  Bounds bounds;
  Plant plant = Plant::none;
  bool approval = false;  // a person decides, some time
};

using ClientQuestion =
    std::variant<Open, Ask<MakeKey>, Ask<SignRequest>, Ask<ConfirmFingerprint>, Ask<OpenEnvelope>, Ask<KeepKey>>;
using ServerQuestion = std::variant<Ask<Admit>, Ask<MakeKeyFor>, Ask<Issue>>;

// What the device keeps without power.
struct DeviceDisk {
  std::optional<est::Asked> asked;
  std::optional<est::Installed> installed;
  std::vector<KeyRef> keys;
};

// One request at the server: an instance of its role.
struct Served {
  Exchange exchange;
  std::uint64_t ticket = 0;
  SessionRef session;
  bool enrols = false, attacker = false;
  bool noted = false, pended = false, replied = false;  // put on record, answered
  bool rolled = false;                                  // begun after the owner had changed its root
  est::Server::State state;
  std::vector<est::Server::Turn::Action> todo;
  std::optional<ServerQuestion> asked;
  Beliefs mind;
};

// A state of the whole. The parts are numbers of values in the pools of EstRules.
struct EstWorld {
  std::uint32_t client = 0, todo = 0, asked = 0, disk = 0, mind = 0, owner = 0, wires = 0, served = 0, heard = 0;
  std::uint8_t sessions = 0, losses = 0, dups = 0, crashes = 0, replays = 0, failures = 0, acts = 0;
  bool timer = false, ended = false, well = false;  // well: enrolled
  bool rolled = false;                              // the owner has changed its root

  using Key = std::array<std::uint32_t, 12>;
  Key key() const {
    const auto pack = [](unsigned a, unsigned b, unsigned c, unsigned d) { return a << 24U | b << 16U | c << 8U | d; };
    return {client,
            todo,
            asked,
            disk,
            mind,
            owner,
            wires,
            served,
            heard,
            pack(sessions, acts, losses, dups),
            pack(crashes, replays, failures, 0),
            pack(0, rolled, timer, ended)};
  }
  bool finished() const { return ended; }
  bool succeeded() const { return ended && well; }
};

using Emit = std::function<void(const EstWorld&, std::string_view label, bool fault, std::string_view violation)>;

// What can happen in a state, and what must never.
class EstRules {
 public:
  explicit EstRules(Setting setting);
  ~EstRules();
  EstWorld start();
  void moves(const EstWorld& world, const Emit& emit);

 private:
  class Step;
  struct Pools;
  struct Cast;
  template <class What>
  void happen(const EstWorld& world, const Emit& emit, std::string_view label, bool fault, What what);
  void moves_of_device(const EstWorld& world, const Emit& emit);
  void moves_of_network(const EstWorld& world, const Emit& emit);
  void moves_of_owner(const EstWorld& world, const Emit& emit);

  Setting setting_;
  std::unique_ptr<Cast> cast_;
  std::unique_ptr<Pools> pools_;
};

// The whole search of one setting.
Report explore_est(const Setting& setting, std::size_t max_states);

}  // namespace imprint::explore
