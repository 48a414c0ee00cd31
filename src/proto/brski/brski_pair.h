// Device, registrar and MASA in conversation: the three real roles, the owner's EST server behind, connections in
// memory, one clock that jumps. The power of each may be cut after any of its actions. For tests.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <set>

#include "proto/brski/masa.h"
#include "proto/brski/pledge.h"
#include "proto/brski/pledge_testing.h"
#include "proto/brski/registrar.h"
#include "proto/est/pair.h"

namespace imprint::brski::testing {

enum class Player : std::uint8_t { pledge, registrar, masa };

// A device, with what it keeps when the power goes.
struct DeviceSide {
  est::Party idevid;
  std::optional<Imprinted> imprinted;
  std::optional<est::Installed> installed;
  std::optional<est::Asked> asked;
  std::map<std::string, PrivateKey> keys;
};

// An owner's registrar with the EST server behind it, and what is on record there.
struct RegistrarSide {
  est::Party who;
  RegistrarConfig config;
  MasaContact masa;
  est::Pair est;
  AdmitPledge::Decision::Verdict verdict = AdmitPledge::Decision::Verdict::wanted;
  std::map<std::string, PledgeRow> rows;  // by serial number
  std::vector<Bytes> obtained;            // vouchers on record, every one
};

// A maker's MASA, and what is on record there.
struct MasaSide {
  est::Party signer, server;
  MasaConfig config;
  std::map<std::string, Certificate> devices;  // by serial number
  bool knows_registrars = false;               // as customers, who may have vouchers without a nonce
  std::vector<Vouched> log;
  std::vector<LogEvent> history;  // of before
};

// A connection between two players, and what goes wrong on it.
struct Link {
  std::function<void(Session& client, Session& server)> on_session;
  std::function<void(Request&)> on_request;
  std::function<void(Response&, const Request&)> on_response;
  std::function<std::optional<Error>(const Request&)> before;  // in place of asking: nothing gets through
  std::function<std::optional<Error>(const Request&)> after;   // it was served, and the answer does not come
};

class Trio {
 public:
  Trio();
  Trio(const Trio&) = delete;
  Trio& operator=(const Trio&) = delete;

  // ---- who plays ----
  PledgePlan plan;
  DeviceSide device;
  std::map<std::string, RegistrarSide> registrars;  // by host; "registrar.example" is the owner's
  RegistrarSide& owner() { return registrars.at("registrar.example"); }
  MasaSide masa;
  Instant now = est::kStart;

  // ---- what goes wrong ----
  Link join, upstream;  // device and registrar; registrar and MASA
  std::function<void(Voucher&, Signer&)> pledge_signs, registrar_signs, masa_signs;
  std::function<void(JudgeClaim::Ruling&)> on_ruling;
  struct Cut {
    Player who;
    std::size_t after;  // so many of its actions
  };
  std::optional<Cut> cut;
  // Everybody is honest again.
  void behave();

  // ---- the conversation ----
  // The device from its start, with what it has on record. False: its power was cut.
  bool run();
  // The device as it left the factory, again.
  void reset();
  // Another device of the same maker takes its place.
  void become(const est::Party& idevid);
  // The registrar has a voucher without a nonce on record, ordered before the device came.
  void order_nonceless();
  // Another owner's registrar, at this host.
  RegistrarSide& add_registrar(const std::string& host, const est::Party& root);

  // ---- afterwards ----
  template <class S>
  bool is() const {
    return std::holds_alternative<S>(state);
  }
  std::string_view rule() const;                       // of the device's failure
  bool refused(Player by, std::string_view id) const;  // that this rule was told by this player
  std::string refusals() const;                        // all of them, for people
  const PledgeRow* row() const;                        // the owner's, of this device
  bool cut_happened() const { return cut_happened_; }

  Pledge::State state = Pledge::Idle{};
  Beliefs mind;
  bool sound = true;
  std::vector<Telemetry> told;      // by the device
  std::vector<Request> asked_masa;  // as they arrived
  std::vector<Request> asked_registrar;
  std::vector<std::string> hosts;  // that the device opened
  std::set<std::pair<Player, std::string>> rules;

 private:
  struct RegistrarRun;
  bool off(Player who);
  void heard(Player by, const Rule* rule);
  void heard(Player by, const Response& answer);
  // the device
  bool go();
  bool take(const Pledge::Input& input);
  void perform(const Pledge::Turn::Action& action);
  void open(const Open& action);
  void send(const SendRequest& action);
  // the registrar
  Result<Response> serve(RegistrarSide& at, Request request, const SessionRef& session);
  Result<Response> serve_brski(RegistrarSide& at, const Request& request);
  void perform(RegistrarRun& run, const Registrar::Turn::Action& action);
  void open(RegistrarRun& run, const Open& action);
  void send(RegistrarRun& run, const SendRequest& action);
  Result<AdmitPledge::Decision> admit(const RegistrarSide& at, const AdmitPledge& question) const;
  Result<RecallPledge::Recalled> recall(const RegistrarSide& at, const RecallPledge& question) const;
  // the MASA
  Result<Response> ask_masa(const Request& request, const SessionRef& session);
  JudgeClaim::Ruling judge(const JudgeClaim& question) const;
  ReadDeviceLog::Log read_log(const ReadDeviceLog& question) const;

  std::map<std::uint64_t, std::pair<std::string, SessionRef>> joined_;  // host, and as the registrar sees it
  std::map<std::uint64_t, SessionRef> to_masa_;
  std::deque<Pledge::Input> inputs_;
  SeededRng rng_{11};
  std::uint64_t ticket_ = 1, session_ = 0;
  std::array<std::size_t, 3> acted_{};
  bool timer_ = false, cut_happened_ = false;
  Duration delay_{};
};

}  // namespace imprint::brski::testing
