// Vouchers that nobody asked for over the net: for sites that reach no MASA (RFC 8995 section 5.5.4, without a nonce).
#pragma once

#include "crypto/signed_data.h"
#include "factory/masa_policy.h"

namespace imprint::factory {

struct OfflineVoucher {
  MakerDevice device;
  std::string customer;
  Certificate pinned;  // of the customer: its domain CA or its registrar
  brski::Form form = brski::Form::cms;
  Duration lifetime{};  // until expires-on, never after the end of what is pinned; 0: it has none
};

// Only for the device's owner by the records; in the log, with the device claimed, before this returns. Faults: refused
// (MASA-NONCELESS, MASA-RETIRED), conflict (the device's record has changed), those of signer and store.
Result<Bytes> make_offline_voucher(store::MakerStore& store, const Signer& signer, const OfflineVoucher& what,
                                   Instant now, std::string_view actor);

}  // namespace imprint::factory
