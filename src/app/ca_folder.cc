#include "app/ca_folder.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "app/ca_former.h"
#include "app/ca_links.h"
#include "app/ca_rules.h"
#include "app/cli_rules.h"
#include "app/pem_file.h"
#include "io/file.h"
#include "io/key_file.h"
#include "site/root.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 2> kKeyFiles{"key.pem", "key.uri"};
constexpr std::size_t kMaxUri = 4096;

Error part_error(Fault fault, std::string_view what) {
  Error out{fault, kDataPart};
  out.what = what;
  return out;
}

Error refusal(const Rule& rule, std::string_view what) {
  Error out{Fault::refused, rule};
  out.what = what;
  return out;
}

bool is_there(const std::string& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() != fs::file_type::not_found;
}

bool has_key(const std::string& folder) {
  return std::ranges::any_of(kKeyFiles,
                             [&](std::string_view file) { return is_there(folder + "/" + std::string(file)); });
}

Status write_key(const std::string& folder, const PrivateKey& key) {
  TRY(Ok{}, io::make_folder(folder));
  if (in_token(key)) {
    return io::write_file(folder + "/key.uri", view(key_uri_text(key)));
  }
  TRY(const Secret pem, key.to_pem());
  return io::write_file(folder + "/key.pem", pem.expose());
}

std::string short_name(const Sha256& digest) { return hex(BytesView(digest).first(8)); }

// A key as its file has it.
struct KeyFile {
  std::string_view file;
  Sha256 digest{};  // of the public key
  std::string uri;  // of one in a token
  PrivateKey key;   // none of a token's as long as nobody says what it should be
};

Result<KeyFile> read_key_file_of(const std::string& path, std::string_view file) {
  KeyFile out;
  out.file = file;
  if (file == "key.pem") {
    TRY(out.key, read_key_file(path));
    out.digest = sha256(out.key.public_key().spki);
    return out;
  }
  TRY(const Bytes content, io::read_file(path, kMaxUri + 128));
  const std::string_view text = as_text(content);
  const std::size_t end = text.find('\n');
  const auto digest = from_hex(end == std::string_view::npos ? "" : text.substr(end + 1, 64));
  CHECK_OR(digest && digest->size() == out.digest.size(),
           part_error(Fault::malformed, "data folder: ca/key.uri is damaged"));
  std::ranges::copy(*digest, out.digest.begin());
  out.uri = text.substr(0, end);
  return out;
}

Result<KeyFile> read_key_of(const std::string& folder, std::string_view file) {
  return read_key_file_of(folder + "/" + std::string(file), file);
}

// The key in this folder whose public half this is; with nothing to compare, any.
Result<std::optional<KeyFile>> find_key(const std::string& folder, const PublicKey* wanted) {
  for (const std::string_view file : kKeyFiles) {
    if (!is_there(folder + "/" + std::string(file))) {
      continue;
    }
    TRY(KeyFile found, read_key_of(folder, file));
    if (wanted != nullptr && found.digest != sha256(wanted->spki)) {
      continue;
    }
    if (wanted != nullptr && !found.uri.empty()) {
      TRY(found.key, io::known_key(found.uri, *wanted));
    }
    return std::optional(std::move(found));
  }
  return std::optional<KeyFile>();
}

// Whoever reads sees every name that it needs at any moment: the old key gets its second name first, and the new one is
// renamed onto it.
Status replace_key(const std::string& ca, const KeyFile& old, const KeyFile& fresh) {
  const std::string old_file(old.file), new_file(fresh.file);
  const std::string former = ca + "/former/" + short_name(old.digest) + "-" + old_file;
  const std::string from = ca + "/" + old_file;
  TRY(Ok{}, io::make_folder(ca + "/former"));
  CHECK_OR(::link(from.c_str(), former.c_str()) == 0 || is_there(former), Error{Fault::unreachable, kFile});
  TRY(Ok{}, io::sync_folder(ca + "/former"));
  const std::string to = ca + "/" + new_file;
  CHECK_OR(::rename((ca + "/next/" + new_file).c_str(), to.c_str()) == 0, Error{Fault::unreachable, kFile});
  TRY(Ok{}, io::sync_folder(ca));
  if (old_file != new_file) {
    ::unlink(from.c_str());
  }
  ::rmdir((ca + "/next").c_str());
  return io::sync_folder(ca);
}

Result<site::Ca> try_read(const std::string& ca) {
  const auto chain = read_certificate_file(ca + "/chain.pem");
  CHECK_OR(chain && !chain->empty(),
           part_error(chain ? Fault::malformed : chain.error().fault, "data folder: ca/chain.pem cannot be read"));
  const PublicKey& wanted = chain->front().key;
  auto found = find_key(ca, &wanted);
  if (!found || !*found) {
    auto waiting = find_key(ca + "/next", &wanted);
    found = waiting && *waiting ? std::move(waiting) : std::move(found);
  }
  if (!found) {
    const Error& why = found.error();
    return why.rule != nullptr ? why : part_error(why.fault, "data folder: ca/key.pem cannot be read");
  }
  CHECK_OR(*found, part_error(Fault::malformed, "data folder: ca/key.pem and ca/chain.pem do not belong together"));
  site::Ca out;
  out.key = (*found)->key;
  out.certificate = chain->front();
  out.above.assign(chain->begin() + 1, chain->end());
  return out;
}

// One certificate below it, made and looked at as a device would: key, path lengths, name constraints, times.
Status try_out(const site::Ca& ca, Instant now, Rng& rng) {
  CertificateTemplate t;
  t.serial = site::random_serial(rng);
  t.issuer = ca.certificate.subject;
  TRY(t.subject, Name::from_text("CN=trial"));
  t.not_before = now;
  t.not_after = now + std::chrono::minutes(1);
  TRY(const PrivateKey device, PrivateKey::generate(KeyType::p256));
  t.spki = device.public_key().spki;
  t.usage = key_usage::kDigitalSignature;
  t.authority_key_id = ca.certificate.key_id;
  TRY(const Bytes der, sign_certificate(ca.key, t));
  TRY(const Certificate trial, Certificate::parse(der));
  const auto path = verify_chain(trial, ca.chain(), {ca.above.back()}, {Purpose::any, now, true});
  CHECK_OR(path, refusal(kCaPath, "ca: what it would sign has no good path to the root"));
  return Ok{};
}

// A key of before, so that the way back is open. The names in former/ begin with the key's digest.
Result<std::optional<KeyFile>> find_former_key(const std::string& data, const PublicKey& wanted) {
  const std::string folder = data + "/ca/former";
  const std::string begin = folder + "/" + short_name(sha256(wanted.spki)) + "-";
  for (const std::string_view file : kKeyFiles) {
    std::string path = begin;
    path += file;
    if (is_there(path)) {
      TRY(KeyFile found, read_key_file_of(path, file));
      if (found.digest == sha256(wanted.spki)) {
        if (!found.uri.empty()) {
          TRY(found.key, io::known_key(found.uri, wanted));
        }
        return std::optional(std::move(found));
      }
    }
  }
  return std::optional<KeyFile>();
}

Status check_certificate(const Certificate& c, Instant now) {
  constexpr std::uint16_t kBoth = key_usage::kCertSign | key_usage::kCrlSign;
  CHECK_OR(c.is_ca, refusal(kCaCertificate, "ca: not a CA's certificate (no CA:TRUE)"));
  CHECK_OR(c.usage && (*c.usage & kBoth) == kBoth,
           refusal(kCaCertificate, "ca: its key usage is not keyCertSign and cRLSign"));
  CHECK_OR(now >= c.not_before, refusal(kCaCertificate, "ca: not valid yet"));
  CHECK_OR(now < c.not_after, refusal(kCaCertificate, "ca: no longer valid"));
  CHECK_OR(!c.subject.empty(), refusal(kCaCertificate, "ca: no subject"));
  return Ok{};
}

// Whether the CA of now or one of before, or a root of theirs, has this name: paths and lists tell them apart by it.
bool was_named(const std::string& data, const site::Ca& now, const Name& name) {
  std::vector<Certificate> all = now.chain();
  for (const std::vector<Certificate>& chain : former_chains(data)) {
    all.insert(all.end(), chain.begin(), chain.end());
  }
  return std::ranges::find(all, name, &Certificate::subject) != all.end();
}

// A key that was made just now, or was found in former/ alone, waits until chain.pem is for it.
Status keep_key(const std::string& data, const site::Ca& old, const site::Ca& next) {
  if (old.key.public_key() == next.key.public_key()) {
    return Ok{};
  }
  TRY(const auto waiting, find_key(data + "/ca/next", nullptr));
  if (waiting) {
    CHECK_OR(waiting->digest == sha256(next.key.public_key().spki), Error{Fault::conflict, kCaPending});
    return Ok{};
  }
  TRY(Ok{}, write_key(data + "/ca/next", next.key));
  return io::sync_folder(data + "/ca");
}

}  // namespace

Result<site::Ca> read_ca(const std::string& data) {
  auto out = try_read(data + "/ca");
  if (!out && out.error().rule == &kDataPart) {
    return try_read(data + "/ca");  // `imprint ca install` may have been at work between the two files
  }
  return out;
}

bool signed_by_ours(const std::string& data, const site::Ca& ca, const Certificate& certificate) {
  std::vector<Certificate> ours = former_cas(data);
  ours.push_back(ca.certificate);
  return std::ranges::any_of(ours, [&](const Certificate& one) {
    return static_cast<bool>(verify_chain(certificate, {}, {one}, {Purpose::any, certificate.not_before, false}));
  });
}

std::string shown_uri(const std::string& uri) {
  return uri.find("pin-value") == std::string::npos ? uri : uri.substr(0, uri.find('?'));
}

std::string key_uri_text(const PrivateKey& key) {
  return key_uri(key) + "\n" + hex(sha256(key.public_key().spki)) + "\n";
}

Result<std::optional<PrivateKey>> former_key(const std::string& data, const PublicKey& wanted) {
  TRY(auto found, find_former_key(data, wanted));
  return found ? std::optional(std::move(found->key)) : std::optional<PrivateKey>();
}

Result<std::optional<PrivateKey>> next_key(const std::string& data) {
  TRY(auto found, find_key(data + "/ca/next", nullptr));
  if (!found) {
    return std::optional<PrivateKey>();
  }
  if (!found->uri.empty()) {
    TRY(found->key, io::load_key(found->uri));
  }
  return std::optional(std::move(found->key));
}

Result<PrivateKey> make_next_key(const std::string& data, KeyType type) {
  const std::string next = data + "/ca/next";
  CHECK_OR(!has_key(next), Error{Fault::conflict, kCaPending});
  TRY(PrivateKey key, PrivateKey::generate(type));
  TRY(Ok{}, write_key(next, key));
  TRY(Ok{}, io::sync_folder(data + "/ca"));
  return key;
}

Result<PrivateKey> name_next_key(const std::string& data, const std::string& uri) {
  const std::string next = data + "/ca/next";
  CHECK_OR(!has_key(next), Error{Fault::conflict, kCaPending});
  TRY(PrivateKey key, io::load_key(uri));  // before anything is written
  TRY(Ok{}, io::make_folder(data + "/ca"));
  TRY(Ok{}, write_key(next, key));
  TRY(Ok{}, io::sync_folder(data + "/ca"));
  return key;
}

Result<site::Ca> check_ca(const std::string& data, const std::vector<Certificate>& given, Instant now, Rng& rng) {
  site::Ca out;
  out.certificate = given.front();
  TRY(Ok{}, check_certificate(out.certificate, now));
  auto found = find_key(data + "/ca", &out.certificate.key);
  if (!found || !*found) {
    TRY(found, find_key(data + "/ca/next", &out.certificate.key));
  }
  if (!*found) {
    TRY(found, find_former_key(data, out.certificate.key));
  }
  CHECK_OR(*found, refusal(kCaCertificate, "ca: the certificate is for another key than the request"));
  out.key = (*found)->key;
  std::vector<Certificate> roots;
  std::ranges::copy_if(given, std::back_inserter(roots), [](const Certificate& c) { return self_signed(c); });
  CHECK_OR(!roots.empty(), refusal(kCaPath, "ca: no self-signed root among the certificates"));
  const auto path = verify_chain(out.certificate, {given.begin() + 1, given.end()}, roots, {Purpose::any, now, true});
  CHECK_OR(path, refusal(kCaPath, path.error().what));
  out.above = (*path)->via;
  if (!((*path)->anchor == out.certificate)) {
    out.above.push_back((*path)->anchor);
  }
  CHECK_OR(!out.above.empty(), refusal(kCaCertificate, "ca: the certificate is a root itself"));
  TRY(Ok{}, try_out(out, now, rng));
  return out;
}

Result<site::Ca> make_next_root(const std::string& data, const NextRoot& wanted, Instant now, Rng& rng) {
  TRY(const site::Ca old, read_ca(data));
  CHECK_OR(old.above.empty(), Error{Fault::refused, kCaBelow});
  CHECK_OR(!was_named(data, old, wanted.name), refusal(kCaCertificate, "ca: a root of before has this name"));
  CHECK_OR(now + wanted.lifetime >= old.certificate.not_after,
           refusal(kCaCertificate, "ca: the new root would end before the one of now"));
  TRY(std::optional<PrivateKey> key, next_key(data));
  CHECK_OR(!key || key->public_key().type == wanted.type, Error{Fault::conflict, kCaPending});
  CHECK_OR(key || !in_token(old.key), Error{Fault::refused, kCaToken});
  if (!key) {
    TRY(key, PrivateKey::generate(wanted.type));
  }
  return site::make_root(*std::move(key), wanted.name, now, wanted.lifetime, rng);
}

Status install_ca(const std::string& data, const site::Ca& ca, const Crossing& crossing, Instant now, Rng& rng) {
  const std::string folder = data + "/ca";
  TRY(const site::Ca old, read_ca(data));
  if (old.chain() != ca.chain()) {
    std::vector<Certificate> links = crossing.given;
    if (!crossing.cut_off) {
      TRY(const std::vector<Certificate> ours, site::make_links(old, ca, rng));
      links.insert(links.end(), ours.begin(), ours.end());
    }
    CHECK_OR(crossing.cut_off || site::reaches(old, ca, ca_links(data, ca, links), now, rng),
             Error{Fault::refused, kCaCutOff});
    TRY(Ok{}, keep_key(data, old, ca));
    TRY(Ok{}, add_links(data, links));
    TRY(Ok{}, io::make_folder(folder + "/former"));
    TRY(Ok{}, io::sync_folder(folder));
    const std::string former = folder + "/former/" + short_name(old.certificate.fingerprint()) + ".pem";
    TRY(Ok{}, io::write_file(former, view(pem_of(old.chain())), 0644));
    TRY(Ok{}, io::write_file(folder + "/chain.pem", view(pem_of(ca.chain())), 0644));
  }
  return settle_ca(data);
}

Status settle_ca(const std::string& data) {
  const std::string ca = data + "/ca";
  const auto chain = read_certificate_file(ca + "/chain.pem");
  if (!chain || chain->empty() || !is_there(ca + "/next")) {
    return Ok{};
  }
  TRY(const auto waiting, find_key(ca + "/next", &chain->front().key));
  if (!waiting) {
    return Ok{};
  }
  TRY(const auto old, find_key(ca, nullptr));
  if (old && old->digest != waiting->digest) {
    return replace_key(ca, *old, *waiting);
  }
  const std::string file(waiting->file);
  CHECK_OR(::rename((ca + "/next/" + file).c_str(), (ca + "/" + file).c_str()) == 0, Error{Fault::unreachable, kFile});
  ::rmdir((ca + "/next").c_str());
  return io::sync_folder(ca);
}

}  // namespace imprint::app
