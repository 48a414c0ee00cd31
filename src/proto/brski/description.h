// What a registrar and a MASA say of themselves at /.well-known/brski (ours; RFC 8995 has no version to ask for).
#pragma once

#include <string>
#include <string_view>

#include "role/session.h"

namespace imprint::brski {

// Of what a registrar says of itself, docs/guide.md. Members may be added to it; who does not know them passes them
// over. What changes the meaning of one gets another number.
inline constexpr int kRegistrarApi = 1;
// What the program around the role knows of itself. Nothing in it tells of devices, makers or the domain.
struct RegistrarAbout {
  std::string software;        // "imprint 0.1.0"; empty: it is not said
  bool coaps = false;          // devices are served over CoAPS as well
  bool stateless = false;      // and by stateless join proxies
  bool voucher_first = false;  // devices of makers with a MASA have to have a voucher before EST
  bool operator==(const RegistrarAbout&) const = default;
};
// GET /.well-known/brski: what this is, what it serves, and in which forms (ours; RFC 8995 has no version to ask for).
// With an ETag; `held`: the field If-None-Match of who asks, 304 if it names that.
Response describe_registrar(const RegistrarAbout& about, std::string_view held, Instant now);
// What both descriptions have in common, the MASA's as well: JSON, an ETag, and five minutes in which caches may keep
// it.
Response described(std::string_view json, std::string_view held, Instant now);

}  // namespace imprint::brski
