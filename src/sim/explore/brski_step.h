// The inside of trio::Rules: one thing that happens, as a change to a copy of the world. Private to this folder.
#pragma once

#include "sim/explore/brski_world.h"

namespace imprint::explore::trio {

inline constexpr std::string_view kDevice = "dev-1";   // the device, its serial number and its name in inventories
inline constexpr std::string_view kInsider = "dev-2";  // another one of the same maker, which attacks
inline constexpr std::string_view kIdevidKey = "idevid";

inline std::size_t number(Place place) { return static_cast<std::size_t>(place); }

// An owner's site: its CA, its server, which is registrar and EST server, and its policy.
struct Domain {
  site::Ca ca;
  Signer registrar;  // its chain up to the root
  Uri address;
  site::Policy policy;
  std::shared_ptr<const brski::RegistrarConfig> config;
  std::shared_ptr<const est::ServerConfig> est;
  store::Tables disk;  // before anybody asks
};

// Who plays, with which keys and certificates.
struct Cast {
  std::array<Domain, kOwners> domains;
  Certificate maker;            // its root
  Signer voucher_signer, masa;  // masa: what its server presents
  brski::MasaContact contact;
  std::shared_ptr<const brski::MasaConfig> masa_config;
  factory::MasaPolicy masa_policy;
  store::MakerTables book;      // before anybody asks
  Certificate idevid, insider;  // of dev-1, dev-2
  brski::PledgePlanRef plan;
  std::uint8_t holder = 0;  // at the start, as in World
};
Cast make_cast(const Setting& setting);

struct Rules::Pools {
  Pool<brski::Pledge::State> device;
  Pool<DeviceActions> todo;
  Pool<std::vector<DeviceQuestion>> asked;
  Pool<DeviceDisk> disk;
  Pool<Beliefs> mind;
  Pool<store::Tables> owners;
  Pool<store::MakerTables> maker;
  Pool<std::vector<Line>> lines;
  Pool<std::vector<Served>> served;
  Pool<Heard> heard;
  Pool<Request> requests;
  Pool<Talk> talks;

  // Roles are functions: what one once answered to an input in a state, it will answer again.
  struct Answer {
    bool taken = false;
    std::uint32_t device = 0, todo = 0;
  };
  std::map<std::array<std::uint64_t, 2>, Answer> answers;
  std::map<std::array<std::uint64_t, 3>, std::uint32_t> talked;
};

// One thing that happens: a copy of the world, changed.
class Rules::Step {
 public:
  Step(Rules& rules, const World& world);

  World& world() { return w; }
  const World& done();  // the changed world
  // Hands the changed world on.
  void emit(const Emit& to, std::string_view label, bool fault);

  // ---- the device ----
  void boot();
  std::string act();  // the next action of its turn that others could notice; returns which
  void answer(bool well);
  void deliver(std::size_t line);
  void notice(std::size_t line);
  void timeout();
  void crash_device();
  void reset_device();

  // ---- the connections ----
  void arrive(std::size_t line, bool again);
  void lose(std::size_t line);
  void replay_to_owner(Place place, bool by_insider);
  void replay_to_maker();
  void answer_with(const Bytes& voucher);  // whoever the device has asked, a voucher of before

  // ---- the servers ----
  std::string act_served(std::size_t i);
  void answer_served(std::size_t i, bool well);
  void server_notices(std::size_t line);
  void crash_server(Place place);

  // ---- people ----
  void approve(bool yes);
  void let_on(Place place);
  void give_up();  // its owner tells the maker

 private:
  const Domain& domain(Place place) const { return cast_.domains[number(place)]; }
  void wrong(std::string what) {
    if (violation_.empty()) {
      violation_ = std::move(what);
    }
  }
  bool is_of_device(const PledgeRow& row) const { return row.id.key == to_bytes(sha256(cast_.idevid.key.spki)); }
  // The domain whose root this is.
  std::optional<Place> place_of(const Certificate& root) const;
  const store::GivenVoucher* given(const Bytes& voucher) const;
  bool leads_to(const std::vector<Certificate>& server, const Certificate& root) const;

  bool feed(const brski::Pledge::Input& input);
  void act(const brski::Pledge::Turn::Action& action);
  void connect(const Open& open);
  void make_key(const Ask<MakeKey>& ask, bool well);
  void sign(const Ask<SignRequest>& ask, bool well);
  void sign(const Ask<brski::SignRequestArtifact>& ask, bool well);
  void send(const SendRequest& action);
  void send_to_nobody(Exchange conversation, Place from, const SendRequest& action);
  void check_sent(const Line& line, const Request& request);
  void check_request(const Line& line, const Request& request);
  void check_report(const Line& line, brski::Operation operation, const Request& request);
  void check_enrols(const Line& line, const Request& request);
  void close(std::uint64_t session);
  void save(const est::Asked& record);
  void save(const est::Installed& record);
  void save(const brski::Imprinted& record);
  void check_imprinted(const brski::Imprinted& record);
  void check_disk();

  void serve(Served one, Request request);
  void begin(Served& one, const Request& request);
  template <class T>
  auto role(Place at) const;
  template <class T>
  void feed(Served& one, const typename T::Role::Input& input);
  void feed_gone(Served& one);
  void refuse(Served& one, const Error& why);
  void drop(Served& one);
  void act(Served& one, const EstTalk& talk, const EstTalk::Role::Turn::Action& action);
  void act(Served& one, const RegistrarTalk& talk, const RegistrarTalk::Role::Turn::Action& action);
  void act(Served& one, const MasaTalk& talk, const MasaTalk::Role::Turn::Action& action);
  void reply(Served& from, const Reply& reply);
  void check_reply(const Served& from, const Response& answer);
  void note_issued(Served& one, const Issued& fact);
  void check_issued(const Served& one, const Issued& fact);
  void check_admitted(const Served& one, const Decision& decision);
  void note_vouched(Served& one, const brski::Vouched& fact);
  template <class Fact>
  void note(Served& one, const Fact& fact, Status (store::MemoryWriter::*how)(const Fact&, Instant, std::string_view),
            std::string_view actor);
  void open_to_maker(Served& one, const Open& open);
  void send_to_maker(const Served& one, const SendRequest& action);
  void close_to_maker(const Served& one, std::uint64_t session);
  void answer(Served& one, const EstTalk& talk, bool well);
  void answer(Served& one, const RegistrarTalk& talk, bool well);
  void answer(Served& one, const MasaTalk& talk, bool well);
  void act_of_person(Status done);
  void settle();
  void settle_lines();

  const Setting& setting_;
  const Cast& cast_;
  Pools& pools_;
  World w;
  Part<std::vector<DeviceQuestion>> asked_;
  Part<DeviceDisk> disk_;
  Part<Beliefs> mind_;
  Part<store::MakerTables> maker_;
  Part<std::vector<Line>> lines_;
  Part<std::vector<Served>> served_;
  Part<Heard> heard_;
  std::array<Part<store::Tables>, kOwners> owners_;
  std::string violation_;
};

// Whether the conversation asks somebody of its own house. That is answered at once: what is read is of one moment.
bool asks(const Talk& talk);
// Whether it is about to write what it has read something for: others may write before.
bool waits_for_store(const Talk& talk);
// Whether it has something to do that no other can see or change before.
bool is_busy(const Talk& talk);

}  // namespace imprint::explore::trio
