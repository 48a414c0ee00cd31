// The registrar toward one request of a device (RFC 8995): the owner's side, between the device and its maker's MASA.
// The header is the state table.
#pragma once

#include <memory>
#include <variant>

#include "proto/brski/registrar_judge.h"
#include "proto/brski/wire.h"
#include "role/step.h"

namespace imprint::brski {

struct RegistrarConfig {
  std::vector<Certificate> chain;  // of our TLS server, own certificate first: what devices see, and what may be pinned
  LogPolicy log;
};

class Registrar {
 public:
  explicit Registrar(std::shared_ptr<const RegistrarConfig> config) : config_(std::move(config)) {}

  struct RequestVoucher {
    Exchange from;
    SessionRef session;
    Bytes body;
    Form form = Form::cms;
    std::vector<Form> accepts;  // as the device said; empty: it takes the form of its request
  };
  struct ReportVoucher {
    Exchange from;
    SessionRef session;
    Telemetry telemetry;
  };
  struct ReportEnrolment {
    Exchange from;
    SessionRef session;
    Telemetry telemetry;
  };

  // A device's request for a voucher, once it is judged.
  struct Case {
    Exchange from;  // 0: it has left; the voucher is still wanted
    std::string device;
    std::optional<imprint::Device> newcomer;
    VoucherWanted wanted;
    Form form = Form::cms;  // of its request
    MasaContact masa;
    bool constrained = false;  // it asks over CoAPS
  };
  // A device's report on its voucher, and what is on record of it.
  struct Report {
    Exchange from;
    Telemetry telemetry;
    PledgeRow row;
    MasaContact masa;
  };

  struct Idle {};
  struct Admitting {
    RequestVoucher asked;
    Ticket<AdmitPledge::Decision> awaits;
  };
  struct Signing {
    Case of;
    Ticket<Bytes> awaits;
  };
  struct Opening {
    Case of;
    Bytes request;
    Ticket<SessionRef> awaits;
  };
  struct Fetching {
    Case of;
    Bytes request;
    SessionRef masa;
    bool logged_in = false;  // the MASA's challenge has been answered
    Ticket<Response> awaits;
  };
  struct Recalling {
    ReportVoucher told;
    Ticket<RecallPledge::Recalled> awaits;
  };
  struct OpeningForLog {
    Report of;
    Ticket<SessionRef> awaits;
  };
  struct FetchingLog {
    Report of;
    SessionRef masa;
    bool logged_in = false;  // where it is asked for now
    std::string at = {};     // the path where the MASA said that the log is (201 and Location); empty: it has not
    Ticket<Response> awaits;
  };
  struct Ending {
    ReportEnrolment told;
    Ticket<RecallPledge::Recalled> awaits;
  };

  using State =
      std::variant<Idle, Admitting, Signing, Opening, Fetching, Recalling, OpeningForLog, FetchingLog, Ending>;
  using Input = std::variant<RequestVoucher, ReportVoucher, ReportEnrolment, Done<AdmitPledge::Decision>, Done<Bytes>,
                             Done<SessionRef>, Done<Response>, Done<RecallPledge::Recalled>, Gone>;
  using Turn = TurnOf<Asks<AdmitPledge, SignRequestArtifact, RecallPledge>, Records<>,
                      Facts<PledgeWaits, VoucherObtained, VoucherReported, EnrolmentReported, PledgeRefused>>;

  Result<Admitting> on(const Idle&, const RequestVoucher&, Turn&) const;
  Result<Recalling> on(const Idle&, const ReportVoucher&, Turn&) const;
  Result<Ending> on(const Idle&, const ReportEnrolment&, Turn&) const;

  Result<OneOf<Signing, Idle>> on(const Admitting&, const Done<AdmitPledge::Decision>&, Turn&) const;
  Result<Idle> on(const Admitting&, const Gone&, Turn&) const;
  Result<OneOf<Opening, Idle>> on(const Signing&, const Done<Bytes>&, Turn&) const;
  Result<Idle> on(const Signing&, const Gone&, Turn&) const;  // nobody has heard of it yet
  Result<OneOf<Fetching, Idle>> on(const Opening&, const Done<SessionRef>&, Turn&) const;
  Result<Opening> on(const Opening&, const Gone&, Turn&) const;  // the voucher goes on record all the same
  Result<OneOf<Fetching, Idle>> on(const Fetching&, const Done<Response>&, Turn&) const;
  Result<Fetching> on(const Fetching&, const Gone&, Turn&) const;

  Result<OneOf<OpeningForLog, Idle>> on(const Recalling&, const Done<RecallPledge::Recalled>&, Turn&) const;
  Result<Recalling> on(const Recalling&, const Gone&, Turn&) const;  // what it told counts
  Result<OneOf<FetchingLog, Idle>> on(const OpeningForLog&, const Done<SessionRef>&, Turn&) const;
  Result<OpeningForLog> on(const OpeningForLog&, const Gone&, Turn&) const;
  Result<OneOf<FetchingLog, Idle>> on(const FetchingLog&, const Done<Response>&, Turn&) const;
  Result<FetchingLog> on(const FetchingLog&, const Gone&, Turn&) const;

  Result<Idle> on(const Ending&, const Done<RecallPledge::Recalled>&, Turn&) const;
  Result<Ending> on(const Ending&, const Gone&, Turn&) const;

 private:
  Result<Case> judged(const Admitting& s, const AdmitPledge::Decision& d) const;
  Result<Idle> took(const Fetching& s, const Response& answer, Turn& t) const;
  Result<Idle> concluded(const Report& report, const std::optional<Result<AuditLog>>& log, std::string text,
                         Turn& t) const;

  std::shared_ptr<const RegistrarConfig> config_;
};

// What an HTTP request of a device asks of this role. Faults with the rules BRSKI-PATH, -METHOD-POST, -REQUEST-TYPE,
// -ACCEPT, -TELEMETRY.
using RegistrarMessage = std::variant<Registrar::RequestVoucher, Registrar::ReportVoucher, Registrar::ReportEnrolment>;
Result<RegistrarMessage> parse_registrar_request(Exchange from, const Request& request);

}  // namespace imprint::brski

namespace imprint {

// Instantiated once, in registrar_table.cc.
extern template Result<brski::Registrar::State> step(const brski::Registrar& role, const brski::Registrar::State& state,
                                                     const brski::Registrar::Input& input,
                                                     brski::Registrar::Turn& turn);

}  // namespace imprint
