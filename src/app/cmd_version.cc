#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "app/command.h"
#include "app/version.h"

namespace imprint::app {

void add_version(CLI::App& app, Context& context) {
  CLI::App* const command =
      add_command(app, "version", "Show which Imprint this is.", "imprint version\nimprint version --json");
  command->callback([&context] {
    context.choose([](const Context& c) -> OrProblem<Ok> {
      c.print(Json{{"version", kVersion}}, "imprint " + std::string(kVersion) + "\n");
      return Ok{};
    });
  });
}

}  // namespace imprint::app
