#include "app/registrar_parts.h"

#include <algorithm>

#include "app/version.h"
#include "io/key_file.h"
#include "io/loop.h"
#include "site/acp.h"
#include "site/masa_book.h"

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
  out->keys.emplace(kOwnKey, folder.tls_key);
  for (const site::MasaRule& rule : folder.masas->book.rules) {
    if (rule.as && !out->keys.contains(rule.as->key_id)) {
      out->keys.emplace(rule.as->key_id, io::load_key(rule.as->key_id));
    }
  }
  const std::shared_ptr<const Makers> makers = folder.masas;
  out->find_masa = [makers, own = Credential{std::string(kOwnKey), folder.tls_chain}](
                       const Certificate& idevid, const std::vector<Certificate>& chain) -> Result<brski::MasaContact> {
    // By the clock of now: a rule may end while the server runs.
    TRY(site::MasaAnswer answer, makers->book.look_up(idevid, chain, io::wall_clock()));
    brski::MasaContact contact = std::move(answer.contact);
    if (!contact.as && !contact.login) {
      contact.as = own;
    }
    return contact;
  };
  out->about = {"imprint " + std::string(kVersion), config.coaps.has_value(),
                config.coaps.has_value() && config.coaps_join.has_value(), config.voucher_first};
  if (!config.acp.name.empty()) {
    policy.acp_name = [makers, domain = config.acp, anchors = policy.owner_anchors](const Session& session) {
      return site::acp_name_for(domain, makers->book, anchors, session, io::wall_clock());
    };
  }
  if (config.voucher_first) {
    policy.pledge_names = site::pledge_names;
    policy.needs_voucher = [makers](const Certificate& idevid, const std::vector<Certificate>& chain) {
      return site::voucher_needed(makers->book, idevid, chain, io::wall_clock());
    };
  }
  return out;
}

Result<PrivateKey> masa_key(const EstSite& site, const std::string& key_id) {
  CHECK_OR(site.registrar, Error{Fault::internal, "key: no registrar"});
  const auto at = site.registrar->keys.find(key_id);
  CHECK_OR(at != site.registrar->keys.end(), Error{Fault::internal, "key: not read with the makers"});
  return at->second;
}

}  // namespace imprint::app
