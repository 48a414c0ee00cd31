// Vouchers without a nonce that a registrar has before their devices come: how they are judged and put on record.
#pragma once

#include <map>

#include "app/command.h"
#include "proto/brski/artifact.h"

namespace imprint::app {

// A device as a manifest has it, or a kit.
struct ExpectedDevice {
  std::string serial;
  Bytes issuer;                       // key identifier of the CA of its IDevID
  std::optional<Certificate> idevid;  // if it is at hand
};

// The site as a registrar, beside a running server or without one.
struct VoucherShelf {
  Offline data;
  std::shared_ptr<const RegistrarSite> registrar;
  std::multimap<std::string, std::string> by_serial;  // inventory ids
};
// VOUCHER-NO-REGISTRAR, and what reading the folder ends with.
OrProblem<VoucherShelf> open_shelf(const Context& context);

// The inventory id of the device; empty if several could be meant. VOUCHER-STRANGER: there is none.
Result<std::string> inventory_id(VoucherShelf& shelf, const ExpectedDevice& device);

enum class Shelved : std::uint8_t {
  taken,
  there,      // a voucher that is good longer is on record
  onboarded,  // the device has taken one already
};
std::string_view name(Shelved what);
// Whether a voucher for the device is still wanted: `taken` means that it is. Store errors.
Result<Shelved> look_up(VoucherShelf& shelf, const ExpectedDevice& device, Instant now);

struct ShelvedVoucher {
  ExpectedDevice device;
  brski::Artifact voucher;
  std::vector<Certificate> anchors;  // of its signer; empty: nobody looks at the signature
  std::string masa;                  // where it came from
  Bytes request = {};                // of ours, if it answers one: the audit log is asked for with it
};
// Judges and keeps it. Faults: VOUCHER-NONCE, VOUCHER-STRANGER, those of judge_masa_voucher(): another device, not our
// pin, over, not of these anchors; the store's.
Result<Shelved> shelve(VoucherShelf& shelf, const ShelvedVoucher& what, Instant now);

// A line of a manifest or of an order, for devices whose IDevIDs are wanted.
Result<std::vector<ExpectedDevice>> read_manifest(std::string_view text);

}  // namespace imprint::app
