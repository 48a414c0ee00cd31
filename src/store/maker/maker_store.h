// A maker's durable memory: devices, customers, the vouchers that were given, audit. Apart from any owner's store: the
// two are seldom the same company.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/audit.h"
#include "model/maker.h"

namespace imprint::store {

// A voucher as it left, found by the request that it answers.
struct GivenVoucher {
  VoucherEntry entry;
  Bytes request;  // SHA-256 of the registrar's request
  std::string form;
  Bytes voucher;
  std::int64_t version = 0;  // of the device's record that was judged
};

struct MakerDeviceFilter {
  std::string customer;  // owner by the sales data; empty: all
  std::optional<Custody> state;
  std::int64_t limit = 1000;      // 1..100,000
  std::string after_serial = {};  // cursor: those after this one
  Bytes after_issuer = {};
};

// A claim that was refused, and how often.
struct RefusedClaim {
  Bytes issuer;
  std::string serial, rule, registrar, customer;  // of the latest time
  Instant first, last;
  std::int64_t times = 1;
};

// Reads see one consistent state for as long as the reader is held.
class MakerReader {
 public:
  virtual ~MakerReader() = default;
  virtual Result<std::optional<MakerDevice>> device(BytesView issuer, std::string_view serial) = 0;
  virtual Result<std::vector<MakerDevice>> devices_of_serial(std::string_view serial) = 0;  // at most eight
  virtual Result<std::vector<MakerDevice>> devices(const MakerDeviceFilter& filter) = 0;    // by serial, issuer
  virtual Result<std::vector<Bytes>> issuers() = 0;                                         // of all devices, each once
  virtual Result<std::optional<Customer>> customer(std::string_view id) = 0;
  virtual Result<std::optional<Customer>> customer_by_key(BytesView key_digest) = 0;  // of one of its anchors
  virtual Result<std::vector<Customer>> customers() = 0;                              // at most 100,000, by id
  // Those of a device that retention has left, the oldest first; the latest 4,096 of them.
  virtual Result<std::vector<VoucherEntry>> vouchers(BytesView issuer, std::string_view serial) = 0;
  // The answer to this very request in this form, as long as it is kept.
  virtual Result<std::optional<Bytes>> given(BytesView request, std::string_view form) = 0;
  virtual Result<std::vector<RefusedClaim>> refused(std::int64_t limit) = 0;  // the latest first
  virtual Result<std::vector<AuditEntry>> audit(std::int64_t after_sequence, std::int64_t limit) = 0;
  virtual Result<std::int64_t> count(std::string_view table) = 0;  // "devices", "customers", "vouchers", "audit"
};

// Changes of one transaction, each with its audit entry.
class MakerWriter : public MakerReader {
 public:
  virtual Status add_device(const MakerDevice& device, std::string_view actor) = 0;  // conflict if it exists
  // Conflict if the version is old. `action` as in "device.released"; `detail` is a JSON object.
  virtual Status change_device(const MakerDevice& device, std::string_view actor, std::string_view action,
                               std::string_view detail) = 0;
  // Adds or replaces. Conflict if one of its anchors is another customer's.
  virtual Status put_customer(const Customer& customer, std::string_view actor) = 0;
  // The log line, the voucher itself, and the device claimed for its domain. Conflict if the device's record is not
  // the one that was judged, or if the same request was answered meanwhile.
  virtual Status vouched(const GivenVoucher& given, std::string_view actor) = 0;
  // Counts; only the first of a device and rule gets an audit entry, so that nobody can fill the disk.
  virtual Status claim_refused(const RefusedClaim& claim, std::string_view actor) = 0;
  // Retention: of vouchers before `before` only the latest of each device, domain and kind (nonce or none) stay in the
  // log, which counts the others; all of these lose what lets them be given again. How many log lines went.
  virtual Result<std::int64_t> prune(Instant before, Instant now, std::string_view actor) = 0;
};

class MakerStore {
 public:
  using Change = std::function<Status(MakerWriter&)>;
  virtual ~MakerStore() = default;
  // Runs the change on the writer's thread, with others in one durable transaction; `done` is called on that thread
  // once it is on disk, or with why it is not. Fault::unreachable at once while 65,536 changes wait.
  virtual void submit(Change change, std::function<void(Status)> done) = 0;
  // submit(), waiting for it.
  Status write(Change change);
  // A reader of this thread's own connection; valid on this thread only.
  virtual Result<std::unique_ptr<MakerReader>> read() = 0;
};

// Opens or creates the database file (0600) and migrates it; a newer schema is refused with Fault::unsupported.
Result<std::unique_ptr<MakerStore>> open_maker_sqlite(const std::string& path);

// The first entry of the chain whose hash or sequence does not fit, or nothing.
Result<std::optional<std::int64_t>> verify_audit(MakerReader& reader);

}  // namespace imprint::store
