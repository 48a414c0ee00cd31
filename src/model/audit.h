// The owner's audit log: append-only, each entry chained to the one before by a hash.
#pragma once

#include <string>

#include "base/instant.h"
#include "crypto/hash.h"

namespace imprint {

struct AuditEntry {
  std::int64_t sequence = 0;  // 1, 2, 3 … without gaps
  Instant at;
  std::string actor;    // "est", "admin", "cli", "factory"
  std::string action;   // "certificate.issued", "device.approved", …
  std::string subject;  // the device or serial that it is about
  std::string detail;   // JSON object, public values only
  Sha256 previous{};    // hash of the entry before; zeros for the first
  Sha256 hash{};        // audit_hash() of this one
  bool operator==(const AuditEntry&) const = default;
};

// SHA-256 over previous hash, sequence, time, and each text with its length before it (all numbers 8 bytes,
// big-endian).
Sha256 audit_hash(const AuditEntry& entry);

}  // namespace imprint
