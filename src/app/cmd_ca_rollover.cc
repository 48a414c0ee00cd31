// `imprint ca rollover`: another root, and the way to it for devices that hold the one of before.
#include <charconv>

#include "app/cli_rules.h"
#include "app/cmd_ca_request.h"
#include "crypto/random.h"
#include "io/loop.h"

namespace imprint::app {
namespace {

struct RolloverOptions {
  std::string name, key_type, key;
  std::uint32_t days = 0;
  bool cut_off = false;
};

// "CN=Owner CA" -> "CN=Owner CA G2" -> "CN=Owner CA G3"; nothing if the name has other parts, or characters that mean
// something.
std::optional<std::string> next_name(const Name& name) {
  const std::string common = name.first("CN");
  if (name.text != "CN=" + common) {
    return std::nullopt;
  }
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
  const auto text = options.name.empty() ? next_name(data.folder.ca.certificate.subject) : std::optional(options.name);
  if (!text) {
    Problem problem(Error{Fault::malformed, kOption}, "no --name");
    problem.next = "say what the new root is to be called: --name 'O=Example,CN=Owner CA 2027'";
    return problem;
  }
  TRY(wanted.name, about(Name::from_text(*text), "--name " + *text));
  std::optional<KeyType> type = options.key_type.empty() ? data.config.ca_key : key_type_named(options.key_type);
  if (!options.key.empty()) {
    TRY(const PrivateKey named, about(name_next_key(data.config.data, options.key), shown_uri(options.key)));
    type = named.public_key().type;
  }
  if (!type) {
    Problem problem(Error{Fault::malformed, kOption}, "--key-type " + options.key_type);
    problem.next = "take p256, p384, p521, ed25519, rsa2048, rsa3072 or rsa4096";
    return problem;
  }
  wanted.type = *type;
  wanted.lifetime = std::chrono::hours(24) * (options.days == 0 ? data.config.ca_days : options.days);
  SystemRng rng;
  TRY(const site::Ca ca, about(make_next_root(data.config.data, wanted, io::wall_clock(), rng), data.config.data));
  TRY(Ok{}, take_ca(context, data, ca, {{}, options.cut_off}));
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
  const Arg key = command.option("--key", options->key, "Its key, which is there: file or URI").type("URI");
  command.flag(
      "--cut-off", options->cut_off,
      "Let nothing lead from the root of now to this one, or back: its key is in other hands, or it has ended");
  command.option("--key-type", options->key_type, "Type of its key; ca.key of the configuration otherwise")
      .excludes(key);
  command.option("--days", options->days, "How long it is good for; ca.days of the configuration otherwise")
      .between(1U, 36500U);
  command.runs([options](const Context& c) { return rollover(c, *options); });
}

}  // namespace imprint::app
