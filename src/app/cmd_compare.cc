#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "app/cmd_survey.h"
#include "survey/compare.h"
#include "survey/compare_run.h"

namespace imprint::app {
namespace {

struct CompareOptions {
  std::string format = "text";
  std::string run;
};

template <class T>
void show(const Context& context, const std::string& format, const T& what) {
  const Json json = survey::to_json(what);
  context.print(json, format == "json" ? json_text(json)
                      : format == "md" ? survey::to_markdown(what)
                                       : survey::to_text(what));
}

OrProblem<Ok> compare(const Context& context, const CompareOptions& options) {
  TRY(const RunsOnRecord records, RunsOnRecord::open(context));
  if (options.run.empty()) {
    TRY(const std::vector<Run> runs, records.latest());
    show(context, options.format, survey::compare(survey::all_facts(), runs));
  } else {
    TRY(Run run, records.run(options.run));
    show(context, options.format, survey::report_on(std::move(run)));
  }
  return Ok{};
}

}  // namespace

void add_compare(CLI::App& app, Context& context) {
  CLI::App* const command = add_command(
      app, "compare", "Compare protocols: their words, players, beliefs and steps, and what runs measured.",
      "imprint compare | less\nimprint compare --format md > comparison.md\nimprint compare --run 0123456789abcdef");
  auto options = std::make_shared<CompareOptions>();
  command->add_option("--format", options->format, "How to print it: text, md or json")
      ->check(CLI::IsMember({"text", "md", "json"}))
      ->capture_default_str();
  command->add_option("--run", options->run, "Show what this run came to believe, and why")->type_name("ID");
  command->callback(
      [&context, options] { context.choose([options](const Context& c) { return compare(c, *options); }); });
}

}  // namespace imprint::app
