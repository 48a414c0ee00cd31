// The questions and changes of maker_store.h as SQL. Private to this folder.
#pragma once

#include "store/maker/maker_store.h"
#include "store/sqlite/database.h"

namespace imprint::store {

// Answers the reader's part of `Interface` on a connection: within a transaction if one is open there.
template <class Interface>
class MakerReads : public Interface {
 public:
  explicit MakerReads(Database& database) : database_(database) {}

  Result<std::optional<MakerDevice>> device(BytesView issuer, std::string_view serial) override;
  Result<std::vector<MakerDevice>> devices_of_serial(std::string_view serial) override;
  Result<std::vector<MakerDevice>> devices(const MakerDeviceFilter& filter) override;
  Result<std::vector<Bytes>> issuers() override;
  Result<std::optional<Customer>> customer(std::string_view id) override;
  Result<std::optional<Customer>> customer_by_key(BytesView key_digest) override;
  Result<std::vector<Customer>> customers() override;
  Result<std::vector<VoucherEntry>> vouchers(BytesView issuer, std::string_view serial) override;
  Result<std::optional<Bytes>> given(BytesView request, std::string_view form) override;
  Result<std::vector<RefusedClaim>> refused(std::int64_t limit) override;
  Result<std::vector<AuditEntry>> audit(std::int64_t after_sequence, std::int64_t limit) override;
  Result<std::int64_t> count(std::string_view table) override;

 protected:
  Database& database_;
};
extern template class MakerReads<MakerReader>;
extern template class MakerReads<MakerWriter>;

// Writes on the one connection that may: begin(), then change() for each, then commit().
class MakerSqlWriter final : public MakerReads<MakerWriter> {
 public:
  using MakerReads::MakerReads;

  Status begin();
  // Runs one change; what it did is undone if it fails.
  Status change(const MakerStore::Change& change);
  Status commit();
  void roll_back();

  Status add_device(const MakerDevice& device, std::string_view actor) override;
  Status change_device(const MakerDevice& device, std::string_view actor, std::string_view action,
                       std::string_view detail) override;
  Status put_customer(const Customer& customer, std::string_view actor) override;
  Status vouched(const GivenVoucher& given, std::string_view actor) override;
  Status claim_refused(const RefusedClaim& claim, std::string_view actor) override;
  Result<std::int64_t> prune(Instant before, Instant now, std::string_view actor) override;

 private:
  Status update_device(const MakerDevice& device);
  Status audited(Instant at, std::string_view actor, std::string_view action, std::string_view subject,
                 std::string detail);

  std::int64_t last_sequence_ = 0;
  Sha256 last_hash_{};
};

// Brings the database to this program's schema; a newer one is refused with Fault::unsupported.
Status migrate_maker(Database& database);

}  // namespace imprint::store
