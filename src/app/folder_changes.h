// Whether the data folder has changed under a running server.
#pragma once

#include <string>
#include <vector>

#include "app/data_folder.h"

namespace imprint::app {

// Tells any change of the files of keys, certificates and profiles, in the folder and beside it: their names with
// inode, size and time. Reading them would cost as much as two enrolments (docs/measured.md).
std::string stamp_of(const Config& config);

// Tells any change of the revocations on record.
Sha256 digest_of(const std::vector<Revoked>& revoked);

// Whether devices and relying parties would see the same of both.
bool same_to_devices(const DataFolder& a, const DataFolder& b);

}  // namespace imprint::app
