// BRSKI's own words, players and beliefs, in the survey's terms.
#pragma once

#include "model/survey.h"

namespace imprint::brski {

// The facts of RFC 8995, its family and the survey on BRSKI. The modes are named as runs name them: https, nonceless,
// coaps, cloud. A join proxy makes no mode: it only carries, and what is believed is the same (RFC 8995 section 1.2).
const ProtocolFacts& survey_facts();

}  // namespace imprint::brski
