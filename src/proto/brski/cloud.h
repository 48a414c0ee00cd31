// The maker's default registrar toward one request of a device (draft-ietf-anima-brski-cloud): it knows where the
// device's owner is, and is nobody's registrar itself. The header is the state table.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "model/maker.h"
#include "proto/brski/masa_questions.h"
#include "role/step.h"

namespace imprint::brski {

struct CloudConfig {
  std::vector<Certificate> idevid_anchors;  // roots of the maker's devices
  Certificate own;                          // of our TLS server: what devices see
  Duration come_back =
      std::chrono::seconds(60);  // while nobody has said; devices wait no longer (RFC 8995 section 5.6)
};

// Where is this device's owner? Nothing is written.
struct FindOwner {
  struct Found;
  using Answer = Found;
  DeviceKey device;
  Bytes request;  // SHA-256 of the device's request
  Form form = Form::cms;
};
struct FindOwner::Found {
  bool known = false;        // the device is on record, and is not retired
  std::int64_t version = 0;  // of its record, on which this stands
  std::string customer;      // owner by the sales data
  OwnerAddress owner;
  bool name_issuer = false;  // another device has the same serial number
  Bytes voucher;             // that answered this very request; empty: none
};

class Cloud {
 public:
  explicit Cloud(std::shared_ptr<const CloudConfig> config) : config_(std::move(config)) {}

  // A device's request as it came.
  struct RequestVoucher {
    Exchange from;
    SessionRef session;
    Bytes body;
    std::string content_type, accept;
  };
  // voucher_status or enrollstatus: it is read, and answered.
  struct Report {
    Exchange from;
    SessionRef session;
    Bytes body;
    std::string content_type;
  };

  struct Idle {};
  struct Finding {
    Exchange from;
    DeviceKey device;
    Voucher asked;
    Form form = Form::cms;  // of the voucher
    Bytes request;
    Ticket<FindOwner::Found> awaits;
  };
  struct Signing {
    Exchange from;
    Form form = Form::cms;
    Vouched fact;  // but for the voucher
    Ticket<Bytes> awaits;
  };

  using State = std::variant<Idle, Finding, Signing>;
  using Input = std::variant<RequestVoucher, Report, Done<FindOwner::Found>, Done<Bytes>, Gone>;
  using Turn = TurnOf<Asks<FindOwner, SignVoucher>, Records<>, Facts<Vouched>>;

  Result<Finding> on(const Idle&, const RequestVoucher&, Turn&) const;
  Result<Idle> on(const Idle&, const Report&, Turn&) const;
  Result<OneOf<Signing, Idle>> on(const Finding&, const Done<FindOwner::Found>&, Turn&) const;
  Result<Idle> on(const Signing&, const Done<Bytes>&, Turn&) const;
  // The device left. Nothing has left us, and nothing is on record: it asks again.
  Result<Idle> on(const Finding&, const Gone&, Turn&) const { return Idle{}; }
  Result<Idle> on(const Signing&, const Gone&, Turn&) const { return Idle{}; }

 private:
  std::shared_ptr<const CloudConfig> config_;
};

// The device of this maker that is at the other end, by its certificate in the handshake; else BRSKI-CLOUD-IDEVID. By
// this a device's request is told from a registrar's at the same path.
Result<DeviceKey> device_at(const Session& session, const std::vector<Certificate>& idevid_anchors, Instant now);

// The answer to what was refused: status and rule as text/plain.
Response cloud_error(const Error& error);

}  // namespace imprint::brski

namespace imprint {

// Instantiated once, in cloud.cc.
extern template Result<brski::Cloud::State> step(const brski::Cloud& role, const brski::Cloud::State& state,
                                                 const brski::Cloud::Input& input, brski::Cloud::Turn& turn);

}  // namespace imprint
