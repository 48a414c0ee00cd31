// Requests that only say again what the one before said: a device that waits asks every half a minute, and may do so
// for weeks. They are one run on record, which counts them; else one such device would push all others out.
#pragma once

#include "model/run.h"
#include "store/store.h"

namespace imprint::survey {

// Puts a run that has ended on record: with the latest of its device, protocol and role if that ended the same way
// (mode, result, rule) and was told to come again (202); a registrar's that was refused or failed as well, if the next
// one comes within kSameMatter (survey/stories.h). What is kept is then the first one, with the end of this one,
// their counts together (a round trip is a request) and, as the last step, how often it was asked.
Status keep_run(store::Writer& store, const Run& run);

}  // namespace imprint::survey
