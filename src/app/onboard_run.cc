#include "app/onboard_run.h"

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/admin_routes.h"
#include "app/cli_rules.h"
#include "app/run_file.h"
#include "app/shell_word.h"
#include "crypto/random.h"
#include "runtime/brski_device.h"
#include "survey/compare_run.h"

namespace imprint::app {
namespace {

std::string run_file_of(const OnboardOptions& options) { return options.out + "/" + std::string(kRunFile); }

std::string last_state(const Run& run) {
  return run.steps.size() > 1 ? run.steps[run.steps.size() - 2].state : "Start";
}

Ending ending_of(const est::Client::State& state, const Run& run, const std::optional<Error>& broken) {
  Ending out{run, std::nullopt, std::nullopt};
  if (const auto* const enrolled = std::get_if<est::Client::Enrolled>(&state); enrolled != nullptr && !broken) {
    out.installed = enrolled->result;
    return out;
  }
  const auto* const failed = std::get_if<est::Client::Failed>(&state);
  const Error why = broken ? *broken : failed != nullptr ? failed->why : Error{Fault::internal, "run ended early"};
  out.problem = problem_of(run, why, failed != nullptr ? failed->detail : std::string());
  return out;
}

bool ask_person(const ConfirmFingerprint& question) {
  std::cerr
      << "\nNobody has vouched for the server yet. The CA at " << question.server << " is\n  "
      << question.of.of.subject.text << "\n  SHA-256 " << fingerprint_text(question.of.sha256)
      << "\nCompare this with what the CA's owner shows (`imprint ca show --fingerprint`). Is it the same? Type yes: "
      << std::flush;
  std::string answer;
  return std::getline(std::cin, answer) && answer == "yes";
}

std::string beliefs_text(const Run& run) {
  std::vector<std::vector<std::string>> rows;
  for (const survey::BeliefReport& each : survey::report_on(run).beliefs) {
    rows.push_back({std::string(imprint::name(each.change.fate)),
                    each.held ? std::string(imprint::name(*each.held)) : "none", each.change.belief.statement,
                    each.change.evidence.check});
  }
  return rows.empty() ? "" : "\nbeliefs:\n" + table({"FATE", "STRENGTH", "BELIEF", "BECAUSE"}, rows);
}

void print(const Context& context, const OnboardOptions& options, const Ending& ending) {
  const est::Installed& got = *ending.installed;
  const Certificate& own = got.certificate;
  const RunCounts& counts = ending.run.counts;
  Json json = admin::run_json(ending.run);
  json["folder"] = options.out;
  json["certificate"] = Json{{"subject", own.subject.text},
                             {"issuer", own.issuer.text},
                             {"serial", hex(own.serial)},
                             {"not_before", utc_text(own.not_before)},
                             {"not_after", utc_text(own.not_after)},
                             {"sha256", hex(own.fingerprint())}};
  json["anchors"] = Json::array();
  std::string text = "certificate  " + own.subject.text + ", until " + utc_text(own.not_after) + "\nserial       " +
                     hex(own.serial) + "\nissued by    " + own.issuer.text + "\n";
  for (const Certificate& anchor : got.anchors) {
    json["anchors"].push_back(Json{{"subject", anchor.subject.text}, {"sha256", hex(anchor.fingerprint())}});
    text += "anchor       " + anchor.subject.text + ", SHA-256 " + fingerprint_text(anchor.fingerprint()) + "\n";
  }
  json["run_file"] = run_file_of(options);
  text += "run          " + ending.run.id + ", in " + run_file_of(options) + "\n";
  const std::string_view key_file = std::filesystem::exists(options.out + "/key.uri") ? "key.uri" : "key.pem";
  text += "folder       " + options.out + " (" + std::string(key_file) +
          ", cert.pem, chain.pem, anchors.pem)\ntook         " +
          std::to_string((ending.run.ended - ending.run.started).count()) + " ms, " +
          std::to_string(counts.round_trips) + " round trips, " + std::to_string(counts.connections) + " connections\n";
  if (options.beliefs) {
    json["beliefs"] = admin::beliefs_json(ending.run);
    text += beliefs_text(ending.run);
  }
  context.print(json, text);
}

}  // namespace

void Narrator::step(const Run&, const RunStep& step) {
  std::string line = "  " + step.state + std::string(step.state.size() < 12 ? 12 - step.state.size() : 1, ' ') +
                     std::to_string(step.took.count()) + " ms";
  line += step.check.empty() ? "" : "  " + step.check;
  context_.progress(line);
  if (step.fault.empty() && !step.next.empty()) {
    context_.progress("              " + step.next);
  }
}

Problem problem_of(const Run& run, const Error& why, const std::string& detail) {
  Problem out(why);
  out.state = "in state " + last_state(run);
  if (!detail.empty()) {
    out.what += ": " + detail;
  }
  return out;
}

struct OnboardRun::Impl {
  Impl(const Context& context, Onboarding given, io::Loop& l, Rng& rng, Ended e)
      : onboarding(std::move(given)), loop(l), narrator(context), ended(std::move(e)) {
    const Reach reach = onboarding.reach.value_or(Reach{{onboarding.plan->server}});
    for (const Uri& at : reach.allowed) {
      guard.allow(at);
    }
    if (reach.inside) {
      guard.allow_inside();
    }
    EstDevice::Hooks hooks;
    hooks.confirm = [](const ConfirmFingerprint& question, const std::function<void(bool)>& answer) {
      answer(ask_person(question));
    };
    hooks.ended = [this](const est::Client::State& state, const Run& told, const std::optional<Error>& broken) {
      end(ending_of(state, told, broken));
    };
    // Whom a voucher sent here may still be behind a join proxy.
    const Connector connector =
        onboarding.reach ? pledge_over_sockets(loop, guard, rng) : over_sockets(loop, guard, rng);
    device = std::make_unique<EstDevice>(loop, rng, connector, *onboarding.storage, &narrator, onboarding.device,
                                         std::move(hooks));
  }

  void end(const Ending& ending) {
    loop.cancel(timer);
    if (!over) {
      over = true;
      ended(ending);
    }
  }

  Onboarding onboarding;
  io::Loop& loop;
  io::Guard guard;
  Narrator narrator;
  Ended ended;
  std::unique_ptr<EstDevice> device;
  std::uint64_t timer = 0;
  bool over = false;
};

OnboardRun::OnboardRun(const Context& context, const OnboardOptions& options, Onboarding onboarding, io::Loop& loop,
                       Rng& rng, Ended ended)
    : impl_(std::make_unique<Impl>(context, std::move(onboarding), loop, rng, std::move(ended))) {
  impl_->timer = loop.after(std::chrono::seconds(options.timeout_s), [this] {
    impl_->device->halt();
    impl_->end(
        {{}, std::nullopt, Problem(Error{Fault::expired, kTimeout}, impl_->onboarding.plan->server.authority())});
  });
  impl_->device->start(impl_->onboarding.plan);
}

OnboardRun::~OnboardRun() {
  impl_->loop.cancel(impl_->timer);
  impl_->device->halt();
}

Ending run_once(const Context& context, const OnboardOptions& options, Onboarding onboarding) {
  io::Loop loop;
  SystemRng rng;
  std::optional<Ending> ending;
  const OnboardRun run(context, options, std::move(onboarding), loop, rng, [&](const Ending& how) {
    ending = how;
    loop.stop();
  });
  loop.run();
  return *ending;
}

void keep_run(const Context& context, const OnboardOptions& options, const Ending& ending,
              const std::string& shown_as) {
  // Nothing is told of a run that was cut short, and nobody else's file is written over.
  const bool told = !ending.run.id.empty() && !foreign_run_file(run_file_of(options));
  if (const Status kept = told ? write_run(run_file_of(options), ending.run) : Status(Ok{}); !kept) {
    context.progress("the run is not on record in " + run_file_of(options) + ": " + std::string(kept.error().what));
  } else if (told) {
    const std::string file = shown_as.empty() ? run_file_of(options) : shown_as;
    context.progress("what it came to believe, and why: `imprint compare --run " + shell_word(file) + "`");
  }
}

void tell(const Context& context, const OnboardOptions& options, const Ending& ending) {
  keep_run(context, options, ending);
  if (!ending.problem) {
    print(context, options, ending);
  }
}

}  // namespace imprint::app
