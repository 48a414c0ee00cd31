// The inside of EstRules: one thing that happens, as a change to a copy of the world. Private to this folder.
#pragma once

#include "sim/explore/est_world.h"

namespace imprint::explore {

using ClientActions = std::vector<est::Client::Turn::Action>;

inline constexpr std::string_view kDevice = "dev-1";   // the device that enrols, and the user name of its token
inline constexpr std::string_view kInsider = "dev-2";  // another one of the site, which attacks
inline constexpr std::string_view kToken = "vQ4v8b0kJmHq2w7xTzLr5cYpN9sGdEfU3aXo6iKjBtM";  // of dev-1

inline PrivateKey device_key() { return toy::key(KeyType::p256, "CN=" + std::string(kDevice)); }  // of its IDevID

// Who signs and serves for the owner.
struct Reign {
  site::Ca ca;
  Signer server;  // with what it presents
  std::shared_ptr<const est::ServerConfig> config;
};

// Who plays, with which keys and certificates.
struct EstRules::Cast {
  Reign first, next;  // the latter with rollover
  Certificate owner, maker;
  Certificate insider;  // the IDevID of dev-2
  site::Policy policy;
  store::Tables disk;  // the owner's, before anybody asks
  est::PlanRef plan;
};

struct EstRules::Pools {
  Pool<est::Client::State> client;
  Pool<ClientActions> todo;
  Pool<std::vector<ClientQuestion>> asked;
  Pool<DeviceDisk> disk;
  Pool<Beliefs> mind;
  Pool<store::Tables> owner;
  Pool<std::vector<Wire>> wires;
  Pool<std::vector<Served>> served;
  Pool<std::optional<Request>> heard;
  const std::uint32_t no_wires = wires.id({});

  // The client is a function: what it once answered to an input in a state, it will answer again.
  struct Answer {
    bool taken = false;
    std::uint32_t client = 0, todo = 0;
  };
  std::map<std::array<std::uint64_t, 2>, Answer> answers;
};

// One thing that happens: a copy of the world, changed.
class EstRules::Step {
 public:
  Step(EstRules& rules, const EstWorld& world);

  EstWorld& world() { return w; }
  const EstWorld& done();  // the changed world
  // Hands the changed world on.
  void emit(const Emit& to, std::string_view label, bool fault);

  // ---- the device ----
  void boot();
  std::string act();  // the next action of its turn that others could notice; returns which
  void answer(std::size_t question, bool well);
  void deliver(std::size_t wire);
  void notice(std::size_t wire);
  void timeout();
  void crash_device();

  // ---- the connections ----
  void arrive(std::size_t wire, bool again);
  void lose(std::size_t wire);
  void replay(bool by_insider);

  // ---- the owner ----
  std::string act_served(std::size_t i);
  void answer_served(std::size_t i, bool well);
  void server_notices(std::size_t wire);
  void crash_server();
  void decide_request(const Bytes& request_key, Admission verdict);
  void retire();
  void revoke(const Bytes& serial);
  void roll_over() { w.rolled = true; }

 private:
  const Reign& reign(bool rolled) const { return rolled ? cast_.next : cast_.first; }
  std::vector<Certificate> owner_roots() const;
  void wrong(std::string what) {
    if (violation_.empty()) {
      violation_ = std::move(what);
    }
  }
  // I3: nothing secret leaves but in its own protected place.
  void check_bare(BytesView bytes, std::string_view where);
  bool feed(const est::Client::Input& input);
  void act(const est::Client::Turn::Action& action);
  void connect(const Open& open);
  void make_key(const Ask<MakeKey>& ask, bool well);
  void sign(const Ask<SignRequest>& ask, bool well);
  void confirm(const Ask<ConfirmFingerprint>& ask, bool well);
  void unwrap(const Ask<OpenEnvelope>& ask, bool well);
  void keep_key(const Ask<KeepKey>& ask, bool well);
  void send(const SendRequest& action);
  void check_sent(const Wire& wire, const Request& request);
  void close(std::uint64_t session);
  void save(const est::Asked& record);
  void save(const est::Installed& record);
  void serve(std::uint64_t exchange, const Wire& wire, const Wire::Sent& sent, bool attacker);
  void feed_served(Served& one, const est::Server::Input& input);
  void reply(Served& from, const Reply& reply);
  void check_certified(const Served& from, const Response& answer);
  void check_key_given(const Response& answer, const Certificate& certificate);
  template <class Fact>
  void note(Served& from, const Fact& fact, Status (store::MemoryWriter::*how)(const Fact&, Instant, std::string_view));
  void note_issued(Served& from, const Issued& fact);
  void check_issued(const Issued& fact);
  Result<Decision> decide(const Admit& q);
  Result<Bytes> issue(const Issue& q, const Served& by) const;
  Result<Signed> signed_for(const Issue& q, const Served& by) const;
  Result<MadeKey> make_key_for(const MakeKeyFor& q, const Served& by);
  void act_of_owner(Status done);
  void check_anchors();
  void settle();

  const Setting& setting_;
  const Cast& cast_;
  Pools& pools_;
  EstWorld w;
  Part<std::vector<ClientQuestion>> asked_;
  Part<DeviceDisk> disk_;
  Part<Beliefs> mind_;
  Part<store::Tables> owner_;
  Part<std::vector<Wire>> wires_;
  Part<std::vector<Served>> served_;
  Part<std::optional<Request>> heard_;
  std::string violation_;
};

}  // namespace imprint::explore
