// Rows of the database as values. The column lists and the functions belong together: the order is theirs.
#pragma once

#include "store/sqlite/database.h"
#include "store/store.h"

namespace imprint::store {

#define IMPRINT_DEVICE_COLUMNS \
  "d.id, d.model, d.serial, d.label, d.lifecycle, d.admission, d.added, d.changed, d.version"
// A certificate without a device is kServer's.
#define IMPRINT_CERTIFICATE_COLUMNS                                                                     \
  "serial, coalesce(device, '(server)'), profile, subject, der, spki_sha256, request_key, not_before, " \
  "not_after, issued, identity, reason, renews, revoked, revocation_reason, basis, evidence, run, "     \
  "issued_entry, revoked_entry"
#define IMPRINT_PENDING_COLUMNS                                                                       \
  "request_key, device, identity, device_identity, label, subject, csr, reason, first, last, asked, " \
  "state, decided_by, decided"
#define IMPRINT_SECRET_COLUMNS "device, user, one_time, mac, spent, digest, srp"
#define IMPRINT_WRAP_KEY_COLUMNS "device, id, mac, sealed"
#define IMPRINT_AUDIT_COLUMNS "sequence, at, actor, action, subject, detail, previous, hash"
#define IMPRINT_RUN_COLUMNS "id, protocol, mode, role, device, started, ended, result, rule, summary"

// Malformed, each, if a column does not hold what the schema's writer put there.
Result<Device> device_row(const Query& row);  // without identities
Result<CertificateRow> certificate_row(const Query& row);
Result<PendingRow> pending_row(const Query& row);
Result<DeviceSecret> secret_row(const Query& row);
Result<WrapKeyRow> wrap_key_row(const Query& row);
Result<AuditEntry> audit_row(const Query& row);
Result<Run> run_row(const Query& row);  // without steps and beliefs

}  // namespace imprint::store
