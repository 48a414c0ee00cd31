#include "proto/est/survey.h"

namespace imprint::est {
namespace {

std::vector<TermFacts> terms() {
  return {
      {"bootstrapping",
       "first belief in an anchor",
       "getting the EST CA's certificate into a client that has no anchor, by a person who compares a fingerprint",
       "RFC 7030 section 4.1.1",
       {"Meeting", "Glimpsing", "Confirming"}},
      {"bootstrapping",
       "first belief in an anchor",
       "an explicit anchor store comes to exist",
       "survey 2025 3.1",
       {"Meeting", "Glimpsing", "Confirming"}},
      {"enrollment",
       "onboarding",
       "the whole way: CA certificates, wanted attributes, request, certificate",
       "survey 2.3",
       {"Fetching", "Wishing", "Keying", "Signing", "Enrolling", "Enrolled"}},
      {"enrollment",
       "provisioning",
       "the client asks for its first certificate, with a credential from elsewhere",
       "RFC 7030 section 2.2",
       {"Enrolling", "Enrolled"}},
      {"re-enrollment",
       "onboarding, once more",
       "the current certificate is renewed (same key) or rekeyed (new key)",
       "RFC 7030 section 4.2.2",
       {"Enrolling", "Enrolled"}},
      {"initialization",
       "initial beliefs",
       "the data that a client needs beforehand: anchors, server URI, credential",
       "survey 2.3",
       {"Idle"}},
      {"configuration",
       "initial beliefs",
       "data needed to start, such as the anchor store",
       "survey 2025 3.1",
       {"Idle"}},
      {"explicit trust anchor",
       "belief in an anchor",
       "an anchor configured for, or received from, the EST CA: its server is known by name or by id-kp-cmcRA",
       "RFC 7030 section 3.6.1",
       {"Opening", "Fetching"}},
      {"implicit trust anchor",
       "belief in an anchor",
       "a third party's root: good only for a server whose host name it certifies; can be switched off",
       "RFC 7030 section 3.6.2",
       {"Opening"}},
      {"IDevID",
       "initial belief in an own identity",
       "the maker's certificate in the device, IEEE 802.1AR",
       "RFC 7030 section 3.3.2",
       {"Opening"}},
      {"certificate-less TLS mutual authentication",
       "proof",
       "client and server prove a shared secret to each other in the handshake (TLS-SRP)",
       "RFC 7030 section 3.3.3",
       {}},
      {"proof of possession",
       "proof",
       "the request is signed with the key that it names",
       "RFC 7030 section 3.4",
       {"Signing"}},
      {"identity linking",
       "proof",
       "the request carries a value of this very TLS session",
       "RFC 7030 section 3.5",
       {"Signing"}},
      {"server-side key generation",
       "provisioning",
       "the server makes the key pair and hands out the private key, in clear under TLS or in an envelope",
       "RFC 7030 section 4.4",
       {"Unwrapping", "Keeping"}},
      {"Full PKI Request",
       "provisioning",
       "the request in a signed envelope (CMC), which can carry what a simple one cannot",
       "RFC 7030 section 4.3",
       {}},
      {"label",
       "profile",
       "a path segment that selects a CA or a kind of certificate (not: a printed secret)",
       "RFC 7030 section 3.2.2",
       {"Fetching", "Wishing", "Enrolling"}},
  };
}

std::vector<PlayerFacts> players() {
  return {
      {"EST client", "device", "asks for its certificate; a gateway may act for it", "RFC 7030 section 2"},
      {"EST server", "steerer", "authenticates and authorises the client, answers for the CA", "RFC 7030 section 1.1"},
      {"EST CA", "authority", "signs; may be inside the server or behind it", "RFC 7030 section 1.1"},
      {"network administrator", "administrator", "runs CA and EST server before any device comes", "survey 2.3"},
      {"manufacturer", "manufacturer",
       "installs an identity certificate or a shared secret, anchors and URI; needed in the factory only",
       "survey 2.3"},
      {"owner", "owner", "may configure everything by hand; compares the fingerprint", "survey 2.3"},
  };
}

std::vector<ProcessFacts> processes() {
  return {
      {"CA and EST server are deployed", "survey 2.3", {}},
      {"the device learns the server's URI", "RFC 7030 section 4.1.1", {"Idle"}},
      {"without an anchor: CA certificates from whoever answers", "RFC 7030 section 4.1.1", {"Meeting", "Glimpsing"}},
      {"without an anchor: a person compares the fingerprint", "RFC 7030 section 4.1.1", {"Confirming"}},
      {"server authenticated by an anchor, or by the secret of both (TLS-SRP)", "RFC 7030 section 3.6", {"Opening"}},
      {"where the server has EST, if not at the usual path (CoAP)", "RFC 9148 section 4.1", {"Finding"}},
      {"CA certificates", "RFC 7030 section 4.1.2", {"Fetching"}},
      {"wanted attributes", "RFC 7030 section 4.5", {"Wishing"}},
      {"key made", "RFC 7030 section 4.2.1", {"Keying"}},
      {"request signed and linked to the session", "RFC 7030 section 3.5", {"Signing"}},
      {"request sent", "RFC 7030 section 4.2", {"Enrolling"}},
      {"waiting for the owner's word (202)", "RFC 7030 section 4.2.3", {"Waiting"}},
      {"a key that the server made: unwrapped and kept", "RFC 7030 section 4.4.2", {"Unwrapping", "Keeping"}},
      {"certificate checked and installed", "RFC 7030 section 4.2.3", {"Enrolled"}},
      {"renewal before expiry", "RFC 7030 section 2.3", {}},
  };
}

const std::vector<AssumptionFacts>& common_needs() {
  static const std::vector<AssumptionFacts> kNeeds{
      {"link", "any that carries IP", "RFC 7030 section 3"},
      {"IP", "connectivity to the server before the run", "survey 3.4"},
      {"clock", "good enough to judge certificates", "RFC 5280 section 6.1.3"},
      {"DNS", "only if the URI holds a name", "RFC 7030 section 3.6.2"},
  };
  return kNeeds;
}

ModeFacts mode(std::string name, std::string title, std::vector<AssumptionFacts> needs, std::vector<Sourced> initial,
               std::vector<Sourced> imparted, std::vector<ActFacts> acts) {
  needs.insert(needs.begin(), common_needs().begin(), common_needs().end());
  return {std::move(name),    std::move(title),    std::move(needs),
          std::move(initial), std::move(imparted), std::move(acts)};
}

const Sourced kUri{"server URI", "RFC 7030 section 4.1.1"};
const Sourced kAnchors{"an anchor for the server: explicit (EST CA) or implicit (third party)", "RFC 7030 section 3.6"};
const Sourced kOwnCertificate{"own certificate of the owner's CA", "RFC 7030 section 4.2.3"};
const Sourced kCaCertificates{"the CA's current root and the CAs under it", "RFC 7030 section 4.1.3"};
const Sourced kFullPki{"with full PKI: CRLs, policy and name constraints", "survey 2.3"};
const Sourced kCredential{"a credential: certificate or secret", "RFC 7030 section 2.2"};

std::vector<ModeFacts> modes() {
  return {
      mode(
          "certificate", "by a certificate of the maker (IDevID) or another CA",
          {{"I/O", "none", "RFC 7030 section 2.2.1"}, {"keys", "a key with its certificate", "RFC 7030 section 3.3.2"}},
          {kUri, kAnchors, {"certificate and key of another CA", "RFC 7030 section 2.2.1"}},
          {kOwnCertificate, kCaCertificates}, {{"person", "none with preset anchors", "survey 2.3"}}),
      mode("coaps", "over CoAPS, by a certificate of the maker (IDevID) or another CA",
           {{"I/O", "none", "RFC 9148 section 3"}, {"keys", "a key with its certificate", "RFC 9148 section 3"}},
           {kUri, kAnchors, {"certificate and key of another CA", "RFC 9148 section 3"}},
           {kOwnCertificate, kCaCertificates}, {{"person", "none: nobody can be asked", "RFC 9148 section 3"}}),
      mode("secret", "by a one-time token or password",
           {{"I/O", "a way to put the secret in, unless the factory did", "survey 2.3"},
            {"keys", "none; the device makes its first", "RFC 7030 section 4.2.1"}},
           {kUri, kAnchors, {"a secret made for this device", "RFC 7030 section 2.2.3"}},
           {kOwnCertificate, kCaCertificates},
           {{"person", "brings the secret into the device, unless the factory did", "survey 2.3"}}),
      mode("srp", "by a shared secret that the handshake proves on both sides (certificate-less TLS)",
           {{"I/O", "a way to put the secret in, unless the factory did", "survey 2.3"},
            {"keys", "none; the device makes its first", "RFC 7030 section 4.2.1"}},
           {kUri, {"a secret that the server knows, too; no anchor", "RFC 7030 section 3.3.3"}},
           {kOwnCertificate, kCaCertificates},
           {{"person", "brings the secret into the device, unless the factory did", "survey 2.3"}}),
      mode("bootstrap", "without any anchor: a person compares a fingerprint",
           {{"I/O", "a display, or the expected fingerprint configured", "RFC 7030 section 4.1.1"},
            {"keys", "a certificate or a secret for the enrolment", "RFC 7030 section 2.2"}},
           {kUri, {"no anchor", "RFC 7030 section 4.1.1"}, kCredential},
           {{"the anchor itself, on a person's word", "RFC 7030 section 4.1.1"}, kOwnCertificate, kCaCertificates},
           {{"person", "compares one fingerprint", "RFC 7030 section 4.1.1"}}),
      mode("server key", "with a key that the server makes",
           {{"I/O", "none with preset anchors", "survey 2.3"},
            {"keys", "those of its credential; for a key in an envelope also the one that opens it",
             "RFC 7030 section 4.4.1"}},
           {kUri, kAnchors, kCredential},
           {{"a key made by the server", "RFC 7030 section 4.4.2"}, kOwnCertificate, kCaCertificates},
           {{"person", "none with preset anchors", "survey 2.3"}}),
      mode("fullcmc", "by a Full PKI Request in place of a simple one",
           {{"I/O", "none with preset anchors", "survey 2.3"},
            {"keys", "one that signs the envelope: its certificate's, or the one in the request",
             "RFC 5272 section 3.2"}},
           {kUri, kAnchors, kCredential}, {kOwnCertificate, kCaCertificates, kFullPki},
           {{"person", "none with preset anchors", "survey 2.3"}}),
      mode("renewal", "by the certificate that is to be renewed",
           {{"I/O", "none", "RFC 7030 section 2.3"}, {"keys", "the current certificate's key", "RFC 7030 section 2.3"}},
           {kUri,
            {"the owner's CA as explicit anchor", "RFC 7030 section 4.1.3"},
            {"the current certificate and its key", "RFC 7030 section 2.3"}},
           {{"a new certificate of the same names", "RFC 7030 section 4.2.2"}, kCaCertificates},
           {{"person", "none", "survey 2.3"}}),
  };
}

std::vector<DimensionFacts> dimensions() {
  return {
      {"umbrella term", "enrollment", {}, "survey 2.3"},
      {"belief category", "certificates", {}, "survey 3.3"},
      {"belief category", "static symmetric", "secret", "survey 3.3"},
      {"belief category", "static symmetric", "srp", "survey 3.3"},
      {"initial trust", "installed credentials", {}, "survey 2025 3.3"},
      {"knowledge class", "infrastructure centric", {}, "survey 3.5"},
      {"locality", "remote", {}, "survey 3.2"},
      {"discovery", "configured URI", {}, "survey 2.3"},
      {"maker needed online", "no", {}, "survey 2.3"},
      {"reset and resale", "not covered; renewal and re-enrollment only", {}, "survey 2.3"},
      {"authorization", "server policy on an authenticated client", {}, "RFC 7030 section 3.7"},
      {"persons' acts", "none with preset trust; else one fingerprint comparison", {}, "survey 2.3"},
      {"privacy", "TLS 1.2 shows both certificates to a listener, TLS 1.3 neither", {}, "RFC 8446 section 2"},
  };
}

ProtocolFacts make_facts() {
  return {"est",
          "Enrollment over Secure Transport",
          "RFC 7030; RFC 8951; RFC 9148; RFC 9908",
          "enrollment",
          modes(),
          terms(),
          players(),
          {kUri,
           {"a credential: certificate, shared secret or password", "RFC 7030 section 2.2"},
           {"explicit anchors, implicit anchors, or none", "RFC 7030 section 3.6"},
           {"IP connectivity", "survey 3.4"}},
          {kOwnCertificate,
           kCaCertificates,
           {"the attributes that the CA wants", "RFC 7030 section 4.5"},
           {"possibly a key made by the server", "RFC 7030 section 4.4"},
           kFullPki},
          processes(),
          dimensions()};
}

}  // namespace

const ProtocolFacts& survey_facts() {
  static const ProtocolFacts kFacts = make_facts();
  return kFacts;
}

}  // namespace imprint::est
