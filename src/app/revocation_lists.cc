#include "app/revocation_lists.h"

#include <algorithm>
#include <filesystem>

#include "app/ca_folder.h"
#include "io/log.h"

namespace imprint::app {
namespace {

constexpr Duration kLifetime = std::chrono::hours(24 * 7);

// The time in milliseconds, as long as the clock does not go back.
Result<std::uint64_t> next_list_number(store::Store& store, Instant now) {
  std::int64_t number = 0;
  TRY(Ok{}, store.write([&](store::Writer& w) -> Status {
    TRY(number, w.next_list_number(now.ms));
    return Ok{};
  }));
  return static_cast<std::uint64_t>(number);
}

struct Lists {
  Bytes whole, distributed;
};

// A list with a part of the entries would say of the others that they are good: then there is none, and OCSP goes on.
Result<Lists> sign_lists(const site::Ca& ca, const std::vector<Revoked>& revoked, const site::ListTimes& times) {
  auto whole = site::sign_list(ca, revoked, times, /*distribution=*/false);
  if (!whole && whole.error().fault == Fault::limit) {
    io::log(io::LogLevel::error, "crl.too_long",
            {{"issuer", ca.certificate.subject.text}, {"revoked", std::to_string(revoked.size())}});
    return Lists{};
  }
  Lists out;
  TRY(out.whole, std::move(whole));
  if (!ca.crl_uri.empty()) {
    TRY(out.distributed, site::sign_list(ca, revoked, times, /*distribution=*/true));
  }
  return out;
}

// Devices onboard, and revocations take effect, though the key of a CA of before is away.
FormerCa sign_former(const site::Ca& ca, const std::vector<Revoked>& revoked, const site::ListTimes& times) {
  FormerCa out;
  out.ca = ca;
  auto lists = ca.key ? sign_lists(ca, revoked, times)
                      : Result<Lists>(Error{Fault::unreachable, "its key in ca/former cannot be read"});
  if (!lists) {
    io::log(io::LogLevel::warning, "crl.former",
            {{"issuer", ca.certificate.subject.text}, {"why", std::string(lists.error().what)}});
    return out;
  }
  out.revocation_list = std::move(lists->whole);
  out.distributed_list = std::move(lists->distributed);
  out.list_ends = times.now + times.lifetime;
  return out;
}

// The list of before, if there is no new one and it still holds.
void take_over(const EstSite* before, Instant now, FormerCa& out) {
  if (before == nullptr || !out.revocation_list.empty()) {
    return;
  }
  const auto at =
      std::ranges::find(before->former, out.ca.certificate, [](const FormerCa& f) { return f.ca.certificate; });
  if (at != before->former.end() && now < at->list_ends) {
    out.revocation_list = at->revocation_list;
    out.distributed_list = at->distributed_list;
    out.list_ends = at->list_ends;
  }
}

}  // namespace

Instant least_end_on_list(Instant now) { return now - kLifetime; }

Result<std::map<Bytes, std::vector<Revoked>>> revoked_by_issuer(store::Reader& reader, const DataFolder& folder,
                                                                Instant now) {
  TRY(std::vector<Revoked> all, reader.revoked(least_end_on_list(now)));
  std::map<Bytes, std::vector<Revoked>> out;
  std::vector<Revoked>& ours = out[folder.ca.certificate.subject.der];
  std::error_code ignored;
  const bool gateway = std::filesystem::exists(folder.path + "/upstream", ignored);
  if (!gateway && folder.former.empty()) {
    ours = std::move(all);
    return out;
  }
  for (Revoked& one : all) {
    TRY(const auto row, reader.certificate(one.serial));
    const auto certificate = row ? Certificate::parse(row->der) : Result<Certificate>(Error{Fault::internal, "row"});
    if (!certificate) {
      ours.push_back(std::move(one));
    } else if (!gateway || signed_by_ours(folder.path, folder.ca, *certificate)) {
      out[certificate->issuer.der].push_back(std::move(one));
    }
  }
  return out;
}

Status add_lists(const DataFolder& folder, store::Store& store, Instant now, const EstSite* before, EstSite& out) {
  site::ListTimes times{0, now, kLifetime};
  TRY(times.number, next_list_number(store, now));
  TRY(const auto reader, store.read());
  TRY(auto revoked, revoked_by_issuer(*reader, folder, now));
  out.list_signed = now;
  out.list_ends = now + kLifetime;
  TRY(Lists own, sign_lists(folder.ca, revoked[folder.ca.certificate.subject.der], times));
  out.revocation_list = std::move(own.whole);
  out.distributed_list = std::move(own.distributed);
  for (const site::Ca& former : folder.former) {
    if (now < former.certificate.not_after) {
      out.former.push_back(sign_former(former, revoked[former.certificate.subject.der], times));
      take_over(before, now, out.former.back());
    }
  }
  return Ok{};
}

}  // namespace imprint::app
