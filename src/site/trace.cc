#include "site/trace.h"

#include <algorithm>

namespace imprint::site {
namespace {

Result<std::optional<AuditEntry>> entry(store::Reader& store, std::int64_t sequence) {
  if (sequence == 0) {
    return std::optional<AuditEntry>();
  }
  TRY(std::vector<AuditEntry> found, store.audit(sequence - 1, 1));
  return found.empty() ? std::nullopt : std::optional(std::move(found.front()));
}

// The owner's words on the device until the certificate was issued.
Result<std::vector<AuditEntry>> admission_of(store::Reader& store, const store::CertificateRow& row) {
  std::vector<AuditEntry> out;
  for (const std::string_view action : {"device.added", "device.approved"}) {
    TRY(const std::vector<AuditEntry> found, store.audit_about(row.device, action));
    std::ranges::copy_if(found, std::back_inserter(out), [&](const AuditEntry& e) {
      return row.origin.issued_entry == 0 || e.sequence < row.origin.issued_entry;
    });
  }
  std::ranges::sort(out, {}, &AuditEntry::sequence);
  return out;
}

}  // namespace

Result<std::optional<Trace>> trace(store::Reader& store, BytesView serial) {
  TRY(const std::optional<store::CertificateRow> row, store.certificate(serial));
  if (!row) {
    return std::optional<Trace>();
  }
  Trace out;
  out.certificate = *row;
  TRY(out.issued, entry(store, row->origin.issued_entry));
  TRY(out.revoked, entry(store, row->origin.revoked_entry));
  if (!row->request_key.empty()) {
    TRY(out.request, store.pending(row->request_key));
  }
  if (row->device != store::kServer) {
    TRY(out.admission, admission_of(store, *row));
  }
  if (!row->origin.run.empty()) {
    TRY(out.run, store.run(row->origin.run));
  }
  if (!row->renews.empty()) {
    TRY(out.renewed, store.certificate(row->renews));
  }
  TRY(out.successor, store.successor(serial));
  return std::optional(std::move(out));
}

}  // namespace imprint::site
