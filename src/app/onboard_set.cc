#include "app/onboard_set.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/cli_rules.h"
#include "app/device_profile.h"
#include "app/onboard_run.h"
#include "app/run_file.h"
#include "io/file.h"
#include "io/loop.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

// What was asked for, in a credential's folder once it has been obtained: an attempt that is taken up again asks for
// nothing twice, unless something else is wanted by then.
constexpr std::string_view kAskedFor = "asked-for";

Problem wrong_profile_option(const std::string& what, std::string next) {
  Problem out(Error{Fault::malformed, kProfileOptions}, what);
  out.next = std::move(next);
  return out;
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

// The onboarding of one device: its options, its profile, its folders.
class Set {
 public:
  static OrProblem<Set> of(const OnboardOptions& options) {
    Set out;
    out.given_ = options;
    auto read = read_device_profile(options.profile);
    if (const auto* const problems = std::get_if<1>(&read)) {
      return config_problem(*problems);
    }
    out.profile_ = std::get<0>(std::move(read));
    if (!options.label.empty() || !options.subject.empty() || !options.alt_names.empty()) {
      return wrong_profile_option("--label, --subject and --san", "the profile says them");
    }
    if (!options.key.empty() && options.certificate.empty()) {
      return wrong_profile_option("--key without --cert", "each credential has a key of its own");
    }
    TRY(Ok{}, unfold_device(out.given_, out.id_, out.origins_));
    out.given_.label.clear();  // the profile's are asked for
    if (out.id_.empty()) {
      TRY(out.id_, id_of(out.given_));
    }
    TRY(Ok{}, out.find_id());
    return out;
  }

  const DeviceProfile& profile() const { return profile_; }
  std::string credentials() const { return given_.out + "/credentials"; }
  std::string obtaining() const { return given_.out + "/obtaining"; }
  bool complete_before() const { return exists(credentials()); }
  std::string folder_of(const CredentialConfig& one) const { return credentials() + "/" + one.name; }
  bool has(const CredentialConfig& one) const { return exists(folder_of(one) + "/current"); }
  const est::Origins& origins() const { return origins_; }

  // To obtain it in this folder.
  OnboardOptions options_for(const CredentialConfig& one, const std::string& folder) const {
    OnboardOptions out = common(one, folder);
    if (!one.server.empty()) {
      // Our owner's secret is nobody else's business.
      forget_login(out);
      if (!one.anchors.empty()) {
        trust(out, (fs::path(given_.profile).parent_path() / one.anchors).string());
      }
    }
    out.subject = filled_in(one.subject, id_);
    for (const std::string& name : one.alt_names) {
      out.alt_names.push_back(filled_in(name, id_));
    }
    if (one.given.wanted_key) {
      out.key_type = name(*one.given.wanted_key);
    }
    const std::string own = place_of_identity();
    // A one-time token is spent once the credential that identifies is there: from then on that one speaks.
    const bool fresh_secret = complete_before() && one.name == profile_.identity && !given_.user.empty();
    if (given_.certificate.empty() && exists(own + "/current") && !fresh_secret) {
      out.certificate = own + "/chain.pem";
      out.key = own + "/key.pem";
      forget_login(out);
    }
    if (one.server.empty() && exists(own + "/current")) {
      trust(out, own + "/anchors.pem");
    }
    return out;
  }

  OnboardOptions renewal_of(const CredentialConfig& one) const {
    OnboardOptions out = common(one, folder_of(one));
    out.renew = true;
    out.certificate.clear();
    out.key.clear();
    forget_login(out);
    out.server_key.clear();
    // Each has the anchors that came with it.
    out.anchors.clear();
    out.implicit_anchors.clear();
    out.fingerprint.clear();
    return out;
  }

 private:
  static void forget_login(OnboardOptions& options) {
    options.user.clear();
    options.password_file.clear();
    options.srp = options.digest = false;
  }

  // A device that was onboarded before may leave out who it is.
  OrProblem<Ok> find_id() {
    const std::string own = credentials() + "/" + profile_.identity + "/cert.pem";
    if (id_.empty() && exists(own)) {
      TRY(const std::vector<Certificate> chain, read_certificates(own));
      id_ = chain.front().subject.first("CN");
    }
    return id_.empty() ? OrProblem<Ok>(
                             wrong_profile_option("--profile: which device is it?", "give --device, --user or --cert"))
                       : OrProblem<Ok>(Ok{});
  }

  OnboardOptions common(const CredentialConfig& one, const std::string& folder) const {
    OnboardOptions out = given_;
    out.profile.clear();
    out.credential.clear();
    out.out = folder;
    out.label = one.label;
    out.server = one.server.empty() ? given_.server : one.server;
    return out;
  }

  static void trust(OnboardOptions& out, const std::string& anchors) {
    out.anchors = anchors;
    out.implicit_anchors.clear();
    out.fingerprint.clear();
  }

  std::string place_of_identity() const {
    const std::string installed = credentials() + "/" + profile_.identity;
    return exists(installed + "/current") ? installed : obtaining() + "/" + profile_.identity;
  }

  OnboardOptions given_;
  DeviceProfile profile_;
  std::string id_;
  est::Origins origins_;
};

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
void tell_origins(const Set& set, const OnboardOptions& options, est::Plan& plan) {
  plan.origins = set.origins();
  const std::string own = "/" + set.profile().identity + "/";
  if (options.certificate.ends_with(own + "chain.pem")) {
    plan.origins.credential = est::Origin::record;
  }
  if (options.anchors.ends_with(own + "anchors.pem")) {
    plan.origins.anchors = est::Origin::record;
  }
}

OrProblem<Ok> obtain(const Context& context, const Set& set, const CredentialConfig& one) {
  const OnboardOptions options = set.options_for(one, set.obtaining() + "/" + one.name);
  if (obtained_before(options)) {
    context.progress(one.name + ": obtained by an attempt before");
    return Ok{};
  }
  context.progress(one.name + (one.label.empty() ? ":" : ": label " + one.label));
  TRY(Onboarding onboarding, prepare(options));
  tell_origins(set, options, *onboarding.plan);
  TRY(Ok{}, check_trust(*onboarding.plan));
  TRY(Ok{}, about(note_wish(options), options.out));
  const Ending ending = run_once(context, options, std::move(onboarding));
  const std::string folder = ending.problem ? options.out : set.folder_of(one);
  keep_run(context, options, ending, folder + "/" + std::string(kRunFile));
  if (ending.problem) {
    return *ending.problem;
  }
  return about(io::write_file(note_of(options), view(asked_for(options))), note_of(options));
}

Status move(const std::string& from, const std::string& to) {
  CHECK_OR(std::rename(from.c_str(), to.c_str()) == 0, Error{Fault::unreachable, "folder: cannot be moved"});
  TRY(Ok{}, io::sync_folder(fs::path(from).parent_path().string()));
  return io::sync_folder(fs::path(to).parent_path().string());
}

// The first time all become visible in one step; later additions one by one.
OrProblem<Ok> show_all(const Set& set, const std::vector<const CredentialConfig*>& fresh) {
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

OrProblem<Ok> report(const Context& context, const Set& set) {
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

Problem part(const Set& set, const CredentialConfig& one, const Problem& why) {
  Problem out = why;
  out.what = "credential " + one.name + " of profile " + set.profile().name + ": " + why.what;
  return out;
}

// What an earlier profile has left on its way is not shown with the others.
OrProblem<Ok> check_way(const Set& set) {
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

OrProblem<Ok> obtain_all(const Context& context, const Set& set) {
  TRY(Ok{}, check_way(set));
  std::vector<const CredentialConfig*> fresh;
  for (const CredentialConfig& one : set.profile().credentials) {
    if (set.has(one)) {
      context.progress(one.name + ": there already");
      continue;
    }
    if (const auto got = obtain(context, set, one); !got) {
      Problem problem = part(set, one, got.error());
      problem.next += "; then give the same command again: what was obtained is kept, and shown when all is there";
      return problem;
    }
    fresh.push_back(&one);
  }
  TRY(Ok{}, show_all(set, fresh));
  return report(context, set);
}

OrProblem<Ok> renew_one(const Context& context, const Set& set, const CredentialConfig& one) {
  const OnboardOptions options = set.renewal_of(one);
  context.progress(one.name + ": renewal");
  TRY(Onboarding onboarding, prepare(options));
  TRY(Ok{}, check_trust(*onboarding.plan));
  const Ending ending = run_once(context, options, std::move(onboarding));
  keep_run(context, options, ending);
  return ending.problem ? OrProblem<Ok>(*ending.problem) : OrProblem<Ok>(Ok{});
}

OrProblem<Ok> renew_all(const Context& context, const Set& set) {
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

OrProblem<Ok> onboard_set(const Context& context, const OnboardOptions& options) {
  TRY(const Set set, Set::of(options));
  if (!options.renew) {
    return obtain_all(context, set);
  }
  if (!set.complete_before()) {
    return wrong_profile_option("--renew: nothing is installed in " + options.out, "onboard first, without --renew");
  }
  return renew_all(context, set);
}

OrProblem<OnboardOptions> options_of_credential(const OnboardOptions& options) {
  TRY(const Set set, Set::of(options));
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
