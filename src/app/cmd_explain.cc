#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "app/cli.h"
#include "app/cli_rules.h"
#include "app/cmd_survey.h"
#include "app/rule_book.h"
#include "codec/json.h"
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

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, {}, [](unsigned char c) { return std::tolower(c); }, [](unsigned char c) { return std::tolower(c); });
}

// The id of a rule, as every refusal names one.
bool explain_rule(const Context& context, const std::string& word) {
  for (const RuleChapter& chapter : rule_book()) {
    for (const Rule* const rule : chapter.rules) {
      if (same_word(rule->id, word)) {
        const std::string id(rule->id), what(rule->what), source(rule->source), next(rule->next);
        context.print(
            Json{{"rule", id}, {"chapter", chapter.title}, {"what", what}, {"source", source}, {"next", next}},
            id + ", a rule (" + std::string(chapter.title) + ")\n  found  " + what + "\n  source " + source +
                "\n  next   " + next + "\n");
        return true;
      }
    }
  }
  return false;
}

// A protocol of the survey, by its name.
bool explain_protocol(const Context& context, const std::string& word) {
  for (const ProtocolFacts& one : survey::all_facts().protocols) {
    if (same_word(one.name, word) || same_word(one.title, word)) {
      context.print(Json{{"protocol", one.name},
                         {"title", one.title},
                         {"specifications", one.specifications},
                         {"umbrella", one.umbrella}},
                    one.name + ", a protocol of the survey: " + one.title + "\n  specifications  " +
                        one.specifications + "\n  its own word    " + one.umbrella +
                        "\n  more            imprint compare --protocol " + one.name + "\n");
      return true;
    }
  }
  return false;
}

OrProblem<Ok> explain(const Context& context, const std::string& word) {
  if (explain_rule(context, word) || explain_protocol(context, word)) {
    return Ok{};
  }
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
  const Command command = top.sub(
      "explain",
      "Say what a word means, here and in every protocol that uses it; a protocol, or the id of a rule, as well.",
      "imprint explain enrollment\nimprint explain \"onboarding tool\"\nimprint explain registrar --json\nimprint "
      "explain EST-REFUSED");
  auto word = std::make_shared<std::string>();
  command.option("WORD", *word, "The word; spelling and form are taken lightly").required();
  command.runs([word](const Context& c) { return explain(c, *word); });
}

}  // namespace imprint::app
