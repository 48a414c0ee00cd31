// Onboardings as people mean them: one run a device, put together from what the owner's side has on record.
//
// A registrar of BRSKI (RFC 8995) meets a device in several requests over several connections: for a voucher, perhaps
// again and again while somebody decides; the report on it; EST; the report on the certificate. Each is a run of its
// own on record, so that it counts at once and outlives a crash. Here they become one, when they are read:
// - by the device, as the inventory names it: each request has proven it, by the IDevID or by the new certificate;
// - from a request for a voucher up to the next one after a voucher was had. No clock says where one ends: a device
//   waits for a person for weeks, and one whose power was away goes on with its voucher; and two factory resets may
//   come within a minute. A clock decides of what could belong to anything else (kSameMatter).
// The runs of EST that are a part of it are none of EST's any more; renewals are.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "model/run.h"
#include "store/store.h"

namespace imprint::survey {

// A refused request and the next one, or two certificates, no further from each other than this are one matter.
inline constexpr Duration kSameMatter = std::chrono::hours(1);

// Whatever its result was in parts, as a whole it is "operational" only if the device got a certificate and reported
// that it is enrolled. Else "waiting" (its owner or its maker has not decided), "held" (for its past, or by a person),
// "refused", "failed", or "incomplete": the device has not come again. Runs that are whole as they are keep theirs.
struct Story {
  Run run;                         // without steps and beliefs; its id is that of the first part
  std::vector<std::string> parts;  // ids of runs on record, oldest first
  std::string instead;             // id of the other side's story of the same onboarding, where that one counts
  bool from_start = true;          // false: the request for its voucher is not on record (any more)
};

// Of these runs, in any order; newest first. A device's own story stays by itself, and says how a registrar's was: that
// one cannot see that a maker's registrar had sent the device (mode "cloud"). Of the two the device's counts if it
// succeeded; else the registrar's, which knows why.
std::vector<Story> stories(std::vector<Run> runs);

// Of the latest 4,000 runs on record (BRSKI needs four for one onboarding), and of devices' own stories, whole, from
// elsewhere.
Result<std::vector<Story>> read_stories(store::Reader& reader, const std::vector<Run>& given = {});

// The mode as a survey's column has it: of "server key, certificate" that is "server key". How a run began makes no
// column of its own.
std::string_view mode_of(const Run& run);

// The latest successful one of every protocol and mode that is on record from its start: the device's own story if
// there is one, else the owner's side. `all` is newest first.
std::vector<Story> latest_of(const std::vector<Story>& all);

// With steps and beliefs, as far as they are on record. The states of a registrar's begin with who was in them:
// "registrar Fetching", "EST server Issuing". A belief that two parts came to is there once. Of more than 64 parts the
// middle is left out.
Result<Run> whole(store::Reader& reader, const Story& story);

// latest_of(), each whole. `all` is of this reader.
Result<std::vector<Run>> latest_runs(store::Reader& reader, const std::vector<Story>& all);
Result<std::vector<Run>> latest_runs(store::Reader& reader);

// The whole onboarding that this run on record is a part of; the run itself, whole, if it is none.
Result<Run> story_with(store::Reader& reader, const Run& part);

}  // namespace imprint::survey
