#include "app/cmd_survey.h"

#include <filesystem>

#include "app/cli_rules.h"
#include "app/rules.h"
#include "app/run_file.h"

namespace imprint::app {

OrProblem<RunsOnRecord> RunsOnRecord::open(const Context& context) {
  TRY(const Config config, context.config());
  RunsOnRecord out;
  const std::string file = config.data + "/imprint.db";
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    const bool masa = std::filesystem::exists(config.data + "/masa.db", ignored);
    context.progress(masa ? config.data +
                                " is a MASA's: it has vouchers and refusals on record (`imprint masa log "
                                "--folder FOLDER`), and never hears whether a device is enrolled"
                          : "no data folder at " + config.data + ": nothing is measured");
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

OrProblem<RunsTold> RunsOnRecord::told(const std::vector<Run>& given) const {
  RunsTold out;
  if (store_ == nullptr) {
    out.all = survey::stories(given);
    for (survey::Story& each : survey::latest_of(out.all)) {
      out.latest.push_back(std::move(each.run));
    }
    return out;
  }
  TRY(const auto reader, store_->read());
  TRY(out.all, survey::read_stories(*reader, given));
  TRY(out.latest, survey::latest_runs(*reader, out.all));
  return out;
}

OrProblem<Run> RunsOnRecord::run(const std::string& id) const {
  if (store_ != nullptr) {
    TRY(const auto reader, store_->read());
    TRY(const auto run, reader->run(id));
    if (run) {
      TRY(Run whole, survey::story_with(*reader, *run));
      return whole;
    }
  }
  return Problem(Error{Fault::refused, kRunUnknown}, id);
}

OrProblem<std::vector<Run>> given_runs(const std::vector<std::string>& paths) {
  std::vector<Run> out;
  for (const std::string& path : paths) {
    std::error_code ignored;
    TRY(Run run, read_run(std::filesystem::is_directory(path, ignored) ? path + "/" + std::string(kRunFile) : path));
    out.push_back(std::move(run));
  }
  return out;
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
