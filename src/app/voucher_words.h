// Vouchers and voucher requests in words, for `imprint voucher`.
#pragma once

#include "codec/json.h"
#include "proto/brski/judge.h"
#include "proto/brski/leaves.h"

namespace imprint::app {

// The octets of an artefact that came in a file or by hand: raw, PEM, base64, base64url or hexadecimal.
Bytes unwrapped(BytesView file);

// The value of a leaf as JSON writes it; octets in base64. Empty if the leaf is not there.
std::string value_text(const brski::Voucher& voucher, const brski::Leaf& leaf);
// What the value means, as "certificate of CN=Registrar, until 2027-01-01T00:00:00Z"; may be empty.
std::string value_words(const brski::Voucher& voucher, const brski::Leaf& leaf);

// Everything about an artefact: its form, each leaf with its meaning, who signed, what came along, what is odd about
// it, and the device's request in a registrar's.
Json inspection_json(const brski::Artifact& artifact);
std::string inspection_text(const brski::Artifact& artifact);

Json checks_json(const std::vector<brski::Check>& checks);
std::string checks_text(const std::vector<brski::Check>& checks);

// Two artefacts leaf by leaf, and who signed each.
struct Difference {
  std::string name, one, other;  // empty: it is not there
  bool same = false;
};
std::vector<Difference> differences(const brski::Artifact& one, const brski::Artifact& other);

}  // namespace imprint::app
