// Which path carries which operation, in both bindings: one table. Private to this folder.
#pragma once

#include <span>

#include "proto/brski/coap.h"

namespace imprint::brski {

struct PathRow {
  Operation operation;
  std::string_view name;           // RFC 8995 section 5
  std::string_view short_name;     // draft-ietf-anima-constrained-voucher section 6.1; empty: not over CoAP
  std::string_view resource_type;  // of the short name, for discovery
  std::string_view formats;        // that a request's body can have there
};

// All operations that have a name; those over CoAP first.
std::span<const PathRow> path_rows();
// The operation's; null if it has no name.
const PathRow* path_row(Operation operation);

// A folder, and which names count in it.
struct PathRoot {
  std::string_view root;
  bool names = false, short_names = false;
};
// What a path below one of these means; null: nothing. Only the first root that fits counts.
const PathRow* find_path(std::string_view path, std::span<const PathRoot> roots);

}  // namespace imprint::brski
