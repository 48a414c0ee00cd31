// Who may sign for a maker.
#pragma once

#include "crypto/x509.h"

namespace imprint::brski {

// Whether a certificate that leads to a maker's anchors may sign what the maker says: vouchers and catalogues. One CA
// may issue all certificates of a maker, and neither its devices nor registrars nor its web servers speak for it.
// `named`: somebody who is believed has said that it may; that it is no device's need not be seen then. `unmarked`:
// nothing in the maker's IDevIDs tells a device.
bool may_sign_for_maker(const Certificate& signer, bool named, bool unmarked);

}  // namespace imprint::brski
