#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "app/command.h"

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

void add_config(CLI::App& app, Context& context) {
  CLI::App* const command = add_command(app, "config", "Check, show or start a configuration file.",
                                        "imprint config defaults > imprint.toml\nimprint config check");
  command->require_subcommand(1);
  add_command(*command, "check", "Say whether file and environment are right, and where not.",
              "imprint config check\nimprint --config /etc/imprint/imprint.toml config check")
      ->callback([&context] { context.choose(check); });
  add_command(*command, "show", "Show what is in force: defaults, file and environment together.",
              "imprint config show\nIMPRINT_EST_LISTEN=0.0.0.0:8443 imprint config show")
      ->callback([&context] { context.choose(show); });
  add_command(*command, "defaults", "Show a commented file with every key.", "imprint config defaults > imprint.toml")
      ->callback([&context] { context.choose(defaults); });
}

}  // namespace imprint::app
