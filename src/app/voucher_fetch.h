// Vouchers without a nonce, asked of a MASA in advance: many in one call where it has that, else one by one.
#pragma once

#include <functional>

#include "app/kept_vouchers.h"

namespace imprint::app {

// One device of a MASA's, with the request for it.
struct FetchItem {
  ExpectedDevice device;
  brski::MasaContact masa;
  Bytes request;
};

// What became of one; `voucher` is what the MASA gave, unread.
struct Fetched {
  std::size_t item = 0;
  int status = 0;   // of the MASA for this one; 0: there was no answer
  std::string why;  // in the MASA's words, or ours
  Bytes voucher;    // empty: there is none
};

struct FetchPlan {
  brski::Form form = brski::Form::cms;
  std::size_t together = 200;  // requests of one call
  bool one_by_one = false;     // do not ask for many at once
};

// Our own request for a device that is not there (RFC 8995 section 5.5, without a nonce).
Result<Bytes> sign_nonceless_request(const RegistrarSite& site, const ExpectedDevice& device,
                                     const brski::Quirks& quirks, brski::Form form, Instant now);

// Asks the one MASA of all these items; `fetched` is called for each, in any order, at most once. `told` gets what
// happens meanwhile. Fault::unreachable, or why the MASA cannot be proven: the items that were not told of then are
// open.
Status fetch_vouchers(const RegistrarSite& site, const std::vector<FetchItem>& items, const FetchPlan& plan,
                      const std::function<void(Fetched)>& fetched, const std::function<void(std::string_view)>& told);

}  // namespace imprint::app
