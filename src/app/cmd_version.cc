#include <nlohmann/json.hpp>

#include "app/cli.h"
#include "app/version.h"

namespace imprint::app {

void add_version(Command top) {
  top.sub("version", "Show which Imprint this is.", "imprint version\nimprint version --json")
      .runs([](const Context& c) -> OrProblem<Ok> {
        c.print(Json{{"version", kVersion}}, "imprint " + std::string(kVersion) + "\n");
        return Ok{};
      });
}

}  // namespace imprint::app
