// The `imprint` command.
#include <iostream>

#include "app/cli.h"
#include "app/cmd_maker.h"
#include "app/cmd_masa.h"

namespace {

using namespace imprint::app;

void add_globals(Command top, Globals& globals) {
  top.flag("--json", globals.json, "Results and errors as JSON");
  top.flag("-q,--quiet", globals.quiet, "No progress on stderr");
  top.flag("--no-color", globals.no_color, "No colors (also by NO_COLOR)");
  top.option("--config", globals.config, "Configuration file (also by IMPRINT_CONFIG)").type("FILE");
  top.option("--data", globals.data, "Data folder, over the configuration's").type("FOLDER");
}

void add_commands(Command top) {
  add_init(top);
  add_demo(top);
  add_serve(top);
  add_onboard(top);
  add_discover(top);
  add_proxy(top);
  add_device(top);
  add_profile(top);
  add_factory(top);
  add_maker_commands(top);
  add_masa(top);
  add_ca(top);
  add_audit(top);
  add_voucher(top);
  add_compare(top);
  add_explain(top);
  add_bench(top);
  add_config(top);
  add_version(top);
}

int run(int argc, char** argv) {
  Context context;
  CommandLine line("imprint",
                   "Takes devices from factory default to owned and operational, and shows what they came to believe.",
                   "imprint init\nimprint serve\nimprint device add dev-1 --one-time", context);
  add_globals(line.top(), context.globals);
  add_commands(line.top());
  add_completion(line);
  if (const std::optional<int> ended = line.parse(argc, argv)) {
    return *ended;
  }
  const auto outcome = context.chosen()(context);
  if (!outcome) {
    context.print(outcome.error());
    return static_cast<int>(outcome.error().code);
  }
  if (!std::cout.flush()) {
    context.print(file_problem("standard output", "not everything could be written"));
    return static_cast<int>(ExitCode::failed);
  }
  return static_cast<int>(ExitCode::ok);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {  // of a library: out of memory, mostly
    std::cerr << "error: " << error.what() << '\n';
    return static_cast<int>(ExitCode::failed);
  }
}
