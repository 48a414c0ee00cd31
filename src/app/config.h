// The configuration: one commented TOML file, everything optional, unknown keys refused, IMPRINT_* overrides.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/instant.h"
#include "base/result.h"
#include "crypto/keys.h"
#include "model/acp_name.h"
#include "proto/brski/registrar_judge.h"
#include "site/policy.h"

namespace imprint::app {

struct Listen {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;
};

bool is_loopback(const Listen& listen);

// A profile of the file, served under its label ("default" also without a label).
struct ProfileConfig {
  site::Profile profile;
  std::vector<Extension> wanted_extensions;  // told to clients by csrattrs
  std::optional<KeyType> wanted_key;         // told to clients by csrattrs
  bool require_linking = false, ignore_linking = false;
  bool use_template = false;  // csrattrs also as an RFC 9908 template
};

// The EST server to which a gateway hands its devices' requests on.
struct UpstreamConfig {
  std::string uri, label;           // upstream.uri, upstream.label; no uri: the CA of the data folder signs
  std::string anchors;              // upstream.anchors: PEM file
  std::string certificate, key;     // upstream.certificate, upstream.key: files; the key's may be a URI
  std::string user, password_file;  // upstream.user, upstream.password_file
  Duration patience{15000};         // upstream.timeout_s
  std::size_t connections = 16;     // upstream.connections
};

struct Config {
  std::string data = "data";                      // [data] folder of database, keys and token
  Listen est{"127.0.0.1", 8443};                  // est.listen
  std::optional<Listen> coaps;                    // est.coaps; none: not served
  std::optional<Listen> coaps_join;               // est.coaps_join; the address is that of est.coaps
  std::size_t max_associations = 20000;           // est.max_associations
  std::size_t associations_per_certificate = 16;  // est.associations_per_certificate
  Listen api{"127.0.0.1", 8480};                  // api.listen; loopback only without api.tls
  std::vector<std::string> administrators;        // api.administrators: PEM files of the CAs of administrators
  std::vector<std::string> administrator_pins;    // api.pins: SHA-256 of administrators' certificates, 64 hex digits
  std::vector<std::string> administrator_lists;   // api.revocation_lists: files of those CAs, PEM or DER
  std::vector<std::string> names{"localhost", "127.0.0.1", "::1"};  // est.names: of the server's certificate
  std::uint32_t threads = 0;                                        // est.threads; 0: one a core
  std::uint32_t ca_days = 3650;                                     // ca.days
  bool basic = true;                                                // est.basic: HTTP Basic is offered
  bool digest = false;                                              // est.digest: HTTP Digest is offered
  bool tls12 = true;                                                // est.tls12
  bool srp = false;                                                 // est.srp: TLS-SRP is taken, on TLS 1.2
  bool accept_expired_idevid = false;                               // est.accept_expired_idevid
  bool api_tls = false;                                             // api.tls: with the site's certificate
  KeyType ca_key = KeyType::p256;                                   // ca.key: for a new CA
  site::Unknown unknown = site::Unknown::queue;                     // policy.unknown = "refuse" | "queue"
  bool log_json = true;                                             // log.json
  std::size_t max_body_bytes = 16 * 1024;                           // est.max_body_bytes
  std::size_t max_connections = 10000;                              // est.max_connections
  std::optional<Listen> status;                                     // ca.listen; none: not served
  std::string ocsp_uri, crl_uri;                                    // ca.ocsp_uri, ca.crl_uri
  std::string ca_name = "CN=Imprint Owner CA";                      // ca.name
  bool registrar = true;                                            // brski.registrar
  bool voucher_first = true;                                        // brski.voucher_first
  std::string web_anchors = "/etc/ssl/certs/ca-certificates.crt";   // brski.web_anchors
  brski::LogPolicy log_policy;                                      // brski.log_*
  std::vector<std::string> announce;                                // brski.announce: interfaces
  std::string announce_as;                                          // brski.announce_as; empty: after the host
  AcpDomain acp;                                                    // brski.acp_domain, brski.acp_rsub
  UpstreamConfig upstream;                                          // [upstream]
  Duration retry_after{std::chrono::seconds(30)};                   // policy.retry_after_s
  std::int64_t certificates_per_device = 64;                        // policy.certificates_per_device
  Duration renewed_grace{std::chrono::hours(24)};                   // policy.renewed_grace_s
  std::vector<std::string> maker_anchors;                           // policy.makers: PEM files with the makers' roots
  std::map<std::string, ProfileConfig> profiles;                    // [profiles.NAME]; "default" is always there
  std::size_t runs_keep = 10000;                                    // runs.keep: the oldest beyond are removed
  std::string log_level = "info";                                   // log.level
};

// What is wrong with a configuration, for people: "imprint.toml:12: est.lsten: unknown key; did you mean est.listen?"
struct ConfigProblem {
  std::string text;
};

// Reads the text of a file; `path` is for problems. The environment says nothing here.
std::variant<Config, std::vector<ConfigProblem>> parse_config(const std::string& path, std::string_view text);
// Reads the file (an empty path: defaults only), then the environment (IMPRINT_EST_LISTEN=… for est.listen). Nothing is
// taken if anything is wrong.
std::variant<Config, std::vector<ConfigProblem>> load_config(const std::string& path);
// The keys in which the two differ and which only a restart puts in force: "est.listen", "data".
std::vector<std::string> keys_for_restart(const Config& running, const Config& wanted);
// The commented default file.
std::string default_config_text();
// The configuration in force, as TOML.
std::string config_text(const Config& config);

}  // namespace imprint::app
