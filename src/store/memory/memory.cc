#include "store/memory/memory.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "store/certificates.h"
#include "store/issue_checks.h"
#include "store/rules.h"

namespace imprint::store {
namespace {

constexpr std::string_view kNoDevice = "device: not in the inventory";

// The first row for which `fits` says yes, or nothing.
template <class T, class Fits>
std::optional<T> first(const std::vector<T>& rows, Fits fits) {
  const auto at = std::ranges::find_if(rows, fits);
  return at == rows.end() ? std::nullopt : std::optional(*at);
}

// All rows for which `fits` says yes, by `key`, at most `limit`.
template <class T, class Fits, class Key>
std::vector<T> select(const std::vector<T>& rows, Fits fits, Key key, std::int64_t limit) {
  std::vector<T> out;
  std::ranges::copy_if(rows, std::back_inserter(out), fits);
  std::ranges::sort(out, {}, key);
  out.resize(std::min(out.size(), static_cast<std::size_t>(std::max<std::int64_t>(limit, 1))));
  return out;
}

bool has_identity(const Device& device, std::string_view identity) {
  return std::ranges::find(device.identities, identity) != device.identities.end();
}

}  // namespace

// ---- reading ----

template <class I>
Result<std::optional<Device>> MemoryReads<I>::device(std::string_view id) {
  return first(tables_.devices, [&](const Device& d) { return d.id == id; });
}

template <class I>
Result<std::optional<Device>> MemoryReads<I>::device_by_identity(std::string_view identity) {
  return first(tables_.devices, [&](const Device& d) { return has_identity(d, identity); });
}

template <class I>
Result<std::vector<Device>> MemoryReads<I>::devices(std::string_view after_id, std::int64_t limit) {
  return select(
      tables_.devices, [&](const Device& d) { return d.id.compare(after_id) > 0; }, &Device::id, limit);
}

template <class I>
Result<std::optional<DeviceSecret>> MemoryReads<I>::secret(const Sha256& mac) {
  return first(tables_.secrets, [&](const DeviceSecret& s) { return s.mac == mac; });
}

template <class I>
Result<std::vector<DeviceSecret>> MemoryReads<I>::secrets_of(std::string_view user) {
  return select(
      tables_.secrets, [&](const DeviceSecret& s) { return s.user == user && !s.digest.empty(); },
      [](const DeviceSecret& s) { return std::pair(s.spent, s.mac); }, 8);
}

template <class I>
Result<std::vector<WrapKeyRow>> MemoryReads<I>::wrap_keys(std::string_view device) {
  return select(
      tables_.wrap_keys, [&](const WrapKeyRow& k) { return k.device == device; }, &WrapKeyRow::id, INT32_MAX);
}

template <class I>
Result<std::optional<WrapKeyRow>> MemoryReads<I>::wrap_key(const Sha256& mac) {
  return first(tables_.wrap_keys, [&](const WrapKeyRow& k) { return k.mac == mac; });
}

template <class I>
Result<std::optional<CertificateRow>> MemoryReads<I>::certificate(BytesView serial) {
  return first(tables_.certificates, [&](const CertificateRow& c) { return equal(c.serial, serial); });
}

template <class I>
Result<std::optional<CertificateRow>> MemoryReads<I>::certificate_for(BytesView request_key) {
  std::optional<CertificateRow> latest;
  for (const CertificateRow& row : tables_.certificates) {
    if (!row.revoked && equal(row.request_key, request_key)) {
      latest = row;
    }
  }
  return latest;
}

template <class I>
Result<std::optional<std::string>> MemoryReads<I>::other_called(std::string_view id, std::string_view own) {
  const auto same = [](char a, char b) {
    const auto folded = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return folded(a) == folded(b);
  };
  const auto found = first(tables_.devices, [&](const Device& d) {
    return d.id != own && std::equal(d.id.begin(), d.id.end(), id.begin(), id.end(), same);
  });
  return found ? std::optional(found->id) : std::nullopt;
}

template <class I>
Result<std::optional<std::string>> MemoryReads<I>::other_holder(BytesView spki_sha256, std::string_view device) {
  const auto row = first(tables_.certificates, [&](const CertificateRow& c) {
    return !c.revoked && equal(c.spki_sha256, spki_sha256) && c.device != device;
  });
  return row ? std::optional(row->device) : std::nullopt;
}

template <class I>
Result<bool> MemoryReads<I>::is_compromised(BytesView spki_sha256) {
  return std::ranges::any_of(tables_.certificates, [&](const CertificateRow& c) {
    return c.revoked && c.revocation_reason == RevocationReason::key_compromise && equal(c.spki_sha256, spki_sha256);
  });
}

template <class I>
Result<std::optional<CertificateRow>> MemoryReads<I>::successor(BytesView serial) {
  return first(tables_.certificates,
               [&](const CertificateRow& c) { return !c.renews.empty() && equal(c.renews, serial); });
}

template <class I>
Result<std::int64_t> MemoryReads<I>::live_certificates(std::string_view device, Instant now) {
  return std::ranges::count_if(tables_.certificates, [&](const CertificateRow& c) {
    const bool renewed = std::ranges::any_of(
        tables_.certificates, [&](const CertificateRow& s) { return !s.renews.empty() && s.renews == c.serial; });
    return c.device == device && !c.revoked && c.not_after > now && !renewed;
  });
}

template <class I>
Result<std::vector<CertificateRow>> MemoryReads<I>::certificates(const CertificateFilter& filter) {
  return select(
      tables_.certificates, [&](const CertificateRow& c) { return fits(filter, c); }, &CertificateRow::serial,
      filter.limit);
}

template <class I>
Result<std::vector<Revoked>> MemoryReads<I>::revoked(Instant ends_after) {
  std::vector<Revoked> out;
  for (const CertificateRow& row : tables_.certificates) {
    if (row.revoked && row.not_after > ends_after) {
      out.push_back({row.serial, *row.revoked, row.revocation_reason});
    }
  }
  std::ranges::sort(out, {}, &Revoked::serial);
  return out;
}

template <class I>
Result<std::optional<PendingRow>> MemoryReads<I>::pending(BytesView request_key) {
  return first(tables_.pending, [&](const PendingRow& p) { return equal(p.what.request_key, request_key); });
}

template <class I>
Result<std::vector<PendingRow>> MemoryReads<I>::waiting(std::string_view device) {
  std::vector<PendingRow> out;
  std::ranges::copy_if(tables_.pending, std::back_inserter(out), [&](const PendingRow& p) {
    return p.state == Admission::waiting && (device.empty() || p.what.device == device);
  });
  return out;
}

template <class I>
Result<std::vector<PendingRow>> MemoryReads<I>::all_pending() {
  return tables_.pending;
}

template <class I>
Result<std::vector<PendingRow>> MemoryReads<I>::pending_page(const PendingFilter& filter) {
  const auto place = [](const PendingRow& p) { return std::tie(p.first, p.what.request_key); };
  std::vector<PendingRow> out;
  std::ranges::copy_if(tables_.pending, std::back_inserter(out), [&](const PendingRow& p) {
    return (filter.decided || p.state == Admission::waiting) && place(p) > std::tie(filter.after, filter.after_key);
  });
  std::ranges::sort(out, [&](const PendingRow& a, const PendingRow& b) { return place(a) < place(b); });
  out.resize(std::min(out.size(), static_cast<std::size_t>(filter.limit)));
  return out;
}

template <class I>
Result<std::vector<AuditEntry>> MemoryReads<I>::audit(std::int64_t after_sequence, std::int64_t limit) {
  return select(
      tables_.audit, [&](const AuditEntry& e) { return e.sequence > after_sequence; }, &AuditEntry::sequence, limit);
}

template <class I>
Result<std::vector<AuditEntry>> MemoryReads<I>::audit_about(std::string_view subject, std::string_view action) {
  std::vector<AuditEntry> out;
  std::copy_if(tables_.audit.rbegin(), tables_.audit.rend(), std::back_inserter(out),
               [&](const AuditEntry& e) { return e.subject == subject && e.action == action; });
  out.resize(std::min<std::size_t>(out.size(), 1000));
  return out;
}

template <class I>
Result<std::optional<Run>> MemoryReads<I>::run(std::string_view) {
  return std::optional<Run>();
}

template <class I>
Result<std::vector<Run>> MemoryReads<I>::runs(const RunFilter&) {
  return std::vector<Run>();
}

template <class I>
Result<std::int64_t> MemoryReads<I>::count(std::string_view table) {
  const std::array<std::pair<std::string_view, std::size_t>, 6> sizes{{{"devices", tables_.devices.size()},
                                                                       {"certificates", tables_.certificates.size()},
                                                                       {"audit", tables_.audit.size()},
                                                                       {"runs", 0},
                                                                       {"pending", tables_.pending.size()},
                                                                       {"pledges", tables_.pledges.size()}}};
  const auto* known = std::ranges::find(sizes, table, &std::pair<std::string_view, std::size_t>::first);
  CHECK_OR(known != sizes.end(), Error{Fault::unsupported, "store: no such table"});
  return static_cast<std::int64_t>(known->second);
}

template class MemoryReads<Reader>;
template class MemoryReads<Writer>;

// ---- writing ----

Status MemoryWriter::whole(const std::function<Status()>& part) {
  const Tables before = t_;
  Status done = part();
  if (!done) {
    t_ = before;
  }
  return done;
}

Status MemoryWriter::audited(Instant at, std::string_view actor, std::string_view action, std::string_view subject) {
  AuditEntry entry;
  entry.at = at;
  entry.actor = actor;
  entry.action = action;
  entry.subject = subject;
  return append_audit(std::move(entry));
}

Status MemoryWriter::append_audit(AuditEntry entry) {
  entry.sequence = static_cast<std::int64_t>(t_.audit.size()) + 1;
  t_.audit.push_back(std::move(entry));
  return Ok{};
}

Status MemoryWriter::add_device(const Device& device, std::string_view actor) {
  CHECK_OR(valid_device_id(device.id), Error{Fault::malformed, "device: id"});
  const bool taken = std::ranges::any_of(t_.devices, [&](const Device& other) {
    return other.id == device.id || std::ranges::any_of(device.identities, [&](const std::string& identity) {
             return has_identity(other, identity);
           });
  });
  CHECK_OR(!taken, Error{Fault::conflict, "device: there already"});
  t_.devices.push_back(device);
  t_.devices.back().version = 1;
  return audited(device.added, actor, "device.added", device.id);
}

Status MemoryWriter::update_device(const Device& device, std::string_view actor, std::string_view action) {
  const auto there = std::ranges::find(t_.devices, device.id, &Device::id);
  CHECK_OR(there != t_.devices.end(), Error{Fault::refused, kNoDevice});
  CHECK_OR(there->version == device.version, Error{Fault::conflict, "device: changed since it was read"});
  const bool taken = std::ranges::any_of(t_.devices, [&](const Device& other) {
    return other.id != device.id && std::ranges::any_of(device.identities, [&](const std::string& identity) {
             return has_identity(other, identity);
           });
  });
  CHECK_OR(!taken, Error{Fault::conflict, "device: identity taken"});
  const Instant added = there->added;
  *there = device;
  there->added = added;
  ++there->version;
  return audited(device.changed, actor, action, device.id);
}

Status MemoryWriter::add_secret(const DeviceSecret& secret) {
  TRY(const std::optional<Device> device, this->device(secret.device));
  CHECK_OR(device.has_value(), Error{Fault::refused, kNoDevice});
  TRY(const std::optional<DeviceSecret> known, this->secret(secret.mac));
  CHECK_OR(!known, Error{Fault::conflict, "secret: there already"});
  t_.secrets.push_back(secret);
  return Ok{};
}

Status MemoryWriter::join(const std::optional<Device>& newcomer, Instant at, std::string_view actor) {
  if (!newcomer) {
    return Ok{};
  }
  Device device = *newcomer;
  device.added = at;
  return add_device(device, actor);
}

Status MemoryWriter::spend_one_time(std::string_view device, Instant) {
  for (DeviceSecret& secret : t_.secrets) {
    secret.spent = secret.spent || (secret.one_time && secret.device == device);
  }
  return Ok{};
}

// The one-time secret that the fact names by its MAC in hexadecimal.
Status MemoryWriter::spend(const Issued& fact) {
  if (fact.spent.empty()) {
    return Ok{};
  }
  const Bytes mac = from_hex(fact.spent).value_or(Bytes{});
  const auto meant = std::ranges::find_if(t_.secrets, [&](const DeviceSecret& s) {
    return equal(s.mac, mac) && s.device == fact.grant.device && s.one_time && !s.spent;
  });
  CHECK_OR(meant != t_.secrets.end(), Error{Fault::conflict, "secret: spent already"});
  meant->spent = true;
  return Ok{};
}

Status MemoryWriter::issued(const Issued& fact, Instant at, std::string_view actor) {
  return whole([&]() -> Status {
    TRY(const Certificate certificate, Certificate::parse(fact.certificate));
    TRY([[maybe_unused]] const Ok good, check_issue(*this, fact, certificate, at));
    TRY([[maybe_unused]] const Ok joined, join(fact.newcomer, at, actor));
    const auto device = std::ranges::find(t_.devices, fact.grant.device, &Device::id);
    CHECK_OR(device != t_.devices.end(), Error{Fault::refused, kNoDevice});
    const Lifecycle next = after_certificate(device->lifecycle, is_renewal(fact));
    if (next != device->lifecycle) {
      device->lifecycle = next;
      device->changed = at;
      ++device->version;
    }
    TRY([[maybe_unused]] const Ok spent, spend(fact));
    if (!fact.supersedes.empty()) {
      TRY([[maybe_unused]] const Ok revoked, revoke(fact.supersedes, RevocationReason::superseded, actor, at));
    }
    TRY([[maybe_unused]] const Ok put, put_certificate(certificate, fact, at));
    return audited(at, actor, "certificate.issued", fact.grant.device);
  });
}

Status MemoryWriter::issued_to_server(BytesView certificate, std::string_view reason, Instant at,
                                      std::string_view actor) {
  const Issued fact = fact_of_server(certificate, reason);
  TRY(const Certificate parsed, Certificate::parse(fact.certificate));
  TRY([[maybe_unused]] const Ok put, put_certificate(parsed, fact, at));
  return audited(at, actor, "certificate.issued", kServer);
}

Status MemoryWriter::put_certificate(const Certificate& certificate, const Issued& fact, Instant at) {
  TRY(const std::optional<CertificateRow> same_serial, this->certificate(certificate.serial));
  CHECK_OR(!same_serial, Error{Fault::conflict, "certificate: serial number taken"});
  // Without the number of its audit entry: the explorer would hold worlds apart that differ in nothing else.
  t_.certificates.push_back(row_of(certificate, fact, at));
  return Ok{};
}

Status MemoryWriter::pended(const Pended& fact, Instant at, std::string_view actor) {
  return whole([&]() -> Status {
    const auto again =
        std::ranges::find_if(t_.pending, [&](const PendingRow& p) { return p.what.request_key == fact.request_key; });
    if (again != t_.pending.end()) {
      again->last = at;
      ++again->asked;
      return Ok{};
    }
    const auto waiting = std::ranges::count_if(
        t_.pending, [&](const PendingRow& p) { return p.what.device == fact.device && p.state == Admission::waiting; });
    CHECK_OR(waiting < kMostWaiting, Error{Fault::refused, kWaitingMany});
    TRY([[maybe_unused]] const Ok joined, join(fact.newcomer, at, actor));
    PendingRow row;
    row.what = fact;
    row.what.newcomer.reset();
    row.first = row.last = at;
    t_.pending.push_back(std::move(row));
    return audited(at, actor, "request.pending", fact.device);
  });
}

// Told once for each subject, request and rule, as far as the audit log shows.
Status MemoryWriter::denied(const Denied& fact, Instant at, std::string_view actor) {
  const std::string what = "request.denied";
  const std::string detail =
      hex(fact.request_key) + ' ' + fact.label + ' ' + fact.rule + ' ' + fact.identity + ' ' + fact.reason;
  const bool again = std::ranges::any_of(t_.audit, [&](const AuditEntry& e) {
    return e.action == what && e.subject == fact.subject && e.detail == detail;
  });
  if (again) {
    return Ok{};
  }
  TRY([[maybe_unused]] const Ok told, audited(at, actor, what, fact.subject));
  t_.audit.back().detail = detail;
  return Ok{};
}

Status MemoryWriter::decide(BytesView request_key, Admission verdict, std::string_view by, Instant at) {
  CHECK_OR(verdict == Admission::approved || verdict == Admission::refused,
           Error{Fault::malformed, "request: verdict"});
  const auto row =
      std::ranges::find_if(t_.pending, [&](const PendingRow& p) { return equal(p.what.request_key, request_key); });
  CHECK_OR(row != t_.pending.end(), Error{Fault::refused, "request: not on record"});
  CHECK_OR(row->state == Admission::waiting, Error{Fault::conflict, "request: decided already"});
  row->state = verdict;
  row->decided_by = by;
  row->decided = at;
  return audited(at, by, verdict == Admission::approved ? "request.approved" : "request.refused", row->what.device);
}

Status MemoryWriter::revoke(BytesView serial, RevocationReason reason, std::string_view by, Instant at) {
  const auto row =
      std::ranges::find_if(t_.certificates, [&](const CertificateRow& c) { return equal(c.serial, serial); });
  CHECK_OR(row != t_.certificates.end(), Error{Fault::refused, "certificate: not on record"});
  CHECK_OR(!row->revoked, Error{Fault::conflict, "certificate: revoked already"});
  row->revoked = at;
  row->revocation_reason = reason;
  return audited(at, by, "certificate.revoked", row->device);
}

Result<std::int64_t> MemoryWriter::next_list_number(std::int64_t least) {
  t_.list_number = std::max(t_.list_number + 1, least);
  return t_.list_number;
}

Status MemoryWriter::save_run(const Run&) { return Ok{}; }

Status MemoryWriter::prune_runs(std::int64_t) { return Ok{}; }

}  // namespace imprint::store
