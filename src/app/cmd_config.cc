#include <nlohmann/json.hpp>

#include "app/cli.h"

namespace imprint::app {
namespace {

OrProblem<Ok> check(const Context& context) {
  TRY(const Config config, context.config());
  const std::string path = context.config_path();
  context.print(Json{{"file", path}, {"ok", true}}, (path.empty() ? "no file, defaults" : path) + ": ok\n");
  return Ok{};
}

OrProblem<Ok> show(const Context& context) {
  TRY(const Config config, context.config());
  const std::string text = config_text(config);
  context.print(Json{{"file", context.config_path()}, {"toml", text}}, text);
  return Ok{};
}

OrProblem<Ok> defaults(const Context& context) {
  context.print(Json{{"toml", default_config_text()}}, default_config_text());
  return Ok{};
}

}  // namespace

void add_config(Command top) {
  const Command command = top.group("config", "Check, show or start a configuration file.",
                                    "imprint config defaults > imprint.toml\nimprint config check");
  command
      .sub("check", "Say whether file and environment are right, and where not.",
           "imprint config check\nimprint --config /etc/imprint/imprint.toml config check")
      .runs(check);
  command
      .sub("show", "Show what is in force: defaults, file and environment together.",
           "imprint config show\nIMPRINT_EST_LISTEN=0.0.0.0:8443 imprint config show")
      .runs(show);
  command.sub("defaults", "Show a commented file with every key.", "imprint config defaults > imprint.toml")
      .runs(defaults);
}

}  // namespace imprint::app
