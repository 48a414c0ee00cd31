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

}  // namespace

std::string applicant_words(const Session& session, const std::optional<Login>& login) {
  if (session.proven) {
    const CertificateChain& chain = **session.proven;
    return "asked with the certificate " + chain.leaf.subject.text + " of " + chain.leaf.issuer.text +
           " in the handshake";
  }
  return login ? "asked as user " + login->user + " by HTTP Basic" : "asked without certificate and password";
}

std::string accepted_words(const est::Server::Admitting& s, const est::ServerConfig& config) {
  const auto label = config.labels.find(s.label);
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
