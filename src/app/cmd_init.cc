#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/ca_folder.h"
#include "app/ca_rules.h"
#include "app/cli.h"
#include "app/cli_rules.h"
#include "crypto/key_uri.h"
#include "crypto/random.h"
#include "io/loop.h"

namespace imprint::app {
namespace {

struct InitOptions {
  std::string ca_key, ca_key_type;
};

bool exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// The key lies in ca/next/ until the CA is made of it; an init that was cut short finds it there.
OrProblem<Ok> take_ca_key(const std::string& data, const std::string& where) {
  if (exists(data + "/ca/chain.pem")) {
    TRY(const site::Ca ca, about(read_ca(data), data));
    if (key_uri(ca.key) == where) {
      return Ok{};
    }
    return Problem(Error{Fault::conflict, kCaKeyFixed}, "--ca-key " + shown_uri(where));
  }
  TRY(const std::optional<PrivateKey> waiting, about(next_key(data), data + "/ca/next"));
  if (!waiting || key_uri(*waiting) != where) {
    TRY(const PrivateKey key, about(name_next_key(data, where), shown_uri(where)));
  }
  return Ok{};
}

OrProblem<Ok> init(const Context& context, const InitOptions& options) {
  TRY(Config config, context.config());
  if (!options.ca_key_type.empty()) {
    const auto type = key_type_named(options.ca_key_type);
    if (!type) {
      Problem problem(Error{Fault::malformed, kOption}, "--ca-key-type " + options.ca_key_type);
      problem.next = "take p256, p384, p521, ed25519, rsa2048, rsa3072 or rsa4096";
      return problem;
    }
    config.ca_key = *type;
  }
  if (!options.ca_key.empty()) {
    TRY(Ok{}, take_ca_key(config.data, options.ca_key));
  }
  SystemRng rng;
  TRY(const DataFolder folder, about(open_data_folder(config, io::wall_clock(), rng), config.data));
  TRY(const auto store, about(open_store(config), config.data + "/imprint.db"));
  const Certificate& ca = folder.ca.certificate;
  const std::string fingerprint = fingerprint_text(ca.fingerprint());
  const std::string key_at = in_token(folder.ca.key) ? key_uri(folder.ca.key) : folder.path + "/ca/key.pem";
  const Json json{{"data", folder.path},
                  {"ca",
                   {{"subject", ca.subject.text},
                    {"key", imprint::name(ca.key.type)},
                    {"key_at", key_at},
                    {"not_after", utc_text(ca.not_after)},
                    {"sha256", fingerprint},
                    {"file", folder.path + "/ca/chain.pem"}}},
                  {"admin_token_file", folder.path + "/admin.token"},
                  {"makers", folder.makers.size()}};
  context.print(json, "data folder   " + folder.path + "\n" + "owner CA      " + ca.subject.text + ", until " +
                          utc_text(ca.not_after) + "\n" + "fingerprint   SHA-256 " + fingerprint + "\n" +
                          "CA key        " + std::string(imprint::name(ca.key.type)) + ", " + key_at + "\n" +
                          "CA file       " + folder.path + "/ca/chain.pem\n" + "admin token   " + folder.path +
                          "/admin.token\n");
  context.progress("next: `imprint serve --data " + folder.path + "`, and `imprint device add ID --one-time --data " +
                   folder.path + "` for a first device");
  return Ok{};
}

}  // namespace

void add_init(Command top) {
  auto options = std::make_shared<InitOptions>();
  const Command command = top.sub(
      "init", "Make the data folder: owner CA, TLS certificate, database and admin token. What is there stays.",
      "imprint init\nimprint --data /var/lib/imprint init\nimprint init --json\nimprint init --ca-key-type p384\n"
      "imprint init --ca-key 'pkcs11:token=site;object=ca?pin-source=file:/etc/imprint/pin'");
  const Arg key = command.option("--ca-key", options->ca_key, "Key of the new CA, in a token or a file").type("URI");
  command.option("--ca-key-type", options->ca_key_type, "Type of the new CA's key, in place of the configuration's")
      .excludes(key);
  command.runs([options](const Context& context) { return init(context, *options); });
}

}  // namespace imprint::app
