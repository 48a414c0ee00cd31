#include "app/masa_folder.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/cli_rules.h"
#include "app/masa_folder_rules.h"
#include "app/masa_lists.h"
#include "app/pem_file.h"
#include "app/version.h"
#include "codec/printable.h"
#include "crypto/random.h"
#include "io/file.h"
#include "proto/brski/masa_url.h"
#include "site/ca.h"
#include "site/masa_catalogue.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

constexpr Duration kSignerLifetime = std::chrono::hours(24 * 365 * 10), kTlsLifetime = std::chrono::hours(24 * 365 * 2);
constexpr std::size_t kPepperBytes = 32;
constexpr std::size_t kIssuersOfRule = 64;  // as a catalogue takes them

std::string file_of(MasaKey which) { return which == MasaKey::signer ? "/signer.pem" : "/tls.pem"; }

// The maker's CA, as the factory has left it.
OrProblem<site::Ca> read_maker(const std::string& folder) {
  auto key = read_key_file(folder + "/key.pem");
  const auto root = read_certificate_file(folder + "/root.pem");
  const bool fits = key && root && !root->empty() && root->front().key == key->public_key();
  if (!fits) {
    return Problem(Error{Fault::malformed, kMasaMakerCa}, folder);
  }
  return site::Ca{*std::move(key), root->front(), {}};
}

// A key and its certificate below the maker's root, in one file: both are there, or neither.
OrProblem<Certificate> make_pair(const std::string& path, const site::Ca& maker, const MasaSettings& settings,
                                 MasaKey which, const std::vector<std::string>& names, Instant now, Rng& rng) {
  TRY(const PrivateKey key, PrivateKey::generate(KeyType::p256));
  CertificateTemplate t;
  t.serial = site::random_serial(rng);
  t.issuer = maker.certificate.subject;
  TRY(t.subject, Name::from_text(which == MasaKey::signer ? "CN=Voucher signer " + hex(t.serial).substr(0, 8)
                                                          : "CN=MASA " + hex(t.serial).substr(0, 8)));
  t.not_before = now - std::chrono::minutes(5);
  t.not_after =
      std::min(now + (which == MasaKey::signer ? kSignerLifetime : kTlsLifetime), maker.certificate.not_after);
  t.spki = key.public_key().spki;
  t.usage = key_usage::kDigitalSignature;
  t.authority_key_id = key_identifier(maker.certificate.key);
  if (which == MasaKey::tls) {
    t.extended = {std::string(eku::kServerAuth)};
    for (const std::string& one : names) {
      TRY(GeneralName name, about(GeneralName::from_text(one), one));
      t.alt_names.push_back(std::move(name));
    }
    const auto uri = Uri::parse("https://" + settings.authority);
    if (names.empty() && uri) {
      const auto as_ip = GeneralName::from_text("ip:" + uri->host);
      TRY(GeneralName name, GeneralName::from_text((as_ip ? "ip:" : "dns:") + uri->host));
      t.alt_names.push_back(std::move(name));
    }
  }
  TRY(const Bytes der, sign_certificate(maker.key, t));
  TRY(const Certificate certificate, Certificate::parse(der));
  TRY(const Secret pem, key.to_pem());
  Bytes text = to_bytes(pem.expose());
  const std::string chain = to_pem(certificate) + to_pem(maker.certificate);
  text.insert(text.end(), chain.begin(), chain.end());
  const Status written = io::write_file(path + file_of(which), text);
  wipe(text);
  TRY([[maybe_unused]] const Ok done, about(written, path + file_of(which)));
  return certificate;
}

OrProblem<KeyedChain> read_pair(const std::string& path) {
  KeyedChain out;
  TRY(out.key, about(read_key_file(path), path));
  TRY(out.chain, about(read_certificate_file(path), path));
  if (out.chain.empty() || out.chain.front().key != out.key.public_key()) {
    return Problem(Error{Fault::malformed, kPem}, path);
  }
  return out;
}

Json settings_json(const MasaSettings& s) {
  return Json{{"name", s.name},
              {"authority", s.authority},
              {"first_claim", s.first_claim},
              {"proximity_only", s.proximity_only},
              {"pin_registrar", s.pin_registrar},
              {"nonceless_days", s.nonceless_days},
              {"catalogue_days", s.catalogue_days},
              {"needs_status", s.needs_status},
              {"basic", s.basic},
              {"digest", s.digest},
              {"base64_bodies", s.base64_bodies}};
}

// False if the member is of another type.
template <class T>
bool take(const Json& value, T& into) {
  if constexpr (std::is_same_v<T, bool>) {
    into = value.is_boolean() ? value.get<bool>() : into;
    return value.is_boolean();
  } else if constexpr (std::is_same_v<T, std::string>) {
    into = value.is_string() ? value.get<std::string>() : into;
    return value.is_string();
  } else {
    into = value.is_number_integer() ? std::clamp<std::int64_t>(value.get<std::int64_t>(), 0, 36500) : into;
    return value.is_number_integer();
  }
}

bool take_setting(const std::string& key, const Json& value, MasaSettings& into) {
  return key == "name"             ? take(value, into.name)
         : key == "authority"      ? take(value, into.authority)
         : key == "first_claim"    ? take(value, into.first_claim)
         : key == "proximity_only" ? take(value, into.proximity_only)
         : key == "pin_registrar"  ? take(value, into.pin_registrar)
         : key == "nonceless_days" ? take(value, into.nonceless_days)
         : key == "catalogue_days" ? take(value, into.catalogue_days)
         : key == "needs_status"   ? take(value, into.needs_status)
         : key == "basic"          ? take(value, into.basic)
         : key == "digest"         ? take(value, into.digest)
         : key == "base64_bodies"  ? take(value, into.base64_bodies)
                                   : false;
}

OrProblem<MasaSettings> read_settings(const std::string& path) {
  const auto text = io::read_file(path + "/masa.json");
  if (!text) {
    return Problem(Error{Fault::unreachable, kMasaNoFolder}, path);
  }
  const auto json = parse_json(as_text(*text));
  if (!json || !json->is_object()) {
    return Problem(Error{Fault::malformed, kContent}, path + "/masa.json");
  }
  MasaSettings out;
  // A member that is misspelled would leave a device to the first who claims it, and nobody would know.
  for (const auto& [key, value] : json->items()) {
    if (!take_setting(key, value, out)) {
      Problem problem(Error{Fault::malformed, kContent}, path + "/masa.json");
      problem.state = "\"" + printable(key) + "\" is no setting, or of another type";
      return problem;
    }
  }
  return out;
}

Duration days(std::int64_t count) { return std::chrono::hours(24 * count); }

// How the maker's file at a registrar is called: "Acme Lamps" is acme-lamps.
std::string file_name_of(std::string_view maker) {
  std::string out;
  for (const char c : maker) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    out += upper ? static_cast<char>(c + ('a' - 'A')) : plain ? c : '-';
  }
  return out.empty() ? "maker" : out;
}

}  // namespace

OrProblem<Ok> make_masa(const std::string& path, const std::string& maker, const MasaSettings& settings,
                        const std::vector<std::string>& names, Instant now, Rng& rng) {
  std::error_code ignored;
  if (fs::exists(path + "/masa.json", ignored)) {
    return Problem(Error{Fault::conflict, kMasaFolderThere}, path);
  }
  TRY(const site::Ca ca, read_maker(maker));
  TRY([[maybe_unused]] const Ok made, about(io::make_folder(path), path));
  TRY([[maybe_unused]] const Certificate signer, make_pair(path, ca, settings, MasaKey::signer, names, now, rng));
  TRY([[maybe_unused]] const Certificate tls, make_pair(path, ca, settings, MasaKey::tls, names, now, rng));
  TRY([[maybe_unused]] const Ok anchors,
      about(io::write_file(path + "/anchors.pem", view(to_pem(ca.certificate)), 0644), path));
  std::error_code error;
  if (!fs::exists(path + "/pepper", error)) {  // a first try may have left customers
    TRY([[maybe_unused]] const Ok pepper,
        about(io::write_file(path + "/pepper", random_secret(rng, kPepperBytes).expose()), path));
  }
  TRY([[maybe_unused]] const auto store, about(store::open_maker_sqlite(path + "/masa.db"), path + "/masa.db"));
  const std::string text = settings_json(settings).dump(2) + "\n";
  TRY([[maybe_unused]] const Ok last, about(io::write_file(path + "/masa.json", view(text), 0644), path));
  return Ok{};
}

OrProblem<Certificate> roll_over_masa(const std::string& path, const std::string& maker, MasaKey which,
                                      const std::vector<std::string>& names, Instant now, Rng& rng) {
  TRY(const MasaSettings settings, read_settings(path));
  TRY(const site::Ca ca, read_maker(maker));
  TRY(const std::vector<Certificate> anchors,
      about(read_certificate_file(path + "/anchors.pem"), path + "/anchors.pem"));
  if (std::ranges::find(anchors, ca.certificate) == anchors.end()) {
    return Problem(Error{Fault::refused, kMasaMakerCa}, maker);  // devices of this MASA would not take its vouchers
  }
  return make_pair(path, ca, settings, which, names, now, rng);
}

OrProblem<MasaFolder> open_masa(const std::string& path) {
  MasaFolder out;
  out.path = path;
  TRY(out.settings, read_settings(path));
  TRY(out.signer, read_pair(path + "/signer.pem"));
  TRY(out.tls, read_pair(path + "/tls.pem"));
  TRY(out.anchors, about(read_certificate_file(path + "/anchors.pem"), path + "/anchors.pem"));
  TRY(Bytes pepper, about(io::read_file(path + "/pepper"), path + "/pepper"));
  out.pepper = Secret(BytesView(pepper));
  wipe(pepper);
  if (out.pepper.size() < kPepperBytes) {
    return Problem(Error{Fault::malformed, kContent}, path + "/pepper");
  }
  auto store = store::open_maker_sqlite(path + "/masa.db");
  if (!store) {
    Problem problem(Error{Fault::unreachable, kStoreClosed}, path + "/masa.db");
    problem.state = store.error().what;
    return problem;
  }
  out.store = *std::move(store);
  return out;
}

OrProblem<std::string> masa_catalogue(const MasaFolder& folder, Instant now) {
  TRY(const auto reader, folder.store->read());
  TRY(const std::vector<Bytes> issuers, reader->issuers());
  site::MasaCatalogue out;
  out.maker = file_name_of(folder.settings.name);
  out.version = static_cast<std::uint64_t>(now.ms);  // of two in one second the later is newer
  out.issued = now;
  out.expires = now + days(std::max<std::int64_t>(folder.settings.catalogue_days, 1));
  std::vector<Bytes> key_ids = issuers;
  if (key_ids.empty()) {
    for (const Certificate& anchor : folder.anchors) {
      key_ids.push_back(key_identifier(anchor.key));
    }
  }
  for (std::size_t at = 0; at < key_ids.size(); at += kIssuersOfRule) {
    site::MasaRule rule;
    rule.name = "devices-" + std::to_string(out.rules.size() + 1);
    const auto end = std::min(key_ids.size(), at + kIssuersOfRule);
    for (std::size_t i = at; i < end; ++i) {
      rule.match.key_ids.push_back(key_ids[i]);
    }
    TRY(rule.url, about(brski::masa_url(folder.settings.authority), folder.settings.authority));
    rule.anchors = {folder.tls.chain.back()};
    rule.voucher_anchors = {folder.signer.chain.back()};
    out.rules.push_back(std::move(rule));
  }
  TRY(std::string text, about(site::make_catalogue(out, folder.signer.key, folder.signer.chain), "catalogue"));
  return text;
}

OrProblem<std::shared_ptr<const MasaSite>> masa_site(const MasaFolder& folder, Instant now) {
  auto out = std::make_shared<MasaSite>();
  out->config.idevid_anchors = folder.anchors;
  TRY(out->config.lists, masa_lists(folder.path, *folder.store));
  out->config.needs_status = folder.settings.needs_status;
  out->policy.first_claim = folder.settings.first_claim;
  out->policy.proximity_only = folder.settings.proximity_only;
  out->policy.pin_registrar = folder.settings.pin_registrar;
  out->policy.nonceless_lifetime = days(folder.settings.nonceless_days);
  out->policy.pepper = folder.pepper;
  out->policy.basic = folder.settings.basic;
  out->policy.digest = folder.settings.digest;
  out->base64_bodies = folder.settings.base64_bodies;
  out->voucher_signer = {folder.signer.key, folder.signer.chain};
  out->name = folder.settings.name;
  out->version = kVersion;
  auto cloud = std::make_shared<CloudSite>();
  cloud->config = {folder.anchors, folder.tls.chain.front()};
  cloud->voucher_signer = out->voucher_signer;
  out->cloud = std::move(cloud);
  TRY(out->catalogue, masa_catalogue(folder, now));
  return std::shared_ptr<const MasaSite>(std::move(out));
}

Result<std::shared_ptr<io::TlsContext>> masa_tls(const MasaFolder& folder) {
  io::TlsServerOptions tls;
  tls.key = folder.tls.key;
  tls.chain = folder.tls.chain;
  tls.verify_client_certificate = false;
  return io::TlsContext::server(tls);
}

}  // namespace imprint::app
