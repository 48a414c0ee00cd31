// What `imprint compare` and `imprint explain` share.
#pragma once

#include "app/command.h"
#include "survey/stories.h"

namespace imprint::app {

// What there is of runs, each onboarding told once.
struct RunsTold {
  std::vector<survey::Story> all;  // newest first
  std::vector<Run> latest;         // the latest successful one of every protocol and mode, whole
};

// The runs on record, for commands that work without any.
class RunsOnRecord {
 public:
  // Opens the data folder's database if there is one; makes nothing.
  static OrProblem<RunsOnRecord> open(const Context& context);

  // Together with devices' own stories; these alone without a database.
  OrProblem<RunsTold> told(const std::vector<Run>& given) const;
  // The onboarding that this run is of, or a part of. RUN-UNKNOWN if there is none of this id.
  OrProblem<Run> run(const std::string& id) const;

 private:
  std::unique_ptr<store::Store> store_;
};

// The runs in these files, or in these folders of devices. CLI-FILE, CLI-CONTENT.
OrProblem<std::vector<Run>> given_runs(const std::vector<std::string>& paths);

// A run by its id on record, or from the file or folder that a device wrote it to. RUN-UNKNOWN, CLI-FILE, CLI-CONTENT.
OrProblem<Run> find_run(const Context& context, const std::string& word);

}  // namespace imprint::app
