// What the owner's store and the maker's have in common. Private to this folder.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "model/audit.h"

namespace imprint::store {

// Submits, and waits for the outcome.
inline Status wait_for(const std::function<void(std::function<void(Status)>)>& submit) {
  std::mutex mutex;
  std::condition_variable arrived;
  std::optional<Status> answer;
  submit([&](Status status) {
    const std::scoped_lock lock(mutex);  // held while notifying: the waiter's frame ends as soon as it may go on
    answer = std::move(status);
    arrived.notify_one();
  });
  std::unique_lock lock(mutex);
  arrived.wait(lock, [&] { return answer.has_value(); });
  return *answer;
}

// The first entry of the audit log's chain whose hash or sequence does not fit, or nothing.
template <class AnyReader>
Result<std::optional<std::int64_t>> first_broken(AnyReader& reader) {
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
