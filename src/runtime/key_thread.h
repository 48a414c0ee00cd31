// Keys that take their time: an RSA key takes up to some seconds, and no loop waits for it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/instant.h"
#include "site/key_delivery.h"

namespace imprint {

// Whether making a key of this type would hold up a loop.
bool takes_long(KeyType type);

// Makes one key after the other on a thread of its own.
class KeyThread {
 public:
  static constexpr std::size_t kMostWaiting = 64;
  static constexpr Duration kPatience = std::chrono::seconds(20);
  using Make = std::function<Result<MadeKey>(const KeyDelivery&, const site::WrapMeans&)>;
  using Answered = std::function<void(Result<MadeKey>)>;

  struct Order {
    KeyDelivery delivery;
    site::WrapMeans means;
    std::string device;  // who gets it: one after the other, so that no device keeps the others waiting
    Instant asked;
    std::weak_ptr<const void> asker;  // once it is gone the key is not made, and nobody is told
  };

  explicit KeyThread(Make make = site::make_key_for);
  KeyThread(const KeyThread&) = delete;
  KeyThread& operator=(const KeyThread&) = delete;
  ~KeyThread();  // end()

  // Answers once, from the thread; Fault::unreachable with SITE-SERVER-KEYS-BUSY at once, from this one, while
  // kMostWaiting others wait or a key for the same device is under way, and for whoever has waited for kPatience when
  // the next one comes: the client is told to come again (503).
  void make(Order order, Answered done);
  // Once it is back the thread is over and answers nobody any more: it waits for the key that is being made.
  void end();

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace imprint
