#include "app/onboard_brski_set.h"

#include <algorithm>
#include <filesystem>

#include "app/cli_rules.h"
#include "app/onboard_set.h"
#include "proto/brski/artifact.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;
using brski::Imprinted;

// A link-local address on another link is another place: the zone in the host counts.
bool same_place(const Uri& a, const Uri& b) { return a.scheme == b.scheme && a.host == b.host && a.port == b.port; }

// A registrar as the options have it; those that are none were refused before.
std::vector<Uri> registrars_of(const BrskiOptions& options) {
  std::vector<Uri> out;
  for (const std::string& text : options.registrars) {
    auto uri = Uri::parse(text.find("://") == std::string::npos ? "https://" + text : text);
    if (uri) {
      out.push_back(*std::move(uri));
    }
  }
  return out;
}

OrProblem<std::optional<Imprinted>> owner_in(const std::string& folder) {
  const auto foreign = FolderStorage::foreign_file(folder);
  TRY(const auto storage, about(FolderStorage::open(folder), folder + (foreign ? "/" + *foreign : "")));
  return about(storage->imprinted(), folder + "/owner");
}

// Whether it has a certificate of its owner's, whatever was asked for by then.
OrProblem<bool> enrolled_in(const std::string& folder) {
  TRY(const auto storage, about(FolderStorage::open(folder), folder));
  TRY(const std::optional<est::Installed> installed, about(storage->installed(), folder));
  return installed.has_value();
}

OrProblem<Imprinted> known_owner(const std::string& folder) {
  TRY(const std::optional<Imprinted> owner, owner_in(folder));
  if (!owner) {
    Problem problem(Error{Fault::conflict, kConflict}, folder + ": no voucher has named its owner");
    problem.next = "go on with `imprint onboard est --profile`, which has obtained it";
    return problem;
  }
  return *owner;
}

// The device's folders, one attempt.
class Introducer {
 public:
  Introducer(const Context& context, const BrskiOptions& options) : context_(context), options_(options) {}

  OrProblem<std::optional<Ending>> obtain(const OnboardOptions& one, bool there) const {
    TRY(const std::optional<Imprinted> owner, owner_in(one.out));
    if (owner && there && owner->configured) {
      return std::optional<Ending>();
    }
    TRY(const bool enrolled, enrolled_in(one.out));
    if (!owner || there || !enrolled) {  // the whole of it, what is missing behind the voucher, or the report alone
      return ended(pledge(one));
    }
    context_.progress("  the voucher is on record, and something else is wanted by now: its owner is asked");
    TRY(Ending gone_on, go_on(*owner, one));
    const bool cut_short = gone_on.run.id.empty();
    if (gone_on.problem && !cut_short && !owner->configured) {
      context_.progress("  " + gone_on.problem->what + ": a new voucher is asked for");
      return ended(pledge(one));
    }
    if (!gone_on.problem && !owner->configured) {
      TRY(const Ending reported, pledge(one));
      gone_on.problem = reported.problem;
    }
    return std::optional(std::move(gone_on));
  }

  OrProblem<std::vector<std::string>> servers(const std::string& folder) const {
    TRY(const Imprinted owner, known_owner(folder));
    return est_servers_of(owner, options_);
  }

  OrProblem<Ok> equip(const std::string& folder, bool fresh, Onboarding& onboarding) const {
    TRY(const Imprinted owner, known_owner(folder));
    est::Plan& plan = *onboarding.plan;
    auto& anchors = plan.explicit_anchors;
    // Later on the owner's CA certificates alone count: a CA of before may be there no more.
    if (fresh && std::ranges::find(anchors, owner.pinned) == anchors.end()) {
      anchors.push_back(owner.pinned);
    }
    plan.domain = owner.pinned.fingerprint();
    plan.bare_requests = std::ranges::find(options_.quirks, "bare-requests") != options_.quirks.end();
    plan.host_counts = !fresh || brski::names_est_server(owner);  // else the address is of whoever announced himself
    plan.trusts_clock = !options_.no_clock;
    onboarding.reach = reach_of(owner, options_);
    return Ok{};
  }

 private:
  static OrProblem<std::optional<Ending>> ended(OrProblem<Ending> how) {
    TRY(Ending ending, std::move(how));
    return std::optional(std::move(ending));
  }

  OrProblem<Ending> pledge(const OnboardOptions& one) const {
    BrskiOptions out = options_;
    out.common = one;
    return run_pledge(context_, out);
  }

  // The same enrolment as the pledge's: a key that a certificate may be on its way for is asked for again.
  OrProblem<Ending> go_on(const Imprinted& owner, const OnboardOptions& one) const {
    return run_at(est_servers_of(owner, options_), [&](const std::string& server) -> OrProblem<Ending> {
      OnboardOptions leg = one;
      leg.server = server;
      TRY(Onboarding onboarding, prepare(leg));
      onboarding.plan->explicit_anchors.clear();
      onboarding.plan->origins.anchors = est::Origin::record;
      onboarding.plan->origins.credential = est::Origin::factory;
      TRY(Ok{}, equip(one.out, true, onboarding));
      Ending ending = run_once(context_, leg, std::move(onboarding));
      if (!ending.problem) {
        TRY(Ok{}, note_move(owner, server, one.out));
      }
      return ending;
    });
  }

  // Whoever led to the pin at another address is where the reports go, and what comes later.
  OrProblem<Ok> note_move(Imprinted owner, const std::string& server, const std::string& folder) const {
    for (const Uri& at : registrars_of(options_)) {
      Uri est = at;
      est.path = "/";
      if (est.text() == server && !same_place(at, owner.registrar)) {
        owner.registrar = at;
        TRY(const auto storage, about(FolderStorage::open(folder), folder));
        return about(storage->save(owner), folder + "/owner");
      }
    }
    return Ok{};
  }

  const Context& context_;
  const BrskiOptions& options_;
};

}  // namespace

Uri est_server_of(const Imprinted& owner) {
  Uri out = owner.registrar;
  if (!names_est_server(owner)) {  // its path is that of BRSKI
    out.path = "/";
  }
  return out;
}

std::vector<std::string> est_servers_of(const Imprinted& owner, const BrskiOptions& options) {
  const Uri first = est_server_of(owner);
  std::vector<std::string> out{first.text()};
  for (Uri at : registrars_of(options)) {
    at.path = "/";
    if (!same_place(at, first)) {
      out.push_back(at.text());
    }
  }
  return out;
}

Reach reach_of(const Imprinted& owner, const BrskiOptions& options) {
  Reach out{registrars_of(options), options.redirect_inside};
  if (!names_est_server(owner)) {
    out.allowed.push_back(owner.registrar);  // the pledge has been there
  }
  return out;
}

OrProblem<Ok> check_kind_of_folder(const BrskiOptions& options) {
  const OnboardOptions& common = options.common;
  const bool set = !common.profile.empty();
  const auto others = set ? std::vector<std::string>{"owner", "current", "pending"}
                          : std::vector<std::string>{"credentials", "obtaining"};
  for (const std::string& name : others) {
    std::error_code ignored;
    const std::string path = common.out + "/" + name;
    if (fs::exists(fs::symlink_status(path, ignored))) {
      Problem problem(Error{Fault::conflict, kConflict}, path);
      problem.next = set ? "this folder is of an onboarding without --profile: name another one with --out"
                         : "this folder is of an onboarding with --profile: give it again, or name another folder";
      return problem;
    }
  }
  return Ok{};
}

OrProblem<Ok> onboard_brski_set(const Context& context, const BrskiOptions& given) {
  BrskiOptions options = given;
  options.maker_anchors = maker_anchors_of(given);  // the device's folder is not known by its name any more
  options.common.attempts = options.rounds;
  const Introducer introducer(context, options);
  const Introduction by{
      [&](const OnboardOptions& one, bool there) { return introducer.obtain(one, there); },
      [&](const std::string& folder) { return introducer.servers(folder); },
      [&](const std::string& folder, bool fresh, Onboarding& run) { return introducer.equip(folder, fresh, run); }};
  return onboard_set(context, options.common, &by);
}

}  // namespace imprint::app
