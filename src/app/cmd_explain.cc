#include <nlohmann/json.hpp>

#include "app/cli.h"
#include "app/cli_rules.h"
#include "app/cmd_survey.h"
#include "survey/explain.h"

namespace imprint::app {
namespace {

Problem unknown(const survey::Explanation& explanation) {
  Problem out(Error{Fault::refused, kWordUnknown}, explanation.asked);
  out.code = ExitCode::not_found;
  std::string near;
  for (const std::string& word : explanation.suggestions) {
    near.append(near.empty() ? "try: " : ", ").append(word);
  }
  out.next = near.empty() ? out.next : near;
  return out;
}

OrProblem<Ok> explain(const Context& context, const std::string& word) {
  TRY(const RunsOnRecord records, RunsOnRecord::open(context));
  TRY(const std::vector<Run> runs, records.latest());
  const survey::Explanation explanation = survey::explain(word, survey::all_facts(), runs);
  if (!explanation.found()) {
    return unknown(explanation);
  }
  context.print(survey::to_json(explanation), survey::to_text(explanation));
  return Ok{};
}

}  // namespace

void add_explain(Command top) {
  const Command command =
      top.sub("explain", "Say what a word means, here and in every protocol that uses it.",
              "imprint explain enrollment\nimprint explain \"onboarding tool\"\nimprint explain registrar --json");
  auto word = std::make_shared<std::string>();
  command.option("WORD", *word, "The word; spelling and form are taken lightly").required();
  command.runs([word](const Context& c) { return explain(c, *word); });
}

}  // namespace imprint::app
