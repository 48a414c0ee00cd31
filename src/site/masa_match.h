// Which devices a rule of the MASA book is for: conditions on an IDevID and on who issued it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proto/brski/masa_url.h"

namespace imprint::site {

// Serial numbers by a pattern or by a range, both ends included.
class SerialPattern {
 public:
  // "ACME-*-?7": * is any text, ? any one character; at most 128 characters, 16 of them *.
  static Result<SerialPattern> glob(std::string_view pattern);
  // "A-0100" to "A-01FF", of one length: what the ends have in common stays as it is, and behind it come digits, or
  // hexadecimal digits of one case, if both ends have no others there. Of two lengths: a common text and decimal
  // numbers without leading zeros, "A9" to "A120". Malformed if no serial number can be in it.
  static Result<SerialPattern> range(std::string_view first, std::string_view last);

  bool fits(std::string_view serial) const;
  std::string text() const;  // "ACME-*" or "A9..A120"
  // How it is written: {pattern} or {first, last}.
  const std::string& first() const { return first_; }
  const std::string& last() const { return last_; }
  bool is_range() const { return range_; }
  bool operator==(const SerialPattern&) const = default;

 private:
  std::string first_, last_;
  bool range_ = false;
};

// What is looked at, worked out once for all rules. The caller has verified the chain.
struct IssuedDevice {
  const Certificate& idevid;
  const std::vector<Certificate>& chain;  // above it: its issuer first, the anchor last
  std::vector<std::string> organisations = {}, units = {};
  Bytes key_id = {}, issuer_key = {};
  std::string module_type = {};

  static IssuedDevice of(const Certificate& idevid, const std::vector<Certificate>& chain);
};

// Every list that is not empty has to hold something that is so. With all of them empty every device fits.
struct MasaMatch {
  std::vector<Certificate> anchors;               // in the chain above the IDevID
  std::vector<std::string> makers;                // O or CN of the subject at the top of the chain
  std::vector<std::string> issuers;               // RFC 4514 text, as `openssl x509 -nameopt RFC2253` prints it
  std::vector<Bytes> issuer_ders;                 // the same names as DER
  std::vector<Bytes> key_ids;                     // authority key identifier: the bare identifier
  std::vector<Bytes> issuer_keys;                 // SHA-256 of the SubjectPublicKeyInfo of who issued the IDevID
  std::vector<SerialPattern> serials;             // of the device, found as the rule's quirks say
  std::vector<std::string> module_types;          // hwType of the hardwareModuleName, dotted
  std::vector<std::string> organisations, units;  // O and OU in the subject of the IDevID

  // Which condition does not hold, in words; empty: the device fits.
  std::string why_not(const IssuedDevice& device, brski::SerialSource source) const;
  // All conditions in one line: "serial number ACME-*; OU lamps".
  std::string text() const;
  bool operator==(const MasaMatch&) const = default;
};

}  // namespace imprint::site
