#include <nlohmann/json.hpp>

#include "app/cli.h"
#include "app/cli_rules.h"
#include "app/cmd_survey.h"
#include "app/suggestion.h"
#include "survey/compare.h"
#include "survey/compare_run.h"

namespace imprint::app {
namespace {

struct CompareOptions {
  std::string format = "text";
  std::string run, protocol;
  std::vector<std::string> with;
};

template <class T>
void show(const Context& context, const std::string& format, const T& what) {
  const Json json = survey::to_json(what);
  context.print(json, format == "json" ? json_text(json)
                      : format == "md" ? survey::to_markdown(what)
                                       : survey::to_text(what));
}

// All that is known, or what is known of one protocol.
OrProblem<survey::Facts> facts_of(const std::string& protocol) {
  survey::Facts out = survey::all_facts();
  if (protocol.empty()) {
    return out;
  }
  std::vector<std::string> names;
  for (const ProtocolFacts& p : out.protocols) {
    names.push_back(p.name);
  }
  std::erase_if(out.protocols, [&](const ProtocolFacts& p) { return p.name != protocol; });
  if (out.protocols.empty()) {
    Problem problem(Error{Fault::malformed, kOption});
    problem.what = "--protocol " + protocol + ": not in the survey" + suggestion(protocol, names);
    problem.next = "`imprint compare` shows them all";
    return problem;
  }
  return out;
}

OrProblem<Ok> compare(const Context& context, const CompareOptions& options) {
  if (!options.run.empty()) {
    TRY(Run run, find_run(context, options.run));
    show(context, options.format, survey::report_on(std::move(run)));
    return Ok{};
  }
  TRY(const survey::Facts facts, facts_of(options.protocol));
  TRY(const std::vector<Run> given, given_runs(options.with));
  TRY(const RunsOnRecord records, RunsOnRecord::open(context));
  TRY(const RunsTold runs, records.told(given));
  show(context, options.format, survey::compare(facts, runs.latest, runs.all));
  return Ok{};
}

}  // namespace

void add_compare(Command top) {
  const Command command =
      top.sub("compare", "Compare protocols: their words, players, beliefs and steps, and what runs measured.",
              "imprint compare | less\nimprint compare --protocol est\nimprint compare --format md > comparison.md\n"
              "imprint compare --run dev-1/run.json\nimprint compare --run 0123456789abcdef\nimprint compare --data "
              "site --with "
              "lamp-1");
  auto options = std::make_shared<CompareOptions>();
  command.option("--format", options->format, "How to print it: text, md or json")
      .one_of({"text", "md", "json"})
      .shows_default();
  const Arg protocol = command.option("--protocol", options->protocol, "Only this protocol").type("NAME");
  command
      .option("--run", options->run, "Show what this run came to believe, and why: on record, or in a device's folder")
      .type("FILE|ID")
      .excludes(protocol);
  command
      .option("--with", options->with,
              "A device's own story beside what is on record: its folder, or run.json; may be given again")
      .type("PATH");
  command.runs([options](const Context& c) { return compare(c, *options); });
}

}  // namespace imprint::app
