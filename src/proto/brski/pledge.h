// The pledge: a device from its factory's beliefs to its owner's, by RFC 8995. The header is the state table.
#pragma once

#include <map>
#include <set>
#include <variant>

#include "proto/brski/pledge_plan.h"
#include "proto/brski/questions.h"
#include "proto/brski/telemetry.h"

namespace imprint::brski {

class Pledge {
 public:
  // An address where the answer was 202, while others are tried: the same request goes there again.
  struct Held {
    Uri at;  // where redirects had led
    bool verified = false;
    Bytes request;
    std::optional<Nonce> nonce;
    Certificate seen;
    std::vector<Uri> visited;
    std::uint32_t polls = 0, redirects = 0;
    Instant due;
  };

  // What a run knows on its way.
  struct Progress {
    PledgePlanRef plan;
    Uri at;                 // of this attempt
    std::size_t next = 0;   // in plan->registrars, with the cloud after them
    bool verified = false;  // this server's certificate leads to the cloud's anchors
    Bytes request;          // the latest, as signed: a 202 wants the very same bytes again
    std::optional<Nonce> nonce;
    Certificate seen;                // the registrar's certificate, as named in that request
    std::vector<Uri> visited;        // in this attempt, by redirects
    std::set<std::string> stated;    // ids of the beliefs stated in this run, and not taken back
    std::vector<Belief> by_voucher;  // those of them that fall with the voucher
    std::uint32_t rounds = 0, polls = 0, redirects = 0, reports = 0;
    std::optional<est::Asked> before;  // the record of an enrolment that was under way
    std::optional<Imprinted> kept;     // the record of a voucher that nobody may have heard of yet
    bool aside = false;                // this attempt is at the one on record, beside the plan's order
    std::map<std::size_t, Held> held;  // by their place in the plan's order
    bool whole = true;                 // this turn through the addresses is for those that failed, too
    Instant again;                     // when the next such turn begins
    Error last{Fault::unreachable, "no registrar"};
    std::string detail;
  };

  struct Start {
    PledgePlanRef plan;
    std::optional<Imprinted> imprinted;  // the records, after a restart
    std::optional<est::Installed> installed;
    std::optional<est::Asked> asked;
  };

  struct Idle {};
  struct Opening {
    Progress p;
    Ticket<SessionRef> awaits;
  };
  struct Signing {
    Progress p;
    SessionRef tls;
    Ticket<Bytes> awaits;
  };
  struct Asking {
    Progress p;
    SessionRef tls;
    Ticket<Response> awaits;
    bool kept = false;  // on a connection that was idle during a wait: its end says nothing about the registrar
  };
  struct Waiting {
    Progress p;
    SessionRef tls;
    bool lost = false;
  };  // 202: come again
  struct Telling {
    Progress p;
    SessionRef tls;  // with the registrar's proven path to the pin
    Imprinted owner;
    std::string server_belief;
    Ticket<Response> awaits;
    bool again = false;      // on a second connection
    bool on_record = false;  // the voucher is one of before the power went
  };                         // voucher_status: it is good
  struct Rejoining {
    Progress p;
    SessionRef before;  // over, with the registrar's proven path to the pin
    Imprinted owner;
    std::string server_belief;
    Ticket<SessionRef> awaits;
  };  // the registrar ended the connection behind the voucher: by the pin, on a new one
  struct Complaining {
    Progress p;
    SessionRef tls;
    Ticket<Response> awaits;
  };  // voucher_status or enrollstatus: it is not
  struct Enrolling {
    Progress p;
    SessionRef first;  // the connection that the voucher was for; the client may open others
    Imprinted owner;
    est::Client::State est;
  };
  struct Returning {
    Progress p;
    Imprinted owner;
    est::Installed got;
    Ticket<SessionRef> awaits;
  };  // once more, with the new certificate
  struct Reporting {
    Progress p;
    SessionRef tls;
    Imprinted owner;
    est::Installed got;
    Ticket<Response> awaits;
  };  // enrollstatus: it is good
  struct Resting {
    Progress p;
  };  // all addresses failed: try again
  struct Pausing {
    Progress p;
    Imprinted owner;
    est::Installed got;
  };  // the report did not get through: try again
  struct Configured {
    Imprinted owner;
    est::Installed got;
  };
  struct Failed {
    Error why;
    std::string detail;
  };

  using State = std::variant<Idle, Opening, Signing, Asking, Waiting, Telling, Rejoining, Complaining, Enrolling,
                             Returning, Reporting, Resting, Pausing, Configured, Failed>;
  using Input = std::variant<Start, Done<SessionRef>, Done<Response>, Done<Bytes>, Done<KeyRef>, Done<Secret>,
                             Done<Confirmed<Fingerprint>>, Lost, Timeout>;
  using Turn = TurnOf<Asks<SignRequestArtifact, MakeKey, SignRequest, ConfirmFingerprint, OpenEnvelope, KeepKey>,
                      Records<Imprinted, est::Asked, est::Installed>, Facts<>>;

  Result<OneOf<Opening, Returning, Failed>> on(const Idle&, const Start&, Turn&) const;
  Result<OneOf<Signing, Asking, Telling, Opening, Resting, Failed>> on(const Opening&, const Done<SessionRef>&,
                                                                       Turn&) const;
  Result<OneOf<Asking, Failed>> on(const Signing&, const Done<Bytes>&, Turn&) const;
  Result<OneOf<Opening, Resting, Failed>> on(const Signing&, const Lost&, Turn&) const;
  Result<OneOf<Telling, Complaining, Waiting, Opening, Resting, Failed>> on(const Asking&, const Done<Response>&,
                                                                            Turn&) const;
  Result<OneOf<Asking, Opening>> on(const Waiting&, const Timeout&, Turn&) const;
  Result<Waiting> on(const Waiting&, const Lost&, Turn&) const;  // the same request again, on another connection
  Result<OneOf<Opening, Resting, Failed>> on(const Complaining&, const Done<Response>&, Turn&) const;
  // The EST client, in here: what it hears, and where it leaves us.
  using Enrolled = Result<OneOf<Enrolling, Returning, Complaining>>;
  Result<OneOf<Rejoining, Enrolling, Returning, Complaining>> on(const Telling&, const Done<Response>&, Turn&) const;
  Result<OneOf<Telling, Enrolling, Returning, Complaining>> on(const Rejoining&, const Done<SessionRef>&, Turn&) const;
  Enrolled on(const Enrolling&, const Done<SessionRef>&, Turn&) const;
  Enrolled on(const Enrolling&, const Done<Response>&, Turn&) const;
  Enrolled on(const Enrolling&, const Done<Bytes>&, Turn&) const;
  Enrolled on(const Enrolling&, const Done<KeyRef>&, Turn&) const;
  Enrolled on(const Enrolling&, const Done<Secret>&, Turn&) const;
  Enrolled on(const Enrolling&, const Done<Confirmed<Fingerprint>>&, Turn&) const;
  Enrolled on(const Enrolling&, const Lost&, Turn&) const;
  Enrolled on(const Enrolling&, const Timeout&, Turn&) const;
  Result<OneOf<Reporting, Pausing, Configured>> on(const Returning&, const Done<SessionRef>&, Turn&) const;
  Result<OneOf<Configured, Pausing>> on(const Reporting&, const Done<Response>&, Turn&) const;
  Result<Returning> on(const Pausing&, const Timeout&, Turn&) const;
  Result<Opening> on(const Resting&, const Timeout&, Turn&) const;
};

// How long the device waits after a 202 (RFC 8995 section 5.6: what the registrar says, at most 60 s).
Duration wait_after(const Response& answer);

}  // namespace imprint::brski

namespace imprint {

template <>
struct ProofTraits<Verified<brski::VoucherFacts>> {
  static constexpr Strength kStrength = Strength::proved;
  static constexpr Ground kGround = Ground::check;
  static constexpr std::string_view kCheck = "a voucher of the maker's for this very device (RFC 8995 section 5.6.1)";
  static Bytes bytes(const Verified<brski::VoucherFacts>& p) { return p->signer.leaf.der; }
};

// Instantiated once, in pledge_table.cc.
extern template Result<brski::Pledge::State> step(const brski::Pledge& role, const brski::Pledge::State& state,
                                                  const brski::Pledge::Input& input, brski::Pledge::Turn& turn);

}  // namespace imprint
