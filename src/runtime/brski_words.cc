#include "runtime/brski_words.h"

namespace imprint {
namespace {

using brski::Pledge;

std::string seconds_words(Duration delay) {
  return std::to_string(std::chrono::ceil<std::chrono::seconds>(delay).count()) + " s";
}

std::string peer_words(const Session& session) {
  return session.presented.empty() ? "nobody" : session.presented.front().subject.text;
}

// One sentence a state of the pledge.
struct InWords {
  int status;
  Duration delay;

  std::string operator()(const Pledge::Idle&) const { return {}; }
  std::string operator()(const Pledge::Opening& s) const {
    return "connects to " + s.p.at.authority() +
           (s.p.verified ? ", which has to be my maker's registrar" : ", for whom nobody has vouched yet");
  }
  std::string operator()(const Pledge::Signing& s) const {
    return peer_words(*s.tls) + " answers; signs a voucher request that names this very certificate";
  }
  std::string operator()(const Pledge::Asking&) const { return "asks it for a voucher, and believes nothing else"; }
  std::string operator()(const Pledge::Waiting&) const { return waiting_words(status, delay); }
  std::string operator()(const Pledge::Telling& s) const {
    return "the voucher is my maker's, for me, and answers my request; the registrar leads to " +
           s.owner.pinned.subject.text + ", which it pins; my owner is on record";
  }
  std::string operator()(const Pledge::Rejoining& s) const {
    return "the registrar ended the connection; connects again, and wants whoever leads to " +
           s.owner.pinned.subject.text;
  }
  std::string operator()(const Pledge::Complaining& s) const {
    return "tells the registrar that nothing came of it: " + std::string(s.p.last.what);
  }
  std::string operator()(const Pledge::Enrolling& s) const { return client_words(s.est, status, delay); }
  std::string operator()(const Pledge::Returning& s) const {
    return certificate_words(s.got.certificate.der) + "; comes back with it";
  }
  std::string operator()(const Pledge::Reporting&) const { return "tells the registrar that it is enrolled"; }
  std::string operator()(const Pledge::Resting& s) const {
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

}  // namespace imprint
