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

// Keys and not certificates: a CA has as many of these as there are CAs above it.
std::vector<Bytes> keys_of(const std::vector<Certificate>& cas) {
  std::vector<Bytes> out;
  std::ranges::transform(cas, std::back_inserter(out), [](const Certificate& each) { return each.key.spki; });
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Result<std::vector<Certificate>> read_cas(const std::string& file) {
  const auto cas = read_certificate_file(file);
  CHECK_OR(cas, unusable(file, cas.error()));
  CHECK_OR(!cas->empty(), unusable(file, Error{Fault::malformed, "no certificate"}));
  for (const Certificate& each : *cas) {
    CHECK_OR(each.is_ca, unusable(file, Error{Fault::refused, "a certificate that is no CA's; pin it in api.pins"}));
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
  out.devices_ = keys_of(devices);
  for (const std::string& file : config.administrators) {
    TRY(const std::vector<Certificate> cas, read_cas(file));
    CHECK_OR(std::ranges::none_of(cas, [&out](const Certificate& each) { return out.is_of_devices(each); }),
             unusable(file, Error{Fault::refused, "a CA of devices: each would be an administrator"}));
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

Administrators Administrators::beside(const std::vector<Certificate>& devices) const {
  Administrators out = *this;
  out.devices_ = keys_of(devices);
  std::erase_if(out.cas_, [&out](const Certificate& each) { return out.is_of_devices(each); });
  return out;
}

Result<std::string> Administrators::name_of(const std::vector<Certificate>& presented, Instant now) const {
  CHECK_OR(!presented.empty(), Error{Fault::refused, kApiCertificate});
  const Certificate& own = presented.front();
  const std::vector<Certificate> along(presented.begin() + 1, presented.end());
  const auto chain = verify_chain(own, along, cas_, {.purpose = Purpose::tls_client, .at = now});
  if (chain) {
    TRY([[maybe_unused]] const Ok good, check_revoked(**chain, now));
    if (holds(leads_past_devices(**chain))) {
      return name_in_audit(own);
    }
  }
  const bool pinned = std::ranges::find(pins_, own.fingerprint()) != pins_.end();
  const bool over = !chain && chain.error().fault == Fault::expired;
  CHECK_OR(pinned || over, Error{Fault::refused, kApiCertificate});
  CHECK_OR(pinned && own.not_before <= now && now <= own.not_after, Error{Fault::refused, kApiCertificateTime});
  return name_in_audit(own);
}

bool Administrators::is_of_devices(const Certificate& ca) const {
  return std::ranges::binary_search(devices_, ca.key.spki);
}

// Whose certificate a CA of devices has signed has that CA's key above its own, in whatever certificate it came.
bool Administrators::leads_past_devices(const CertificateChain& chain) const {
  return !is_of_devices(chain.anchor) &&
         std::ranges::none_of(chain.via, [this](const Certificate& each) { return is_of_devices(each); });
}

// The newest list of this CA: by its key, or, for one that has another key by now, by its name. Null if there is none.
const RevocationList* Administrators::list_of(const Certificate& ca) const {
  const auto newest = [this](const auto& is_its) {
    const RevocationList* out = nullptr;
    for (const RevocationList& each : lists_) {
      if (is_its(each) && (out == nullptr || out->this_update < each.this_update)) {
        out = &each;
      }
    }
    return out;
  };
  const RevocationList* const by_key = newest([&ca](const RevocationList& each) { return each.signer == ca.key.spki; });
  return by_key != nullptr ? by_key : newest([&ca](const RevocationList& each) { return each.issuer == ca.subject; });
}

// A CA without a list in the configuration revokes nothing. One whose list is too old could have revoked anything.
// Whose list it is the next certificate of the path says: names may be written in several ways.
Status Administrators::check_revoked(const CertificateChain& chain, Instant now) const {
  std::vector<Certificate> path = chain.via;
  path.insert(path.begin(), chain.leaf);
  for (std::size_t i = 0; i < path.size(); ++i) {
    const RevocationList* const list = list_of(i + 1 < path.size() ? path[i + 1] : chain.anchor);
    if (list != nullptr) {
      CHECK_OR(!list->has(path[i].serial), Error{Fault::refused, kApiCertificateRevoked});
      CHECK_OR(!list->next_update || now < *list->next_update, Error{Fault::refused, kApiCertificateStatus});
    }
  }
  return Ok{};
}

}  // namespace imprint::app
