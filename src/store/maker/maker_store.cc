#include "store/maker/maker_store.h"

#include "store/shared.h"

namespace imprint::store {

Status MakerStore::write(Change change) {
  return wait_for([&](std::function<void(Status)> done) { submit(std::move(change), std::move(done)); });
}

Result<std::optional<std::int64_t>> verify_audit(MakerReader& reader) { return first_broken(reader); }

}  // namespace imprint::store
