// EST's own words, players and beliefs, in the survey's terms.
#pragma once

#include "model/survey.h"

namespace imprint::est {

// The facts of RFC 7030, RFC 9148 and the survey on EST. The modes are named as runs name them: certificate, coaps,
// secret, srp, bootstrap, server key, fullcmc, renewal.
const ProtocolFacts& survey_facts();

}  // namespace imprint::est
