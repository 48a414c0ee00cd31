// Shared keys of devices, as SQL: the writing half.
#include "store/sqlite/writer.h"

namespace imprint::store {

Status SqliteWriter::add_wrap_key(const WrapKeyRow& row) {
  TRY(const std::optional<Device> device, this->device(row.device));
  CHECK_OR(device.has_value(), Error{Fault::refused, "device: not in the inventory"});
  return database_
      .query("INSERT INTO wrap_keys (device, id, mac, sealed) VALUES (?, ?, ?, ?)", row.device, row.id, row.mac,
             row.sealed)
      .run();
}

Status SqliteWriter::forget_wrap_keys(std::string_view device, BytesView id) {
  return database_.query("DELETE FROM wrap_keys WHERE device = ?1 AND (length(?2) = 0 OR id = ?2)", device, id).run();
}

}  // namespace imprint::store
