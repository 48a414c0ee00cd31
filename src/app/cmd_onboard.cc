// `imprint onboard est`: be the device.
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/admin_routes.h"
#include "app/cli.h"
#include "app/cli_rules.h"
#include "app/onboard_plan.h"
#include "app/run_file.h"
#include "app/shell_word.h"
#include "crypto/random.h"
#include "proto/est/rules.h"
#include "runtime/est_device.h"
#include "survey/compare_run.h"

namespace imprint::app {
namespace {

// Tells every step as it happens.
class Narrator final : public Journal {
 public:
  explicit Narrator(const Context& context) : context_(context) {}
  void step(const Run&, const RunStep& step) override {
    std::string line = "  " + step.state + std::string(step.state.size() < 12 ? 12 - step.state.size() : 1, ' ') +
                       std::to_string(step.took.count()) + " ms";
    line += step.check.empty() ? "" : "  " + step.check;
    context_.progress(line);
    if (step.fault.empty() && !step.next.empty()) {
      context_.progress("              " + step.next);
    }
  }
  void ended(const Run&) override {}

 private:
  const Context& context_;
};

// How a run ended.
struct Ending {
  Run run;
  std::optional<est::Installed> installed;
  std::optional<Problem> problem;
};

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
  out.problem = Problem(why);
  out.problem->state = "in state " + last_state(run);
  if (failed != nullptr && !failed->detail.empty()) {
    out.problem->what += ": " + failed->detail;
  }
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

Ending run(const Context& context, const OnboardOptions& options, Onboarding& onboarding) {
  io::Loop loop;
  SystemRng rng;
  io::Guard guard;
  guard.allow(onboarding.plan->server);
  Narrator narrator(context);
  std::optional<Ending> ending;
  EstDevice::Hooks hooks;
  hooks.confirm = [](const ConfirmFingerprint& question, const std::function<void(bool)>& answer) {
    answer(ask_person(question));
  };
  hooks.ended = [&](const est::Client::State& state, const Run& told, const std::optional<Error>& broken) {
    ending = ending_of(state, told, broken);
    loop.stop();
  };
  EstDevice device(loop, rng, over_sockets(loop, guard, rng), *onboarding.storage, &narrator, onboarding.device,
                   std::move(hooks));
  loop.after(std::chrono::seconds(options.timeout_s), [&loop] { loop.stop(); });
  loop.post([&device, &onboarding] { device.start(onboarding.plan); });
  loop.run();
  if (!ending) {
    ending = Ending{{}, std::nullopt, Problem(Error{Fault::expired, kTimeout}, onboarding.plan->server.authority())};
  }
  return *std::move(ending);
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

OrProblem<Ok> onboard(const Context& context, const OnboardOptions& options) {
  TRY(Onboarding onboarding, prepare(options));
  const est::Plan& plan = *onboarding.plan;
  const bool nobody_to_trust = plan.explicit_anchors.empty() && plan.implicit_anchors.empty();
  if (nobody_to_trust && !plan.expected && ::isatty(STDIN_FILENO) != 1) {
    return Problem(Error{Fault::refused, est::kNoAnchors});
  }
  const Ending ending = run(context, options, onboarding);
  // Nothing is told of a run that was cut short, and nobody else's file is written over.
  const bool told = !ending.run.id.empty() && !foreign_run_file(run_file_of(options));
  if (const Status kept = told ? write_run(run_file_of(options), ending.run) : Status(Ok{}); !kept) {
    context.progress("the run is not on record in " + run_file_of(options) + ": " + std::string(kept.error().what));
  } else if (told) {
    context.progress("what it came to believe, and why: `imprint compare --run " + shell_word(run_file_of(options)) +
                     "`");
  }
  if (ending.problem) {
    return *ending.problem;
  }
  print(context, options, ending);
  return Ok{};
}

void add_options(Command command, OnboardOptions& o) {
  command.option("--server", o.server, "https://HOST:PORT[/base]; a device folder may say it, too").type("URL");
  command.option("--out", o.out, "Folder for key, certificate and anchors").required().type("FOLDER");
  command.option("--device", o.device, "Folder of a device as the factory wrote it").type("FOLDER");
  const Arg fingerprint =
      command.option("--fingerprint", o.fingerprint, "SHA-256 of the owner's CA certificate, in place of anchors")
          .type("AB:CD:…");
  command.option("--anchors", o.anchors, "CA certificates of the owner (explicit trust anchors)")
      .type("FILE")
      .excludes(fingerprint);
  command
      .option("--implicit-anchors", o.implicit_anchors,
              "CA certificates of third parties, good for the server's name only")
      .type("FILE")
      .excludes(fingerprint);
  command.option("--cert", o.certificate, "Certificate to authenticate with, own one first").type("FILE");
  command.option("--key", o.key, "Its key: file or URI. Without --cert, the key in a token that is to be certified")
      .type("URI");
  command.option("--user", o.user, "User name of a password or one-time token");
  command.option("--password-file", o.password_file, "File with the password or token, - for standard input")
      .type("FILE");
  command.option("--label", o.label, "EST label (profile) to ask for");
  command.option("--subject", o.subject, "Subject to ask for, as in CN=dev-1");
  command.option("--san", o.alt_names, "Alternative name to ask for, as in dns:dev-1.example; may be repeated");
  command.option("--key-type", o.key_type, "Type of the new key, unless the server wants another");
  const Arg server_key =
      command.option("--server-key", o.server_key, "Let the server make the key: clear (under TLS alone) or wrapped")
          .type("clear|wrapped");
  const Arg wrap_id = command.option("--wrap-key-id", o.wrap_key_id, "How the server knows that key").type("HEX");
  command.option("--wrap-key", o.wrap_key, "File with the shared key that unwraps it, in place of --key's")
      .type("FILE")
      .needs(server_key)
      .needs(wrap_id);
  command.flag("--fullcmc", o.full_cmc, "Send a signed Full PKI Request (RFC 5272) in place of a simple one")
      .excludes(server_key);
  const Arg renew = command.flag("--renew", o.renew, "Renew the certificate that is in --out");
  const Arg same = command.flag("--same-key", o.same_key, "Renew for the same key").needs(renew).excludes(server_key);
  command.flag("--new-key", o.new_key, "Renew for a new key (the default)").needs(renew).excludes(same);
  command.option("--attempts", o.attempts, "Connections that may fail before it gives up").between(1, 1000);
  command.option("--timeout", o.timeout_s, "Seconds until it gives up").between(1, 7 * 24 * 3600);
  command.flag("--beliefs", o.beliefs, "Show what the device came to believe, and why");
}

}  // namespace

void add_onboard(Command top) {
  const Command protocols =
      top.group("onboard", "Be a device that onboards itself.",
                "imprint onboard est --server https://localhost:8443 --out dev-1 --anchors data/ca/chain.pem "
                "--user dev-1 --password-file token");
  auto options = std::make_shared<OnboardOptions>();
  const Command command = protocols.sub(
      "est", "Enrol over secure transport (RFC 7030).",
      "imprint onboard est --server https://localhost:8443 --out dev-1 --anchors ca.pem --user dev-1 --password-file "
      "token\n"
      "imprint onboard est --device acme/acme-0001 --server https://localhost:8443 --fingerprint AB:CD:… --out acme-1\n"
      "imprint onboard est --server https://localhost:8443 --out dev-1 --renew --same-key\n"
      "imprint onboard est --server https://localhost:8443 --out dev-1 --anchors ca.pem --user dev-1 --password-file "
      "token --key 'pkcs11:token=dev;object=own?pin-source=file:pin'\n"
      "imprint onboard est --server https://localhost:8443 --out dev-1 --anchors ca.pem --user dev-1 --password-file "
      "token --server-key clear");
  add_options(command, *options);
  command.runs([options](const Context& c) { return onboard(c, *options); });
}

}  // namespace imprint::app
