#include "app/tls_pair.h"

#include <algorithm>
#include <filesystem>

#include "app/ca_folder.h"
#include "app/ca_former.h"
#include "app/ca_links.h"
#include "app/cli_rules.h"
#include "app/pem_file.h"
#include "io/file.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

constexpr Duration kLifetime = std::chrono::hours(24 * 397);
constexpr std::string_view kActor = "server";

// next.pem is the certificate of a key that is just being put in place: written before the key, and after it renamed
// by a second writing to chain.pem. So a power cut leaves the old pair, or one that can be completed.
struct Files {
  std::string folder, key, chain, next;
  std::vector<Certificate> former;  // CAs of before
};

Files files_of(const Config& config) {
  const std::string folder = config.data + "/tls";
  return {folder, folder + "/key.pem", folder + "/chain.pem", folder + "/next.pem", former_cas(config.data)};
}

Error refusal(Fault fault, std::string_view what) {
  Error out{fault, kDataTls};
  out.what = what;
  return out;
}

// What cannot be looked at counts as there.
bool is_there(const std::string& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() != fs::file_type::not_found;
}

// Whether our CA's key made it: also when its time, or its use, is over.
bool is_ours(const Certificate& c, const site::Ca& ca) {
  return static_cast<bool>(verify_chain(c, {}, {ca.certificate}, {Purpose::any, c.not_before, false}));
}

bool fits(const Result<std::vector<Certificate>>& chain, const PrivateKey& key) {
  return chain && !chain->empty() && chain->front().key == key.public_key();
}

// The same of a CA of before.
bool was_ours(const Certificate& c, const std::vector<Certificate>& former) {
  return std::ranges::any_of(former, [&c](const Certificate& one) {
    return static_cast<bool>(verify_chain(c, {}, {one}, {Purpose::any, c.not_before, false}));
  });
}

// Ends what a power cut has left half done: the key is in place, its certificate is not. The chain that is in its place
// may go only if it is ours, or was.
Result<std::vector<Certificate>> complete(const Files& files, const PrivateKey& key,
                                          const Result<std::vector<Certificate>>& chain, const site::Ca& ca) {
  const bool chain_there = is_there(files.chain);
  const bool readable = chain && !chain->empty();
  const bool replaceable =
      !chain_there || (readable && (is_ours(chain->front(), ca) || was_ours(chain->front(), files.former)));
  const auto next = read_certificate_file(files.next);
  if (replaceable && fits(next, key) && is_ours(next->front(), ca)) {
    TRY(Ok{}, io::write_file(files.chain, view(pem_of(*next)), 0644));
    return *next;
  }
  CHECK_OR(chain_there, refusal(Fault::unreachable, "data folder: tls/key.pem is there, tls/chain.pem is missing"));
  CHECK_OR(chain && !chain->empty(),
           refusal(chain ? Fault::malformed : chain.error().fault, "data folder: tls/chain.pem cannot be read"));
  return refusal(Fault::malformed, "data folder: tls/key.pem and tls/chain.pem do not belong together");
}

// The pair that is there; nothing if there is none, or only a certificate of ours that has lost its key.
Result<std::optional<TlsPair>> read_pair(const Files& files, const site::Ca& ca) {
  const auto chain = read_certificate_file(files.chain);
  if (!is_there(files.key)) {
    const bool ours = chain && !chain->empty() && is_ours(chain->front(), ca);
    CHECK_OR(ours || !is_there(files.chain),
             refusal(Fault::unreachable, "data folder: tls/chain.pem is there, tls/key.pem is missing"));
    return std::optional<TlsPair>();
  }
  auto key = read_key_file(files.key);
  CHECK_OR(key, refusal(key.error().fault, "data folder: tls/key.pem cannot be read"));
  TlsPair out;
  if (fits(chain, *key)) {
    out.chain = *chain;
  } else {
    TRY(out.chain, complete(files, *key, chain, ca));
  }
  out.key = *std::move(key);
  out.given = !is_ours(out.chain.front(), ca);
  return std::optional(std::move(out));
}

// Puts a certificate of our CA on record that has none: an earlier version kept none of the server's, and a database
// from a backup may be older than tls/. Whether it is revoked.
Result<bool> revoked_on_record(store::Store& store, const Certificate& c, Instant now) {
  std::optional<store::CertificateRow> row;
  {
    TRY(const auto reader, store.read());
    TRY(row, reader->certificate(c.serial));
  }
  if (row) {
    return row->revoked.has_value();
  }
  TRY(Ok{}, store.write([&](store::Writer& w) {
    return w.issued_to_server(c.der, "found in tls/ without a record", now, kActor);
  }));
  return false;
}

// Whether it is on record as the server's: a CA that was ours before this one signed it.
Result<bool> made_by_us(store::Store& store, const Certificate& c) {
  TRY(const auto reader, store.read());
  TRY(const auto row, reader->certificate(c.serial));
  return row && row->der == c.der && row->device == store::kServer;
}

// The own certificate, those that lead from it toward the root, and those that lead from the root to an anchor of
// before; the root itself every client has, or does not trust.
std::vector<Certificate> chain_to_send(const Config& config, const Certificate& own, const site::Ca& ca) {
  std::vector<Certificate> out{own};
  const auto above = ca.chain();
  std::ranges::copy_if(above, std::back_inserter(out), [](const Certificate& c) { return !c.self_issued(); });
  std::ranges::copy(ca_links(config.data, ca), std::back_inserter(out));
  return out;
}

bool lasts(const Certificate& c, const Config& config, const site::Ca& ca, Instant now) {
  const bool good_now = static_cast<bool>(verify_chain(c, {}, {ca.certificate}, {Purpose::tls_server, now, true}));
  return good_now && c.not_after - now > (c.not_after - c.not_before) / 3 &&
         std::ranges::all_of(config.names, [&](const std::string& n) { return speaks_for_host(c, n); });
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

Result<TlsPair> make_pair(const Config& config, const Files& files, const site::Ca& ca, store::Store& store,
                          Instant now, Rng& rng) {
  TlsPair out;
  TRY(out.key, PrivateKey::generate(KeyType::p256));
  TRY(const Certificate own, site::issue_server(ca, out.key.public_key(), server_names(config), now, kLifetime, rng));
  // A folder that takes no file is noticed before the record: a server tries again every two seconds.
  TRY(Ok{}, io::make_folder(files.folder));
  TRY(Ok{}, io::write_file(files.next, {}, 0644));
  TRY(Ok{}, store.write([&](store::Writer& w) { return w.issued_to_server(own.der, "made for tls/", now, kActor); }));
  out.chain = chain_to_send(config, own, ca);
  TRY(const Secret pem, out.key.to_pem());
  TRY(Ok{}, io::write_file(files.next, view(pem_of(out.chain)), 0644));
  TRY(Ok{}, io::write_file(files.key, pem.expose()));
  TRY(Ok{}, io::write_file(files.chain, view(pem_of(out.chain)), 0644));
  std::error_code ignored;
  fs::remove(files.next, ignored);
  return out;
}

}  // namespace

Result<std::optional<TlsPair>> given_tls_pair(const Config& config, const site::Ca& ca, store::Store& store) {
  TRY(std::optional<TlsPair> there, read_pair(files_of(config), ca));
  if (!there || !there->given) {
    return std::optional<TlsPair>();
  }
  TRY(const bool of_former_ca, made_by_us(store, there->chain.front()));
  return of_former_ca ? std::optional<TlsPair>() : std::move(there);
}

Result<TlsPair> open_tls_pair(const Config& config, const site::Ca& ca, store::Store& store, Instant now, Rng& rng) {
  const Files files = files_of(config);
  TRY(std::optional<TlsPair> there, read_pair(files, ca));
  if (there && there->given) {
    TRY(const bool of_former_ca, made_by_us(store, there->chain.front()));
    if (!of_former_ca) {
      return *std::move(there);
    }
  } else if (there) {
    const Certificate& own = there->chain.front();
    TRY(const bool revoked, revoked_on_record(store, own, now));
    // While the clock is outside the CA's own time, a fresh one would be no better.
    const bool clock_fits = ca.certificate.not_before <= now && now < ca.certificate.not_after;
    const bool leads_up =
        there->chain == chain_to_send(config, own, ca);  // not if our CA has come under a root meanwhile
    if (!revoked && ((leads_up && lasts(own, config, ca, now)) || !clock_fits)) {
      return *std::move(there);
    }
  }
  return make_pair(config, files, ca, store, now, rng);
}

}  // namespace imprint::app
