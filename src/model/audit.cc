#include "model/audit.h"

#include "base/reader.h"

namespace imprint {

Sha256 audit_hash(const AuditEntry& entry) {
  Writer w;
  w.bytes(entry.previous);
  w.u64(static_cast<std::uint64_t>(entry.sequence));
  w.u64(static_cast<std::uint64_t>(entry.at.ms));
  for (const std::string* text : {&entry.actor, &entry.action, &entry.subject, &entry.detail}) {
    w.u64(text->size());  // without lengths "ab"+"c" and "a"+"bc" would hash alike
    w.text(*text);
  }
  return sha256(w.out());
}

}  // namespace imprint
