#include "store/memory/maker.h"

#include <algorithm>
#include <tuple>

#include "model/device.h"

namespace imprint::store {
namespace {

constexpr std::size_t kMaxAnchors = 32, kMaxIssuer = 64;
constexpr std::size_t kMostNamesakes = 8, kMostEntries = 4096;

auto name_of(const MakerDevice& d) { return std::tie(d.serial, d.issuer); }

template <class Devices>
auto find(Devices& devices, BytesView issuer, std::string_view serial) {
  return std::ranges::find_if(devices,
                              [&](const MakerDevice& d) { return d.serial == serial && equal(d.issuer, issuer); });
}

std::size_t bounded(std::int64_t limit) {
  constexpr std::int64_t kMostRows = 100'000;
  return static_cast<std::size_t>(std::clamp<std::int64_t>(limit, 1, kMostRows));
}

template <class T>
std::vector<T> first_of(std::vector<T> all, std::size_t most) {
  all.erase(all.begin() + static_cast<std::ptrdiff_t>(std::min(most, all.size())), all.end());
  return all;
}

std::string subject_of(std::string_view serial, BytesView issuer) {
  return std::string(serial) + " of " + hex(issuer).substr(0, 16);
}

bool has_key(const Customer& customer, BytesView key) {
  return std::ranges::any_of(customer.anchors, [&](const Certificate& c) { return equal(key_digest(c), key); });
}

}  // namespace

template <class I>
Result<std::optional<MakerDevice>> MakerMemoryReads<I>::device(BytesView issuer, std::string_view serial) {
  const auto at = find(tables_.devices, issuer, serial);
  return at == tables_.devices.end() ? std::nullopt : std::optional(*at);
}

template <class I>
Result<std::vector<MakerDevice>> MakerMemoryReads<I>::devices_of_serial(std::string_view serial) {
  std::vector<MakerDevice> out;
  std::ranges::copy_if(tables_.devices, std::back_inserter(out),
                       [&](const MakerDevice& d) { return d.serial == serial; });
  std::ranges::sort(out, {}, &MakerDevice::issuer);
  return first_of(std::move(out), kMostNamesakes);
}

template <class I>
Result<std::vector<MakerDevice>> MakerMemoryReads<I>::devices(const MakerDeviceFilter& f) {
  std::vector<MakerDevice> out;
  std::ranges::copy_if(tables_.devices, std::back_inserter(out), [&](const MakerDevice& d) {
    return std::tie(f.after_serial, f.after_issuer) < name_of(d) && (f.customer.empty() || f.customer == d.customer) &&
           (!f.state || *f.state == d.state);
  });
  std::ranges::sort(out, [](const MakerDevice& a, const MakerDevice& b) { return name_of(a) < name_of(b); });
  return first_of(std::move(out), bounded(f.limit));
}

template <class I>
Result<std::vector<Bytes>> MakerMemoryReads<I>::issuers() {
  std::vector<Bytes> out;
  std::ranges::transform(tables_.devices, std::back_inserter(out), &MakerDevice::issuer);
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

template <class I>
Result<std::optional<Customer>> MakerMemoryReads<I>::customer(std::string_view id) {
  const auto at = std::ranges::find(tables_.customers, id, &Customer::id);
  return at == tables_.customers.end() ? std::nullopt : std::optional(*at);
}

template <class I>
Result<std::optional<Customer>> MakerMemoryReads<I>::customer_by_key(BytesView key) {
  const auto at = std::ranges::find_if(tables_.customers, [&](const Customer& c) { return has_key(c, key); });
  return at == tables_.customers.end() ? std::nullopt : std::optional(*at);
}

template <class I>
Result<std::vector<Customer>> MakerMemoryReads<I>::customers() {
  std::vector<Customer> out = tables_.customers;
  std::ranges::sort(out, {}, &Customer::id);
  return out;
}

template <class I>
Result<std::vector<VoucherEntry>> MakerMemoryReads<I>::vouchers(BytesView issuer, std::string_view serial) {
  std::vector<VoucherEntry> out;
  for (const GivenVoucher& one : tables_.given) {
    if (one.entry.serial == serial && equal(one.entry.issuer, issuer)) {
      out.push_back(one.entry);
    }
  }
  if (out.size() > kMostEntries) {
    out.erase(out.begin(), out.end() - static_cast<std::ptrdiff_t>(kMostEntries));
  }
  return out;
}

template <class I>
Result<std::optional<Bytes>> MakerMemoryReads<I>::given(BytesView request, std::string_view form) {
  const auto at = std::ranges::find_if(
      tables_.given, [&](const GivenVoucher& g) { return g.form == form && equal(g.request, request); });
  return at == tables_.given.end() ? std::nullopt : std::optional(at->voucher);
}

template <class I>
Result<std::vector<RefusedClaim>> MakerMemoryReads<I>::refused(std::int64_t limit) {
  std::vector<RefusedClaim> out = tables_.refused;
  std::ranges::stable_sort(out, [](const RefusedClaim& a, const RefusedClaim& b) { return a.last > b.last; });
  return first_of(std::move(out), bounded(limit));
}

template <class I>
Result<std::vector<AuditEntry>> MakerMemoryReads<I>::audit(std::int64_t after_sequence, std::int64_t limit) {
  std::vector<AuditEntry> out;
  std::ranges::copy_if(tables_.audit, std::back_inserter(out),
                       [&](const AuditEntry& e) { return e.sequence > after_sequence; });
  return first_of(std::move(out), bounded(limit));
}

template <class I>
Result<std::int64_t> MakerMemoryReads<I>::count(std::string_view table) {
  const std::size_t out = table == "devices"     ? tables_.devices.size()
                          : table == "customers" ? tables_.customers.size()
                          : table == "vouchers"  ? tables_.given.size()
                                                 : tables_.audit.size();
  return static_cast<std::int64_t>(out);
}

template class MakerMemoryReads<MakerReader>;
template class MakerMemoryReads<MakerWriter>;

// ---- writing ----

void MakerMemoryWriter::audited(Instant at, std::string_view actor, std::string_view action, std::string_view subject) {
  AuditEntry entry;
  entry.sequence = static_cast<std::int64_t>(t_.audit.size()) + 1;
  entry.at = at;
  entry.actor = actor;
  entry.action = action;
  entry.subject = subject;
  t_.audit.push_back(std::move(entry));
}

Status MakerMemoryWriter::add_device(const MakerDevice& device, std::string_view actor) {
  CHECK_OR(valid_maker_serial(device.serial) && !device.issuer.empty() && device.issuer.size() <= kMaxIssuer,
           Error{Fault::malformed, "maker device: serial number or issuer"});
  CHECK_OR(find(t_.devices, device.issuer, device.serial) == t_.devices.end(),
           Error{Fault::conflict, "maker device: it is on record"});
  // Whatever else the value says, nobody has claimed a device that is new.
  MakerDevice added;
  added.issuer = device.issuer;
  added.serial = device.serial;
  added.model = device.model;
  added.idevid = device.idevid;
  added.customer = device.customer;
  added.state = device.state;
  added.added = added.changed = device.added;
  t_.devices.push_back(std::move(added));
  audited(device.added, actor, "device.added", subject_of(device.serial, device.issuer));
  return Ok{};
}

Status MakerMemoryWriter::update_device(const MakerDevice& device) {
  const auto at = find(t_.devices, device.issuer, device.serial);
  CHECK_OR(at != t_.devices.end() && at->version == device.version,
           Error{Fault::conflict, "maker device: changed since it was read"});
  const Instant added = at->added;
  const std::optional<Certificate> idevid = at->idevid;
  *at = device;
  at->added = added;
  at->idevid = idevid;
  ++at->version;
  return Ok{};
}

Status MakerMemoryWriter::change_device(const MakerDevice& device, std::string_view actor, std::string_view action,
                                        std::string_view) {
  TRY([[maybe_unused]] const Ok updated, update_device(device));
  for (GivenVoucher& one : t_.given) {  // a request of before is answered anew
    if (one.entry.serial == device.serial && equal(one.entry.issuer, device.issuer)) {
      one.request.clear();
    }
  }
  audited(device.changed, actor, action, subject_of(device.serial, device.issuer));
  return Ok{};
}

Status MakerMemoryWriter::put_customer(const Customer& customer, std::string_view actor) {
  CHECK_OR(valid_device_id(customer.id), Error{Fault::malformed, "customer: id"});
  CHECK_OR(customer.anchors.size() <= kMaxAnchors, Error{Fault::limit, "customer: more than 32 certificates"});
  for (const Customer& other : t_.customers) {
    const bool taken = other.id != customer.id && std::ranges::any_of(customer.anchors, [&](const Certificate& c) {
                         return has_key(other, key_digest(c));
                       });
    CHECK_OR(!taken, Error{Fault::conflict, "customer: a certificate of another one"});
  }
  const auto at = std::ranges::find(t_.customers, customer.id, &Customer::id);
  const bool there = at != t_.customers.end();
  if (there) {
    const Instant added = at->added;
    *at = customer;
    at->added = added;
  } else {
    t_.customers.push_back(customer);
  }
  audited(customer.added, actor, there ? "customer.changed" : "customer.added", customer.id);
  return Ok{};
}

Status MakerMemoryWriter::vouched(const GivenVoucher& given, std::string_view actor) {
  const VoucherEntry& entry = given.entry;
  TRY(auto device, this->device(entry.issuer, entry.serial));
  CHECK_OR(device && device->version == given.version,
           Error{Fault::conflict, "maker device: changed since it was read"});
  TRY(const auto before, this->given(given.request, given.form));
  CHECK_OR(!before, Error{Fault::conflict, "voucher: the same request was answered meanwhile"});
  device->state = Custody::claimed;
  device->claimant = entry.customer;
  device->claimed_key = entry.pinned_key;
  device->changed = entry.at;
  TRY([[maybe_unused]] const Ok claimed, update_device(*device));
  t_.given.push_back(given);
  t_.given.back().entry.sequence = static_cast<std::int64_t>(t_.given.size());
  t_.given.back().entry.truncated = 0;
  audited(entry.at, actor, "voucher.given", subject_of(entry.serial, entry.issuer));
  return Ok{};
}

Status MakerMemoryWriter::claim_refused(const RefusedClaim& claim, std::string_view actor) {
  const auto at = std::ranges::find_if(t_.refused, [&](const RefusedClaim& r) {
    return r.serial == claim.serial && r.issuer == claim.issuer && r.rule == claim.rule;
  });
  if (at != t_.refused.end()) {
    ++at->times;
    at->last = claim.last;
    at->registrar = claim.registrar;
    at->customer = claim.customer;
    return Ok{};
  }
  t_.refused.push_back(claim);
  t_.refused.back().times = 1;
  audited(claim.last, actor, "claim.refused", subject_of(claim.serial, claim.issuer));
  return Ok{};
}

Result<std::int64_t> MakerMemoryWriter::prune(Instant, Instant, std::string_view) {
  return Error{Fault::unsupported, "maker store: no retention in memory"};
}

}  // namespace imprint::store
