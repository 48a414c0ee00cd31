#include "app/onboard_plan.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/cli_rules.h"
#include "app/run_file.h"
#include "app/wrap_key_file.h"
#include "crypto/issue.h"
#include "crypto/key_rules.h"
#include "crypto/key_uri.h"
#include "io/file.h"
#include "proto/est/rules.h"
#include "runtime/rules.h"

namespace imprint::app {

Problem wrong_option(const std::string& option, std::string next) {
  Problem out(Error{Fault::malformed, kOption}, option);
  out.next = std::move(next);
  return out;
}

namespace {

namespace fs = std::filesystem;

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// What a device's folder says of itself: id, server and label, all optional.
struct DeviceFacts {
  std::string id, server, label;
};

OrProblem<DeviceFacts> read_facts(const std::string& path) {
  DeviceFacts out;
  TRY(const Bytes text, about(io::read_file(path, 64 * 1024), path));
  TRY(const Json json, about(parse_json(as_text(text)), path));
  const auto member = [&json](const char* name) {
    const auto at = json.is_object() ? json.find(name) : json.end();
    return at != json.end() && at->is_string() ? at->get<std::string>() : std::string();
  };
  return DeviceFacts{member("id"), member("server"), member("label")};
}

// The initial beliefs that the factory put into the folder. Options that are given already stay, and are not the
// factory's.
OrProblem<Ok> take_device_folder(OnboardOptions& options, std::string& id, est::Origins& origins) {
  const std::string& folder = options.device;
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    return wrong_option("--device " + folder + ": no such folder",
                        "name the device's folder that `imprint factory make` wrote");
  }
  if (exists(folder + "/device.json")) {
    TRY(const DeviceFacts facts, read_facts(folder + "/device.json"));
    id = facts.id;
    if (options.server.empty()) {
      options.server = facts.server;
      origins.server = est::Origin::factory;
    }
    options.label = options.label.empty() ? facts.label : options.label;
  }
  if (options.certificate.empty() && exists(folder + "/idevid-key.pem")) {
    const std::string chain = folder + "/idevid-chain.pem";
    options.certificate = exists(chain) ? chain : folder + "/idevid.pem";
    options.key = folder + "/idevid-key.pem";
    origins.credential = est::Origin::factory;
  }
  if (options.server_key == "wrapped" && options.wrap_key.empty() && exists(folder + "/wrap-key")) {
    options.wrap_key = folder + "/wrap-key";
  }
  // A renewal has what came with the certificate, which may be newer than the factory's.
  const bool own_anchors =
      !options.renew && options.anchors.empty() && options.implicit_anchors.empty() && options.fingerprint.empty();
  if (own_anchors && exists(folder + "/anchors.pem")) {
    options.anchors = folder + "/anchors.pem";
    origins.anchors = est::Origin::factory;
  }
  if (options.password_file.empty() && exists(folder + "/token")) {
    options.password_file = folder + "/token";
    options.user = options.user.empty() ? id : options.user;
    origins.login = est::Origin::factory;
  }
  return Ok{};
}

// The key that the certificate is to be for, in its token: it is neither made nor moved.
OrProblem<Ok> take_token_key(const OnboardOptions& options, const PrivateKey& key, Onboarding& out) {
  if (!in_token(key)) {
    return wrong_option("--cert and --key", "give both, or neither; a key in a token may be given alone");
  }
  if (!options.server_key.empty()) {
    return wrong_option("--server-key and --key", "let the server make the key, or have one in a token");
  }
  out.storage->set_credential_key(key);
  out.plan->keep_key = KeyRef{"credential", key.public_key()};
  out.plan->key_type = key.public_key().type;
  return Ok{};
}

OrProblem<Ok> take_credential(const OnboardOptions& options, Onboarding& out) {
  if (options.key.empty() != options.certificate.empty() && !options.certificate.empty()) {
    return wrong_option("--cert and --key", "give both, or neither");
  }
  if (options.key.empty()) {
    return Ok{};
  }
  TRY(const PrivateKey key, read_key(options.key));
  if (!can_tls(key)) {
    return Problem(Error{Fault::unsupported, kKeyKind}, options.key);
  }
  if (options.certificate.empty()) {
    return take_token_key(options, key, out);
  }
  TRY(std::vector<Certificate> chain, read_certificates(options.certificate));
  if (chain.front().key != key.public_key()) {
    return wrong_option("--key " + options.key, "give the key that belongs to the first certificate in --cert");
  }
  out.storage->set_credential_key(key);
  out.plan->credential = Credential{"credential", std::move(chain)};
  return Ok{};
}

// The certificate to be renewed, with its key and the anchors that came with it.
OrProblem<Ok> take_installed(const OnboardOptions& options, Onboarding& out) {
  TRY(const auto installed, about(out.storage->installed(), options.out));
  if (!installed) {
    return wrong_option("--renew: nothing is installed in " + options.out, "enrol first, without --renew");
  }
  est::Plan& plan = *out.plan;
  std::vector<Certificate> chain{installed->certificate};
  chain.insert(chain.end(), installed->via.begin(), installed->via.end());
  plan.renew = true;
  plan.names = {installed->certificate.subject, installed->certificate.alt_names};  // RFC 7030 section 4.2.2
  plan.credential = Credential{installed->key.id, std::move(chain)};
  plan.origins.credential = est::Origin::record;
  plan.key_type = installed->key.key.type;
  TRY(const PrivateKey key, about(out.storage->key(installed->key.id), options.out));
  if (in_token(key) && (options.new_key || !options.server_key.empty())) {
    return wrong_option(options.new_key ? "--new-key" : "--server-key",
                        "the key is in a token: renew for the same one, or make another there and enrol with --key");
  }
  if (options.same_key || in_token(key)) {
    plan.keep_key = installed->key;
  }
  if (plan.explicit_anchors.empty() && plan.implicit_anchors.empty() && !plan.expected) {
    plan.explicit_anchors = installed->anchors;
    plan.origins.anchors = est::Origin::record;
  }
  return Ok{};
}

OrProblem<Name> read_subject(const std::string& text) {
  auto name = Name::from_text(text);
  if (!name) {
    return wrong_option("--subject " + text, "write it as in CN=dev-1,O=Example");
  }
  return *std::move(name);
}

// Which key the server's one comes wrapped with: a shared one from a file, or that of the credential.
OrProblem<Ok> take_server_key(const OnboardOptions& options, Onboarding& out) {
  est::Plan& plan = *out.plan;
  if (options.server_key.empty()) {
    return Ok{};
  }
  if (options.server_key != "clear" && options.server_key != "wrapped") {
    return wrong_option("--server-key " + options.server_key, "take clear or wrapped");
  }
  plan.server_key = true;
  if (options.server_key == "clear") {
    return Ok{};
  }
  if (!options.wrap_key.empty()) {
    TRY(SharedKey key, read_wrap_key(options.wrap_key, options.wrap_key_id));
    plan.wrap = est::WrapKey{"shared", true, key.id};
    out.storage->set_shared_key(std::move(key));
    return Ok{};
  }
  if (!plan.credential) {
    return wrong_option("--server-key wrapped", "give a certificate to wrap for (--cert and --key), or --wrap-key");
  }
  TRY(const PrivateKey key, about(out.storage->key(plan.credential->key_id), options.out));
  if (in_token(key)) {
    return wrong_option("--server-key wrapped", "a key in a token unwraps nothing: give --wrap-key");
  }
  const Certificate& own = plan.credential->chain.front();
  plan.wrap = est::WrapKey{plan.credential->key_id, false, own.key_id.empty() ? key_identifier(own.key) : own.key_id};
  return Ok{};
}

OrProblem<std::vector<GeneralName>> read_alt_names(const std::vector<std::string>& texts) {
  std::vector<GeneralName> out;
  for (const std::string& text : texts) {
    auto name = GeneralName::from_text(text);
    if (!name) {
      return wrong_option("--san " + text, "write it as in dns:dev-1.example, ip:192.0.2.1 or uri:urn:example:1");
    }
    out.push_back(*std::move(name));
  }
  return out;
}

// Other names in a renewal are asked for with ChangeSubjectName (RFC 6402 section 2.8); a field that is absent there
// goes from the certificate, so what is not to change is said again.
OrProblem<Ok> take_new_names(const OnboardOptions& options, est::Plan& plan) {
  if (options.subject.empty() && options.alt_names.empty()) {
    return Ok{};
  }
  ChangeSubjectName wanted{plan.names.subject, plan.names.alt_names};
  if (!options.subject.empty()) {
    TRY(wanted.subject, read_subject(options.subject));
  }
  if (!options.alt_names.empty()) {
    TRY(wanted.alt_names, read_alt_names(options.alt_names));
  }
  if (wanted.alt_names->empty()) {
    wanted.alt_names.reset();
  }
  plan.change_names = std::move(wanted);
  return Ok{};
}

OrProblem<Ok> take_anchors(const OnboardOptions& options, Onboarding& out) {
  if (!options.anchors.empty()) {
    TRY(out.plan->explicit_anchors, read_certificates(options.anchors));
  }
  if (!options.implicit_anchors.empty()) {
    TRY(out.plan->implicit_anchors, read_certificates(options.implicit_anchors));
  }
  if (options.fingerprint.empty()) {
    return Ok{};
  }
  const auto bytes = from_hex(options.fingerprint);
  if (!bytes || bytes->size() != std::tuple_size_v<Sha256>) {
    return wrong_option("--fingerprint", "give the SHA-256 of the CA's certificate: 64 hexadecimal digits");
  }
  std::ranges::copy(*bytes, out.plan->expected.emplace().begin());
  return Ok{};
}

}  // namespace

OrProblem<Ok> take_names(const OnboardOptions& options, const std::string& id, est::Plan& plan) {
  std::string subject = options.subject;
  if (subject.empty() && !id.empty()) {
    subject = "CN=" + id;
  } else if (subject.empty() && !options.user.empty()) {
    subject = "CN=" + options.user;
  }
  if (!subject.empty()) {
    TRY(plan.names.subject, read_subject(subject));
  } else if (plan.credential) {
    plan.names.subject = plan.credential->chain.front().subject;
  }
  TRY(plan.names.alt_names, read_alt_names(options.alt_names));
  return Ok{};
}

OrProblem<Ok> unfold_device(OnboardOptions& options, std::string& id, est::Origins& origins) {
  if (!options.device.empty()) {
    TRY(Ok{}, take_device_folder(options, id, origins));
    options.device.clear();
  }
  return Ok{};
}

OrProblem<std::string> id_of(const OnboardOptions& options) {
  if (!options.user.empty() || options.certificate.empty()) {
    return options.user;
  }
  TRY(const std::vector<Certificate> chain, read_certificates(options.certificate));
  return chain.front().subject.first("CN");
}

OrProblem<Onboarding> prepare(const OnboardOptions& given) {
  OnboardOptions options = given;
  Onboarding out;
  out.plan = std::make_shared<est::Plan>();
  if (!options.device.empty()) {
    TRY(Ok{}, take_device_folder(options, out.device, out.plan->origins));
  }
  const auto server = Uri::parse(options.server);
  if (!server || (server->scheme != "https" && server->scheme != "coaps")) {
    return wrong_option("--server " + options.server, "give it as https://HOST:PORT or coaps://HOST:PORT");
  }
  const auto key_type = key_type_named(options.key_type);
  if (!key_type) {
    return wrong_option("--key-type " + options.key_type,
                        "take p256, p384, p521, ed25519, rsa2048, rsa3072 or rsa4096");
  }
  out.plan->server = *server;
  out.plan->label = options.label;
  out.plan->key_type = *key_type;
  out.plan->attempts = options.attempts;
  out.plan->full_cmc = options.full_cmc;
  TRY(Ok{}, take_anchors(options, out));  // before the folder is made: a file may not be there
  const std::string run_file = options.out + "/" + std::string(kRunFile);
  if (!options.renew && foreign_run_file(run_file)) {  // a renewal has its folder: there it is passed over
    return Problem(Error{Fault::conflict, kForeignFile}, run_file);
  }
  const auto foreign = FolderStorage::foreign_file(options.out);
  TRY(out.storage, about(FolderStorage::open(options.out), options.out + (foreign ? "/" + *foreign : "")));
  if (options.renew) {
    TRY(Ok{}, take_installed(options, out));
    TRY(Ok{}, take_new_names(options, *out.plan));
    TRY(Ok{}, take_server_key(options, out));
    out.device = out.device.empty() ? out.plan->names.subject.first("CN") : out.device;
    return out;
  }
  TRY(Ok{}, take_credential(options, out));
  if ((options.srp || options.digest) && options.password_file.empty()) {
    return wrong_option(options.srp ? "--srp" : "--digest", "give --user and --password-file: the secret to prove");
  }
  if (!options.password_file.empty()) {
    TRY(Secret password, read_secret(options.password_file));
    out.plan->login = Login{options.user, std::move(password)};
    out.plan->login_by = options.srp ? est::LoginBy::srp : options.digest ? est::LoginBy::digest : est::LoginBy::http;
  }
  TRY(Ok{}, take_names(options, out.device, *out.plan));
  TRY(Ok{}, take_server_key(options, out));
  out.device = out.device.empty() ? out.plan->names.subject.first("CN") : out.device;
  return out;
}

OrProblem<Ok> check_trust(const est::Plan& plan) {
  const bool nobody_to_trust =
      plan.explicit_anchors.empty() && plan.implicit_anchors.empty() && plan.login_by != est::LoginBy::srp;
  if (nobody_to_trust && !plan.expected && ::isatty(STDIN_FILENO) != 1) {
    return Problem(Error{Fault::refused, est::kNoAnchors});
  }
  return Ok{};
}

}  // namespace imprint::app
