// `imprint onboard est --profile`: several credentials in one onboarding, all of them or none.
//   OUT/credentials/NAME   the folder of each, as any device's folder: it is renewed by itself
//   OUT/obtaining/NAME     meanwhile; becomes `credentials` in one step when all are there
#pragma once

#include "app/onboard_plan.h"

namespace imprint::app {

// Obtains what is missing, the credential that identifies the device first; what an attempt before has obtained is
// kept. With --renew: renews each, one after the other, whatever becomes of the others; the first
// problem is the command's.
OrProblem<Ok> onboard_set(const Context& context, const OnboardOptions& options);

// The options with which options.credential is obtained again or renewed alone. PROFILE-OPTIONS.
OrProblem<OnboardOptions> options_of_credential(const OnboardOptions& options);

}  // namespace imprint::app
