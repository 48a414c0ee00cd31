#include "app/data_folder.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "codec/base64.h"
#include "crypto/cms.h"
#include "crypto/random.h"
#include "io/file.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

constexpr Duration kDay = std::chrono::hours(24);
constexpr Duration kTlsLifetime = kDay * 397;
constexpr Duration kRevocationListLifetime = kDay * 7;

Result<PrivateKey> read_key(const std::string& path) {
  TRY(Bytes pem, io::read_file(path, 64 * 1024));
  const Secret secret(pem);
  wipe(pem);
  return PrivateKey::parse_pem(secret);
}

Status write_key(const std::string& path, const PrivateKey& key) {
  TRY(const Secret pem, key.to_pem());
  return io::write_file(path, pem.expose());
}

Result<std::vector<Certificate>> read_certificates(const std::string& path) {
  TRY(const Bytes pem, io::read_file(path));
  return parse_pem_certificates(as_text(pem));
}

std::string pem_of(const std::vector<Certificate>& certificates) {
  std::string out;
  for (const Certificate& c : certificates) {
    out += to_pem(c);
  }
  return out;
}

std::string base64url(BytesView bytes) {
  std::string out = base64(bytes);
  std::ranges::replace(out, '+', '-');
  std::ranges::replace(out, '/', '_');
  while (!out.empty() && out.back() == '=') {
    out.pop_back();
  }
  return out;
}

// A secret of 256 bits in a file: read, or made if it is not there.
Result<Secret> secret_file(const std::string& path, Rng& rng, bool may_make) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) {
    CHECK_OR(may_make, Error{Fault::unreachable, "data folder: not initialised; run `imprint init`"});
    const Secret fresh = random_secret(rng, 32);
    std::string text = base64url(fresh.expose()) + "\n";
    TRY(Ok{}, io::write_file(path, view(text)));
    wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  }
  TRY(Bytes content, io::read_file(path, 4096));
  while (!content.empty() && (content.back() == '\n' || content.back() == '\r')) {
    content.pop_back();
  }
  const Secret out(content);
  wipe(content);
  CHECK_OR(out.size() >= 32, Error{Fault::malformed, "data folder: a secret file is damaged"});
  return out;
}

Result<site::Ca> open_ca(const Config& config, const std::string& folder, Instant now, Rng& rng, bool may_make) {
  std::error_code ignored;
  if (!fs::exists(folder + "/chain.pem", ignored)) {
    CHECK_OR(may_make, Error{Fault::unreachable, "data folder: no CA yet; run `imprint init`"});
    TRY(const Name name, Name::from_text(config.ca_name));
    TRY(const site::Ca made, site::make_root(config.ca_key, name, now, kDay * config.ca_days, rng));
    TRY(Ok{}, io::make_folder(folder));
    TRY(Ok{}, write_key(folder + "/key.pem", made.key));
    TRY(Ok{}, io::write_file(folder + "/chain.pem", view(pem_of(made.chain())), 0644));  // last: marks the CA as made
  }
  site::Ca ca;
  TRY(ca.key, read_key(folder + "/key.pem"));
  TRY(const auto chain, read_certificates(folder + "/chain.pem"));
  CHECK_OR(!chain.empty() && chain.front().key == ca.key.public_key(),
           Error{Fault::malformed, "data folder: CA key and certificate do not belong together"});
  ca.certificate = chain.front();
  ca.above.assign(chain.begin() + 1, chain.end());
  return ca;
}

std::vector<GeneralName> server_names(const Config& config) {
  std::vector<GeneralName> out;
  for (const std::string& name : config.names) {
    auto ip = GeneralName::from_text("ip:" + name);
    auto parsed = ip ? std::move(ip) : GeneralName::from_text("dns:" + name);
    if (parsed) {
      out.push_back(*std::move(parsed));
    }
  }
  return out;
}

bool still_good(const Certificate& c, const Config& config, const site::Ca& ca, Instant now) {
  const bool signed_by_ca = static_cast<bool>(verify_chain(c, {}, {ca.certificate}, {Purpose::tls_server, now, true}));
  return signed_by_ca && c.not_after - now > (c.not_after - c.not_before) / 3 &&
         std::ranges::all_of(config.names, [&](const std::string& n) { return speaks_for_host(c, n); });
}

// The TLS server's key and certificate; a fresh pair replaces one that is old or lacks a name.
Status open_tls(const Config& config, DataFolder& out, Instant now, Rng& rng) {
  const std::string folder = config.data + "/tls";
  const auto key = read_key(folder + "/key.pem");
  const auto chain = read_certificates(folder + "/chain.pem");
  if (key && chain && !chain->empty() && chain->front().key == key->public_key() &&
      still_good(chain->front(), config, out.ca, now)) {
    out.tls_key = *key;
    out.tls_chain = *chain;
    return Ok{};
  }
  TRY(out.tls_key, PrivateKey::generate(KeyType::p256));
  TRY(const Certificate own,
      site::issue_server(out.ca, out.tls_key.public_key(), server_names(config), now, kTlsLifetime, rng));
  out.tls_chain = {own};
  const auto above = out.ca.chain();
  std::ranges::copy_if(above, std::back_inserter(out.tls_chain), [](const Certificate& c) { return !c.self_issued(); });
  TRY(Ok{}, io::make_folder(folder));
  TRY(Ok{}, write_key(folder + "/key.pem", out.tls_key));
  return io::write_file(folder + "/chain.pem", view(pem_of(out.tls_chain)), 0644);
}

Status read_makers(const Config& config, DataFolder& out) {
  std::vector<std::string> files = config.maker_anchors;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(config.data + "/makers", ignored)) {
    if (entry.path().extension() == ".pem") {
      files.push_back(entry.path().string());
    }
  }
  std::ranges::sort(files);
  for (const std::string& file : files) {
    TRY(const auto roots, read_certificates(file));
    for (const Certificate& root : roots) {
      if (std::ranges::find(out.makers, root) == out.makers.end()) {
        out.makers.push_back(root);
      }
    }
  }
  return Ok{};
}

Result<DataFolder> open(const Config& config, Instant now, Rng& rng, bool may_make) {
  DataFolder out;
  out.path = config.data;
  if (may_make) {
    TRY(Ok{}, io::make_folder(config.data));
    TRY(Ok{}, io::make_folder(config.data + "/makers"));
  }
  TRY(out.ca, open_ca(config, config.data + "/ca", now, rng, may_make));
  TRY(out.pepper, secret_file(config.data + "/pepper", rng, may_make));
  TRY(out.admin_token, secret_file(config.data + "/admin.token", rng, may_make));
  if (may_make) {
    TRY(Ok{}, open_tls(config, out, now, rng));
  }
  TRY(Ok{}, read_makers(config, out));
  return out;
}

est::Label make_label(const ProfileConfig& profile, const Bytes& ca_certificates) {
  est::Label out;
  out.ca_certificates = ca_certificates;
  out.require_linking = profile.require_linking;
  out.ignore_linking = profile.ignore_linking;
  est::CsrAttributes wishes;
  wishes.link = profile.require_linking;  // who insists has to say so (RFC 8951 section 4)
  wishes.key = profile.wanted_key;
  wishes.extensions = profile.wanted_extensions;
  wishes.from_template = profile.use_template;
  if (!(wishes == est::CsrAttributes{})) {
    out.wishes = wishes.encode();
  }
  return out;
}

}  // namespace

Result<DataFolder> open_data_folder(const Config& config, Instant now, Rng& rng) {
  return open(config, now, rng, true);
}

Result<DataFolder> read_data_folder(const Config& config) {
  SystemRng rng;
  return open(config, Instant{}, rng, false);
}

Result<std::unique_ptr<store::Store>> open_store(const Config& config) {
  TRY(Ok{}, io::make_folder(config.data));
  return store::open_sqlite(config.data + "/imprint.db");
}

Status add_maker(const std::string& data, const Certificate& root) {
  TRY(Ok{}, io::make_folder(data + "/makers"));
  return io::write_file(data + "/makers/" + hex(root.fingerprint()).substr(0, 16) + ".pem", view(to_pem(root)), 0644);
}

Result<std::shared_ptr<const EstSite>> make_site(const Config& config, const DataFolder& folder, store::Store& store,
                                                 Instant now) {
  auto out = std::make_shared<EstSite>();
  out->ca = folder.ca;
  out->policy.unknown = config.unknown;
  out->policy.retry_after = config.retry_after;
  out->policy.owner_anchors = out->est.owner_anchors = folder.ca.chain();
  out->policy.pepper = folder.pepper;
  std::vector<Bytes> ders;
  for (const Certificate& c : folder.ca.chain()) {
    ders.push_back(c.der);
  }
  const Bytes ca_certificates = encode_certs_only(ders);
  for (const auto& [name, profile] : config.profiles) {
    out->policy.profiles[name] = profile.profile;
    out->est.labels[name] = make_label(profile, ca_certificates);
  }
  out->policy.profiles[""] = config.profiles.at("default").profile;
  out->est.labels[""] = make_label(config.profiles.at("default"), ca_certificates);
  TRY(auto reader, store.read());
  RevocationListTemplate list;
  list.issuer = folder.ca.certificate.subject;
  list.number = static_cast<std::uint64_t>(now.ms);
  list.this_update = now;
  list.next_update = now + kRevocationListLifetime;
  list.authority_key_id = key_identifier(folder.ca.certificate.key);
  TRY(list.revoked, reader->revoked());
  TRY(out->revocation_list, sign_revocation_list(folder.ca.key, list));
  return std::shared_ptr<const EstSite>(std::move(out));
}

}  // namespace imprint::app
