// The changes of store.h as SQL, and the audit chain.
#pragma once

#include "store/pledges.h"
#include "store/sqlite/reader.h"

namespace imprint::store {

// Writes on the one connection that may. The store brackets its use: begin(), then change() for each, then commit().
class SqliteWriter final : public Reads<Writer> {
 public:
  using Reads::Reads;

  // Starts a transaction; the end of the audit chain is read anew, since another process may have lengthened it.
  Status begin();
  // Runs one change; what it did is undone if it fails.
  Status change(const Store::Change& change);
  // Ends the transaction. After an error nothing of it remains.
  Status commit();
  void roll_back();

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
  struct ChainEnd {
    std::int64_t sequence = 0;
    Sha256 hash{};
  };
  // Runs a part of the transaction whose statements are all undone if it fails: also when whoever asked for it goes on.
  Status whole(const std::function<Status()>& part);
  Status add_device_part(const Device& device, std::string_view actor);
  Status update_device_part(const Device& device, std::string_view actor, std::string_view action);
  Status issued_part(const Issued& fact, Instant at, std::string_view actor);
  Status issued_to_server_part(const Issued& fact, Instant at, std::string_view actor);
  Status put_certificate(const Certificate& certificate, const Issued& fact, Instant at);
  Status pended_part(const Pended& fact, Instant at, std::string_view actor);
  Status denied_part(const Denied& fact, Instant at, std::string_view actor);
  Status pledge_changed(const PledgeChange& change, const std::optional<Device>& newcomer, Instant at,
                        std::string_view actor);
  Status keep_answer_part(const KeptAnswer& answer);
  Status check_waiting(std::string_view device);
  Status join(const std::optional<Device>& newcomer, std::string_view id, Instant at, std::string_view actor);
  Status write_identities(const Device& device);
  Status spend(const Issued& fact, Instant at);
  Result<Lifecycle> advance(const Issued& fact, Instant at);
  Status audited(Instant at, std::string_view actor, std::string_view action, std::string_view subject,
                 std::string detail);

  ChainEnd end_;
};

}  // namespace imprint::store
