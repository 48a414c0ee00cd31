// From a certificate back to why it is there: the run in which it was asked for, the evidence, and the decision.
#pragma once

#include "store/store.h"

namespace imprint::site {

// Everything on record that led to a certificate, and away from it. What is empty was not needed, or is not kept.
struct Trace {
  store::CertificateRow certificate;
  std::optional<AuditEntry> issued, revoked;                // the entries that came with it
  std::optional<store::PendingRow> request;                 // if a person was asked: who decided, and when
  std::vector<AuditEntry> admission;                        // how its device was taken in or approved, oldest first
  std::optional<Run> run;                                   // with steps and beliefs
  std::optional<store::CertificateRow> renewed, successor;  // the one before, the first one after
};

// Nothing if no certificate has this serial number. Walks the whole audit log for the admission.
Result<std::optional<Trace>> trace(store::Reader& store, BytesView serial);

}  // namespace imprint::site
