#include "runtime/est_words.h"

#include <algorithm>

namespace imprint {
namespace {

bool is_registration_authority(const Session& session) {
  if (!session.proven) {
    return false;
  }
  const auto& usages = (*session.proven)->leaf.extended;
  return std::ranges::find(usages, eku::kCmcRa) != usages.end();
}

std::string linking_words(const est::Server::Admitting& s, const est::Label* label) {
  const CertificateRequest& request = *s.request;
  const bool linked = request.challenge_password || request.identity_linking;
  if (label != nullptr && label->ignore_linking) {
    return "linking: not looked at, as the profile says";
  }
  if (is_registration_authority(*s.session)) {
    return "linking: left to the registration authority that forwards the request";
  }
  if (!linked) {
    return "linking: none in the request, and the profile demands none";
  }
  return std::string("linking: ") + (request.challenge_password ? "challengePassword" : "estIdentityLinking") +
         " is this TLS session's value";
}

std::string seconds_words(Duration delay) {
  return std::to_string(std::chrono::ceil<std::chrono::seconds>(delay).count()) + " s";
}

std::string anchors_words(std::size_t count) { return std::to_string(count) + (count == 1 ? " anchor" : " anchors"); }

std::string key_words(const est::Client::Progress& p) {
  return p.key ? std::string(name(p.key->key.type)) + " key" : std::string("key");
}

std::string server_words(const Session& session) {
  if (!session.srp_user.empty()) {
    return "the server has proved that it knows the secret of " + session.srp_user;
  }
  if (!session.proven) {
    return "the server is not verified";
  }
  const CertificateChain& chain = **session.proven;
  return "the server's certificate " + chain.leaf.subject.text + " reaches the anchor " + chain.anchor.subject.text;
}

// One sentence a state of the client.
struct InWords {
  int status;
  Duration delay;

  std::string operator()(const est::Client::Idle&) const { return {}; }
  std::string operator()(const est::Client::Opening& s) const {
    if (s.p.plan->login_by == est::LoginBy::srp) {
      return "connects to " + s.p.server.authority() + ", which has to prove that it knows my secret";
    }
    const std::size_t anchors = s.p.anchors.empty() ? s.p.plan->implicit_anchors.size() : s.p.anchors.size();
    return "connects to " + s.p.server.authority() + ", which has to reach " +
           (anchors == 1 ? "my anchor" : "one of my " + anchors_words(anchors));
  }
  std::string operator()(const est::Client::Meeting& s) const {
    return "connects to " + s.p.server.authority() + ", for which nobody has vouched yet";
  }
  std::string operator()(const est::Client::Glimpsing&) const {
    return "asks whoever answered for CA certificates, and nothing else";
  }
  std::string operator()(const est::Client::Confirming&) const {
    return "the CA's fingerprint has to be compared before anything else";
  }
  std::string operator()(const est::Client::Fetching& s) const { return server_words(*s.tls) + "; asks for cacerts"; }
  std::string operator()(const est::Client::Finding& s) const {
    return server_words(*s.tls) + "; has no EST at the usual path; asks where it has it";
  }
  std::string operator()(const est::Client::Wishing& s) const {
    return "cacerts: " + anchors_words(s.p.anchors.size()) + " of the owner; asks for csrattrs";
  }
  std::string operator()(const est::Client::Keying&) const { return "csrattrs read; makes a key"; }
  std::string operator()(const est::Client::Signing& s) const {
    return server_words(*s.tls) + "; signs the request with its " + key_words(s.p) +
           (s.tls->channel_binding.empty() ? ", without a link: this TLS session has none"
                                           : ", linked to this TLS session");
  }
  std::string operator()(const est::Client::Enrolling& s) const {
    if (s.p.plan->server_key) {
      return std::string("the request is on record; asks for a key and a certificate (serverkeygen), ") +
             (s.p.plan->wrap ? "wrapped" : "in clear under TLS");
    }
    if (s.p.plan->full_cmc) {
      return std::string("the key is on record; asks by a signed request (fullcmc)") +
             (s.p.plan->credential ? "" : ", signed by that key alone");
    }
    return std::string("the key is on record; asks for ") +
           (s.p.plan->renew ? "a renewal (simplereenroll)" : "a certificate (simpleenroll)");
  }
  std::string operator()(const est::Client::Unwrapping&) const { return "unwraps the key that the server made"; }
  std::string operator()(const est::Client::Keeping& s) const {
    return "the server's key fits the certificate " + s.chain->leaf.subject.text + "; writes it";
  }
  std::string operator()(const est::Client::Waiting&) const { return waiting_words(status, delay); }
  std::string operator()(const est::Client::Resting& s) const {
    return "attempt " + std::to_string(s.p.failures) + " of " + std::to_string(s.p.plan->attempts) +
           " failed; tries again in " + seconds_words(delay);
  }
  std::string operator()(const est::Client::Enrolled& s) const {
    return certificate_words(s.result.certificate.der) + "; it reaches an anchor, and it is for this device's key";
  }
  std::string operator()(const est::Client::Failed& s) const { return s.detail; }
};

}  // namespace

std::string client_words(const est::Client::State& state, int status, Duration delay) {
  return std::visit(InWords{status, delay}, state);
}

std::string waiting_words(int status, Duration delay) {
  // Over CoAPS 5.03 is all there is to say it with, whatever the server waits for (RFC 9148 section 4.6).
  if (status == 503) {
    return "503: the server asks to come again in " + seconds_words(delay);
  }
  return std::to_string(status) + ": the owner has to approve; asks again in " + seconds_words(delay);
}

std::string id_words(const std::string& device) {
  const bool plain = !device.empty() && device.find_first_not_of(
                                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789._-:") == std::string::npos;
  return plain ? device : "ID";
}

std::string approval_words(const std::string& device) {
  return "the owner runs `imprint device approve " + id_words(device) + "` (`imprint device pending` lists what waits)";
}

std::string applicant_words(const Session& session, const std::optional<Login>& login) {
  if (session.proven) {
    const CertificateChain& chain = **session.proven;
    return "asked with the certificate " + chain.leaf.subject.text + " of " + chain.leaf.issuer.text +
           (session.by_message ? ", which signed the request, linked to this TLS session" : " in the handshake");
  }
  if (!session.srp_user.empty()) {
    return "asked as user " + session.srp_user + ", whose secret the handshake proved (TLS-SRP)";
  }
  const std::string scheme = login && login->digest ? "Digest" : "Basic";
  return login ? "asked as user " + login->user + " by HTTP " + scheme : "asked without certificate and password";
}

std::string accepted_words(const est::Server::Admitting& s, const est::ServerConfig& config) {
  const auto label = config.labels.find(s.label);
  if (s.request.possession() == nullptr) {
    return "possession: none to show, the owner makes the " + std::string(name(s.request->key.type)) + " key; " +
           linking_words(s, label == config.labels.end() ? nullptr : &label->second);
  }
  return "possession: the request's signature verifies with its own " + std::string(name(s.request->key.type)) +
         " key; " + linking_words(s, label == config.labels.end() ? nullptr : &label->second);
}

std::string decided_words(const Decision& decision) {
  return "who: " + (decision.identity.empty() ? std::string("nobody known") : decision.identity) +
         (decision.reason.empty() ? std::string() : "; policy: " + decision.reason);
}

std::string certificate_words(BytesView der) {
  const auto certificate = Certificate::parse(der);
  if (!certificate) {
    return "a certificate that cannot be read";
  }
  return "serial number " + hex(certificate->serial) + " for " + certificate->subject.text + ", until " +
         utc_text(certificate->not_after) + ", signed by " + certificate->issuer.text;
}

}  // namespace imprint
