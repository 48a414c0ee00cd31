// A maker's memory as a plain value, under the same rules as its database: for the explorer. Its rules follow
// maker_writes.cc.
#pragma once

#include "store/maker/maker_store.h"

namespace imprint::store {

// What is on record. A copy is a snapshot.
struct MakerTables {
  std::vector<MakerDevice> devices;
  std::vector<Customer> customers;
  std::vector<GivenVoucher> given;    // in order of issue
  std::vector<RefusedClaim> refused;  // in order of arrival
  std::vector<AuditEntry> audit;      // without details and chain: who did what to what
};

// The reading half, for MakerReader and MakerWriter alike.
template <class Interface>
class MakerMemoryReads : public Interface {
 public:
  explicit MakerMemoryReads(const MakerTables& tables) : tables_(tables) {}
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

 private:
  const MakerTables& tables_;
};

using MakerMemoryReader = MakerMemoryReads<MakerReader>;

// Each call happens as a whole or leaves the tables as they were. Retention is not played: prune() is
// Fault::unsupported.
class MakerMemoryWriter final : public MakerMemoryReads<MakerWriter> {
 public:
  explicit MakerMemoryWriter(MakerTables& tables) : MakerMemoryReads(tables), t_(tables) {}
  Status add_device(const MakerDevice& device, std::string_view actor) override;
  Status change_device(const MakerDevice& device, std::string_view actor, std::string_view action,
                       std::string_view detail) override;
  Status put_customer(const Customer& customer, std::string_view actor) override;
  Status vouched(const GivenVoucher& given, std::string_view actor) override;
  Status claim_refused(const RefusedClaim& claim, std::string_view actor) override;
  Result<std::int64_t> prune(Instant before, Instant now, std::string_view actor) override;

 private:
  Status update_device(const MakerDevice& device);
  void audited(Instant at, std::string_view actor, std::string_view action, std::string_view subject);

  MakerTables& t_;
};

}  // namespace imprint::store
