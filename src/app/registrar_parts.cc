#include "app/registrar_parts.h"

#include <algorithm>

#include "io/key_file.h"

namespace imprint::app {
namespace {

constexpr std::string_view kOwnKey = "registrar";

// Our certificate and all above it: what the MASA may pin (RFC 8995 section 5.5.2).
std::vector<Certificate> whole_chain(const DataFolder& folder) {
  std::vector<Certificate> out = folder.tls_chain;
  for (const Certificate& one : folder.ca.chain()) {
    if (std::ranges::find(out, one) == out.end()) {
      out.push_back(one);
    }
  }
  return out;
}

}  // namespace

std::shared_ptr<const RegistrarSite> make_registrar(const Config& config, const DataFolder& folder,
                                                    site::Policy& policy) {
  if (!config.registrar || !folder.masas) {
    return nullptr;
  }
  auto role = std::make_shared<brski::RegistrarConfig>();
  role->chain = whole_chain(folder);
  role->log = config.log_policy;
  auto out = std::make_shared<RegistrarSite>();
  out->signer = Signer{folder.tls_key, role->chain};
  out->role = std::move(role);
  out->masas = folder.masas->book.configured();
  const std::shared_ptr<const Makers> makers = folder.masas;
  out->find_masa = [makers, own = Credential{std::string(kOwnKey), folder.tls_chain}](
                       const Certificate& idevid, const std::vector<Certificate>& chain) -> Result<brski::MasaContact> {
    TRY(brski::MasaContact contact, makers->book.find(idevid, chain));
    if (!contact.as && !contact.login) {
      contact.as = own;
    }
    return contact;
  };
  if (config.voucher_first) {
    policy.needs_voucher = [makers](const Certificate& idevid, const std::vector<Certificate>& chain) {
      const auto contact = makers->book.find(idevid, chain);
      // What is wrong with a maker's rules opens nothing: only a device that nobody speaks for needs no voucher.
      return contact ? !contact->quirks.est_before_status : contact.error().rule != &site::kMasaUnknown;
    };
  }
  return out;
}

Result<PrivateKey> masa_key(const EstSite& site, const std::string& key_id) {
  if (key_id == kOwnKey) {
    CHECK_OR(site.registrar, Error{Fault::internal, "key: no registrar"});
    return site.registrar->signer.key;
  }
  return io::load_key(key_id);
}

}  // namespace imprint::app
