#include "app/data_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <set>

#include "app/ca_folder.h"
#include "app/ca_former.h"
#include "app/ca_links.h"
#include "app/cli_rules.h"
#include "app/pem_file.h"
#include "app/registrar_parts.h"
#include "app/revocation_lists.h"
#include "app/tls_pair.h"
#include "base/reader.h"
#include "codec/base64.h"
#include "crypto/cms.h"
#include "crypto/key_uri.h"
#include "crypto/random.h"
#include "io/file.h"
#include "io/log.h"
#include "runtime/signing_thread.h"
#include "site/root.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

constexpr Duration kDay = std::chrono::hours(24);

// What cannot be made a second time: certificates on record, devices' trust and their secrets hang on it.
struct Part {
  std::string_view file, missing;
  std::string_view instead = {};  // does as well
};
constexpr std::array<Part, 4> kParts{{{"ca/key.pem", "data folder: ca/key.pem is missing", "ca/key.uri"},
                                      {"ca/chain.pem", "data folder: ca/chain.pem is missing"},
                                      {"pepper", "data folder: pepper is missing"},
                                      {"imprint.db", "data folder: imprint.db is missing"}}};

Error part_error(Fault fault, std::string_view what) {
  Error out{fault, kDataPart};
  out.what = what;
  return out;
}

// Whether the folder was made before. All parts are there or none; what cannot be looked at counts as there.
Result<bool> was_made(const std::string& data) {
  bool any = false;
  const Part* missing = nullptr;
  const auto is_absent = [&data](std::string_view file) {
    std::error_code ignored;
    return fs::symlink_status(data + "/" + std::string(file), ignored).type() == fs::file_type::not_found;
  };
  for (const Part& part : kParts) {
    if (is_absent(part.file) && (part.instead.empty() || is_absent(part.instead))) {
      missing = missing == nullptr ? &part : missing;
    } else {
      any = true;
    }
  }
  CHECK_OR(missing == nullptr || !any, part_error(Fault::unreachable, missing->missing));
  return any;
}

// Makes a file that is not there: never over another, whoever makes it at the same time.
Status make_file(const std::string& path, BytesView content, unsigned mode = 0600) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  CHECK_OR(fd >= 0 || errno != EEXIST, part_error(Fault::conflict, "data folder: somebody else makes it just now"));
  CHECK_OR(fd >= 0, Error{Fault::unreachable, kFile});
  ::close(fd);
  return io::write_file(path, content, mode);
}

// A secret of 256 bits.
Status make_secret(const std::string& path, Rng& rng) {
  const Secret fresh = random_secret(rng, 32);
  std::string text = base64url(fresh.expose()) + "\n";
  const Status done = make_file(path, view(text));
  wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  return done;
}

Result<Secret> read_secret_file(const std::string& path, std::string_view damaged) {
  auto content = io::read_file(path, 4096);
  CHECK_OR(content, part_error(content.error().fault, damaged));
  while (!content->empty() && (content->back() == '\n' || content->back() == '\r')) {
    content->pop_back();
  }
  Secret out(*content);
  wipe(*content);
  CHECK_OR(out.size() >= 32, part_error(Fault::malformed, damaged));
  return out;
}

// The first and only time: every part. The CA's chain comes last, so that a folder cut short here tells it.
Status make_parts(const Config& config, Instant now, Rng& rng) {
  const std::string ca = config.data + "/ca";
  TRY(const Name name, Name::from_text(config.ca_name));
  TRY(std::optional<PrivateKey> named, next_key(config.data));  // `imprint init --ca-key` has put it there
  if (!named) {
    TRY(named, PrivateKey::generate(config.ca_key));
  }
  TRY(const site::Ca made, site::make_root(*named, name, now, kDay * config.ca_days, rng));
  TRY(Ok{}, make_secret(config.data + "/pepper", rng));
  TRY(const auto database, store::open_sqlite(config.data + "/imprint.db"));
  TRY(Ok{}, io::make_folder(ca));
  if (in_token(made.key)) {
    TRY(Ok{}, make_file(ca + "/key.uri", view(key_uri_text(made.key))));
  } else {
    TRY(const Secret key, made.key.to_pem());
    TRY(Ok{}, make_file(ca + "/key.pem", key.expose()));
  }
  TRY(Ok{}, make_file(ca + "/chain.pem", view(pem_of(made.chain())), 0644));
  return settle_ca(config.data);
}

// A file that does not hold certificates is passed over: it must not stop the others, nor a revocation.
void read_makers(const Config& config, DataFolder& out) {
  std::vector<std::string> files = config.maker_anchors;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(config.data + "/makers", ignored)) {
    if (entry.path().extension() == ".pem") {
      files.push_back(entry.path().string());
    }
  }
  std::ranges::sort(files);
  for (const std::string& file : files) {
    const auto roots = read_certificate_file(file);
    if (!roots || roots->empty()) {
      out.unread.push_back({file, std::string(roots ? "no certificate in it" : roots.error().what)});
      continue;
    }
    for (const Certificate& root : *roots) {
      if (std::ranges::find(out.makers, root) == out.makers.end()) {
        out.makers.push_back(root);
      }
    }
  }
}

// In order of their names. One that cannot be taken is passed over.
void read_profiles(const Config& config, DataFolder& out) {
  std::vector<std::string> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(config.data + "/profiles", ignored)) {
    if (entry.path().extension() == ".toml") {
      files.push_back(entry.path().string());
    }
  }
  std::ranges::sort(files, {}, [](const std::string& file) { return fs::path(file).stem().string(); });
  for (const std::string& file : files) {
    auto read = read_device_profile(file);
    if (const auto* const wrong = std::get_if<std::vector<ConfigProblem>>(&read)) {
      out.unread.push_back({file, wrong->front().text});
      continue;
    }
    auto& profile = std::get<DeviceProfile>(read);
    if (std::string why = in_the_way(config, out.profiles, profile); !why.empty()) {
      out.unread.push_back({file, std::move(why)});
      continue;
    }
    out.profiles.push_back(std::move(profile));
  }
}

void tell_places(const Config& config, site::Ca& ca) {
  ca.ocsp_uri = config.ocsp_uri;
  ca.crl_uri = site::uri_of_issuer(config.crl_uri, ca.certificate);
}

// Everything but the TLS pair.
Result<DataFolder> read_parts(const Config& config) {
  DataFolder out;
  out.path = config.data;
  TRY(const bool made, was_made(config.data));
  CHECK_OR(made, Error{Fault::unreachable, kNoData});
  TRY(out.ca, read_ca(config.data));
  out.former = former_issuers(config.data, out.ca);
  tell_places(config, out.ca);
  for (site::Ca& former : out.former) {
    tell_places(config, former);
  }
  TRY(out.pepper, read_secret_file(config.data + "/pepper", "data folder: pepper is damaged"));
  TRY(out.admin_token,
      read_secret_file(config.data + "/admin.token", "data folder: admin.token is missing or damaged"));
  CHECK_OR(!makers_unlisted(config.data), part_error(Fault::unreachable, "data folder: makers/ cannot be read"));
  read_makers(config, out);
  read_profiles(config, out);
  return out;
}

Result<TlsPair> pair_to_serve(const Config& config, DataFolder& out, store::Store& store, Instant now, Rng& rng) {
  if (!is_gateway(config)) {
    return open_tls_pair(config, out.ca, store, now, rng);
  }
  TRY(out.upstream, read_upstream(config));
  out.upstream->site.wanted_extensions = wanted_extensions(config, out.profiles);
  return gateway_tls_pair(config, *out.upstream, out.ca, store);
}

Status open_tls(const Config& config, DataFolder& out, store::Store& store, Instant now, Rng& rng) {
  TRY(TlsPair pair, pair_to_serve(config, out, store, now, rng));
  out.tls_key = std::move(pair.key);
  out.tls_chain = std::move(pair.chain);
  out.tls_given = pair.given;
  return Ok{};
}

est::Label make_label(const ProfileConfig& profile, const Bytes& ca_certificates) {
  est::Label out;
  out.ca_certificates = ca_certificates;
  out.server_keys = profile.profile.server_keys != site::ServerKeys::no;
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

std::string in_the_way(const Config& config, const std::vector<DeviceProfile>& taken, const DeviceProfile& profile) {
  std::set<std::string> labels;
  for (const auto& [name, ignored] : config.profiles) {
    labels.insert(name);
  }
  for (const DeviceProfile& other : taken) {
    labels.insert(other.name);
    for (const CredentialConfig& credential : other.credentials) {
      labels.insert(credential.label);
    }
  }
  if (labels.contains(profile.name)) {
    return "label " + profile.name + " is another profile's";
  }
  for (const CredentialConfig& credential : profile.credentials) {
    if (credential.server.empty() && labels.contains(credential.label)) {
      return "label " + credential.label + " is another profile's";
    }
  }
  return {};
}

// Of all files of makers/, with their names.
Sha256 digest_of_makers(const std::string& data, BytesView web) {
  std::vector<std::string> files;
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(data + "/makers", ignored)) {
    files.push_back(entry.path().string());
  }
  std::ranges::sort(files);
  Writer w;
  w.bytes(web);
  for (const std::string& file : files) {
    const auto content = io::read_file(file);
    w.bytes(view(file));
    w.bytes(content ? BytesView(sha256(*content)) : BytesView());
  }
  return sha256(w.out());
}

// What cannot be taken of makers' files is told like their roots.
void read_masas(const Config& config, Instant now, DataFolder& out) {
  std::vector<Certificate> web;
  const auto pem = io::read_file(config.web_anchors);
  const auto read = pem ? parse_pem_certificates(as_text(*pem)) : Result<std::vector<Certificate>>(pem.error());
  if (read) {
    web = *read;
  } else if (config.web_anchors != Config{}.web_anchors) {
    out.unread.push_back({config.web_anchors, std::string(read.error().what)});
  }
  auto makers = std::make_shared<Makers>(app::read_makers(config.data, now, std::move(web)));
  for (const Makers::Unread& bad : makers->unread) {
    out.unread.push_back({bad.file, bad.why});
  }
  out.masas = std::move(makers);
  out.masas_digest = digest_of_makers(config.data, pem ? BytesView(*pem) : BytesView());
}

Result<DataFolder> open_data_folder(const Config& config, Instant now, Rng& rng) {
  TRY(Ok{}, io::make_folder(config.data));
  TRY(Ok{}, io::make_folder(config.data + "/makers"));
  TRY(const bool made, was_made(config.data));
  if (!made) {
    TRY(Ok{}, make_parts(config, now, rng));
  }
  std::error_code ignored;
  if (!fs::exists(config.data + "/admin.token", ignored)) {
    TRY(Ok{}, make_secret(config.data + "/admin.token", rng));
  }
  TRY(DataFolder out, read_parts(config));
  TRY(const auto store, open_store(config));
  TRY(Ok{}, open_tls(config, out, *store, now, rng));
  read_masas(config, now, out);
  return out;
}

Result<DataFolder> refresh_data_folder(const Config& config, store::Store& store, Instant now, Rng& rng) {
  TRY(DataFolder out, read_parts(config));
  TRY(Ok{}, open_tls(config, out, store, now, rng));
  read_masas(config, now, out);
  return out;
}

Result<DataFolder> read_data_folder(const Config& config) { return read_parts(config); }

Result<std::unique_ptr<store::Store>> open_store(const Config& config) {
  TRY(Ok{}, io::make_folder(config.data));
  return store::open_sqlite(config.data + "/imprint.db");
}

Status add_maker(const std::string& data, const Certificate& root) {
  TRY(Ok{}, io::make_folder(data + "/makers"));
  return io::write_file(data + "/makers/" + hex(root.fingerprint()).substr(0, 16) + ".pem", view(to_pem(root)), 0644);
}

std::string profile_file(const std::string& data, std::string_view name) {
  return data + "/profiles/" + std::string(name) + ".toml";
}

Result<std::shared_ptr<const EstSite>> make_site(const Config& config, const DataFolder& folder, store::Store& store,
                                                 Instant now, const Lasting& lasting) {
  auto out = std::make_shared<EstSite>();
  out->ca = folder.ca;
  if (lasting.gateway) {
    out->signer = lasting.gateway;
  } else if (in_token(folder.ca.key)) {
    out->signer = std::make_shared<SigningThread>(folder.ca);
  }
  out->keys = lasting.keys;
  out->key_signer = {folder.tls_key, folder.tls_chain};
  out->policy.unknown = config.unknown;
  out->policy.retry_after = config.retry_after;
  out->policy.most_live = config.certificates_per_device;
  out->policy.renewed_grace = config.renewed_grace;
  out->policy.owner_anchors = former_cas(folder.path);
  out->policy.owner_anchors.insert(out->policy.owner_anchors.begin(), folder.ca.certificate);
  out->est.owner_anchors = out->policy.owner_anchors;
  out->policy.pepper = folder.pepper;
  out->policy.basic = out->est.basic = config.basic;
  if (config.digest && lasting.nonces) {
    out->policy.nonces = lasting.nonces;
    out->est.nonce_key = lasting.nonces->key();
  }
  std::vector<Bytes> ders;
  std::vector<Certificate> shown;
  if (folder.upstream) {
    shown = folder.upstream->ca;
    std::ranges::copy(cas_upstream(*folder.upstream), std::back_inserter(out->policy.owner_anchors));  // not its RAs
  } else {
    shown = folder.ca.chain();
    std::ranges::copy(ca_links(folder.path, folder.ca), std::back_inserter(shown));
    std::ranges::copy(ca_history(folder.path, folder.ca), std::back_inserter(shown));
  }
  for (const Certificate& c : shown) {
    ders.push_back(c.der);
  }
  const Bytes ca_certificates = encode_certs_only(ders);
  for (const auto& [name, profile] : config.profiles) {
    out->policy.profiles[name] = profile.profile;
    out->est.labels[name] = make_label(profile, ca_certificates);
  }
  for (const DeviceProfile& profile : folder.profiles) {
    for (const CredentialConfig& credential : profile.credentials) {
      if (credential.server.empty()) {
        out->policy.profiles[credential.label] = credential.given.profile;
        out->est.labels[credential.label] = make_label(credential.given, ca_certificates);
      }
    }
  }
  out->policy.profiles[""] = config.profiles.at("default").profile;
  out->est.labels[""] = make_label(config.profiles.at("default"), ca_certificates);
  out->registrar = make_registrar(config, folder, out->policy);
  if (out->policy.acp_name) {
    out->est.wished_names = [name_for = out->policy.acp_name](const Session& session) {
      const auto name = name_for(session);
      return name ? std::vector{*name} : std::vector<GeneralName>{};
    };
  }
  TRY(Ok{}, add_lists(folder, store, now, lasting.before.get(), *out));
  return std::shared_ptr<const EstSite>(std::move(out));
}

}  // namespace imprint::app
