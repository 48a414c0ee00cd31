#include <nlohmann/json.hpp>

#include "app/cli.h"
#include "app/cli_rules.h"
#include "crypto/random.h"
#include "io/loop.h"

namespace imprint::app {
namespace {

OrProblem<Ok> init(const Context& context) {
  TRY(const Config config, context.config());
  SystemRng rng;
  TRY(const DataFolder folder, about(open_data_folder(config, io::wall_clock(), rng), config.data));
  TRY(const auto store, about(open_store(config), config.data + "/imprint.db"));
  const Certificate& ca = folder.ca.certificate;
  const std::string fingerprint = fingerprint_text(ca.fingerprint());
  const Json json{{"data", folder.path},
                  {"ca",
                   {{"subject", ca.subject.text},
                    {"not_after", utc_text(ca.not_after)},
                    {"sha256", fingerprint},
                    {"file", folder.path + "/ca/chain.pem"}}},
                  {"admin_token_file", folder.path + "/admin.token"},
                  {"makers", folder.makers.size()}};
  context.print(json, "data folder   " + folder.path + "\n" + "owner CA      " + ca.subject.text + ", until " +
                          utc_text(ca.not_after) + "\n" + "fingerprint   SHA-256 " + fingerprint + "\n" +
                          "CA file       " + folder.path + "/ca/chain.pem\n" + "admin token   " + folder.path +
                          "/admin.token\n");
  context.progress("next: `imprint serve`, and `imprint device add ID --one-time` for a first device");
  return Ok{};
}

}  // namespace

void add_init(Command top) {
  top.sub("init", "Make the data folder: owner CA, TLS certificate, database and admin token. What is there stays.",
          "imprint init\nimprint --data /var/lib/imprint init\nimprint init --json")
      .runs(init);
}

}  // namespace imprint::app
