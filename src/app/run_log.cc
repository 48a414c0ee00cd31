#include "app/run_log.h"

#include "io/log.h"

namespace imprint::app {

void log_run(const Run& run) {
  const bool ended_badly = run.result == "refused" || run.result == "failed";
  const bool held = run.result == "held";  // who waits has a rule, too, and asks twice a minute
  if (run.protocol != "brski" || run.role != "registrar" || run.anonymous || (!ended_badly && !held)) {
    return;
  }
  const RunStep last = run.steps.empty() ? RunStep{} : run.steps.back();
  io::log(io::LogLevel::warning, held ? "brski.held" : "brski." + run.result,
          {{"device", run.device},
           {"request", run.mode},
           {"rule", run.rule},
           {"why", last.check},
           {"next", last.next},
           {"run", run.id}});
}

}  // namespace imprint::app
