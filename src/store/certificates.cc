#include "store/certificates.h"

#include <algorithm>
#include <array>

namespace imprint::store {
namespace {

// In the order of CertificateState.
constexpr std::array<std::string_view, 3> kStates{"good", "expired", "revoked"};

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

bool has_text(const CertificateRow& row, const std::string& wanted) {
  const Result<Certificate> certificate = Certificate::parse(row.der);
  const std::string all = row.subject + "\n" + (certificate ? names_text(*certificate) : std::string());
  return lower(all).find(lower(wanted)) != std::string::npos;
}

bool ends_in_time(const CertificateFilter& filter, const CertificateRow& row) {
  return (!filter.ends_before || row.not_after < *filter.ends_before) &&
         (!filter.ends_after || row.not_after > *filter.ends_after);
}

}  // namespace

std::string_view name(CertificateState state) { return kStates.at(static_cast<std::size_t>(state)); }

std::optional<CertificateState> certificate_state_named(std::string_view name) {
  const auto* const at = std::ranges::find(kStates, name);
  return at == kStates.end() ? std::nullopt : std::optional(static_cast<CertificateState>(at - kStates.begin()));
}

CertificateState state_of(const CertificateRow& row, Instant now) {
  if (row.revoked) {
    return CertificateState::revoked;
  }
  return row.not_after <= now ? CertificateState::expired : CertificateState::good;
}

CertificateRow row_of(const Certificate& certificate, const Issued& fact, Instant at) {
  CertificateRow row;
  row.serial = certificate.serial;
  row.device = fact.grant.device;
  row.profile = fact.grant.profile;
  row.subject = certificate.subject.text;
  row.der = fact.certificate;
  row.spki_sha256 = to_bytes(sha256(certificate.key.spki));
  row.request_key = fact.request_key;
  row.not_before = certificate.not_before;
  row.not_after = certificate.not_after;
  row.issued = at;
  row.identity = fact.identity;
  row.reason = fact.reason;
  row.renews = fact.renews;
  row.origin.basis = fact.basis;
  row.origin.evidence = fact.evidence;
  row.origin.run = fact.run;
  return row;
}

Issued fact_of_server(BytesView certificate, std::string_view reason) {
  Issued fact;
  fact.grant.device = kServer;
  fact.certificate = to_bytes(certificate);
  fact.identity = "the owner's own server";
  fact.reason = reason;
  return fact;
}

std::string names_text(const Certificate& certificate) {
  std::string out;
  for (const GeneralName& each : certificate.alt_names) {
    out += (out.empty() ? "" : "\n") + each.text();
  }
  return out;
}

bool fits(const CertificateFilter& filter, const CertificateRow& row) {
  const bool serial = row.serial.size() >= filter.serial.size() &&
                      equal(BytesView(row.serial).first(filter.serial.size()), filter.serial);
  return serial && row.serial > filter.after_serial && (filter.device.empty() || row.device == filter.device) &&
         (!filter.state || state_of(row, filter.now) == *filter.state) &&
         (filter.profile.empty() || row.profile == filter.profile) &&
         (filter.sha256.empty() || equal(sha256(row.der), filter.sha256)) && ends_in_time(filter, row) &&
         (filter.text.empty() || has_text(row, filter.text));
}

}  // namespace imprint::store
