// Devices that ask their owner's registrar for a voucher (RFC 8995): who they are, and the facts that remain of it.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/instant.h"
#include "model/device.h"

namespace imprint {

// A maker's name for a device: serial numbers count within the CA that issued its IDevID.
struct PledgeId {
  std::string serial;
  Bytes issuer;  // key identifier of the CA of its IDevID; of a CA that goes by another's, what tells the two apart
  Bytes key;     // SHA-256 of the SubjectPublicKeyInfo of its IDevID
  bool operator==(const PledgeId&) const = default;
};

// How far a device has come. A refused one, or one that asks anew, may begin again.
enum class PledgeStage : std::uint8_t {
  asked,      // it came, and waits for a person or for its MASA
  vouchered,  // its MASA has given a voucher
  imprinted,  // it has taken the voucher
  refused,    // the owner or its MASA refused it, or it refused the voucher
  enrolled,   // it told that it has the owner's certificate
};
std::string_view name(PledgeStage stage);
std::optional<PledgeStage> pledge_stage_named(std::string_view name);

// What a device told of its voucher or of its enrolment (RFC 8995 sections 5.7 and 5.9.4), with "reason-context" as
// JSON text.
struct PledgeReport {
  bool status = false;
  std::string reason, context;
  bool operator==(const PledgeReport&) const = default;
};

// The rule of a hold that a person has asked for. Other holds have that of what was found in the device's past.
inline constexpr std::string_view kHeldByPerson = "BRSKI-HELD";

// ---- facts of the registrar's side, each written with its audit entry in one transaction ----

// A device came, and waits for a person.
struct PledgeWaits {
  PledgeId id;
  std::string device, reason;
  std::optional<Device> newcomer;  // joins the inventory with this fact, waiting
};

// The MASA has given a voucher, or the one on record serves. Written before the device gets it.
struct VoucherObtained {
  PledgeId id;
  std::string device;
  Bytes request;      // the registrar's request, whole: the audit log is asked for with it; empty: that of before stays
  Bytes voucher;      // as it came
  std::string form;   // "cms"
  std::string nonce;  // of the voucher, as text; octets in base64. Empty: it has none
  Bytes domain_id;    // of what it pins (RFC 8995 section 5.8.2)
  std::string masa, run;
  std::optional<Device> newcomer = {};  // the policy takes in whom it does not know: only `demo`
};

// What the device tells of its voucher, and what the registrar makes of the MASA's audit log.
struct VoucherReported {
  PledgeId id;
  std::string device;
  PledgeReport told;
  bool cleared = false;  // EST is open to it
  std::string rule;      // that holds it back; empty if it is cleared
  std::string reason;    // why, or why not
  std::string log;       // the audit log as it came; empty if there is none
  bool passing = false;  // if it is not cleared: nothing was found, and a later voucher's report may clear it
  // The voucher that it is about, as the row has it. None: the one on record.
  std::optional<Instant> vouchered = {};
  std::string nonce = {};
};

// What the device tells of its enrolment.
struct EnrolmentReported {
  PledgeId id;
  std::string device;
  std::string certificate;  // serial number of the certificate by which it came, hexadecimal; empty: its IDevID
  PledgeReport told;
};

// A device, or what its MASA said of it, was refused.
struct PledgeRefused {
  PledgeId id;
  std::string device, rule, reason;
};

// A device as the registrar has it on record.
struct PledgeRow {
  PledgeId id;
  std::string device;  // inventory id; empty: it is not in the inventory
  PledgeStage stage = PledgeStage::asked;
  std::string form, nonce;  // as in VoucherObtained
  Bytes request, voucher;   // the latest; empty: there is none yet
  Bytes domain_id;
  std::string masa, run;
  Instant first, last;  // when it came for the first and for the latest time
  std::int64_t asked = 1;
  std::optional<Instant> vouchered, reported, enrolled;
  bool cleared = false;      // EST is open to it
  std::string rule, reason;  // of the latest fact
  std::string log;           // the MASA's audit log, as it came last
  std::string certificate;   // as in EnrolmentReported
  std::string held;          // the rule of a hold that lasts until a person clears it, whatever comes; empty: none
  bool operator==(const PledgeRow&) const = default;
};

}  // namespace imprint
