// Options of `imprint onboard brski` that contradict each other.
#include <algorithm>

#include "app/credential_set.h"
#include "app/onboard_brski.h"

namespace imprint::app {
namespace {

bool constrained(const std::string& at) { return at.starts_with("coaps://"); }

// Whether every attempt goes by CoAPS, where vouchers are in COSE alone.
bool all_constrained(const BrskiOptions& options) {
  return !options.registrars.empty() && options.cloud.empty() && std::ranges::all_of(options.registrars, constrained);
}

OrProblem<Ok> check_form(const BrskiOptions& options) {
  const std::string& form = options.form;
  const bool coaps = all_constrained(options);
  if (coaps && !form.empty() && form != "cose") {
    return wrong_option("--form " + form, "leave it out: over coaps:// vouchers are in COSE alone");
  }
  const bool cms = !coaps && (form.empty() || form == "cms");
  if (!options.content_type.empty() && !cms) {
    return wrong_option("--content-type " + options.content_type, "leave it out: only CMS says what it holds");
  }
  return Ok{};
}

OrProblem<Ok> check_cloud(const BrskiOptions& options) {
  if (options.cloud.empty() && !options.cloud_anchors.empty()) {
    return wrong_option("--cloud-anchors without --cloud", "give --cloud as well: it is whom they vouch for");
  }
  if (constrained(options.cloud)) {
    return wrong_option("--cloud " + options.cloud, "give it as https://HOST:PORT[/base]: there is none over CoAPS");
  }
  return Ok{};
}

}  // namespace

OrProblem<Ok> check_together(const BrskiOptions& options) {
  const OnboardOptions& common = options.common;
  if (common.certificate.empty() != common.key.empty()) {
    return wrong_option("--cert and --key", "give both: the IDevID that the factory put in, or --device");
  }
  TRY(Ok{}, check_form(options));
  TRY(Ok{}, check_cloud(options));
  if (!common.profile.empty() && common.beliefs) {
    return wrong_profile_option("--beliefs", "each credential has a run of its own: `imprint compare --run FILE`");
  }
  return Ok{};
}

}  // namespace imprint::app
