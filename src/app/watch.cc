#include "app/watch.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/cli_rules.h"
#include "app/folder_lock.h"
#include "app/onboard_run.h"
#include "app/renewal.h"
#include "crypto/random.h"
#include "io/child.h"
#include "io/file.h"
#include "io/notify.h"
#include "proto/est/rules.h"

namespace imprint::app {
namespace {

// The wall clock may jump, and a machine may sleep: so it is looked at often, and nothing is slept through.
constexpr Duration kLongestSleep = std::chrono::seconds(30), kShortestSleep{100};
constexpr Duration kGrace = std::chrono::seconds(10);  // for the step under way, after SIGTERM
constexpr std::uint32_t kConnectionsAnAttempt = 2;     // the pauses between attempts are the watch's own
constexpr std::size_t kMaxHookWords = 64;

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; (at = text.find_first_not_of(" \t", at)) != std::string::npos;) {
    const std::size_t end = std::min(text.find_first_of(" \t", at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end;
  }
  return out;
}

std::string seconds_text(Duration of) { return std::to_string((of.count() + 500) / 1000) + " s"; }

// What the first onboarding needs besides the folder, for the time after an expired certificate.
bool has_credential(const OnboardOptions& o) {
  return !o.certificate.empty() || !o.device.empty() || (!o.password_file.empty() && o.password_file != "-");
}

class Watcher {
 public:
  Watcher(const Context& context, const OnboardOptions& options, const WatchOptions& wishes, RenewalRule rule)
      : context_(context), options_(options), wishes_(wishes), rule_(rule) {
    loop_.on_signal(SIGTERM, [this] { asked_to_end(); });
    loop_.on_signal(SIGINT, [this] { asked_to_end(); });
    loop_.on_signal(SIGHUP, [this] { look_now(); });
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  ~Watcher() = default;

  // `first`: what is to be done before anything else, and whose failure ends the watch.
  OrProblem<Ok> run(std::optional<Onboarding> first) {
    keep_alive();
    if (first) {
      first_ = true;
      service_.status("onboarding");
      attempt(options_, *std::move(first));
    } else {
      service_.ready();
      loop_.post([this] { look(); });
    }
    loop_.run();
    service_.stopping();
    return outcome_ ? OrProblem<Ok>(*outcome_) : OrProblem<Ok>(Ok{});
  }

 private:
  void keep_alive() {
    if (const auto every = service_.alive_every()) {
      service_.alive();
      loop_.after(*every, [this] { keep_alive(); });
    }
  }

  void asked_to_end() {
    if (ending_ || (!run_ && !hook_)) {
      context_.progress("ended as told; the certificate in " + options_.out + " stays");
      loop_.stop();
      return;
    }
    ending_ = true;
    service_.stopping();
    context_.progress("ends after the step under way; a second signal ends it at once");
    loop_.after(kGrace, [this] { loop_.stop(); });
  }

  void look_now() {
    context_.progress("looks now, as told");
    retry_at_.reset();
    announced_.reset();
    look();
  }

  // ---- looking: what is installed, what the clock says ----
  void look() {
    loop_.cancel(timer_);
    if (run_ || hook_ || ending_) {
      return;  // its end looks again
    }
    const auto storage = FolderStorage::open(options_.out);
    const auto installed = storage ? (*storage)->installed() : Result<std::optional<est::Installed>>(storage.error());
    if (!installed || !*installed) {
      cannot_read(installed ? Error{Fault::unreachable, kWatchNothing} : installed.error());
      return;
    }
    consider(**installed);
  }

  void cannot_read(const Error& error) {
    if (!unread_) {
      context_.print(Problem(error, options_.out));
    }
    unread_ = true;
    service_.status("the device folder cannot be read");
    sleep(kLongestSleep);
  }

  void consider(const est::Installed& installed) {
    unread_ = false;
    const Certificate& own = installed.certificate;
    const std::string id = hex(own.fingerprint());
    if (id != seen_) {
      seen_ = id;
      said_expired_ = false;
      announced_.reset();
    }
    until_ = own.not_after;
    if (!wishes_.on_renew.empty() && id != told_) {
      start_hook(own, id);
      return;
    }
    const Instant now = loop_.now();
    say_if_expired(own, now);
    const Term term = term_of(own, id == got_id_ ? got_ : std::nullopt);
    const Instant due = renewal_time(rule_, term);
    const Duration pause = retry_at_ ? std::max(Duration(0), *retry_at_ - io::steady_clock()) : Duration(0);
    if (now >= due && pause == Duration(0)) {
      renew(installed, now >= own.not_after);
      return;
    }
    if (!retry_at_) {
      announce(due, own);
    }
    sleep(std::max(due - now, pause));
  }

  void sleep(Duration wanted) {
    timer_ = loop_.after(std::clamp(wanted, kShortestSleep, kLongestSleep), [this] { look(); });
  }

  void say_if_expired(const Certificate& own, Instant now) {
    if (now < own.not_after || said_expired_) {
      return;
    }
    said_expired_ = true;
    context_.print(
        Problem(Error{Fault::expired, kWatchExpired}, own.subject.text + ", until " + utc_text(own.not_after)));
  }

  void announce(Instant due, const Certificate& own) {
    if (announced_ == due) {
      return;
    }
    announced_ = due;
    const std::string line =
        "next renewal " + utc_text(due) + "; the certificate is good until " + utc_text(own.not_after);
    context_.progress(line);
    service_.status(line);
    if (context_.globals.json) {
      context_.print(Json{{"next_renewal", utc_text(due)}, {"not_after", utc_text(own.not_after)}}, "");
    }
  }

  // ---- renewing ----
  void renew(const est::Installed& installed, bool expired) {
    OnboardOptions next = options_;
    next.attempts = std::min(next.attempts, kConnectionsAnAttempt);
    // What is on record counts from now on: the anchors may have changed since the first time, and the names stay.
    next.anchors.clear();
    next.fingerprint.clear();
    next.renew = !expired || !has_credential(options_);
    if (next.renew) {
      next.subject.clear();
      next.alt_names.clear();
    }
    auto onboarding = prepare(next);
    if (!onboarding) {
      failed(onboarding.error());
      return;
    }
    est::Plan& plan = *(*onboarding).plan;
    if (plan.implicit_anchors.empty()) {
      plan.explicit_anchors = installed.anchors;
      plan.origins.anchors = est::Origin::record;
    }
    context_.progress(next.renew ? "renewing" : "enrolling anew, with the credential of the first time");
    service_.status(next.renew ? "renewing" : "enrolling anew");
    attempt(next, *std::move(onboarding));
  }

  void attempt(const OnboardOptions& options, Onboarding onboarding) {
    run_ = std::make_unique<OnboardRun>(context_, options, std::move(onboarding), loop_, rng_, [this](const Ending& e) {
      loop_.post([this, e] { ended(e); });  // destroys the run, which is still at work
    });
  }

  void ended(const Ending& ending) {
    run_.reset();
    tell(context_, options_, ending);
    if (ending.problem && first_) {
      outcome_ = ending.problem;
      loop_.stop();
      return;
    }
    if (ending.problem) {
      failed(*ending.problem);
    } else {
      succeeded(ending.installed->certificate);
    }
  }

  void succeeded(const Certificate& own) {
    if (first_) {
      service_.ready();
    }
    first_ = false;
    failures_ = 0;
    retry_at_.reset();
    got_ = loop_.now();
    got_id_ = hex(own.fingerprint());
    go_on();
  }

  void failed(const Problem& problem) {
    context_.print(problem);
    failures_ += 1;
    std::array<std::uint8_t, 1> luck{};
    rng_.fill(luck);
    const Duration left = until_ - loop_.now();
    const Duration pause = pause_after(failures_, left, luck[0]);
    retry_at_ = io::steady_clock() + pause;
    const std::string line = "renewal failed (" + std::to_string(failures_) + " in a row), tries again in " +
                             seconds_text(pause) + "; the certificate " +
                             (left > Duration(0) ? "is good until " : "has been expired since ") + utc_text(until_);
    context_.progress(line);
    service_.status(line);
    go_on();
  }

  // A step is over.
  void go_on() {
    if (ending_) {
      loop_.stop();
    } else {
      loop_.post([this] { look(); });
    }
  }

  // ---- the command after a renewal ----
  std::string told_path() const { return options_.out + "/" + std::string(kToldFile); }

  void start_hook(const Certificate& own, const std::string& id) {
    const auto before = io::read_file(told_path(), 256);
    if (before && as_text(*before) == id + "\n") {  // by an earlier process
      told_ = id;
      loop_.post([this] { look(); });
      return;
    }
    const std::string folder = std::filesystem::absolute(options_.out).lexically_normal().string();
    const std::vector<std::string> variables{"IMPRINT_FOLDER=" + folder, "IMPRINT_SERIAL=" + hex(own.serial),
                                             "IMPRINT_NOT_AFTER=" + utc_text(own.not_after)};
    context_.progress("runs " + wishes_.on_renew);
    auto child =
        io::Child::start(loop_, words_of(wishes_.on_renew), variables, std::chrono::seconds(wishes_.on_renew_timeout_s),
                         [this, id](const std::string& fault) { hook_ended(id, fault); });
    if (!child) {  // not on record: the next process tries it again
      told_ = id;
      tell_hook(std::string(child.error().what));
      go_on();
      return;
    }
    hook_ = *std::move(child);
  }

  void tell_hook(const std::string& fault) const {
    Problem problem(Error{Fault::unreachable, kWatchHook}, wishes_.on_renew);
    problem.state = fault;
    context_.print(problem);
  }

  // Not fatal: the certificate is installed, whatever the command did with it.
  void hook_ended(const std::string& id, const std::string& fault) {
    hook_.reset();
    told_ = id;
    if (!fault.empty()) {
      tell_hook(fault);
    }
    if (!io::write_file(told_path(), view(id + "\n"))) {
      context_.progress("that the command was run is not on record in " + told_path() + ": it will run again");
    }
    go_on();
  }

  const Context& context_;
  const OnboardOptions& options_;
  const WatchOptions& wishes_;
  const RenewalRule rule_;
  io::ServiceManager service_ = io::ServiceManager::from_environment();
  SystemRng rng_;
  io::Loop loop_;
  std::unique_ptr<OnboardRun> run_;
  std::unique_ptr<io::Child> hook_;
  std::uint64_t timer_ = 0;
  std::optional<Problem> outcome_;
  bool first_ = false, ending_ = false, unread_ = false, said_expired_ = false;
  std::uint32_t failures_ = 0;
  std::optional<Instant> retry_at_;  // by the clock that only goes forward
  std::optional<Instant> got_;       // when the certificate `got_id_` came
  std::optional<Instant> announced_;
  Instant until_;                     // of the installed certificate
  std::string seen_, got_id_, told_;  // SHA-256 of certificates
};

}  // namespace

OrProblem<Ok> watch(const Context& context, const OnboardOptions& options, const WatchOptions& wishes) {
  RenewalRule rule{wishes.renew_at, std::nullopt};
  if (!wishes.renew_before.empty() && !(rule.before = parse_duration(wishes.renew_before))) {
    return Problem(Error{Fault::malformed, kOption},
                   "--renew-before " + wishes.renew_before + ": write 30d, 12h, 45m or 90s");
  }
  if (words_of(wishes.on_renew).size() > kMaxHookWords) {
    return Problem(Error{Fault::malformed, kOption}, "--on-renew: too many words");
  }
  std::error_code ignored;
  std::optional<Onboarding> first;
  if (options.renew || !std::filesystem::exists(options.out + "/current", ignored)) {
    TRY(first, prepare(options));  // before the lock, which would make the folder
    TRY(Ok{}, check_trust(*first->plan));
  }
  FolderLock lock;
  if (const Status held = lock.take(options.out); !held) {
    return Problem(held.error().fault == Fault::conflict ? Error{Fault::conflict, kWatchInUse} : held.error(),
                   options.out);
  }
  Watcher watcher(context, options, wishes, rule);
  return watcher.run(std::move(first));
}

}  // namespace imprint::app
