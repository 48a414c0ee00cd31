// The owner's durable memory: inventory, secrets, certificates, approvals, runs, audit. One interface; sqlite/ is the
// first implementation.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/audit.h"
#include "model/device.h"
#include "model/enrolment.h"
#include "model/pledge.h"
#include "model/run.h"
#include "store/kept_answer.h"

namespace imprint::store {

// In the place of a device's id: a certificate of the owner's own server. No device can have this id.
inline constexpr std::string_view kServer = "(server)";

// Where a certificate came from. Sequence numbers are those of the audit log; 0: none is known.
struct Origin {
  Basis basis = Basis::none;
  std::string evidence, run;  // see Issued
  std::int64_t issued_entry = 0, revoked_entry = 0;
};

// A certificate on record.
struct CertificateRow {
  Bytes serial;
  std::string device;  // inventory id, or kServer
  std::string profile, subject;
  Bytes der, spki_sha256, request_key;
  Instant not_before, not_after, issued;
  std::string identity, reason;  // who asked, why granted
  Bytes renews;                  // serial of its predecessor
  std::optional<Instant> revoked;
  RevocationReason revocation_reason = RevocationReason::unspecified;
  Origin origin;
};

// What a certificate is worth at a time. A revoked one stays so after its end.
enum class CertificateState : std::uint8_t { good, expired, revoked };
std::string_view name(CertificateState state);
std::optional<CertificateState> certificate_state_named(std::string_view name);
CertificateState state_of(const CertificateRow& row, Instant now);

// Whether a certificate may be given out again for the same request: at least half of its time is left.
bool is_fresh(const CertificateRow& row, Instant now);

// A request that waits, or waited, for a person.
struct PendingRow {
  Pended what;
  Instant first, last;  // first and latest time that it was asked
  std::int64_t asked = 1;
  Admission state = Admission::waiting;
  std::string decided_by;
  Instant decided;
};

// A shared key of a device's, under which keys that are made for it are wrapped (RFC 7030 section 4.4.1.1).
struct WrapKeyRow {
  std::string device;
  Bytes id;      // by which the device names it; another device may have another key of the same one
  Sha256 mac{};  // finds a key that was given twice
  Bytes sealed;  // the key: the store never sees it
  bool operator==(const WrapKeyRow&) const = default;
};

// Which certificates are wanted: those that fit every part that is filled in.
struct CertificateFilter {
  std::string device;                     // inventory id or kServer
  std::optional<CertificateState> state;  // at `now`
  Instant now;
  std::string text;     // somewhere in the subject or in an alternative name; case does not matter in ASCII
  std::string profile;  // its whole name
  Bytes serial;         // how the serial number begins
  Bytes sha256;         // the whole fingerprint
  std::optional<Instant> ends_before, ends_after;
  std::int64_t limit = 1000;  // 1..100,000
  Bytes after_serial;         // cursor
};

// A page of runs, newest first: those before the one with this start and id.
struct RunFilter {
  std::string device;  // inventory id; empty: all
  std::int64_t limit = 1000;
  Instant before{INT64_MAX};
  std::string before_id = {};
};

// A page of requests, by the time at which they were first asked: those after the one with this time and key.
struct PendingFilter {
  bool decided = false;  // also those that do not wait any more
  std::int64_t limit = 1000;
  Instant after{INT64_MIN};
  Bytes after_key = {};
};

// A page of devices that asked for vouchers, in order of issuer and serial number: those after the one of this cursor.
struct PledgeFilter {
  std::string device;                // inventory id; empty: all
  std::optional<PledgeStage> stage;  // none: all
  bool held = false;                 // only those that took their voucher and wait for a person
  std::int64_t limit = 1000;         // 1..100,000
  Bytes after_issuer = {};
  std::string after_serial = {};
};

// Reads see one consistent state for as long as the Reader is held. Results in order of id or sequence.
class Reader {
 public:
  virtual ~Reader() = default;
  virtual Result<std::optional<Device>> device(std::string_view id) = 0;
  virtual Result<std::optional<Device>> device_by_identity(std::string_view identity) = 0;
  virtual Result<std::vector<Device>> devices(std::string_view after_id, std::int64_t limit) = 0;
  // The secret with this MAC; `spent` says whether a one-time secret has been used up.
  virtual Result<std::optional<DeviceSecret>> secret(const Sha256& mac) = 0;
  // Those of this user name that have a digest: those not spent first, then those spent last; at most eight.
  virtual Result<std::vector<DeviceSecret>> secrets_of(std::string_view user) = 0;
  // The device's shared keys, in order of their identifiers.
  virtual Result<std::vector<WrapKeyRow>> wrap_keys(std::string_view device) = 0;
  // The shared key with this MAC, whosever it is.
  virtual Result<std::optional<WrapKeyRow>> wrap_key(const Sha256& mac) = 0;
  virtual Result<std::optional<CertificateRow>> certificate(BytesView serial) = 0;
  // The latest unrevoked certificate issued for this request key.
  virtual Result<std::optional<CertificateRow>> certificate_for(BytesView request_key) = 0;
  // A device other than `own` whose id this is, upper and lower case alike: names in certificates are read like that.
  virtual Result<std::optional<std::string>> other_called(std::string_view id, std::string_view own) = 0;
  // The device that holds this public key in an unrevoked certificate, other than `device`: two devices with one key.
  // kServer if the owner's own server does.
  virtual Result<std::optional<std::string>> other_holder(BytesView spki_sha256, std::string_view device) = 0;
  // Whether a certificate for this public key, of whatever device, was revoked as compromised.
  virtual Result<bool> is_compromised(BytesView spki_sha256) = 0;
  // The first certificate that renewed this one, revoked or not.
  virtual Result<std::optional<CertificateRow>> successor(BytesView serial) = 0;
  // How many certificates of the device are neither revoked nor over nor renewed.
  virtual Result<std::int64_t> live_certificates(std::string_view device, Instant now) = 0;
  virtual Result<std::vector<CertificateRow>> certificates(const CertificateFilter& filter) = 0;
  // Those revoked whose own time ends after this, in order of their serial numbers.
  virtual Result<std::vector<Revoked>> revoked(Instant ends_after) = 0;
  virtual Result<std::optional<PendingRow>> pending(BytesView request_key) = 0;
  // Requests that wait for a person, the oldest first, at most 100,000: of this device, or of all if it is empty.
  virtual Result<std::vector<PendingRow>> waiting(std::string_view device) = 0;
  // Those that are decided as well: the oldest 100,000. For the eye; what waits may lie beyond them.
  virtual Result<std::vector<PendingRow>> all_pending() = 0;
  virtual Result<std::vector<PendingRow>> pending_page(const PendingFilter& filter) = 0;
  // A device that asked for a voucher, by the CA of its IDevID and its serial number.
  virtual Result<std::optional<PledgeRow>> pledge(BytesView issuer, std::string_view serial) = 0;
  virtual Result<std::vector<PledgeRow>> pledges(const PledgeFilter& filter) = 0;
  virtual Result<std::vector<AuditEntry>> audit(std::int64_t after_sequence, std::int64_t limit) = 0;
  // Entries of one action about one subject, the newest first, at most 1,000. Walks the whole log.
  virtual Result<std::vector<AuditEntry>> audit_about(std::string_view subject, std::string_view action) = 0;
  virtual Result<std::optional<Run>> run(std::string_view id) = 0;
  virtual Result<std::vector<Run>> runs(const RunFilter& filter) = 0;  // without steps and beliefs
  virtual Result<std::int64_t> count(
      std::string_view table) = 0;  // "devices", "certificates", "audit", "runs", "pending", "pledges"
};

// Changes of one transaction, each with its audit entry. An error rolls back this Change alone.
class Writer : public Reader {
 public:
  virtual Status add_device(const Device& device, std::string_view actor) = 0;  // conflict if it exists
  virtual Status update_device(const Device& device, std::string_view actor,
                               std::string_view action) = 0;  // conflict if the version is old
  virtual Status add_secret(const DeviceSecret& secret) = 0;  // conflict if the MAC exists
  // Uses up every one-time secret that the device has left. No audit entry: it is part of an act that has one.
  virtual Status spend_one_time(std::string_view device, Instant at) = 0;
  // Conflict if the device has one of this identifier, or anybody has this key. No audit entry, nor for the next one:
  // they are parts of acts that have one.
  virtual Status add_wrap_key(const WrapKeyRow& row) = 0;
  // The device's key of this identifier; all of them if that is empty. None to forget is no error.
  virtual Status forget_wrap_keys(std::string_view device, BytesView id) = 0;
  // Spends the one-time secret that the fact names, and no other. Conflict if that is spent, if a fresh certificate for
  // the same request is on record that this one does not renew, or if another device holds the key: two requests at
  // once get one certificate.
  virtual Status issued(const Issued& fact, Instant at, std::string_view actor) = 0;
  // A certificate of the owner's own server, for kServer. Conflict if its serial number is on record.
  virtual Status issued_to_server(BytesView certificate, std::string_view reason, Instant at,
                                  std::string_view actor) = 0;
  // Again: counts, no second audit entry. SITE-WAITING-MANY if eight other requests of the device wait.
  virtual Status pended(const Pended& fact, Instant at, std::string_view actor) = 0;
  // The same denial again: counts, no second audit entry.
  virtual Status denied(const Denied& fact, Instant at, std::string_view actor) = 0;
  virtual Status decide(BytesView request_key, Admission verdict, std::string_view by,
                        Instant at) = 0;  // conflict unless waiting
  // Facts of the registrar. The same waiting or refusal again: counts, no second audit entry. Reports of a device that
  // is not on record: refused.
  virtual Status pledge_waits(const PledgeWaits& fact, Instant at, std::string_view actor) = 0;
  virtual Status voucher_obtained(const VoucherObtained& fact, Instant at, std::string_view actor) = 0;
  virtual Status voucher_reported(const VoucherReported& fact, Instant at, std::string_view actor) = 0;
  virtual Status enrolment_reported(const EnrolmentReported& fact, Instant at, std::string_view actor) = 0;
  virtual Status pledge_refused(const PledgeRefused& fact, Instant at, std::string_view actor) = 0;
  // A person's word on a device that is held, or is not to be let on (`cleared`): refused if it is not on record.
  // `cleared` opens EST to it, whatever it has told so far.
  virtual Status clear_pledge(const PledgeId& id, bool cleared, std::string_view reason, Instant at,
                              std::string_view by) = 0;
  virtual Status revoke(BytesView serial, RevocationReason reason, std::string_view by,
                        Instant at) = 0;  // not found, conflict
  // The number for the next revocation list: `least`, or one more than the last if that is greater. It never falls,
  // whatever the clock does (RFC 5280 section 5.2.3).
  virtual Result<std::int64_t> next_list_number(std::int64_t least) = 0;
  // The answer that is kept under this key, unless its time is over.
  virtual Result<std::optional<KeptAnswer>> kept_answer(const Sha256& key, Instant now) = 0;
  // Conflict if one is kept under its key. No audit entry: it is part of an act that has one.
  virtual Status keep_answer(const KeptAnswer& answer) = 0;
  virtual Status save_run(const Run& run) = 0;
  virtual Status prune_runs(std::int64_t keep) = 0;   // the oldest go until `keep` are left
  virtual Status append_audit(AuditEntry entry) = 0;  // sequence, previous and hash are filled in here
  // A device that asked for a voucher is held no more, and nothing else: it goes on as far as what it has told lets it.
  virtual Status release_pledge(const PledgeId& id, std::string_view reason, Instant at, std::string_view by) = 0;
  // It begins anew: what its vouchers have opened is shut, and what came with them is gone from its rows. Holds
  // stay. Rows that have begun anew already, and have not come since, are left as they are.
  virtual Status forget_pledges(std::string_view device, std::string_view reason, Instant at, std::string_view by) = 0;
};

class Store {
 public:
  using Change = std::function<Status(Writer&)>;
  virtual ~Store() = default;

  // Runs the change on the writer's thread, together with others in one durable transaction (group commit); `done` is
  // called on that thread after the commit is on disk, or with why it is not. After an I/O error or a full disk every
  // change of the batch fails with Fault::unreachable and nothing of it remains; later ones are tried anew.
  // Fault::unreachable as well, at once and on this thread, while 65,536 changes wait already.
  virtual void submit(Change change, std::function<void(Status)> done) = 0;
  // The same for what nobody waits for, the records of runs: it goes along with the next change that is submitted, or
  // by itself after a tenth of a second, so that it costs no transaction of its own while others come.
  virtual void submit_along(Change change, std::function<void(Status)> done) = 0;
  // submit(), waiting for it.
  Status write(Change change);
  // A reader of this thread's own connection; valid on this thread only.
  virtual Result<std::unique_ptr<Reader>> read() = 0;
};

// Opens or creates the database file (0600) and migrates it to this version; a newer schema is refused with
// Fault::unsupported.
Result<std::unique_ptr<Store>> open_sqlite(const std::string& path);

// Walks the whole chain: the first entry whose hash or sequence does not fit, or nothing.
Result<std::optional<std::int64_t>> verify_audit(Reader& reader);

}  // namespace imprint::store
