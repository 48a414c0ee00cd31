// `imprint ca rollover`: another root, and the way to it for devices that hold the one of before.
#include <charconv>

#include "app/cli_rules.h"
#include "app/cmd_ca_request.h"
#include "crypto/random.h"
#include "io/loop.h"

namespace imprint::app {
namespace {

struct RolloverOptions {
  std::string name, key_type;
  std::uint32_t days = 0;
};

// "Owner CA" -> "Owner CA G2" -> "Owner CA G3".
std::string next_name(const Name& name) {
  const std::string common = name.first("CN");
  const std::size_t at = common.rfind(" G");
  unsigned generation = 0;
  if (at != std::string::npos) {
    const char* const end = common.data() + common.size();
    const auto [rest, error] = std::from_chars(common.data() + at + 2, end, generation);
    generation = error == std::errc{} && rest == end && generation < 1'000'000 ? generation : 0;
  }
  return "CN=" + (generation == 0 ? common + " G2" : common.substr(0, at) + " G" + std::to_string(generation + 1));
}

OrProblem<Ok> rollover(const Context& context, const RolloverOptions& options) {
  TRY(const Offline data, context.offline());
  FolderLock lock;
  TRY(Ok{}, lock_ca(lock, data.config.data));
  NextRoot wanted;
  const std::string text = options.name.empty() ? next_name(data.folder.ca.certificate.subject) : options.name;
  TRY(wanted.name, about(Name::from_text(text), "--name " + text));
  const auto type = options.key_type.empty() ? data.config.ca_key : key_type_named(options.key_type);
  if (!type) {
    Problem problem(Error{Fault::malformed, kOption}, "--key-type " + options.key_type);
    problem.next = "take p256, p384, p521, ed25519, rsa2048, rsa3072 or rsa4096";
    return problem;
  }
  wanted.type = *type;
  wanted.lifetime = std::chrono::hours(24) * (options.days == 0 ? data.config.ca_days : options.days);
  SystemRng rng;
  TRY(const site::Ca ca, about(make_next_root(data.config.data, wanted, io::wall_clock(), rng), data.config.data));
  TRY(Ok{}, take_ca(context, data, ca, {}));
  context.progress(
      "next: devices take the new root when they renew; with the one of before they find the server as well");
  return Ok{};
}

}  // namespace

void add_ca_rollover(Command ca) {
  auto options = std::make_shared<RolloverOptions>();
  const Command command = ca.sub("rollover", "Make another root, which takes the place of the one of now.",
                                 "imprint ca rollover\nimprint ca rollover --name 'CN=Owner CA 2027' --key-type p384");
  command.option("--name", options->name, "Its name; that of now with G2, G3 and so on otherwise").type("DN");
  command.option("--key-type", options->key_type, "Type of its key; ca.key of the configuration otherwise");
  command.option("--days", options->days, "How long it is good for; ca.days of the configuration otherwise")
      .between(1U, 36500U);
  command.runs([options](const Context& c) { return rollover(c, *options); });
}

}  // namespace imprint::app
