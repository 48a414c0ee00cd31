// Writes a run's timeline while it happens.
#pragma once

#include <functional>
#include <string>

#include "base/rng.h"
#include "model/run.h"
#include "role/turn.h"

namespace imprint {

// Where runs are told. Calls come on the thread of the run; an implementation serves several threads.
class Journal {
 public:
  Journal() = default;
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  virtual ~Journal() = default;
  virtual void step(const Run& run, const RunStep& step) = 0;  // run: without steps that are still to come
  virtual void ended(const Run& run) = 0;
};

// One run as it grows.
class Recorder {
 public:
  // A fresh id of 16 hex digits is drawn from `rng`.
  Recorder(std::string protocol, std::string mode, std::string role, Instant now, Rng& rng, Journal* journal);

  Run& run() { return run_; }
  const Run& run() const { return run_; }
  bool over() const { return !run_.result.empty(); }

  // `next`: what somebody has to do before it goes on, if anything.
  void entered(std::string_view state, std::string check, Instant now, std::string_view next = {});
  void failed(std::string_view state, const Error& error, std::string_view detail, Instant now);
  void learned(const BeliefChange& change);
  void count_request(std::size_t bytes_out, std::size_t bytes_in);
  // Ends the run and tells the journal; later calls change nothing.
  void end(std::string result, Instant now);

 private:
  void add(RunStep step);
  Run run_;
  Journal* journal_;
  Instant last_;
};

// An error in one line for people: what, rule and source.
std::string describe(const Error& error);

}  // namespace imprint
