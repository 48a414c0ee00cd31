// What must hold at every moment of a run of BRSKI, and not only at its end.
#pragma once

#include "factory/line.h"
#include "runtime/device_storage.h"
#include "store/maker/maker_store.h"
#include "store/store.h"

namespace imprint::sim {

// The books of all three, and who is who.
struct BrskiBooks {
  DeviceStorage& device;
  store::Store& owner;
  store::MakerStore& maker;
  const factory::Born& born;
  std::vector<Certificate> voucher_anchors;  // as the device has them
  Certificate owner_root;
  bool sold_to_other = false;
};

// Looks at what is durable, after every action of anybody:
// - the device believes in no domain without a voucher of its maker's for itself, that pins its owner;
// - it holds no certificate without such an owner, none that the owner has no record of, and is not configured without;
// - the owner has given no certificate before voucher and report were on record and the device was let on;
// - every request for a voucher has a nonce of its own;
// - the maker has no voucher in its log for whom it has not sold the device to.
class BrskiCheck {
 public:
  // All that `books` names outlives this.
  explicit BrskiCheck(BrskiBooks books) : books_(std::move(books)) {}
  void look();
  // A sentence for each thing that was wrong, once; at most 20.
  const std::vector<std::string>& wrong() const { return wrong_; }

 private:
  void say(const std::string& what);
  void look_at_device();
  void look_at_owner();
  void look_at_maker();
  bool holds_for_device(const Bytes& voucher);

  BrskiBooks books_;
  Bytes judged_;                         // the voucher that was found to be good last
  std::map<brski::Nonce, Bytes> asked_;  // nonce, and the device's own request with it
  std::vector<std::string> wrong_;
};

}  // namespace imprint::sim
