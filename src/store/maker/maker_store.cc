#include "store/maker/maker_store.h"

#include <condition_variable>
#include <mutex>

namespace imprint::store {

Status MakerStore::write(Change change) {
  std::mutex mutex;
  std::condition_variable arrived;
  std::optional<Status> answer;
  submit(std::move(change), [&](Status status) {
    const std::scoped_lock lock(mutex);  // held while notifying: the waiter's frame ends as soon as it may go on
    answer = status;
    arrived.notify_one();
  });
  std::unique_lock lock(mutex);
  arrived.wait(lock, [&] { return answer.has_value(); });
  return *answer;
}

Result<std::optional<std::int64_t>> verify_audit(MakerReader& reader) {
  constexpr std::int64_t kPage = 1000;
  AuditEntry last;  // before the first entry: sequence 0 and a hash of zeros
  while (true) {
    TRY(const std::vector<AuditEntry> page, reader.audit(last.sequence, kPage));
    if (page.empty()) {
      return std::optional<std::int64_t>();
    }
    for (const AuditEntry& entry : page) {
      if (entry.sequence != last.sequence + 1 || entry.previous != last.hash || entry.hash != audit_hash(entry)) {
        return std::optional<std::int64_t>(entry.sequence);
      }
      last = entry;
    }
  }
}

}  // namespace imprint::store
