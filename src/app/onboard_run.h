// One run of a device by EST on a loop, and what is told of it.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "app/onboard_plan.h"
#include "io/guard.h"
#include "io/loop.h"
#include "model/run.h"
#include "runtime/est_device.h"

namespace imprint::app {

// How a run ended: with an installation, or with the problem.
struct Ending {
  Run run;
  std::optional<est::Installed> installed;
  std::optional<Problem> problem;
};

// Tells every step of a run as it happens.
class Narrator final : public Journal {
 public:
  explicit Narrator(const Context& context) : context_(context) {}
  void step(const Run& run, const RunStep& step) override;
  void ended(const Run&) override {}

 private:
  const Context& context_;
};

// The problem that ended a run, with the state in which it came.
Problem problem_of(const Run& run, const Error& why, const std::string& detail);

class OnboardRun {
 public:
  using Ended = std::function<void(const Ending&)>;

  // Starts at once; `ended` is called once on the loop's thread, and may not destroy this. After options.timeout_s it
  // ends with CLI-TIMEOUT. The context outlives this.
  OnboardRun(const Context& context, const OnboardOptions& options, Onboarding onboarding, io::Loop& loop, Rng& rng,
             Ended ended);
  OnboardRun(const OnboardRun&) = delete;
  OnboardRun& operator=(const OnboardRun&) = delete;
  // A run that is not over is cut off, as by a power cut: its records are on the disk.
  ~OnboardRun();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Runs it to its end, on a loop of its own.
Ending run_once(const Context& context, const OnboardOptions& options, Onboarding onboarding);

// Keeps the run as a file of the device's folder, if there was one; says where it will be, if that is elsewhere.
void keep_run(const Context& context, const OnboardOptions& options, const Ending& ending,
              const std::string& shown_as = {});
// The same, and prints what was installed.
void tell(const Context& context, const OnboardOptions& options, const Ending& ending);

}  // namespace imprint::app
