// `imprint onboard brski --profile`: the voucher and the credential that identifies the device by BRSKI, the others by
// EST from the owner whom the voucher named.
#pragma once

#include "app/onboard_brski.h"

namespace imprint::app {

// Obtains what is missing, all or nothing (see onboard_set.h). A voucher that is on record is not asked for again: the
// owner that it named is asked for the certificate, and only if nothing comes of that the device starts anew.
OrProblem<Ok> onboard_brski_set(const Context& context, const BrskiOptions& options);

// The owner's EST server as its record says: whom the voucher named, or beside the registrar at the usual place.
Uri est_server_of(const brski::Imprinted& owner);
// The same, and the registrars of the options: with the owner's anchors at hand any server of the owner's will do, and
// it may have moved.
std::vector<std::string> est_servers_of(const brski::Imprinted& owner, const BrskiOptions& options);
// Where these may be. An address that only a voucher has told is guarded.
Reach reach_of(const brski::Imprinted& owner, const BrskiOptions& options);

// CLI-CONFLICT if options.common.out is of an onboarding of the other kind: with a profile, or without.
OrProblem<Ok> check_kind_of_folder(const BrskiOptions& options);

}  // namespace imprint::app
