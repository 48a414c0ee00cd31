#include "app/cmd_survey.h"

#include <filesystem>

#include "app/cli_rules.h"
#include "app/rules.h"
#include "app/run_file.h"
#include "survey/compare.h"

namespace imprint::app {

OrProblem<RunsOnRecord> RunsOnRecord::open(const Context& context) {
  TRY(const Config config, context.config());
  RunsOnRecord out;
  const std::string file = config.data + "/imprint.db";
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    context.progress("no data folder at " + config.data + ": nothing is measured");
    return out;
  }
  auto store = open_store(config);
  if (!store) {
    Problem problem(Error{Fault::unreachable, kStoreClosed}, file);
    problem.state = store.error().what;
    return problem;
  }
  out.store_ = *std::move(store);
  return out;
}

OrProblem<std::vector<Run>> RunsOnRecord::latest() const {
  if (store_ == nullptr) {
    return std::vector<Run>();
  }
  TRY(const auto reader, store_->read());
  TRY(auto runs, survey::latest_runs(*reader));
  return runs;
}

OrProblem<Run> RunsOnRecord::run(const std::string& id) const {
  if (store_ != nullptr) {
    TRY(const auto reader, store_->read());
    TRY(auto run, reader->run(id));
    if (run) {
      return *std::move(run);
    }
  }
  return Problem(Error{Fault::refused, kRunUnknown}, id);
}

OrProblem<Run> find_run(const Context& context, const std::string& word) {
  std::error_code ignored;
  if (std::filesystem::is_directory(word, ignored)) {
    return read_run(word + "/" + std::string(kRunFile));
  }
  const bool is_id = word.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_id || std::filesystem::exists(word, ignored)) {
    return read_run(word);
  }
  TRY(const RunsOnRecord records, RunsOnRecord::open(context));
  return records.run(word);
}

}  // namespace imprint::app
