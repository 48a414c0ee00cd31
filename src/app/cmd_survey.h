// What `imprint compare` and `imprint explain` share.
#pragma once

#include "app/command.h"

namespace imprint::app {

// The runs on record, for commands that work without any.
class RunsOnRecord {
 public:
  // Opens the data folder's database if there is one; makes nothing.
  static OrProblem<RunsOnRecord> open(const Context& context);

  // The latest successful run of every protocol and mode; none without a database.
  OrProblem<std::vector<Run>> latest() const;
  // RUN-UNKNOWN if there is none of this id.
  OrProblem<Run> run(const std::string& id) const;

 private:
  std::unique_ptr<store::Store> store_;
};

// A run by its id on record, or from the file or folder that a device wrote it to. RUN-UNKNOWN, CLI-FILE, CLI-CONTENT.
OrProblem<Run> find_run(const Context& context, const std::string& word);

}  // namespace imprint::app
