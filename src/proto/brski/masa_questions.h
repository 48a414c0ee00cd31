// What a MASA asks of the house around it, and the facts that remain: factory/masa_policy.h and runtime answer them.
#pragma once

#include "proto/brski/audit_log.h"
#include "proto/brski/judge.h"
#include "role/session.h"

namespace imprint::brski {

// A device as its maker counts it: serial numbers are unique below one CA only.
struct DeviceKey {
  Bytes issuer;  // key identifier of the CA of its IDevID
  std::string serial;
  bool operator==(const DeviceKey&) const = default;
};

// The IDevID on record of the device that a request names, for requests that come without it. Nothing is decided.
struct FindIdevid {
  using Answer = std::vector<Certificate>;
  std::optional<Bytes> issuer;  // key identifier, if the request has one
  std::string serial;
};

// Whose registrar is it, which device, and may it have a voucher? Nothing is written.
struct JudgeClaim {
  struct Ruling;
  using Answer = Ruling;
  SessionRef session;
  std::optional<Login> login;
  Verified<RequestFacts> facts;
  Bytes request;          // SHA-256 of the registrar's request
  Form form = Form::cms;  // of the voucher that is wanted
};
struct JudgeClaim::Ruling {
  enum class Verdict : std::uint8_t {
    grant,
    already,  // this very request was answered: `voucher` is that answer
    refused,  // `rule` says why
  };
  Verdict verdict = Verdict::refused;
  std::optional<DeviceKey> device;          // as far as it is known
  std::int64_t version = 0;                 // of its record, on which this stands
  std::string customer;                     // account of the registrar; empty: nobody known
  Assertion assertion = Assertion::logged;  // with grant
  bool pin_registrar = false;               // with grant: its own certificate, not the farthest above it
  bool name_issuer = false;                 // with grant: another device has the same serial number
  Duration lifetime{};                      // with grant and without a nonce: until expires-on; 0: it has none
  Bytes voucher;                            // with already
  const Rule* rule = nullptr;               // with refused
  Fault fault = Fault::refused;
  std::string reason;  // for the operator
};

// To which domains vouchers for the device were given, if the asker's is one of them.
struct ReadDeviceLog {
  struct Log;
  using Answer = Log;
  SessionRef session;
  std::optional<Login> login;
  Verified<RequestFacts> facts;
};
struct ReadDeviceLog::Log {
  bool entitled = false;  // the registrar's domain, or its account, is or was an owner
  AuditLog log;
  const Rule* rule = nullptr;  // why not; null: masa::kNoLog
  Fault fault = Fault::refused;
};

// Sign a voucher with the maker's voucher key.
struct SignVoucher {
  using Answer = Bytes;
  Voucher what;
  Form form = Form::cms;
};

// ---- facts, each written with its audit entry in one transaction ----

// A voucher was made. Written before it leaves: the log must never lack one (RFC 8995 section 5.5).
struct Vouched {
  DeviceKey device;
  std::int64_t version = 0;  // of the record that was judged: if it has changed since, this is a conflict
  std::string customer;
  Bytes request;  // SHA-256 of the registrar's request
  Form form = Form::cms;
  Bytes voucher;  // as it leaves
  Bytes domain_id;
  Bytes pinned_key;  // SHA-256 of the pinned SubjectPublicKeyInfo: what renewals are recognised by
  std::optional<std::string> nonce;
  Assertion assertion = Assertion::logged;
};

// A claim for a device that is known was refused.
struct ClaimRefused {
  DeviceKey device;
  std::string customer, rule, registrar;  // registrar: subject of who signed
};

}  // namespace imprint::brski
