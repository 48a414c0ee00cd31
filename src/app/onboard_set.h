// `imprint onboard … --profile`: several credentials in one onboarding, all of them or none. See credential_set.h.
#pragma once

#include <functional>

#include "app/onboard_run.h"

namespace imprint::app {

// Another protocol than EST, which finds the device's owner and obtains the credential that identifies the device; EST
// obtains the others.
struct Introduction {
  // Obtains that credential in options.out, or goes on with what an attempt before has left there; `there`: it has just
  // the certificate that is asked for. Nothing if nothing was to be done.
  std::function<OrProblem<std::optional<Ending>>(const OnboardOptions& options, bool there)> obtain;
  // The owner's EST servers, in the order of trying, as the record in that credential's folder has them.
  std::function<OrProblem<std::vector<std::string>>(const std::string& folder)> servers;
  // What a run at one of them needs besides its options. `fresh`: the onboarding is not over.
  std::function<OrProblem<Ok>(const std::string& folder, bool fresh, Onboarding& onboarding)> equip;
};

// Obtains what is missing, the credential that identifies the device first; what an attempt before has obtained is
// kept. With --renew: renews each, one after the other, whatever becomes of the others; the first
// problem is the command's. `by`: null for EST alone.
OrProblem<Ok> onboard_set(const Context& context, const OnboardOptions& options, const Introduction* by = nullptr);

// Runs at one server after the other, until one of them says yes or no. A server whom nobody answers for, or somebody
// else, says neither; the last one's ending is the result.
OrProblem<Ending> run_at(const std::vector<std::string>& servers,
                         const std::function<OrProblem<Ending>(const std::string& server)>& run);

// The options with which options.credential is obtained again or renewed alone. PROFILE-OPTIONS.
OrProblem<OnboardOptions> options_of_credential(const OnboardOptions& options);

}  // namespace imprint::app
