#include "store/store.h"

#include "store/shared.h"

namespace imprint::store {

bool is_fresh(const CertificateRow& row, Instant now) {
  return row.not_after - now > (row.not_after - row.not_before) / 2;
}

Status Store::write(Change change) {
  return wait_for([&](std::function<void(Status)> done) { submit(std::move(change), std::move(done)); });
}

Result<std::optional<std::int64_t>> verify_audit(Reader& reader) { return first_broken(reader); }

}  // namespace imprint::store
