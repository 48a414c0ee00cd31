// What a device asked for, in one value: whether a record of before belongs to what it is told to do now.
#pragma once

#include "proto/est/client.h"

namespace imprint::est {

// SHA-256 over where and as whom the device asks, for what, and what its trust starts from: server (unless the
// owner's anchors are at hand: then any server of the owner's will do), label, login user, credential, names, key type,
// renewal, who makes the key and how it comes, kind of anchors and the fingerprint expected. The secret itself is left
// out: a fresh token for the same user asks for the same thing.
Sha256 purpose_of(const Plan& plan);

}  // namespace imprint::est
