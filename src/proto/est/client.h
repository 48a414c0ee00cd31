// The EST client: a device, from its initial beliefs to its own certificate. The header is the state table.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/est/cmc.h"
#include "proto/est/messages.h"
#include "role/digest.h"
#include "role/questions.h"
#include "role/step.h"

namespace imprint::est {

// Where the beliefs came from that a run starts with, each by itself: a device may hold its identity from the factory
// and be told of its server by hand. Its own record holds certificates alone.
enum class Origin : std::uint8_t { factory, operator_, record };
struct Origins {
  Origin server = Origin::operator_, anchors = Origin::operator_, credential = Origin::operator_,
         login = Origin::operator_;
};
inline constexpr Origins kAllFromFactory{Origin::factory, Origin::factory, Origin::factory, Origin::factory};

// The device's key that the server wraps a key with which it makes for us (RFC 7030 section 4.4.1).
struct WrapKey {
  std::string key_id;   // the device's own name for it
  bool shared = false;  // a symmetric key that the server holds, too; else a key pair
  Bytes identifier;  // how the server knows it: any octets for a shared key, the subject key identifier of a key pair
};

// How the login of a plan is proven.
enum class LoginBy : std::uint8_t {
  http,    // HTTP Basic, or Digest if the server asks for that
  digest,  // HTTP Digest: the password never leaves
  srp,     // TLS-SRP: in the handshake, by both sides, in place of certificates (RFC 7030 section 3.3.3)
};

// What the device is told to do, and what it holds at the start. Fixed during a run.
struct Plan {
  Uri server;         // https://HOST:PORT[/base]; the base is /.well-known/est if none is given
  std::string label;  // profile asked for; empty: the server's default
  Origins origins;

  // Trust anchors (RFC 7030 section 3.6): explicit ones speak for the owner's EST CA; implicit ones are third parties'
  // roots, good only for a server whose name they certify. With none, a person has to confirm a fingerprint, or the one
  // expected beforehand decides.
  std::vector<Certificate> explicit_anchors, implicit_anchors;
  std::optional<Sha256> expected;
  std::optional<Credential> credential;  // IDevID, or the certificate to be renewed
  std::optional<Login> login;            // one-time token or password, sent only to `server`'s origin, verified
  LoginBy login_by = LoginBy::http;      // with srp the server needs no anchors: the secret vouches for it

  RequestedNames names;
  KeyType key_type = KeyType::p256;  // unless the server's csrattrs say otherwise
  bool renew = false;                // the credential is the certificate to be renewed
  std::optional<KeyRef> keep_key;    // renewal with the same key; absent: a new one
  std::optional<ChangeSubjectName> change_names;
  bool server_key = false;      // the server makes the key; the device's own one only signs the request
  bool full_cmc = false;        // the request goes in a Full PKI Request (fullcmc)
  std::optional<WrapKey> wrap;  // with server_key: it comes wrapped for this one; absent: in clear, under TLS alone
  std::uint32_t attempts = 8;   // connections that may fail before the device gives up
  std::uint32_t polls = 1000;   // 202 answers taken before it gives up
  std::optional<Sha256> domain = {};  // whom a voucher named as the owner: a key made for one is not shown to another
  bool skips_wishes = false;          // csrattrs are not asked for: every message counts on a constrained link
  bool bare_requests = false;         // over HTTPS: the request is DER and no base64 of it, as some servers want it
  // False: `server` is where the device was told to go by whoever is there, so that a certificate for that host says
  // nothing. Only a voucher's pin does, or the role of a registration authority.
  bool host_counts = true;
  // Whom the voucher was asked for from: until cacerts is read, every connection shows this very certificate.
  std::optional<Certificate> same_server = {};
  bool trusts_clock = true;  // else no certificate is too old or too young
};
using PlanRef = std::shared_ptr<const Plan>;

// The client's records. Asked is durable before a request leaves, so that a power cut cannot lose the key that a
// certificate is on its way for; Installed replaces key, certificate and anchors at once. An Asked for another purpose
// than the plan's is no record of this run: its key and its anchors are not used.
struct Asked {
  KeyRef key;
  std::vector<Certificate> anchors;  // explicit, as believed by then
  Sha256 purpose{};                  // purpose_of() the plan that it was asked for
  bool operator==(const Asked&) const = default;
};
struct Installed {
  KeyRef key;
  Certificate certificate;
  std::vector<Certificate> via;      // between the certificate and its anchor
  std::vector<Certificate> anchors;  // the owner's root certificates
  bool operator==(const Installed&) const = default;
};

class Client {
 public:
  // What a run knows on its way.
  struct Progress {
    PlanRef plan;
    Uri server;                            // changes with a redirect
    std::vector<Certificate> anchors;      // explicit ones; empty as long as only implicit ones are there
    std::vector<Certificate> issuers;      // further CA certificates of the owner, to build paths with
    std::string server_belief;             // id of the belief that the server of this session is the owner's
    std::vector<std::string> servers_met;  // such ids, stated in this run
    std::optional<KeyRef> key;
    CsrAttributes wishes;
    bool pinned = false;                       // the anchors are a voucher's pin: cacerts takes their place
    bool have_ca = false;                      // cacerts was read in this run
    bool reread = false;                       // cacerts is read once more: the answer led to other anchors
    bool sought = false;                       // the server was asked where it has EST
    bool vouched = false;                      // the plan's anchors are a voucher's pin: it names this server as well
    bool wished = false;                       // csrattrs was answered in this run
    bool used = false;                         // the connection has carried an answer: it may be over
    CmcIds full;                               // of the latest Full PKI Request
    std::optional<DigestChallenge> challenge;  // of HTTP Digest, the latest
    std::uint32_t answers = 0;                 // to its nonce
    std::uint32_t failures = 0, polls = 0, redirects = 0, challenges = 0;
  };

  // Another protocol has found out who the owner is, gave the plan its explicit anchors and stated what there is to
  // believe at the start. If there is a connection to the owner's server, the client goes on there.
  struct Vouched {
    SessionRef session;
    std::string server_belief;  // of that server
  };
  struct Start {
    PlanRef plan;
    std::optional<Asked> before;  // the record, after a restart
    std::optional<Vouched> vouched = {};
  };

  struct Idle {};
  struct Opening {
    Progress p;
    Ticket<SessionRef> awaits;
  };
  struct Meeting {
    Progress p;
    Ticket<SessionRef> awaits;
  };  // provisional: nobody to trust yet
  struct Glimpsing {
    Progress p;
    SessionRef tls;
    Ticket<Response> awaits;
  };  // cacerts from whoever answered
  struct Confirming {
    Progress p;
    std::vector<Certificate> bag;
    Ticket<Confirmed<Fingerprint>> awaits;
  };
  struct Fetching {
    Progress p;
    SessionRef tls;
    Ticket<Response> awaits;
  };  // cacerts, verified server
  struct Finding {
    Progress p;
    SessionRef tls;
    Ticket<Response> awaits;
  };  // over CoAP: where the server has its EST resources
  struct Wishing {
    Progress p;
    SessionRef tls;
    Ticket<Response> awaits;
  };  // csrattrs
  struct Keying {
    Progress p;
    SessionRef tls;
    Ticket<KeyRef> awaits;
  };
  struct Signing {
    Progress p;
    SessionRef tls;
    Ticket<Bytes> awaits;
  };
  struct Enrolling {
    Progress p;
    SessionRef tls;
    Bytes csr;
    Ticket<Response> awaits;
  };
  struct Unwrapping {
    Progress p;
    SessionRef tls;
    std::vector<Certificate> certificates;  // of the answer
    Ticket<Secret> awaits;
  };
  struct Keeping {
    Progress p;
    Verified<CertificateChain> chain;
    Ticket<KeyRef> awaits;
  };  // a key that the server made
  struct Waiting {
    Progress p;
  };  // 202: come again
  struct Resting {
    Progress p;
  };  // the server did not answer: try again
  struct Enrolled {
    Installed result;
  };
  struct Failed {
    Error why;
    std::string detail;
  };  // the peer's own sentence, if any

  using State = std::variant<Idle, Opening, Meeting, Glimpsing, Confirming, Fetching, Finding, Wishing, Keying, Signing,
                             Enrolling, Unwrapping, Keeping, Waiting, Resting, Enrolled, Failed>;
  using Input = std::variant<Start, Done<SessionRef>, Done<Response>, Done<Confirmed<Fingerprint>>, Done<KeyRef>,
                             Done<Bytes>, Done<Secret>, Lost, Timeout>;
  using Turn =
      TurnOf<Asks<MakeKey, SignRequest, ConfirmFingerprint, OpenEnvelope, KeepKey>, Records<Asked, Installed>, Facts<>>;

  Result<OneOf<Opening, Meeting, Fetching, Failed>> on(const Idle&, const Start&, Turn&) const;
  Result<OneOf<Fetching, Wishing, Keying, Signing, Resting, Failed>> on(const Opening&, const Done<SessionRef>&,
                                                                        Turn&) const;
  Result<OneOf<Glimpsing, Resting, Failed>> on(const Meeting&, const Done<SessionRef>&, Turn&) const;
  Result<OneOf<Confirming, Resting, Failed>> on(const Glimpsing&, const Done<Response>&, Turn&) const;
  Result<OneOf<Opening, Failed>> on(const Confirming&, const Done<Confirmed<Fingerprint>>&, Turn&) const;
  Result<OneOf<Wishing, Keying, Signing, Finding, Opening, Resting, Failed>> on(const Fetching&, const Done<Response>&,
                                                                                Turn&) const;
  Result<OneOf<Fetching, Opening, Resting, Failed>> on(const Finding&, const Done<Response>&, Turn&) const;
  Result<OneOf<Keying, Signing, Opening, Resting, Failed>> on(const Wishing&, const Done<Response>&, Turn&) const;
  Result<OneOf<Signing, Failed>> on(const Keying&, const Done<KeyRef>&, Turn&) const;
  Result<OneOf<Enrolling, Failed>> on(const Signing&, const Done<Bytes>&, Turn&) const;
  Result<OneOf<Enrolled, Enrolling, Unwrapping, Keeping, Waiting, Resting, Failed>> on(const Enrolling&,
                                                                                       const Done<Response>&,
                                                                                       Turn&) const;
  Result<OneOf<Keeping, Failed>> on(const Unwrapping&, const Done<Secret>&, Turn&) const;
  Result<OneOf<Enrolled, Failed>> on(const Keeping&, const Done<KeyRef>&, Turn&) const;
  Result<Opening> on(const Waiting&, const Timeout&, Turn&) const;
  Result<OneOf<Opening, Meeting>> on(const Resting&, const Timeout&, Turn&) const;

  // A connection that ends while its answer is awaited fails the answer; one that ends in between starts a new attempt.
  // A GET for which a used connection was over goes out once more, on a new one (RFC 9112 section 9.3.1).
  Result<OneOf<Resting, Failed>> on(const Keying&, const Lost&, Turn&) const;
  Result<OneOf<Resting, Failed>> on(const Signing&, const Lost&, Turn&) const;
};

// How long the client rests after its n-th failure (1, 2, …): doubling from 1 s to 5 min, with a jitter of up to a
// quarter drawn from `luck` (0..255).
Duration rest_after(std::uint32_t failures, std::uint8_t luck);

// The ids of the beliefs that a run states.
std::string anchor_belief(const Certificate& anchor);

}  // namespace imprint::est

namespace imprint {

// Instantiated once, in client_table.cc: it takes seconds of a compilation.
extern template Result<est::Client::State> step(const est::Client& role, const est::Client::State& state,
                                                const est::Client::Input& input, est::Client::Turn& turn);

}  // namespace imprint
