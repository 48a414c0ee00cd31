// `imprint ca request` and `imprint ca install`: the owner CA under somebody else's root.
#include "app/cmd_ca_request.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "app/ca_folder.h"
#include "app/ca_former.h"
#include "app/ca_rules.h"
#include "app/cli_rules.h"
#include "app/cmd_device.h"
#include "app/folder_lock.h"
#include "codec/base64.h"
#include "codec/der.h"
#include "crypto/key_uri.h"
#include "crypto/random.h"
#include "io/file.h"
#include "io/loop.h"

namespace imprint::app {
namespace {

struct RequestOptions {
  std::string out, key, key_type, name;
  bool new_key = false;
};

std::string pem_of_request(BytesView der) {
  constexpr std::size_t kLine = 64;
  const std::string text = base64(der);
  std::string out = "-----BEGIN CERTIFICATE REQUEST-----\n";
  for (std::size_t at = 0; at < text.size(); at += kLine) {
    out += text.substr(at, kLine) + "\n";
  }
  return out + "-----END CERTIFICATE REQUEST-----\n";
}

// What an issuing CA is, as far as it may say so itself: it signs devices' certificates and lists, and no further CA.
Result<Bytes> make_ca_request(const PrivateKey& key, const Name& name) {
  const std::uint8_t yes = 0xff;
  RequestTemplate what;
  what.subject = name;
  what.usage = key_usage::kCertSign | key_usage::kCrlSign;
  what.other_extensions = {{"2.5.29.19", true, der::sequence({der::item(der::kBoolean, {&yes, 1}), der::integer(0)})}};
  return make_request(key, what);
}

// The key of the request: a new one, the one that waits already, or the CA's own.
OrProblem<PrivateKey> key_for(const RequestOptions& options, const Offline& data) {
  const std::string& folder = data.config.data;
  if (!options.key.empty()) {
    return about(name_next_key(folder, options.key), shown_uri(options.key));
  }
  if (options.new_key) {
    const auto type = options.key_type.empty() ? data.config.ca_key : key_type_named(options.key_type);
    if (!type) {
      Problem problem(Error{Fault::malformed, kOption}, "--key-type " + options.key_type);
      problem.next = "take p256, p384, p521, ed25519, rsa2048, rsa3072 or rsa4096";
      return problem;
    }
    return about(make_next_key(folder, *type), folder + "/ca/next");
  }
  TRY(std::optional<PrivateKey> waiting, about(next_key(folder), folder + "/ca/next"));
  return waiting ? *std::move(waiting) : data.folder.ca.key;
}

OrProblem<Ok> request(const Context& context, const RequestOptions& options) {
  TRY(const Offline data, context.offline());
  FolderLock lock;
  TRY(Ok{}, lock_ca(lock, data.config.data));
  Name name = data.folder.ca.certificate.subject;
  if (!options.name.empty()) {
    TRY(name, about(Name::from_text(options.name), "--name " + options.name));
  }
  TRY(const PrivateKey key, key_for(options, data));
  TRY(const Bytes der, make_ca_request(key, name));
  const std::string pem = pem_of_request(der);
  if (!options.out.empty()) {
    TRY(Ok{}, about(io::write_file(options.out, view(pem), 0644), options.out));
  }
  const bool own = key.public_key() == data.folder.ca.key.public_key();
  const std::string where =
      in_token(key) ? key_uri(key) : data.folder.path + (own ? "/ca/key.pem" : "/ca/next/key.pem");
  context.print(Json{{"subject", name.text},
                     {"key", imprint::name(key.public_key().type)},
                     {"new_key", !own},
                     {"key_at", where},
                     {"file", options.out},
                     {"pem", pem}},
                options.out.empty() ? pem
                                    : "request  " + options.out + "\nsubject  " + name.text + "\nkey      " +
                                          std::string(imprint::name(key.public_key().type)) + ", " + where + "\n");
  context.progress("next: have the root sign it, then `imprint ca install --cert FILE --chain FILE`");
  return Ok{};
}

struct InstallOptions {
  std::string certificate, chain, link;
  bool cut_off = false;
};

OrProblem<Ok> install(const Context& context, const InstallOptions& options) {
  TRY(std::vector<Certificate> given, read_certificates(options.certificate));
  if (!options.chain.empty()) {
    TRY(const std::vector<Certificate> above, read_certificates(options.chain));
    given.insert(given.end(), above.begin(), above.end());
  }
  TRY(const Offline data, context.offline());
  const std::string& folder = data.config.data;
  FolderLock lock;
  TRY(Ok{}, lock_ca(lock, folder));
  SystemRng rng;
  TRY(const site::Ca ca, about(check_ca(folder, given, io::wall_clock(), rng), options.certificate));
  Crossing crossing;
  crossing.cut_off = options.cut_off;
  if (!options.link.empty()) {
    TRY(crossing.given, read_certificates(options.link));
  }
  return take_ca(context, data, ca, crossing);
}

}  // namespace

OrProblem<Ok> lock_ca(FolderLock& lock, const std::string& data) {
  if (!lock.take(data + "/ca")) {
    Problem problem(Error{Fault::conflict, kConflict}, data + "/ca");
    problem.state = "another command works on it";
    return problem;
  }
  return about(settle_ca(data), data + "/ca");
}

OrProblem<Ok> take_ca(const Context& context, const Offline& data, const site::Ca& ca, const Crossing& crossing) {
  const std::string& folder = data.config.data;
  const Certificate root = ca.chain().back();
  SystemRng rng;
  TRY(Ok{}, about(install_ca(folder, ca, crossing, io::wall_clock(), rng), folder + "/ca"));
  const site::Act act = by_cli();
  TRY(Ok{}, about(data.store->write([&](store::Writer& w) {
        AuditEntry entry;
        entry.at = act.at;
        entry.actor = act.by;
        entry.action = "ca.installed";
        entry.subject = ca.certificate.subject.text;
        entry.detail =
            Json{{"issuer", ca.certificate.issuer.text}, {"sha256", hex(ca.certificate.fingerprint())}}.dump();
        return w.append_audit(std::move(entry));
      }),
                  folder + "/imprint.db"));
  const std::vector<Certificate> former = former_cas(folder);
  Json json{{"subject", ca.certificate.subject.text},
            {"issuer", ca.certificate.issuer.text},
            {"root", root.subject.text},
            {"not_after", utc_text(ca.certificate.not_after)},
            {"sha256", fingerprint_text(ca.certificate.fingerprint())},
            {"former", Json::array()}};
  std::string text = "owner CA  " + ca.certificate.subject.text + ", until " + utc_text(ca.certificate.not_after) +
                     "\nissuer    " + ca.certificate.issuer.text + "\nroot      " + root.subject.text + "\n";
  for (const Certificate& one : former) {
    json["former"].push_back(Json{{"subject", one.subject.text}, {"sha256", fingerprint_text(one.fingerprint())}});
    text += "former    " + one.subject.text + ", SHA-256 " + fingerprint_text(one.fingerprint()) + "\n";
  }
  context.print(json, text);
  context.progress("a server that runs takes it up by itself");
  return Ok{};
}

void add_ca_request(Command ca) {
  auto request_options = std::make_shared<RequestOptions>();
  const Command request_command =
      ca.sub("request", "Make a CSR, so that another CA's root certifies the owner CA.",
             "imprint ca request --out csr.pem\nimprint ca request --out csr.pem --new-key --key-type p384\n"
             "imprint ca request --out csr.pem --key 'pkcs11:token=site;object=ca?pin-source=file:/etc/imprint/pin'");
  request_command.option("--out", request_options->out, "File to write in place of printing").type("FILE");
  const Arg key =
      request_command.option("--key", request_options->key, "Key that is to be the CA's: file or URI").type("URI");
  const Arg fresh = request_command.flag("--new-key", request_options->new_key, "Make a new key for it").excludes(key);
  request_command.option("--key-type", request_options->key_type, "Type of the new key").needs(fresh);
  request_command.option("--name", request_options->name, "Name to ask for; the CA's own otherwise").type("DN");
  request_command.runs([request_options](const Context& c) { return request(c, *request_options); });

  auto install_options = std::make_shared<InstallOptions>();
  const Command install_command =
      ca.sub("install", "Take the certificate that the root has made. The CA of before stays known.",
             "imprint ca install --cert issuing.pem --chain root.pem");
  install_command.option("--cert", install_options->certificate, "The owner CA's new certificate")
      .type("FILE")
      .required();
  install_command.option("--chain", install_options->chain, "The certificates above it, up to and including the root")
      .type("FILE");
  install_command
      .option("--link", install_options->link,
              "Certificates by which devices come from the root of before to the new one (NewWithOld)")
      .type("FILE");
  install_command.flag("--cut-off", install_options->cut_off,
                       "Though devices that hold the root of before will not find the way");
  install_command.runs([install_options](const Context& c) { return install(c, *install_options); });
}

}  // namespace imprint::app
