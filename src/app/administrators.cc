#include "app/administrators.h"

#include <algorithm>

#include "app/cli_rules.h"
#include "app/pem_file.h"
#include "app/rules.h"
#include "io/file.h"
#include "io/log.h"

namespace imprint::app {
namespace {

constexpr std::size_t kMostListBytes = 16 * 1024 * 1024;
constexpr std::size_t kMostNameCharacters = 256;

// Which file, and what is wrong with it: an Error has static text only.
Error unusable(const std::string& file, const Error& why) {
  io::log(io::LogLevel::error, "administrators.unusable", {{"file", file}, {"why", why.what}});
  Error out{Fault::malformed, kAdministrators};
  out.what = why.what;
  return out;
}

Result<std::vector<Certificate>> read_cas(const std::string& file, const std::vector<Certificate>& devices) {
  const auto cas = read_certificate_file(file);
  CHECK_OR(cas, unusable(file, cas.error()));
  CHECK_OR(!cas->empty(), unusable(file, Error{Fault::malformed, "no certificate"}));
  for (const Certificate& each : *cas) {
    CHECK_OR(each.is_ca, unusable(file, Error{Fault::refused, "a certificate that is no CA's; pin it in api.pins"}));
    const bool of_devices =
        std::ranges::any_of(devices, [&](const Certificate& one) { return one.key.spki == each.key.spki; });
    CHECK_OR(!of_devices, unusable(file, Error{Fault::refused, "a CA of devices: each would be an administrator"}));
  }
  return *cas;
}

Result<RevocationList> read_list(const std::string& file, const std::vector<Certificate>& cas) {
  const auto bytes = io::read_file(file, kMostListBytes);
  CHECK_OR(bytes, unusable(file, bytes.error()));
  auto list = read_revocation_list(*bytes, cas);
  CHECK_OR(list, unusable(file, list.error()));
  return list;
}

std::string name_in_audit(const Certificate& own) {
  return "admin " + own.subject.text.substr(0, kMostNameCharacters) + " sha256:" + hex(own.fingerprint());
}

}  // namespace

Result<Administrators> Administrators::load(const Config& config, const std::vector<Certificate>& devices) {
  Administrators out;
  for (const std::string& file : config.administrators) {
    TRY(const std::vector<Certificate> cas, read_cas(file, devices));
    out.cas_.insert(out.cas_.end(), cas.begin(), cas.end());
  }
  for (const std::string& file : config.administrator_lists) {
    TRY(RevocationList list, read_list(file, out.cas_));
    out.lists_.push_back(std::move(list));
  }
  for (const std::string& pin : config.administrator_pins) {
    const std::optional<Bytes> digest = from_hex(pin);
    CHECK_OR(digest && digest->size() == Sha256{}.size(), Error{Fault::malformed, kAdministrators});
    std::ranges::copy(*digest, out.pins_.emplace_back().begin());
  }
  return out;
}

Result<std::string> Administrators::name_of(const std::vector<Certificate>& presented, Instant now) const {
  CHECK_OR(!presented.empty(), Error{Fault::refused, kApiCertificate});
  const Certificate& own = presented.front();
  const std::vector<Certificate> along(presented.begin() + 1, presented.end());
  const auto chain = verify_chain(own, along, cas_, {.purpose = Purpose::tls_client, .at = now});
  if (chain) {
    TRY([[maybe_unused]] const Ok good, check_revoked(**chain, now));
    return name_in_audit(own);
  }
  const bool pinned = std::ranges::find(pins_, own.fingerprint()) != pins_.end();
  CHECK_OR(pinned || chain.error().fault == Fault::expired, Error{Fault::refused, kApiCertificate});
  CHECK_OR(pinned && own.not_before <= now && now <= own.not_after, Error{Fault::refused, kApiCertificateTime});
  return name_in_audit(own);
}

// A CA without a list in the configuration revokes nothing. One whose list is too old could have revoked anything.
Status Administrators::check_revoked(const CertificateChain& chain, Instant now) const {
  std::vector<Certificate> path = chain.via;
  path.insert(path.begin(), chain.leaf);
  for (const Certificate& each : path) {
    for (const RevocationList& list : lists_) {
      if (list.issuer == each.issuer) {
        CHECK_OR(!list.has(each.serial), Error{Fault::refused, kApiCertificateRevoked});
        CHECK_OR(!list.next_update || now < *list.next_update, Error{Fault::refused, kApiCertificateStatus});
      }
    }
  }
  return Ok{};
}

}  // namespace imprint::app
