// The MASA's audit log (RFC 8995 section 5.8): to which domains it has given vouchers for a device.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/x509.h"
#include "proto/brski/voucher.h"

namespace imprint::brski {

struct LogEvent {
  DateTime date;
  Bytes domain_id;
  std::optional<std::string> nonce;  // the voucher request's, as text (RFC 8995 section 5.8.1); none: nonceless
  Assertion assertion = Assertion::logged;
  std::uint64_t truncated = 0;  // earlier entries of the same domain that are left out
  bool operator==(const LogEvent&) const = default;
};

struct AuditLog {
  std::uint64_t version = 1;  // above 1: events of unknown kinds may be in it
  std::vector<LogEvent> events;
  std::uint64_t nonced_duplicates = 0, nonceless_duplicates = 0, arbitrary = 0;  // "truncation"
  std::uint64_t unknown_events = 0;                                              // that could not be read as events
  bool operator==(const AuditLog&) const = default;
};

// Numbers may be text, as in the RFC's own example; what is missing in "truncation" is 0. Faults: limit (64 KiB, 1,024
// events), malformed. `registrar_ids`: what has registrarID and no domainID is an event as well, and one without an
// assertion says "logged", which is the least; else such are events of unknown kinds.
Result<AuditLog> parse_audit_log(std::string_view text, bool registrar_ids = false);
std::string encode_audit_log(const AuditLog& log);

// The domainID of a pinned certificate: its subject key identifier, else SHA-256 over its SubjectPublicKeyInfo (RFC
// 8995 section 5.8.2; RFC 7469 section 2.4).
Bytes domain_id(const Certificate& pinned);

// Entries that RFC 8995 section 5.8.1 lets a MASA leave out: of each domain the latest nonced and the latest nonceless
// one stay, and the latest `most` of all.
AuditLog abridge(AuditLog log, std::size_t most);

}  // namespace imprint::brski
