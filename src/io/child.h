// Another program, run beside a loop for a bounded time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/schedule.h"

namespace imprint::io {

class Child {
 public:
  // How it ended: nothing for exit code 0, else in words ("exit code 3", "ended by signal 9", "took too long").
  using Ended = std::function<void(const std::string& fault)>;

  // Starts `words` (the program and its arguments, no shell; found in PATH) in a process group of its own, with
  // standard input empty, standard output going to standard error, no other file of ours, and `variables` (NAME=value)
  // added to the environment, IMPRINT_KEY_PIN left out. After `limit` its group gets SIGTERM, a second later SIGKILL.
  // `ended` is called on the schedule's thread, once. Fault::unreachable if it cannot be started.
  static Result<std::unique_ptr<Child>> start(Schedule& schedule, const std::vector<std::string>& words,
                                              const std::vector<std::string>& variables, Duration limit, Ended ended);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  // What still runs is killed, with its group.
  ~Child();

 private:
  Child(Schedule& schedule, int pid, Duration limit, Ended ended);
  void look();
  void end(const std::string& fault);

  Schedule& schedule_;
  const int pid_;
  Duration left_;
  Ended ended_;
  std::uint64_t timer_ = 0;
  bool running_ = true, asked_to_end_ = false;
};

}  // namespace imprint::io
