// The owner's memory as a plain value, under the same rules as the database: for the explorer, which looks at every
// state that a disk can be in. memory_test.cc holds it against SQLite.
#pragma once

#include "store/pledges.h"
#include "store/store.h"

namespace imprint::store {

// What is on record. A copy is a snapshot.
struct Tables {
  std::vector<Device> devices;
  std::vector<DeviceSecret> secrets;
  std::vector<WrapKeyRow> wrap_keys;
  std::vector<CertificateRow> certificates;  // in order of issue
  std::vector<PendingRow> pending;           // in order of arrival
  std::vector<AuditEntry> audit;             // without details and chain: who did what to what
  std::int64_t list_number = 0;              // of the last revocation list
  std::vector<KeptAnswer> answers;           // in order of arrival
  std::vector<PledgeRow> pledges;            // in order of arrival
};

// The reading half, for Reader and Writer alike. Runs are not kept.
template <class Interface>
class MemoryReads : public Interface {
 public:
  explicit MemoryReads(const Tables& tables) : tables_(tables) {}
  Result<std::optional<Device>> device(std::string_view id) override;
  Result<std::optional<Device>> device_by_identity(std::string_view identity) override;
  Result<std::vector<Device>> devices(std::string_view after_id, std::int64_t limit) override;
  Result<std::optional<DeviceSecret>> secret(const Sha256& mac) override;
  Result<std::vector<DeviceSecret>> secrets_of(std::string_view user) override;
  Result<std::vector<WrapKeyRow>> wrap_keys(std::string_view device) override;
  Result<std::optional<WrapKeyRow>> wrap_key(const Sha256& mac) override;
  Result<std::optional<CertificateRow>> certificate(BytesView serial) override;
  Result<std::optional<CertificateRow>> certificate_for(BytesView request_key) override;
  Result<std::optional<std::string>> other_called(std::string_view id, std::string_view own) override;
  Result<std::optional<std::string>> other_holder(BytesView spki_sha256, std::string_view device) override;
  Result<bool> is_compromised(BytesView spki_sha256) override;
  Result<std::optional<CertificateRow>> successor(BytesView serial) override;
  Result<std::int64_t> live_certificates(std::string_view device, Instant now) override;
  Result<std::vector<CertificateRow>> certificates(const CertificateFilter& filter) override;
  Result<std::vector<Revoked>> revoked(Instant ends_after) override;
  Result<std::optional<PendingRow>> pending(BytesView request_key) override;
  Result<std::vector<PendingRow>> waiting(std::string_view device) override;
  Result<std::vector<PendingRow>> all_pending() override;
  Result<std::vector<PendingRow>> pending_page(const PendingFilter& filter) override;
  Result<std::optional<PledgeRow>> pledge(BytesView issuer, std::string_view serial) override;
  Result<std::vector<PledgeRow>> pledges(const PledgeFilter& filter) override;
  Result<std::vector<AuditEntry>> audit(std::int64_t after_sequence, std::int64_t limit) override;
  Result<std::vector<AuditEntry>> audit_about(std::string_view subject, std::string_view action) override;
  Result<std::optional<Run>> run(std::string_view id) override;
  Result<std::vector<Run>> runs(const RunFilter& filter) override;
  Result<std::int64_t> count(std::string_view table) override;

 private:
  const Tables& tables_;
};

using MemoryReader = MemoryReads<Reader>;

// Each call happens as a whole or leaves the tables as they were.
class MemoryWriter final : public MemoryReads<Writer> {
 public:
  explicit MemoryWriter(Tables& tables) : MemoryReads(tables), t_(tables) {}
  Status add_device(const Device& device, std::string_view actor) override;
  Status update_device(const Device& device, std::string_view actor, std::string_view action) override;
  Status add_secret(const DeviceSecret& secret) override;
  Status spend_one_time(std::string_view device, Instant at) override;
  Status add_wrap_key(const WrapKeyRow& row) override;
  Status forget_wrap_keys(std::string_view device, BytesView id) override;
  Status issued(const Issued& fact, Instant at, std::string_view actor) override;
  Status issued_to_server(BytesView certificate, std::string_view reason, Instant at, std::string_view actor) override;
  Status pended(const Pended& fact, Instant at, std::string_view actor) override;
  Status denied(const Denied& fact, Instant at, std::string_view actor) override;
  Status decide(BytesView request_key, Admission verdict, std::string_view by, Instant at) override;
  Status pledge_waits(const PledgeWaits& fact, Instant at, std::string_view actor) override;
  Status voucher_obtained(const VoucherObtained& fact, Instant at, std::string_view actor) override;
  Status voucher_reported(const VoucherReported& fact, Instant at, std::string_view actor) override;
  Status enrolment_reported(const EnrolmentReported& fact, Instant at, std::string_view actor) override;
  Status pledge_refused(const PledgeRefused& fact, Instant at, std::string_view actor) override;
  Status clear_pledge(const PledgeId& id, bool cleared, std::string_view reason, Instant at,
                      std::string_view by) override;
  Status release_pledge(const PledgeId& id, std::string_view reason, Instant at, std::string_view by) override;
  Status forget_pledges(std::string_view device, std::string_view reason, Instant at, std::string_view by) override;
  Status revoke(BytesView serial, RevocationReason reason, std::string_view by, Instant at) override;
  Result<std::int64_t> next_list_number(std::int64_t least) override;
  Result<std::optional<KeptAnswer>> kept_answer(const Sha256& key, Instant now) override;
  Status keep_answer(const KeptAnswer& answer) override;
  Status save_run(const Run& run) override;
  Status prune_runs(std::int64_t keep) override;
  Status append_audit(AuditEntry entry) override;

 private:
  Status whole(const std::function<Status()>& part);
  Status join(const std::optional<Device>& newcomer, Instant at, std::string_view actor);
  Status put_certificate(const Certificate& certificate, const Issued& fact, Instant at);
  Status spend(const Issued& fact);
  Status pledge_changed(const PledgeChange& change, const std::optional<Device>& newcomer, Instant at,
                        std::string_view actor);
  Status audited(Instant at, std::string_view actor, std::string_view action, std::string_view subject);

  Tables& t_;
};

}  // namespace imprint::store
