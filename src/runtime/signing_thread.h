// The CA's key in a token, as the EST server asks it: a token may take its time, or be away, and no loop waits for it.
#pragma once

#include <memory>

#include "site/ca.h"

namespace imprint {

// Signs one certificate after the other on a thread of its own, which begins with the first. Fault::unreachable at once
// while kMostWaiting others wait, and for whoever has waited for kPatience when the next one comes: the client is told
// to come again (503). What the token does not sign is unreachable, too, with the token's rule.
class SigningThread final : public site::Signer {
 public:
  static constexpr std::size_t kMostWaiting = 256;
  static constexpr Duration kPatience = std::chrono::seconds(20);

  explicit SigningThread(const site::Ca& ca);
  // Waits for nobody: whoever still waits is told unreachable, by the thread, once the token lets it go.
  ~SigningThread() override;
  void issue(const Issue& question, Instant now, std::function<void(Result<Signed>)> done) override;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace imprint
