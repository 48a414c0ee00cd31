// A pledge in conversation with a registrar and a MASA that do as they are told: the real role, the real EST server
// behind it, connections in memory, one clock that jumps. For tests.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "proto/brski/pledge.h"
#include "proto/est/pair.h"

namespace imprint::brski::testing {

// Who takes part, made once.
struct Players {
  est::Party maker, masa, device, stranger, registrar, other_registrar, other_domain, cloud_root, cloud;
  Players();
};
const Players& players();

class PledgeDesk {
 public:
  PledgeDesk();

  // ---- before run() ----
  PledgePlan plan;
  est::Pair owner;                 // its EST server
  est::Party masa;                 // who signs vouchers
  std::vector<Certificate> chain;  // that the registrar presents, own certificate first
  std::vector<Certificate> cloud_chain;

  // ---- what goes wrong ----
  std::function<void(Voucher&, const Voucher& asked)> on_voucher;          // before it is signed
  std::function<void(Bytes&)> on_signed;                                   // as it travels
  std::function<void(Session&, const Uri&)> on_session;                    // as the device sees it
  std::function<void(Response&, const Request&, const Uri&)> on_response;  // on its way to the device
  unsigned lose_connections = 0;
  std::map<std::string, unsigned> lose_answers;  // by the end of the path
  unsigned waits = 0;                            // the next voucher requests that get 202
  bool break_while_waiting = false;              // and the connection then ends
  bool break_behind_waiting = false;             // or it ends unheard: whatever is sent next gets no answer
  bool closes = false;                           // the registrar ends the connection behind every answer
  bool signing_fails = false;
  Duration clock_is_off{};  // the device's, against everybody else's

  // ---- the conversation ----
  void run();
  // Until this many actions are done; then the power goes, and run() starts again from what was saved.
  bool run_until_cut(std::size_t actions);

  // ---- afterwards ----
  template <class S>
  bool is() const {
    return std::holds_alternative<S>(state);
  }
  const Error* failure() const;
  std::string_view rule() const;

  Pledge::State state = Pledge::Idle{};
  std::optional<Imprinted> imprinted;
  std::optional<est::Installed> installed;
  std::optional<est::Asked> asked;
  std::vector<std::string> states;
  struct Sent {
    Request what;
    Uri to;
    Session on;
  };
  std::vector<Sent> requests;
  std::vector<Open> opened;
  std::vector<Duration> rests;
  std::vector<Telemetry> told;  // in order
  std::vector<Error> refused;
  Beliefs mind;
  bool sound = true;  // every belief stated could be applied
  Instant now = est::kStart;

  std::vector<Sent> requests_to(std::string_view end) const;

 private:
  void start();
  bool go(std::size_t most_actions);
  void feed(const Pledge::Input& input);
  void perform(const Pledge::Turn::Action& action);
  void open(const Open& action);
  void send(const SendRequest& action);
  Response serve(const Request& request, const Uri& at, const Session& session);
  Response give_voucher(const Request& request, Form form);
  void sign_request(const Ask<SignRequestArtifact>& ask);

  std::map<std::uint64_t, std::pair<SessionRef, Uri>> sessions_;
  std::map<std::string, PrivateKey> keys_;
  std::deque<Pledge::Input> inputs_;
  SeededRng rng_{7};
  std::uint64_t ticket_ = 1, session_ = 0;
  std::size_t actions_ = 0;
  bool timer_ = false;
  Duration delay_{};
};

}  // namespace imprint::brski::testing
