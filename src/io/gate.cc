#include "io/gate.h"

namespace imprint::io {

void Gate::post(std::function<void()> work) {
  const std::scoped_lock lock(mutex_);
  if (schedule_ == nullptr) {
    return;
  }
  schedule_->post([self = shared_from_this(), work = std::move(work)] {
    bool open = false;
    {
      const std::scoped_lock check(self->mutex_);
      open = self->schedule_ != nullptr;
    }
    if (open) {
      work();
    }
  });
}

void Gate::close() {
  const std::scoped_lock lock(mutex_);
  schedule_ = nullptr;
}

}  // namespace imprint::io
