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

std::string rule_text(const Rule& rule, std::string_view chapter) {
  return std::string(rule.id) + ", a rule (" + std::string(chapter) + ")\n  found  " + std::string(rule.what) +
         "\n  source " + std::string(rule.source) + "\n  next   " + std::string(rule.next) + "\n";
}

Json rule_json(const Rule& rule, std::string_view chapter) {
  return {{"rule", rule.id}, {"chapter", chapter}, {"what", rule.what}, {"source", rule.source}, {"next", rule.next}};
}

// The id of a rule, as every refusal names one.
bool explain_rule(const Context& context, const std::string& word) {
  for (const RuleChapter& chapter : rule_book()) {
    const auto at = std::ranges::find_if(chapter.rules, [&](const Rule* rule) { return same_word(rule->id, word); });
    if (at != chapter.rules.end()) {
      context.print(rule_json(**at, chapter.title), rule_text(**at, chapter.title));
      return true;
    }
  }
  return false;
}

std::string protocol_text(const ProtocolFacts& one) {
  return one.name + ", a protocol of the survey: " + one.title + "\n  specifications  " + one.specifications +
         "\n  its own word    " + one.umbrella + "\n  more            imprint compare --protocol " + one.name + "\n";
}

Json protocol_json(const ProtocolFacts& one) {
  return {
      {"protocol", one.name}, {"title", one.title}, {"specifications", one.specifications}, {"umbrella", one.umbrella}};
}

// A protocol of the survey, by its name.
bool explain_protocol(const Context& context, const std::string& word) {
  const auto& all = survey::all_facts().protocols;
  const auto at = std::ranges::find_if(
      all, [&](const ProtocolFacts& one) { return same_word(one.name, word) || same_word(one.title, word); });
  if (at != all.end()) {
    context.print(protocol_json(*at), protocol_text(*at));
  }
  return at != all.end();
}

struct ExplainOptions {
  std::string word;
  std::vector<std::string> with;
};

OrProblem<Ok> explain(const Context& context, const ExplainOptions& options) {
  const std::string& word = options.word;
  if (explain_rule(context, word) || explain_protocol(context, word)) {
    return Ok{};
  }
  TRY(const std::vector<Run> given, given_runs(options.with));
  TRY(const RunsOnRecord records, RunsOnRecord::open(context));
  TRY(const RunsTold runs, records.told(given));
  const survey::Explanation explanation = survey::explain(word, survey::all_facts(), runs.latest);
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
  auto options = std::make_shared<ExplainOptions>();
  command.option("WORD", options->word, "The word; spelling and form are taken lightly").required();
  command
      .option("--with", options->with,
              "A device's own story beside what is on record: its folder, or run.json; may be given again")
      .type("PATH");
  command.runs([options](const Context& c) { return explain(c, *options); });
}

}  // namespace imprint::app
