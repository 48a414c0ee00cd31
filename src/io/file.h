// Files that keep secrets and survive power cuts.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"

namespace imprint::io {

// The whole file, at most `limit` bytes. Fault::unreachable if it cannot be read, with Fault::limit if it is larger.
Result<Bytes> read_file(const std::string& path, std::size_t limit = 16 * 1024 * 1024);

// Writes a file of this mode under a temporary name, syncs it, renames it onto `path` and syncs the folder: afterwards
// it is there whole, or the old one still is.
Status write_file(const std::string& path, BytesView content, unsigned mode = 0600);

// Makes a folder (and those above) of mode 0700 unless it is there.
Status make_folder(const std::string& path);

// Syncs a folder, so that names made or renamed in it survive a power cut.
Status sync_folder(const std::string& path);

}  // namespace imprint::io
