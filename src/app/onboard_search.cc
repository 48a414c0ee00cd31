#include "app/onboard_search.h"

#include <algorithm>
#include <map>

#include "app/cli_rules.h"
#include "app/heard_lines.h"
#include "crypto/random.h"
#include "proto/brski/discovery_rules.h"
#include "proto/brski/pledge_rules.h"
#include "runtime/brski_device.h"
#include "runtime/registrar_ears.h"
#include "runtime/registrar_search.h"

namespace imprint::app {
namespace {

using brski::Announced;
using brski::Pledge;
using brski::PledgePlan;

constexpr Duration kTogether{50};

// The device's storage as one of several attempts sees it: whoever finds the owner first is alone from then on. Before
// that nothing is kept (Pledge keeps Imprinted first of all).
class SharedStorage final : public DeviceStorage {
 public:
  SharedStorage(DeviceStorage& real, std::function<bool()> claim) : real_(real), claim_(std::move(claim)) {}
  Result<KeyRef> make_key(KeyType type) override { return real_.make_key(type); }
  Result<PrivateKey> key(const std::string& id) override { return real_.key(id); }
  Result<KeyRef> keep_key(const Secret& pkcs8) override { return real_.keep_key(pkcs8); }
  Status save(const est::Asked& record) override { return real_.save(record); }
  Status save(const est::Installed& record) override { return real_.save(record); }
  Status save(const brski::Imprinted& record) override {
    CHECK_OR(claim_(), Error{Fault::conflict, "search: another registrar has the device"});
    return real_.save(record);
  }
  Result<std::optional<est::Asked>> asked() override { return real_.asked(); }
  Result<std::optional<est::Installed>> installed() override { return real_.installed(); }
  Result<std::optional<brski::Imprinted>> imprinted() override { return real_.imprinted(); }

 private:
  DeviceStorage& real_;
  std::function<bool()> claim_;
};

// Tells the steps of one attempt, with whom it is.
class Voice final : public Journal {
 public:
  Voice(const Context& context, std::string who, std::function<void(const std::string& state)> entered)
      : context_(context), who_(std::move(who)), entered_(std::move(entered)) {}
  void step(const Run&, const RunStep& step) override {
    context_.progress("  " + who_ + "  " + step.state + "  " + step.check);
    if (step.fault.empty() && !step.next.empty()) {
      context_.progress("              " + step.next);
    }
    entered_(step.state);
  }
  void ended(const Run&) override {}

 private:
  const Context& context_;
  std::string who_;
  std::function<void(const std::string&)> entered_;
};

// What no other registrar can mend.
bool is_hopeless(const Pledge::State& state, const std::optional<Error>& broken) {
  const auto* const failed = std::get_if<Pledge::Failed>(&state);
  const Rule* const rule = failed == nullptr ? nullptr : failed->why.rule;
  return broken || rule == &brski::kPledgeConfigured || rule == &brski::kNoVoucherAnchors ||
         rule == &brski::kPledgeNoIdevid;
}

// One pledge at one place, or at its maker's.
class Try final : public RegistrarSearch::Attempt {
 public:
  using Told = std::function<void(const Ending&, RegistrarSearch::End)>;

  Try(io::Loop& loop, Rng& rng, const Searcher& searcher, std::unique_ptr<Voice> voice, std::function<bool()> claim,
      Told told)
      : voice_(std::move(voice)), storage_(searcher.storage, std::move(claim)) {
    if (searcher.redirect_inside) {
      guard_.allow_inside();
    }
    BrskiDevice::Hooks hooks;
    hooks.ended = [told = std::move(told)](const Pledge::State& state, const Run& run,
                                           const std::optional<Error>& broken) {
      const Ending ending = ending_of(state, run, broken);
      told(ending, !ending.problem              ? RegistrarSearch::End::worked
                   : is_hopeless(state, broken) ? RegistrarSearch::End::hopeless
                                                : RegistrarSearch::End::failed);
    };
    device_.emplace(loop, rng, pledge_over_sockets(loop, guard_, rng), storage_, voice_.get(), searcher.device, hooks);
  }
  // What was announced is of this link: RegistrarEars sees to it.
  void start(std::shared_ptr<const PledgePlan> plan) {
    for (const Uri& at : plan->registrars) {
      guard_.allow(at);
    }
    if (plan->cloud) {
      guard_.allow(*plan->cloud);
    }
    device_->start(std::move(plan));
  }
  void halt() override { device_->halt(); }

 private:
  io::Guard guard_;
  std::unique_ptr<Voice> voice_;
  SharedStorage storage_;
  std::optional<BrskiDevice> device_;
};

class Search {
 public:
  Search(const Context& context, const SearchOptions& options, const Searcher& searcher)
      : context_(context), options_(options), searcher_(searcher) {}

  Ending run(std::int64_t timeout_s) {
    timer_ = loop_.after(std::chrono::seconds(timeout_s), [this] {
      Problem late(Error{Fault::expired, kTimeout}, "BRSKI");
      late.next =
          "run the command again with the same --out: it goes on with the owner that is on record, and searches anew "
          "if none is; or give a longer --timeout";
      end({{}, std::nullopt, std::move(late)});
    });
    const auto known = owner();
    known ? go_alone({*known}, std::nullopt) : listen();
    if (!ending_) {
      loop_.run();
    }
    loop_.cancel(timer_);
    loop_.cancel(hear_timer_);
    return *ending_;
  }

 private:
  // Where the owner is, if the device has its certificate: then only the report is missing. With a voucher alone it
  // looks there first, and goes on with whoever leads to what that pins: its registrar may be elsewhere by now.
  std::optional<Uri> owner() {
    const auto imprinted = searcher_.storage.imprinted();
    const auto installed = searcher_.storage.installed();
    if (!imprinted || !*imprinted) {
      return std::nullopt;
    }
    if (installed && *installed) {
      return (*imprinted)->registrar;
    }
    on_record_ = Announced{(*imprinted)->registrar, "the record of its voucher", kNoEnd};
    return std::nullopt;
  }

  void listen() {
    RegistrarSearch::Options how;
    how.longest = std::chrono::seconds(options_.seconds);
    how.others_remain = searcher_.plan.cloud.has_value();
    how.clock = io::steady_clock;
    search_ = std::make_unique<RegistrarSearch>(
        loop_, rng_, how,
        RegistrarSearch::Hooks{[this](std::uint64_t id, const Announced& where) { return begin(id, where); },
                               [this](std::optional<std::uint64_t> worked) { over(worked); }});
    for (const std::string& interface : options_.interfaces) {
      auto ears = RegistrarEars::open(loop_, rng_, {interface, true, searcher_.plan.form == brski::Form::cose},
                                      [this] { hear_soon(); });
      if (!ears) {
        Problem problem(Error{ears.error().fault, brski::kDiscoveryInterface}, interface);
        problem.state = ears.error().what;
        end({{}, std::nullopt, problem});
        return;
      }
      ears_.push_back(*std::move(ears));
      context_.progress("listening on " + interface);
    }
    if (on_record_) {
      search_->heard({*on_record_});
    }
  }

  // Each datagram may say something: many together are taken up as one.
  void hear_soon() {
    if (hear_timer_ == 0) {
      hear_timer_ = loop_.after(kTogether, [this] { hear(); });
    }
  }

  void hear() {
    hear_timer_ = 0;
    std::vector<Announced> all;
    for (const auto& ears : ears_) {
      std::ranges::move(ears->announced(), std::back_inserter(all));
    }
    for (const Announced& one : all) {
      const auto word = lines_.take(one.at);
      if (word != HeardLines::Word::known) {
        context_.progress("heard: " + one.by + " says " + one.at.text());
      }
      if (word == HeardLines::Word::last) {
        context_.progress("heard: too many; no more of them are told");
      }
    }
    if (on_record_) {
      all.push_back(*on_record_);
    }
    search_->heard(all);
  }

  std::shared_ptr<PledgePlan> plan_for(std::vector<Uri> registrars) const {
    auto plan = std::make_shared<PledgePlan>(searcher_.plan);
    const bool coaps = !registrars.empty() && registrars.front().scheme == "coaps";
    if (coaps && searcher_.own_subject) {
      plan->enrolment.names.subject = plan->identity.chain.front().subject;
    }
    plan->registrars = std::move(registrars);
    plan->heard = true;
    plan->announced = search_ ? search_->remembered() : std::vector<Announced>{};
    return plan;
  }

  std::unique_ptr<RegistrarSearch::Attempt> begin(std::uint64_t id, const Announced& where) {
    auto plan = plan_for({where.at});
    plan->cloud.reset();  // last of all
    plan->cloud_anchors.clear();
    plan->rounds = 1;
    auto out = std::make_unique<Try>(
        loop_, rng_, searcher_,
        std::make_unique<Voice>(
            context_, where.at.authority(),
            [this, id](const std::string& state) { search_->entered(id, state, state == "Waiting"); }),
        [this, id] { return search_->claim(id); },
        [this, id](const Ending& ending, RegistrarSearch::End how) {
          last_ = ending;
          search_->ended(id, how);
        });
    out->start(std::move(plan));
    return out;
  }

  // `worked` is the attempt that was told of last.
  void over(std::optional<std::uint64_t> worked) {
    if (worked || (last_ && last_hopeless())) {
      end(*last_);
    } else if (searcher_.plan.cloud) {
      go_alone({}, searcher_.plan.cloud);
    } else if (last_) {
      end(*last_);
    } else {
      Problem nobody(Error{Fault::unreachable, brski::kSearchNobody}, joined());
      nobody.state = "after " + std::to_string(options_.seconds) + " s";
      end({{}, std::nullopt, nobody});
    }
  }

  bool last_hopeless() const {
    const std::string& rule = last_->problem->rule;
    return rule == brski::kPledgeConfigured.id || rule == brski::kNoVoucherAnchors.id ||
           rule == brski::kPledgeNoIdevid.id;
  }

  std::string joined() const {
    std::string out;
    for (const std::string& one : options_.interfaces) {
      out += (out.empty() ? "" : ", ") + one;
    }
    return out;
  }

  // One pledge with nobody beside it: at its owner's, or at its maker's.
  void go_alone(std::vector<Uri> registrars, const std::optional<Uri>& cloud) {
    auto plan = plan_for(std::move(registrars));
    if (!cloud) {
      plan->cloud.reset();
    }
    alone_ = std::make_unique<Try>(
        loop_, rng_, searcher_,
        std::make_unique<Voice>(context_, cloud ? cloud->authority() : plan->registrars.front().authority(),
                                [](const std::string&) {}),
        [] { return true; }, [this](const Ending& ending, RegistrarSearch::End) { end(ending); });
    alone_->start(std::move(plan));
  }

  void end(Ending ending) {
    ending_ = ending_ ? ending_ : std::optional(std::move(ending));
    loop_.stop();
  }

  const Context& context_;
  const SearchOptions& options_;
  const Searcher& searcher_;
  io::Loop loop_;
  SystemRng rng_;
  HeardLines lines_;
  std::uint64_t timer_ = 0, hear_timer_ = 0;
  std::optional<Ending> ending_, last_;
  std::optional<Announced> on_record_;
  std::unique_ptr<Try> alone_;
  std::unique_ptr<RegistrarSearch> search_;
  std::vector<std::unique_ptr<RegistrarEars>> ears_;
};

}  // namespace

Ending ending_of(const Pledge::State& state, const Run& run, const std::optional<Error>& broken) {
  Ending out{run, std::nullopt, std::nullopt};
  if (const auto* const done = std::get_if<Pledge::Configured>(&state); done != nullptr && !broken) {
    out.installed = done->got;
    return out;
  }
  const auto* const failed = std::get_if<Pledge::Failed>(&state);
  const Error why = broken ? *broken : failed != nullptr ? failed->why : Error{Fault::internal, "run ended early"};
  out.problem = problem_of(run, why, failed != nullptr ? failed->detail : std::string());
  return out;
}

void add_search(const Command& command, SearchOptions& options, Arg registrar) {
  const Arg interface =
      command.option("--interface", options.interfaces, "Listen here for join proxies and registrars; may be repeated")
          .type("NAME")
          .excludes(registrar);
  command.option("--search", options.seconds, "Seconds until nobody new is tried; GRASP says things once a minute")
      .type("SECONDS")
      .between(1U, 7U * 24 * 3600)
      .needs(interface)
      .shows_default();
}

Ending onboard_by_search(const Context& context, const SearchOptions& options, const Searcher& searcher,
                         std::int64_t timeout_s) {
  return Search(context, options, searcher).run(timeout_s);
}

}  // namespace imprint::app
