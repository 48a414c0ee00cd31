#include <nlohmann/json.hpp>

#include "app/cli.h"
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

void add_compare(Command top) {
  const Command command = top.sub(
      "compare", "Compare protocols: their words, players, beliefs and steps, and what runs measured.",
      "imprint compare | less\nimprint compare --format md > comparison.md\nimprint compare --run 0123456789abcdef");
  auto options = std::make_shared<CompareOptions>();
  command.option("--format", options->format, "How to print it: text, md or json")
      .one_of({"text", "md", "json"})
      .shows_default();
  command.option("--run", options->run, "Show what this run came to believe, and why").type("ID");
  command.runs([options](const Context& c) { return compare(c, *options); });
}

}  // namespace imprint::app
