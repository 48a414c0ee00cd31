// What is kept of a device's shared key, under which keys that are made for it are wrapped.
#pragma once

#include "store/store.h"

namespace imprint::site {

// Sealed under a part of the pepper, for this device and identifier alone; its MAC is the same whosever it is.
// Fault::internal if OpenSSL fails.
Result<store::WrapKeyRow> sealed_wrap_key(const Secret& pepper, std::string_view device, const SharedKey& key);

// Fault::unauthentic if it was kept under another pepper, for another device or under another identifier.
Result<SharedKey> open_wrap_key(const Secret& pepper, std::string_view device, BytesView id, BytesView sealed);

}  // namespace imprint::site
