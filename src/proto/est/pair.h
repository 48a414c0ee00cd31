// A device and a server in conversation: the real roles, connections in memory, one clock that jumps. For tests and
// fuzzers; works with either crypto library.
#pragma once

#include <deque>
#include <functional>
#include <map>

#include "crypto/enveloped.h"
#include "proto/est/client.h"
#include "proto/est/coap.h"
#include "proto/est/fullcmc.h"
#include "proto/est/server.h"

namespace imprint::est {

inline constexpr Instant kStart{1'790'000'000'000};  // September 2026
inline constexpr Duration kDay = std::chrono::hours(24);

// Somebody with a key and a certificate.
struct Party {
  PrivateKey key;
  Certificate certificate;
};
using Edit = std::function<void(CertificateTemplate&)>;

// A certificate for this key, signed by `issuer`, valid for a year around kStart; `edit` changes what it says.
Certificate certify(const Party& issuer, std::string_view name, const PublicKey& key, const Edit& edit = {});
// A root of this name, and somebody below an issuer, each with a fresh key.
Party make_root(std::string_view name, const Edit& edit = {});
Party make_below(const Party& issuer, std::string_view name, const Edit& edit = {});
// Edits: a CA; a server's names; usages; validity.
void as_ca(CertificateTemplate& what);
Edit for_host(std::string_view host, std::vector<std::string> extended = {std::string(eku::kServerAuth)});

// The players of every conversation, made once for a process: fresh RSA keys would be slow, fresh names of no use.
struct Cast {
  Party owner, issuing, server, maker, device, old;
  Cast();
};
const Cast& cast();

class Pair {
 public:
  // An owner whose server knows the device by its maker's certificate.
  Pair();

  // ---- before run(): what the two are told ----
  Plan plan;
  ServerConfig config;
  Party server;                             // who answers at the plan's address
  std::vector<Certificate> client_anchors;  // of the server: whom it lets prove who they are
  std::string user = "dev-1", password = "the one-time token of dev-1, long enough";
  std::optional<Certificate> expected_root;  // what the person at the device confirms
  Party issuer;                              // who signs what is granted
  Party key_signer;                          // who signs a wrapped key
  Party full_answerer;                       // who signs a Full PKI Response
  SharedKey shared_key{to_bytes("kek-1"), Secret("sixteen octets..")};
  std::optional<KeyType> made_type;  // of keys that the server makes, in place of what was asked for
  Instant now = kStart;
  std::size_t max_inputs = 300;

  // ---- what goes wrong; each is called with what would have happened and may change it ----
  std::function<void(Session& client, Session& server)> on_session;
  std::function<void(RequestTemplate&)> on_csr;                // before the device signs it
  std::function<void(Bytes&)> on_signed;                       // the request as signed
  std::function<void(Request&)> on_request;                    // on its way to the server
  std::function<void(Response&, const Request&)> on_response;  // on its way back
  std::function<void(Decision&, const Admit&)> on_decision;
  std::function<void(CertificateTemplate&)> on_issue;
  std::function<void(Result<MadeKey>&)> on_made_key;
  std::function<void(Result<Secret>&)> on_opened;     // what the device found in an envelope
  unsigned lose_connections = 0;                      // the next opens that fail
  std::map<std::string, unsigned> lose_answers;       // by the end of the path: answers that never come
  Error lost_with{Fault::unreachable, "connection"};  // how the two end
  bool closes = false;                                // the server ends the connection behind every answer
  bool key_fails = false, signing_fails = false, ca_fails = false, store_fails = false;

  // ---- the conversation ----
  void run(std::optional<Asked> before = std::nullopt);  // until the device has ended, or nothing happens any more
  Response serve(Request request, SessionRef session);   // the server alone

  // ---- afterwards ----
  template <class S>
  bool is() const {
    return std::holds_alternative<S>(device);
  }
  const Error* failure() const;   // why the device failed; null if it did not
  std::string_view rule() const;  // the id of the rule of the failure; empty without one
  std::string detail() const;

  Client::State device = Client::Idle{};
  std::optional<Asked> asked;
  std::optional<Installed> installed;
  std::vector<std::string> states;  // names of the states entered
  std::vector<Request> requests;    // as they left the device
  std::vector<Open> opened;
  std::vector<Duration> rests;  // timers armed
  std::vector<Error> refused;   // inputs that the device refused
  std::vector<Issued> issued;
  std::vector<Pended> pended;
  std::vector<Denied> denied;
  std::vector<Error> server_refused;
  Beliefs device_mind, server_mind;
  bool sound = true;                       // every belief stated so far could be applied
  std::map<std::string, PrivateKey> keys;  // of the device
  std::map<std::uint64_t, SessionRef> open_sessions;
  std::uint64_t last_session = 0;
  SessionRef server_session(std::uint64_t id) const;

  void feed(const Client::Input& input);

 private:
  void perform(const Client::Turn::Action& action);
  void open(const Open& action);
  void send(const SendRequest& action);
  void sign(const Ask<SignRequest>& ask);
  std::optional<Signer> full_signer(const std::optional<Credential>& by) const;
  void drive(const ServerMessage& message, Response& out);
  Decision decide(const Admit& q);
  Result<MadeKey> make_key(const KeyDelivery& delivery);
  Result<Bytes> issue(const Grant& grant);

  SeededRng rng_{7};
  std::uint64_t next_ticket_ = 1, next_exchange_ = 1;
  std::uint8_t next_serial_ = 1;
  bool timer_ = false;
  Duration delay_{};
  std::deque<Client::Input> inputs_;
  std::map<std::uint64_t, SessionRef> server_sessions_;
};

}  // namespace imprint::est
