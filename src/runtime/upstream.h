// The CA of a gateway: another EST server, to which devices' requests are handed on (RFC 7030 section 3.7).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proto/est/relay.h"
#include "site/ca.h"

namespace imprint {

// What a request may ask for besides names and usages: by its profile, as on record.
using WantedExtensions = std::map<std::string, std::vector<Extension>, std::less<>>;

// Where the EST server is, whom we believe, and who we are to it.
struct UpstreamSite {
  Uri server;         // https; its path is EST's base
  std::string label;  // of EST there; empty: none
  est::UpstreamTrust trust;
  WantedExtensions wanted_extensions;
  std::optional<Credential> credential;  // of TLS; its key id does not matter
  PrivateKey key;                        // the credential's
  std::optional<Login> login;            // sent over verified TLS only
  Duration patience{15000};              // from the question to the answer, waiting for a connection included
  std::size_t connections = 16;          // at the same time, one a request
};

// Hands requests on from a thread of its own, which begins with the first. Whoever asks waits for nothing:
// Fault::refused if that server does not sign this, or signed something else (est/relay.h); Fault::unreachable with
// EST-UPSTREAM-AWAY after `patience`, and at once while kMostWaiting others wait; Fault::unreachable with
// EST-UPSTREAM-CHAIN if the CA upstream may be a new one, see when_outdated(). A request is sent once and never
// repeated by itself: the device comes again, and what upstream then answers is taken.
class UpstreamSigner final : public site::Signer {
 public:
  static constexpr std::size_t kMostWaiting = 1024;
  static constexpr Duration kFresh = std::chrono::minutes(1);

  explicit UpstreamSigner(UpstreamSite site);
  ~UpstreamSigner() override;  // end()
  void issue(const Issue& question, Instant now, std::function<void(Result<Signed>)> done) override;
  // Asks for the CA certificates and waits for them, `patience` at most; not from an answer of ours.
  Result<std::vector<Certificate>> ca_certificates();
  // Somebody has asked for them, and what came is in force by take(): a CA that is still unknown is none of theirs.
  void asked();
  // Before anything is asked. `tell` is called, on a thread of ours, when a certificate has no path to the anchors by
  // way of the CA certificates that we have, unless those were asked for since, within kFresh: somebody should ask.
  void when_outdated(std::function<void()> tell);
  // Later requests see this.
  void take(UpstreamSite site);
  // Answers whoever waits with EST-UPSTREAM-AWAY. Once it is back nobody who asks is answered any more, but for
  // ca_certificates(), and the thread is over.
  void end();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace imprint
