#include "runtime/brski_words.h"

#include <algorithm>

#include "proto/brski/masa_url.h"

namespace imprint {
namespace {

using brski::Pledge;

std::string seconds_words(Duration delay) {
  return std::to_string(std::chrono::ceil<std::chrono::seconds>(delay).count()) + " s";
}

std::string peer_words(const Session& session) {
  return session.presented.empty() ? "nobody" : session.presented.front().subject.text;
}

constexpr int kAccepted = 202;

bool waits_for_certificate(const Pledge::Enrolling& s) { return std::holds_alternative<est::Client::Waiting>(s.est); }

// One sentence a state of the pledge.
struct InWords {
  int status;
  Duration delay;

  std::string later_words(const std::string& why) const {
    return std::to_string(status) + ": " + why + "; asks again in " + seconds_words(delay);
  }

  std::string operator()(const Pledge::Idle&) const { return {}; }
  std::string operator()(const Pledge::Opening& s) const {
    return "connects to " + s.p.at.authority() +
           (s.p.verified ? ", which has to be my maker's registrar" : ", for whom nobody has vouched yet") +
           (s.p.kept ? "; a voucher is on record" : "");
  }
  std::string operator()(const Pledge::Signing& s) const {
    return peer_words(*s.tls) + " answers; signs a voucher request that names this very certificate";
  }
  std::string operator()(const Pledge::Asking&) const { return "asks it for a voucher, and believes nothing else"; }
  std::string operator()(const Pledge::Waiting& s) const {
    return s.p.verified ? later_words("its maker has not said whose it is") : waiting_words(status, delay);
  }
  std::string operator()(const Pledge::Telling& s) const {
    const std::string which =
        s.on_record ? "on record is my maker's and for me" : "is my maker's, for me, and answers my request";
    return "the voucher " + which + "; the registrar leads to " + s.owner.pinned.subject.text +
           ", which it pins; my owner is on record";
  }
  std::string operator()(const Pledge::Rejoining& s) const {
    return "the registrar ended the connection; connects again, and wants whoever leads to " +
           s.owner.pinned.subject.text;
  }
  std::string operator()(const Pledge::Complaining& s) const {
    return "tells the registrar that nothing came of it: " + std::string(s.p.last.what);
  }
  std::string operator()(const Pledge::Enrolling& s) const {
    return waits_for_certificate(s) && status == kAccepted
               ? later_words("it is held for its past, or has to be approved")
               : client_words(s.est, status, delay);
  }
  std::string operator()(const Pledge::Returning& s) const {
    return certificate_words(s.got.certificate.der) + "; comes back with it";
  }
  std::string operator()(const Pledge::Reporting&) const { return "tells the registrar that it is enrolled"; }
  std::string operator()(const Pledge::Resting& s) const {
    if (!s.p.held.empty()) {
      const std::size_t all = s.p.plan->registrars.size() + (s.p.plan->cloud ? 1 : 0);
      return "at " + std::to_string(s.p.held.size()) + " of " + std::to_string(all) +
             " addresses it has to come again; goes on in " + seconds_words(delay);
    }
    return "round " + std::to_string(s.p.rounds) + " of " + std::to_string(s.p.plan->rounds) +
           " failed: " + std::string(s.p.last.what) + (s.p.detail.empty() ? "" : " (" + s.p.detail + ")") +
           "; tries again in " + seconds_words(delay);
  }
  std::string operator()(const Pledge::Pausing&) const {
    return "the report did not get through; tries again in " + seconds_words(delay);
  }
  std::string operator()(const Pledge::Configured& s) const {
    return certificate_words(s.got.certificate.der) + "; my owner is " + s.owner.pinned.subject.text;
  }
  std::string operator()(const Pledge::Failed& s) const { return s.detail; }
};

}  // namespace

std::string pledge_words(const Pledge::State& state, int status, Duration delay) {
  return std::visit(InWords{status, delay}, state);
}

std::string pledge_waits_for(const Pledge::State& state, const std::string& device) {
  if (const auto* rests = std::get_if<Pledge::Resting>(&state)) {
    const auto asked = [](const auto& one) { return !one.second.verified; };
    return std::ranges::any_of(rests->p.held, asked) ? approval_words(device) : "";
  }
  if (const auto* waits = std::get_if<Pledge::Waiting>(&state)) {
    const brski::PledgePlan& plan = *waits->p.plan;
    return waits->p.verified
               ? "the maker runs `imprint masa device owner " +
                     id_words(brski::serial_of(plan.identity.chain.front(), plan.serial)) + " --registrar URL`"
               : approval_words(device);
  }
  const auto* const enrols = std::get_if<Pledge::Enrolling>(&state);
  if (enrols != nullptr && waits_for_certificate(*enrols)) {
    return "the owner runs `imprint device clear " + id_words(device) + "` if it is held for its past; else " +
           approval_words(device);
  }
  return {};
}

}  // namespace imprint
