#include "store/sqlite/rows.h"

#include <algorithm>

#include "store/sqlite/run_json.h"

namespace imprint::store {
namespace {

// Fills an array from a BLOB column of exactly its size.
Status read_hash(const Query& row, int column, Sha256& out) {
  const Bytes bytes = row.bytes(column);
  CHECK_OR(bytes.size() == out.size(), Error{Fault::malformed, "store: hash"});
  std::ranges::copy(bytes, out.begin());
  return Ok{};
}

Result<Admission> admission_column(const Query& row, int column) {
  const std::optional<Admission> admission = admission_named(row.text(column));
  CHECK_OR(admission.has_value(), Error{Fault::malformed, "store: admission"});
  return *admission;
}

}  // namespace

Result<Device> device_row(const Query& row) {
  Device out;
  out.id = row.text(0);
  out.model = row.text(1);
  out.serial = row.text(2);
  out.label = row.text(3);
  const std::optional<Lifecycle> lifecycle = lifecycle_named(row.text(4));
  CHECK_OR(lifecycle.has_value(), Error{Fault::malformed, "store: lifecycle"});
  out.lifecycle = *lifecycle;
  TRY(out.admission, admission_column(row, 5));
  out.added.ms = row.number(6);
  out.changed.ms = row.number(7);
  out.version = row.number(8);
  return out;
}

Result<CertificateRow> certificate_row(const Query& row) {
  CertificateRow out;
  out.serial = row.bytes(0);
  out.device = row.text(1);
  out.profile = row.text(2);
  out.subject = row.text(3);
  out.der = row.bytes(4);
  out.spki_sha256 = row.bytes(5);
  out.request_key = row.bytes(6);
  out.not_before.ms = row.number(7);
  out.not_after.ms = row.number(8);
  out.issued.ms = row.number(9);
  out.identity = row.text(10);
  out.reason = row.text(11);
  out.renews = row.bytes(12);
  if (!row.is_null(13)) {
    out.revoked = Instant{row.number(13)};
  }
  out.revocation_reason = static_cast<RevocationReason>(row.number(14));
  const std::optional<Basis> basis = basis_named(row.text(15));
  CHECK_OR(basis.has_value(), Error{Fault::malformed, "store: basis"});
  out.origin = {*basis, row.text(16), row.text(17), row.number(18), row.number(19)};
  return out;
}

Result<PendingRow> pending_row(const Query& row) {
  PendingRow out;
  out.what.request_key = row.bytes(0);
  out.what.device = row.text(1);
  out.what.identity = row.text(2);
  out.what.device_identity = row.text(3);
  out.what.label = row.text(4);
  out.what.subject = row.text(5);
  out.what.csr = row.bytes(6);
  out.what.reason = row.text(7);
  out.first.ms = row.number(8);
  out.last.ms = row.number(9);
  out.asked = row.number(10);
  TRY(out.state, admission_column(row, 11));
  out.decided_by = row.text(12);
  out.decided.ms = row.number(13);
  return out;
}

Result<DeviceSecret> secret_row(const Query& row) {
  DeviceSecret out{row.text(0), row.text(1), row.number(2) != 0, {}, !row.is_null(4), row.bytes(5), row.bytes(6)};
  TRY([[maybe_unused]] const Ok read, read_hash(row, 3, out.mac));
  return out;
}

Result<WrapKeyRow> wrap_key_row(const Query& row) {
  WrapKeyRow out{row.text(0), row.bytes(1), {}, row.bytes(3)};
  TRY([[maybe_unused]] const Ok read, read_hash(row, 2, out.mac));
  return out;
}

Result<AuditEntry> audit_row(const Query& row) {
  AuditEntry out;
  out.sequence = row.number(0);
  out.at.ms = row.number(1);
  out.actor = row.text(2);
  out.action = row.text(3);
  out.subject = row.text(4);
  out.detail = row.text(5);
  TRY([[maybe_unused]] const Ok previous, read_hash(row, 6, out.previous));
  TRY([[maybe_unused]] const Ok hash, read_hash(row, 7, out.hash));
  return out;
}

Result<Run> run_row(const Query& row) {
  Run out;
  out.id = row.text(0);
  out.protocol = row.text(1);
  out.mode = row.text(2);
  out.role = row.text(3);
  out.device = row.text(4);
  out.started.ms = row.number(5);
  out.ended.ms = row.number(6);
  out.result = row.text(7);
  out.rule = row.text(8);
  TRY([[maybe_unused]] const Ok summary, read_summary(row.text(9), out));
  return out;
}

}  // namespace imprint::store
