// The MASA toward one request of a registrar (RFC 8995 sections 5.5, 5.6 and 5.8). The header is the state table.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "proto/brski/masa_questions.h"
#include "role/step.h"

namespace imprint::brski {

struct MasaConfig {
  std::vector<Certificate> idevid_anchors;  // roots of the maker's devices
  std::size_t most_events = 256;            // in an audit log that is answered; older ones are counted
  bool needs_prior = false;                 // the device's own request has to be in the registrar's, and to hold
  std::vector<RevocationList> lists = {};   // of domains: their registrars' certificates are held against them
  bool needs_status = false;                // a registrar that says where its revocation is looked up needs a list
};

class Masa {
 public:
  explicit Masa(std::shared_ptr<const MasaConfig> config) : config_(std::move(config)) {}

  // A registrar's request as it came, and who sent it.
  struct Asked {
    Exchange from;
    SessionRef session;
    std::optional<Login> login;
    Bytes body;
    std::string content_type, accept;
    bool base64_bodies = false;  // a quirk of who asks: the body may be in base64 (section 5: bare), and so its answer
  };
  struct RequestVoucher {
    Asked asked;
  };
  struct RequestAuditLog {
    Asked asked;
  };

  // What is kept of a request while others are asked about it.
  struct Question {
    Exchange from;
    SessionRef session;
    std::optional<Login> login;
    std::shared_ptr<const Artifact> artifact;
    bool for_log = false;
    Form form = Form::cms;   // of the voucher
    bool in_base64 = false;  // as the request came
  };

  struct Idle {};
  struct Identifying {
    Question question;
    Ticket<std::vector<Certificate>> awaits;
  };
  struct Judging {
    Question question;
    Verified<RequestFacts> facts;
    Bytes request;
    Ticket<JudgeClaim::Ruling> awaits;
  };
  struct Signing {
    Question question;
    Vouched fact;  // but for the voucher
    Ticket<Bytes> awaits;
  };
  struct Reading {
    Question question;
    Ticket<ReadDeviceLog::Log> awaits;
  };

  using State = std::variant<Idle, Identifying, Judging, Signing, Reading>;
  using Input = std::variant<RequestVoucher, RequestAuditLog, Done<std::vector<Certificate>>, Done<JudgeClaim::Ruling>,
                             Done<Bytes>, Done<ReadDeviceLog::Log>, Gone>;
  using Turn =
      TurnOf<Asks<FindIdevid, JudgeClaim, ReadDeviceLog, SignVoucher>, Records<>, Facts<Vouched, ClaimRefused>>;

  Result<Identifying> on(const Idle&, const RequestVoucher&, Turn&) const;
  Result<Identifying> on(const Idle&, const RequestAuditLog&, Turn&) const;
  Result<OneOf<Judging, Reading, Idle>> on(const Identifying&, const Done<std::vector<Certificate>>&, Turn&) const;
  Result<OneOf<Signing, Idle>> on(const Judging&, const Done<JudgeClaim::Ruling>&, Turn&) const;
  Result<Idle> on(const Signing&, const Done<Bytes>&, Turn&) const;
  Result<Idle> on(const Reading&, const Done<ReadDeviceLog::Log>&, Turn&) const;
  // The asker left. Nothing has left us, and nothing is on record: asked again, it begins anew.
  Result<Idle> on(const Identifying&, const Gone&, Turn&) const { return Idle{}; }
  Result<Idle> on(const Judging&, const Gone&, Turn&) const { return Idle{}; }
  Result<Idle> on(const Signing&, const Gone&, Turn&) const { return Idle{}; }
  Result<Idle> on(const Reading&, const Gone&, Turn&) const { return Idle{}; }

 private:
  std::shared_ptr<const MasaConfig> config_;
};

// What a voucher for this request says, under this ruling. For a request without a nonce expires-on is set, never after
// the end of what is pinned (RFC 8366 section 5.3).
struct Composed {
  Voucher voucher;
  Certificate pinned;
};
Composed compose_voucher(const RequestFacts& facts, const JudgeClaim::Ruling& ruling, Instant now);

// The text that a log has in place of a nonce: JSON's as it is, CBOR's in base64.
std::string nonce_text(const Nonce& nonce);

// The answer of a MASA to what it refuses: text/plain, for people (RFC 8995 section 5.6).
Response masa_error(const Error& error);

}  // namespace imprint::brski

namespace imprint {

// Instantiated once, in masa.cc.
extern template Result<brski::Masa::State> step(const brski::Masa& role, const brski::Masa::State& state,
                                                const brski::Masa::Input& input, brski::Masa::Turn& turn);

}  // namespace imprint
