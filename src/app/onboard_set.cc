#include "app/onboard_set.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/cli_rules.h"
#include "app/credential_set.h"
#include "app/run_file.h"
#include "io/file.h"
#include "io/loop.h"
#include "proto/est/rules.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

// What was asked for, in a credential's folder once it has been obtained: an attempt that is taken up again asks for
// nothing twice, unless something else is wanted by then.
constexpr std::string_view kAskedFor = "asked-for";

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

std::string asked_for(const OnboardOptions& options) {
  std::string out = "server " + options.server + "\nlabel " + options.label + "\nsubject " + options.subject +
                    "\nkey " + options.key_type + "\n";
  for (const std::string& name : options.alt_names) {
    out += "name " + name + "\n";
  }
  return out;
}

std::string note_of(const OnboardOptions& options) { return options.out + "/" + std::string(kAskedFor); }

// Whether an attempt before has obtained just this, and it is good for a while.
bool obtained_before(const OnboardOptions& options) {
  const auto note = io::read_file(note_of(options), 64 * 1024);
  if (!note || as_text(*note) != asked_for(options)) {
    return false;
  }
  const auto storage = FolderStorage::open(options.out);
  const auto installed = storage ? (*storage)->installed() : Result<std::optional<est::Installed>>(storage.error());
  return installed && *installed && io::wall_clock() < (*installed)->certificate.not_after;
}

// The note is there before what it speaks of: a power cut between the two must not cost a token. If something else is
// there by now, it goes first.
Status note_wish(const OnboardOptions& options) {
  const bool other = exists(options.out + "/current");
  if (other) {
    ::unlink(note_of(options).c_str());
    return io::sync_folder(options.out);
  }
  TRY(Ok{}, io::make_folder(options.out));
  return io::write_file(note_of(options), view(asked_for(options)));
}

// Whose word a credential stands on.
void tell_origins(const CredentialSet& set, const OnboardOptions& options, est::Plan& plan) {
  plan.origins = set.origins();
  const std::string own = "/" + set.profile().identity + "/";
  if (options.certificate.ends_with(own + "chain.pem")) {
    plan.origins.credential = est::Origin::record;
  }
  if (options.anchors.ends_with(own + "anchors.pem")) {
    plan.origins.anchors = est::Origin::record;
  }
}

// At this server; the note of it says what the options do, whichever server that is.
OrProblem<Ending> run_est(const Context& context, const CredentialSet& set, const OnboardOptions& options,
                          const std::string& server, const Introduction* by) {
  OnboardOptions there = options;
  there.server = server;
  TRY(Onboarding onboarding, prepare(there));
  tell_origins(set, options, *onboarding.plan);
  if (by != nullptr) {
    TRY(Ok{}, by->equip(set.place_of_identity(), !set.complete_before(), onboarding));
  }
  TRY(Ok{}, check_trust(*onboarding.plan));
  TRY(Ok{}, about(note_wish(options), options.out));
  return run_once(context, there, std::move(onboarding));
}

// By EST: at the server of the options, or at those that another protocol knows of.
OrProblem<std::optional<Ending>> obtain_by_est(const Context& context, const CredentialSet& set,
                                               const CredentialConfig& one, const OnboardOptions& options,
                                               const Introduction* by) {
  if (obtained_before(options)) {
    return std::optional<Ending>();
  }
  std::vector<std::string> servers{options.server};
  if (set.of_owner(one)) {
    TRY(servers, by->servers(set.place_of_identity()));
  }
  context.progress(one.name + (one.label.empty() ? ":" : ": label " + one.label));
  TRY(Ending ending, run_at(servers, [&](const std::string& server) {
        return run_est(context, set, options, server, set.of_owner(one) ? by : nullptr);
      }));
  return std::optional(std::move(ending));
}

// The one that identifies the device, by the other protocol.
OrProblem<std::optional<Ending>> obtain_first(const Context& context, const CredentialConfig& one,
                                              const OnboardOptions& options, const Introduction& by) {
  const auto foreign = FolderStorage::foreign_file(options.out);
  const auto folder = FolderStorage::open(options.out);  // it lasts before there is a note in it
  TRY(Ok{}, about(folder ? Status(Ok{}) : Status(folder.error()), options.out + (foreign ? "/" + *foreign : "")));
  const bool there = obtained_before(options);
  if (!there) {
    context.progress(one.name + (one.label.empty() ? ":" : ": label " + one.label));
    TRY(Ok{}, about(note_wish(options), options.out));
  }
  return by.obtain(options, there);
}

// What a power cut has left of an attempt that got that far.
OrProblem<Ok> tidy(const std::string& folder) {
  for (const std::string_view name : {kRunFile, kAskedFor}) {
    ::unlink((folder + "/" + std::string(name) + ".new").c_str());
  }
  TRY(const auto storage, about(FolderStorage::open(folder), folder));
  return about(storage->tidy(), folder);
}

OrProblem<Ok> obtain(const Context& context, const CredentialSet& set, const CredentialConfig& one,
                     const Introduction* by) {
  const OnboardOptions options = set.options_for(one, set.obtaining() + "/" + one.name);
  const bool first = by != nullptr && one.name == set.profile().identity;
  TRY(const std::optional<Ending> ending,
      first ? obtain_first(context, one, options, *by) : obtain_by_est(context, set, one, options, by));
  if (!ending) {
    context.progress(one.name + ": obtained by an attempt before");
    return tidy(options.out);
  }
  const std::string folder = ending->problem ? options.out : set.folder_of(one);
  keep_run(context, options, *ending, folder + "/" + std::string(kRunFile));
  if (ending->problem) {
    return *ending->problem;
  }
  return about(io::write_file(note_of(options), view(asked_for(options))), note_of(options));
}

Status move(const std::string& from, const std::string& to) {
  CHECK_OR(std::rename(from.c_str(), to.c_str()) == 0, Error{Fault::unreachable, "folder: cannot be moved"});
  TRY(Ok{}, io::sync_folder(fs::path(from).parent_path().string()));
  return io::sync_folder(fs::path(to).parent_path().string());
}

// The first time all become visible in one step; later additions one by one.
OrProblem<Ok> show_all(const CredentialSet& set, const std::vector<const CredentialConfig*>& fresh) {
  if (fresh.empty()) {
    return Ok{};
  }
  if (!set.complete_before()) {
    TRY(Ok{}, about(io::sync_folder(set.obtaining()), set.obtaining()));
    return about(move(set.obtaining(), set.credentials()), set.credentials());
  }
  for (const CredentialConfig* const one : fresh) {
    const std::string to = set.folder_of(*one);
    TRY(Ok{}, about(move(set.obtaining() + "/" + one->name, to), to));
  }
  ::rmdir(set.obtaining().c_str());
  return Ok{};
}

OrProblem<Ok> report(const Context& context, const CredentialSet& set) {
  Json json{{"profile", set.profile().name}, {"credentials", Json::array()}};
  std::vector<std::vector<std::string>> rows;
  for (const CredentialConfig& one : set.profile().credentials) {
    const std::string folder = set.folder_of(one);
    if (!set.has(one)) {
      continue;
    }
    TRY(const std::vector<Certificate> chain, read_certificates(folder + "/cert.pem"));
    const Certificate& own = chain.front();
    json["credentials"].push_back({{"name", one.name},
                                   {"label", one.label},
                                   {"subject", own.subject.text},
                                   {"issuer", own.issuer.text},
                                   {"serial", hex(own.serial)},
                                   {"not_after", utc_text(own.not_after)},
                                   {"folder", folder}});
    rows.push_back({one.name, own.subject.text, utc_text(own.not_after), hex(own.serial), folder});
  }
  context.print(json, table({"CREDENTIAL", "SUBJECT", "UNTIL", "SERIAL", "FOLDER"}, rows));
  return Ok{};
}

Problem part(const CredentialSet& set, const CredentialConfig& one, const Problem& why) {
  Problem out = why;
  out.what = "credential " + one.name + " of profile " + set.profile().name + ": " + why.what;
  return out;
}

// What an earlier profile has left on its way is not shown with the others.
OrProblem<Ok> check_way(const CredentialSet& set) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(set.obtaining(), ignored)) {
    if (set.profile().find(entry.path().filename().string()) == nullptr) {
      Problem problem(Error{Fault::conflict, kConflict}, entry.path().string());
      problem.next =
          "profile " + set.profile().name + " has no such credential: remove the folder, or take the profile of before";
      return problem;
    }
  }
  return Ok{};
}

OrProblem<Ok> obtain_all(const Context& context, const CredentialSet& set, const Introduction* by) {
  TRY(Ok{}, check_way(set));
  std::vector<const CredentialConfig*> fresh;
  for (const CredentialConfig& one : set.profile().credentials) {
    if (set.has(one)) {
      context.progress(one.name + ": there already");
      continue;
    }
    if (const auto got = obtain(context, set, one, by); !got) {
      Problem problem = part(set, one, got.error());
      problem.next += "; then give the same command again: what was obtained is kept, and shown when all is there";
      return problem;
    }
    fresh.push_back(&one);
  }
  TRY(Ok{}, show_all(set, fresh));
  return report(context, set);
}

OrProblem<Ok> renew_one(const Context& context, const CredentialSet& set, const CredentialConfig& one) {
  const OnboardOptions options = set.renewal_of(one);
  context.progress(one.name + ": renewal");
  TRY(Onboarding onboarding, prepare(options));
  TRY(Ok{}, check_trust(*onboarding.plan));
  const Ending ending = run_once(context, options, std::move(onboarding));
  keep_run(context, options, ending);
  return ending.problem ? OrProblem<Ok>(*ending.problem) : OrProblem<Ok>(Ok{});
}

OrProblem<Ok> renew_all(const Context& context, const CredentialSet& set) {
  std::optional<Problem> first;
  for (const CredentialConfig& one : set.profile().credentials) {
    if (!set.has(one)) {
      context.progress(one.name + ": not obtained yet; the command without --renew does that");
      continue;
    }
    if (const auto renewed = renew_one(context, set, one); !renewed) {
      const Problem problem = part(set, one, renewed.error());
      context.progress(problem.what);
      first = first ? first : std::optional(problem);
    }
  }
  if (first) {
    return *first;
  }
  return report(context, set);
}

}  // namespace

OrProblem<Ok> onboard_set(const Context& context, const OnboardOptions& options, const Introduction* by) {
  using Told = CredentialSet::Told;
  TRY(const CredentialSet set, CredentialSet::of(options, by != nullptr ? Told::by_protocol : Told::by_options));
  if (!options.renew) {
    return obtain_all(context, set, by);
  }
  if (!set.complete_before()) {
    return wrong_profile_option("--renew: nothing is installed in " + options.out, "onboard first, without --renew");
  }
  return renew_all(context, set);
}

OrProblem<Ending> run_at(const std::vector<std::string>& servers,
                         const std::function<OrProblem<Ending>(const std::string& server)>& run) {
  std::optional<Ending> last;
  for (const std::string& server : servers) {
    TRY(last, run(server));
    const std::string rule = last->problem ? last->problem->rule : std::string();
    if (rule != est::kUnreachable.id && rule != est::kServerUntrusted.id && rule != est::kServerName.id) {
      break;
    }
  }
  return last ? OrProblem<Ending>(*std::move(last))
              : OrProblem<Ending>(Error{Fault::internal, "onboarding: no server to ask"});
}

OrProblem<OnboardOptions> options_of_credential(const OnboardOptions& options) {
  TRY(const CredentialSet set, CredentialSet::of(options, CredentialSet::Told::by_options));
  const CredentialConfig* const one = set.profile().find(options.credential);
  if (one == nullptr) {
    return wrong_profile_option("--credential " + options.credential, "the profile has no credential of this name");
  }
  if (!set.has(*one)) {
    return wrong_profile_option("--credential " + options.credential + ": not obtained yet",
                                "leave out --credential: all that is missing is obtained");
  }
  return options.renew ? set.renewal_of(*one) : set.options_for(*one, set.folder_of(*one));
}

}  // namespace imprint::app
