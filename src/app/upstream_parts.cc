#include "app/upstream_parts.h"

#include <algorithm>
#include <filesystem>

#include "app/ca_links.h"
#include "app/cli_rules.h"
#include "app/command.h"
#include "app/pem_file.h"
#include "io/file.h"
#include "io/key_file.h"
#include "site/applicant.h"

namespace imprint::app {
namespace {

Error file_error(Fault fault, std::string_view what) {
  Error out{fault, kUpstreamFile};
  out.what = what;
  return out;
}

std::string ca_file(const Config& config) { return config.data + "/upstream/cacerts.pem"; }

Result<std::vector<Certificate>> certificates(const std::string& path, std::string_view wrong) {
  const auto read = read_certificate_file(path);
  CHECK_OR(read && !read->empty(), file_error(read ? Fault::malformed : read.error().fault, wrong));
  return *read;
}

Status read_credential(const UpstreamConfig& config, UpstreamSite& out) {
  Credential own;
  TRY(own.chain, certificates(config.certificate, "upstream.certificate cannot be read"));
  const auto key = io::load_key(config.key);
  CHECK_OR(key, file_error(key.error().fault, "upstream.key cannot be read"));
  CHECK_OR(key->public_key() == own.chain.front().key,
           file_error(Fault::malformed, "upstream.key does not belong to upstream.certificate"));
  out.key = *key;
  out.credential = std::move(own);
  return Ok{};
}

Status read_login(const UpstreamConfig& config, UpstreamSite& out) {
  auto password = read_secret(config.password_file);
  CHECK_OR(password && config.password_file != "-",
           file_error(Fault::unreachable, "upstream.password_file cannot be read"));
  out.login = Login{config.user, *std::move(password)};
  return Ok{};
}

}  // namespace

bool is_gateway(const Config& config) { return !config.upstream.uri.empty(); }

Result<UpstreamParts> read_upstream(const Config& config) {
  const UpstreamConfig& from = config.upstream;
  UpstreamParts out;
  TRY(out.site.server, Uri::parse(from.uri));
  out.site.label = from.label;
  out.site.patience = from.patience;
  out.site.connections = from.connections;
  TRY(out.site.trust.anchors, certificates(from.anchors, "upstream.anchors cannot be read"));
  if (!from.certificate.empty()) {
    TRY(Ok{}, read_credential(from, out.site));
  }
  if (!from.password_file.empty()) {
    TRY(Ok{}, read_login(from, out.site));
  }
  std::error_code ignored;
  if (std::filesystem::exists(ca_file(config), ignored)) {
    TRY(out.ca, certificates(ca_file(config), "upstream/cacerts.pem of the data folder cannot be read"));
  }
  out.site.trust.issuers = out.ca;
  return out;
}

WantedExtensions wanted_extensions(const Config& config, const std::vector<DeviceProfile>& profiles) {
  WantedExtensions out;
  for (const auto& [label, given] : config.profiles) {
    const std::string handed_on = given.profile.name + std::string(site::kHandedOnMark);
    out[given.profile.name] = out[handed_on] = given.wanted_extensions;
  }
  for (const DeviceProfile& profile : profiles) {
    for (const CredentialConfig& credential : profile.credentials) {
      out[credential.given.profile.name] = credential.given.wanted_extensions;
    }
  }
  return out;
}

bool same_upstream(const std::optional<UpstreamParts>& a, const std::optional<UpstreamParts>& b) {
  if (!a || !b) {
    return a.has_value() == b.has_value();
  }
  const bool login = a->site.login.has_value() == b->site.login.has_value() &&
                     (!a->site.login || (a->site.login->user == b->site.login->user &&
                                         same(a->site.login->password, b->site.login->password)));
  return login && a->ca == b->ca && a->site.trust.anchors == b->site.trust.anchors &&
         a->site.credential == b->site.credential;
}

std::vector<Certificate> cas_upstream(const UpstreamParts& upstream) {
  std::vector<Certificate> out = upstream.ca;
  for (const Certificate& anchor : upstream.site.trust.anchors) {
    const bool vouches = std::ranges::any_of(upstream.ca, [&](const Certificate& c) {
      return c.issuer == anchor.subject && verify_chain(c, {}, {anchor}, {Purpose::any, c.not_before, false});
    });
    if (vouches && std::ranges::find(out, anchor) == out.end()) {
      out.push_back(anchor);
    }
  }
  return out;
}

Status keep_upstream_ca(const Config& config, const std::vector<Certificate>& ca) {
  TRY(Ok{}, io::make_folder(config.data + "/upstream"));
  return io::write_file(ca_file(config), view(pem_of(ca)), 0644);
}

Result<TlsPair> gateway_tls_pair(const Config& config, const UpstreamParts& upstream, const site::Ca& ca,
                                 store::Store& store) {
  TRY(std::optional<TlsPair> given, given_tls_pair(config, ca, store));
  if (given) {
    return *std::move(given);
  }
  const auto& own = upstream.site.credential;
  CHECK_OR(own && !in_token(upstream.site.key), Error{Fault::refused, kUpstreamTls});
  const std::vector<std::string>& uses = own->chain.front().extended;
  CHECK_OR(uses.empty() || std::ranges::find(uses, eku::kServerAuth) != uses.end(),
           Error{Fault::refused, kUpstreamTls});
  TlsPair out;
  out.key = upstream.site.key;
  std::ranges::copy_if(own->chain, std::back_inserter(out.chain),
                       [&](const Certificate& c) { return c == own->chain.front() || !c.self_issued(); });
  // Below the root of now: who knows one of before alone verifies it.
  const Certificate top = out.chain.back();
  if (!upstream.ca.empty() && verify_chain(top, {}, {upstream.ca.front()}, {Purpose::any, top.not_before, false})) {
    std::ranges::copy(links_back(upstream.ca.front(), upstream.ca), std::back_inserter(out.chain));
  }
  return out;
}

}  // namespace imprint::app
