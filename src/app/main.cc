// The `imprint` command.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <optional>

#include "app/cli_rules.h"
#include "app/command.h"

namespace {

using namespace imprint::app;

void add_globals(CLI::App& app, Globals& globals) {
  app.add_flag("--json", globals.json, "Results and errors as JSON");
  app.add_flag("-q,--quiet", globals.quiet, "No progress on stderr");
  app.add_flag("--no-color", globals.no_color, "No colors (also by NO_COLOR)");
  app.add_option("--config", globals.config, "Configuration file (also by IMPRINT_CONFIG)")->type_name("FILE");
  app.add_option("--data", globals.data, "Data folder, over the configuration's")->type_name("FOLDER");
}

void add_commands(CLI::App& app, Context& context) {
  add_init(app, context);
  add_demo(app, context);
  add_serve(app, context);
  add_onboard(app, context);
  add_device(app, context);
  add_factory(app, context);
  add_ca(app, context);
  add_audit(app, context);
  add_compare(app, context);
  add_explain(app, context);
  add_bench(app, context);
  add_config(app, context);
  add_version(app, context);
}

// A word that is no command where one is needed; nothing if that is not what is wrong.
std::optional<Problem> unknown_word(const CLI::App& app) {
  const CLI::App* at = &app;
  std::string path = "imprint";
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    path += " " + at->get_name();
  }
  const std::vector<std::string> rest = app.remaining(/*recurse=*/true);
  const auto word = std::ranges::find_if(rest, [](const std::string& w) { return !w.starts_with("-"); });
  if (word == rest.end() || at->get_require_subcommand_min() == 0) {
    return std::nullopt;
  }
  Problem out(imprint::Error{imprint::Fault::malformed, kOption});
  out.what = "`" + path + "` has no command `" + *word + "`";
  out.next = "`" + path + " --help` lists its commands";
  return out;
}

// The command line was wrong, or asked for help.
int usage(const CLI::App& app, const Context& context, const CLI::ParseError& error) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    return app.exit(error);
  }
  Problem problem(imprint::Error{imprint::Fault::malformed, kOption});
  problem.what = error.what();
  problem = unknown_word(app).value_or(std::move(problem));
  context.print(problem);
  return static_cast<int>(problem.code);
}

int run(int argc, char** argv) {
  CLI::App app("Takes devices from factory default to owned and operational, and shows what they came to believe.",
               "imprint");
  Context context;
  app.fallthrough();  // global options may stand anywhere
  app.require_subcommand(1);
  app.footer("Examples:\n  imprint init\n  imprint serve\n  imprint device add dev-1 --one-time\n");
  add_globals(app, context.globals);
  add_commands(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return usage(app, context, error);
  }
  const auto outcome = context.chosen()(context);
  if (!outcome) {
    context.print(outcome.error());
    return static_cast<int>(outcome.error().code);
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
