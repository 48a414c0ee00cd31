// The questions of store.h as SQL.
#pragma once

#include "store/sqlite/database.h"
#include "store/store.h"

namespace imprint::store {

// Answers the Reader part of `Interface` (Reader or Writer) on a connection: within a transaction if one is open there.
template <class Interface>
class Reads : public Interface {
 public:
  explicit Reads(Database& database) : database_(database) {}

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

 protected:
  Database& database_;
};

extern template class Reads<Reader>;
extern template class Reads<Writer>;

}  // namespace imprint::store
