// Shared keys of devices: the writing half.
#include <algorithm>

#include "store/memory/memory.h"

namespace imprint::store {

Status MemoryWriter::add_wrap_key(const WrapKeyRow& row) {
  TRY(const std::optional<Device> device, this->device(row.device));
  CHECK_OR(device.has_value(), Error{Fault::refused, "device: not in the inventory"});
  const bool taken = std::ranges::any_of(t_.wrap_keys, [&](const WrapKeyRow& k) {
    return (k.device == row.device && k.id == row.id) || k.mac == row.mac;
  });
  CHECK_OR(!taken, Error{Fault::conflict, "wrap key: there already"});
  t_.wrap_keys.push_back(row);
  return Ok{};
}

Status MemoryWriter::forget_wrap_keys(std::string_view device, BytesView id) {
  std::erase_if(t_.wrap_keys,
                [&](const WrapKeyRow& k) { return k.device == device && (id.empty() || equal(k.id, id)); });
  return Ok{};
}

}  // namespace imprint::store
