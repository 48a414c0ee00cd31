// `imprint onboard est --watch`: a device that keeps its certificate good, until it is told to end.
#pragma once

#include "app/onboard_plan.h"

namespace imprint::app {

struct WatchOptions {
  bool watch = false;
  double renew_at = 2.0 / 3;  // part of the lifetime
  std::string renew_before;   // "30d", in place of renew_at
  std::string on_renew;       // words separated by blanks
  std::uint32_t on_renew_timeout_s = 60;
};

// The file in a device's folder that names the certificate, by its SHA-256, for which --on-renew was run to its end.
inline constexpr std::string_view kToldFile = "on-renew.done";

// Onboards if nothing is installed (a failure of that ends it), then renews again and again. Ok after SIGTERM or
// SIGINT.
OrProblem<Ok> watch(const Context& context, const OnboardOptions& options, const WatchOptions& wishes);

}  // namespace imprint::app
