// The factory line: the initial beliefs of devices, and the manifest that their owner gets.
#pragma once

#include <string>
#include <vector>

#include "base/rng.h"
#include "model/device.h"
#include "site/ca.h"

namespace imprint::factory {

// What a device of this line is born with.
enum class Birth : std::uint8_t { idevid, one_time };

struct Order {
  std::string model;        // [A-Za-z0-9-]{1,32}
  std::uint32_t first = 1;  // number of the first device
  std::uint32_t count = 1;  // 1..100,000
  Birth birth = Birth::idevid;
  KeyType key = KeyType::p256;
  bool key_agreement = false;  // their IDevIDs' keys may unwrap others, too: keyAgreement, or keyEncipherment (RSA)
  bool wrap_key = false;       // and with a shared key, under which its owner wraps keys made for it
  std::string server_uri;      // where the device finds its owner; empty: told later
  std::string label;           // EST label
  std::string masa;            // where the maker's MASA is, "masa.example:9443"; empty: the IDevIDs do not say
  std::vector<Certificate> anchors;  // the owner's CA, if it is known at the factory
};

// A device as it leaves the line.
struct Born {
  ManifestEntry entry;             // what the owner is told
  PrivateKey key;                  // of the IDevID
  std::vector<Certificate> chain;  // IDevID first, up to but without the maker's root
};

// Makes the devices of an order with the maker's CA. Ids are MODEL-0001, MODEL-0002, …; IDevIDs (IEEE 802.1AR) carry
// serialNumber and CN and do not end. Refused if a secret is weak (check_secret_strength, check_shared_key),
// unsupported if keys of this type cannot unwrap and should.
Result<std::vector<Born>> make(const Order& order, const site::Ca& maker, Instant now, Rng& rng);

// One line of JSON a device (JSON Lines): id, model, serial, label, server, idevid (PEM) or token, and wrap_key with
// wrap_key_id (hexadecimal).
std::string manifest_line(const ManifestEntry& entry);
// Reads a manifest: every line, or the first that is wrong, with its number in the error list.
struct ManifestProblem {
  std::size_t line = 0;
  Fault fault = Fault::malformed;  // refused: a weak secret; conflict: given twice
  std::string text;
};
std::vector<ManifestEntry> parse_manifest(std::string_view text, std::vector<ManifestProblem>& problems);

// Writes the folder OUT: manifest.jsonl, maker-root.pem, and a folder for each device (0700) with idevid-key.pem,
// idevid.pem, idevid-chain.pem, anchors.pem and device.json (or token in place of the IDevID), and wrap-key if it has
// one: identifier and key in hexadecimal, with a blank between; devices whose IDevID names a MASA have
// masa-anchors.pem, the root that their vouchers lead to, which is beside them all as well; before it those of
// `voucher_signers` (may_be_built_in()). Refused with Fault::conflict if the folder has a manifest already. Complete or
// not there: written beside and renamed.
Status write_folder(const std::string& out, const std::vector<Born>& devices, const Certificate& maker_root,
                    const std::vector<Certificate>& anchors, const std::vector<Certificate>& voucher_signers = {});

// Whether devices may be told that this certificate signs vouchers, whatever it leads to: it is no device's, no
// registrar's, and may sign.
bool may_be_built_in(const Certificate& voucher_signer);

}  // namespace imprint::factory
