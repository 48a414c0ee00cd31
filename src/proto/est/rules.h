// The rules of EST that an input can break. Ids are stable; docs/errors.md is printed from this list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::est {

// ---- requests that a server reads ----
inline constexpr Rule kNoSuchOperation{
    "EST-OPERATION", "there is no such EST operation at this path", "RFC 7030 section 3.2.2",
    "ask for cacerts, csrattrs, simpleenroll, simplereenroll or serverkeygen under /.well-known/est/"};
inline constexpr Rule kNoSuchLabel{"EST-LABEL", "no profile has this label", "RFC 7030 section 3.2.2",
                                   "use a label that the site has configured, or none"};
inline constexpr Rule kWantsGet{"EST-METHOD-GET", "the operation wants GET", "RFC 7030 section 3.2.2",
                                "ask for cacerts and csrattrs with GET"};
inline constexpr Rule kWantsPost{"EST-METHOD-POST", "the operation wants POST", "RFC 7030 section 3.2.2",
                                 "send the request for a certificate with POST"};
inline constexpr Rule kNotInThisForm{"EST-ACCEPT", "the answer cannot be had in the form that is accepted",
                                     "RFC 9148 section 4.3",
                                     "accept certs-only (281), or a single certificate (287) where there is one"};
inline constexpr Rule kWrongType{"EST-CONTENT-TYPE", "the body is not announced as application/pkcs10",
                                 "RFC 7030 section 4.2.1", "send Content-Type: application/pkcs10"};
inline constexpr Rule kBodyUnreadable{"EST-BODY", "the body is neither base64 nor PEM nor DER", "RFC 8951 section 3.1",
                                      "send the DER of the request in base64"};
inline constexpr Rule kRequestUnreadable{"EST-CSR", "the certification request cannot be read", "RFC 2986 section 4",
                                         "make a PKCS#10 request; `openssl req -verify` shows what is wrong"};
inline constexpr Rule kPossession{"EST-CSR-POSSESSION", "the request's own signature does not verify",
                                  "RFC 7030 section 4.2.1", "sign the request with the key that it names"};
inline constexpr Rule kLinkingWrong{
    "EST-LINKING", "proof of possession: the linking value belongs to another TLS session", "RFC 7030 section 3.5",
    "make the request after the handshake, on the connection that carries it; an old-style challenge password has no "
    "place here"};
inline constexpr Rule kLinkingMissing{
    "EST-LINKING-MISSING", "proof of possession: the profile wants the request linked", "RFC 7030 section 3.5",
    "put the channel binding into challengePassword or estIdentityLinking"};
inline constexpr Rule kLinkingImpossible{"EST-LINKING-CHANNEL",
                                         "proof of possession: this TLS session has no channel binding",
                                         "RFC 5929; RFC 9266", "use TLS 1.3, or TLS 1.2 with extended master secret"};
inline constexpr Rule kOtp{"EST-OTP", "otpChallenge: this server gives out no passwords for requests",
                           "RFC 7894 section 3.1", "leave otpChallenge out; a one-time token goes into HTTP Basic"};
inline constexpr Rule kRenewalUnproven{"EST-REENROLL-CERTIFICATE", "renewal without the certificate to be renewed",
                                       "RFC 7030 section 3.3.2",
                                       "present the current certificate in the TLS handshake"};
inline constexpr Rule kRenewalNames{
    "EST-REENROLL-NAMES", "the request's names differ from those of the certificate to be renewed",
    "RFC 7030 section 4.2.2", "keep subject and subjectAltName, or ask with ChangeSubjectName (RFC 6402 section 2.8)"};

inline constexpr Rule kKeysNotMade{"EST-SERVERKEYGEN-OFF", "this server makes no keys for devices under this label",
                                   "RFC 7030 section 6", "let the device make its key (simpleenroll)"};
inline constexpr Rule kWrappingTwice{
    "EST-SERVERKEYGEN-TWO-KEYS", "the request names a shared key and a key pair to wrap the new key with",
    "RFC 7030 section 4.4.1", "put one of DecryptKeyIdentifier and AsymmetricDecryptKeyIdentifier into the request"};
inline constexpr Rule kNoCapabilities{"EST-SERVERKEYGEN-CAPABILITIES",
                                      "a wrapped key is asked for, and no algorithms to wrap it by",
                                      "RFC 7030 section 4.4.1", "put SMIMECapabilities into the request"};
inline constexpr Rule kNoCapability{
    "EST-SERVERKEYGEN-NO-COMMON", "no algorithm that the request lists wraps this key, or not strongly enough",
    "RFC 7030 section 4.4.2", "list AES-CBC with a key as strong as the one asked for; ask for a weaker key"};

// ---- a request in CMC (fullcmc) ----
inline constexpr Rule kCmcUnreadable{"EST-CMC", "the body is no Full PKI Request with one request in it",
                                     "RFC 5272 section 3.2",
                                     "send SignedData around a PKIData with one PKCS#10 or CRMF request"};
inline constexpr Rule kCmcUnsupported{"EST-CMC-UNSUPPORTED", "a control, or several requests, that we do not support",
                                      "RFC 5272 section 3.2.1.1",
                                      "send one request, with transactionId and senderNonce at most, and no regInfo"};
inline constexpr Rule kCmcSignature{"EST-CMC-SIGNATURE", "the signature of the Full PKI Request does not verify",
                                    "RFC 5272 section 3.2", "sign with the key of the certificate, or of the request"};
inline constexpr Rule kCmcSigner{
    "EST-CMC-SIGNER", "who signed the Full PKI Request is not who asks", "RFC 5272 section 3.2; RFC 6402 section 2.4",
    "sign by the certificate of the TLS session, or, linked to the session, by one of the owner's for signatures and "
    "client authentication; send it along"};
inline constexpr Rule kCmcOwnKey{
    "EST-CMC-KEY-IDENTIFIER", "signed without a certificate, and not by the identifier of the request's key",
    "RFC 5272 section 3.2", "put a subjectKeyIdentifier into the request and name it as the signer's"};
inline constexpr Rule kCmcAlgorithm{"EST-CMC-ALGORITHM",
                                    "the signature has no signed attributes, or an algorithm that is not taken",
                                    "RFC 5652 section 5.3", "sign attributes, with SHA-256 or better"};
inline constexpr Rule kWrongCmcType{"EST-CMC-CONTENT-TYPE", "the body is not announced as a CMC request",
                                    "RFC 7030 section 4.3.1",
                                    "send Content-Type: application/pkcs7-mime; smime-type=CMC-request"};
inline constexpr Rule kFullNotSigned{"EST-CMC-KEY", "no key of the server's signs CMS", "RFC 8419; ours: OpenSSL 3.0",
                                     "use simpleenroll, or give the server a TLS key on a NIST curve"};
inline constexpr Rule kCmcAnswer{"EST-CMC-ANSWER", "the Full PKI Response does not answer our request",
                                 "RFC 5272 section 6.6",
                                 "the server has to repeat transaction and nonce, and its CA or RA has to sign"};
inline constexpr Rule kCoapsNoFullCmc{"EST-COAPS-FULLCMC", "over CoAPS there is no fullcmc", "RFC 9148 section 4",
                                      "ask over https, or without --fullcmc"};

// ---- what the owner decides ----
inline constexpr Rule kWhoAreYou{"EST-AUTHENTICATION", "nobody known asks", "RFC 7030 section 3.3.2",
                                 "present a certificate or a one-time token"};
inline constexpr Rule kSignerSilent{"EST-CA-UNREACHABLE", "the CA or the store does not answer",
                                    "RFC 7030 section 4.2.3", "try again after the time in Retry-After"};
inline constexpr Rule kSignerRefused{"EST-CA-REFUSED", "the CA does not sign this", "RFC 7030 section 4.2.3",
                                     "ask the owner; the CA's own log says why"};

// ---- a gateway and the EST server upstream ----
inline constexpr Rule kUpstreamAway{"EST-UPSTREAM-AWAY", "the EST server upstream does not answer, or not in time",
                                    "RFC 7030 section 3.7",
                                    "check upstream.uri and that server; devices are told to come again"};
inline constexpr Rule kUpstreamServer{"EST-UPSTREAM-SERVER",
                                      "who answers is not the EST server upstream: its certificate reaches none of "
                                      "our anchors, or is not for its host",
                                      "RFC 7030 section 3.6.1; the host name: ours",
                                      "check upstream.uri and upstream.anchors against that server's certificate"};
inline constexpr Rule kUpstreamCredentials{
    "EST-UPSTREAM-CREDENTIALS", "the EST server upstream does not take our credentials", "RFC 7030 section 3.7",
    "renew the gateway's certificate there, or give the right upstream.user and upstream.password_file"};
inline constexpr Rule kUpstreamPath{
    "EST-UPSTREAM-PATH", "the server upstream has no EST for us at this address", "RFC 7030 section 3.2.2",
    "check path and port of upstream.uri, and upstream.label; redirects are not followed"};
inline constexpr Rule kUpstreamRefused{
    "EST-UPSTREAM-REFUSED", "the EST server upstream refuses the request", "RFC 7030 section 4.2.3",
    "its own log says why; it has to take requests linked to another session from us"};
inline constexpr Rule kUpstreamWaits{"EST-UPSTREAM-WAITING", "the EST server upstream takes its time",
                                     "RFC 7030 section 4.2.3",
                                     "whoever decides there has to; the device comes again after Retry-After"};
inline constexpr Rule kUpstreamAnswer{"EST-UPSTREAM-ANSWER", "the answer from upstream cannot be read",
                                      "RFC 7030 section 4.2.3",
                                      "it has to be a certs-only message, or 202 with Retry-After"};
inline constexpr Rule kUpstreamCa{
    "EST-UPSTREAM-CACERTS", "the CA certificates from upstream cannot be read, or do not lead to upstream.anchors",
    "RFC 7030 section 4.1.3", "give upstream.anchors the root of the CA that signs there"};
inline constexpr Rule kUpstreamRequest{"EST-UPSTREAM-REQUEST", "this request cannot be handed on as it was signed",
                                       "RFC 7030 section 3.7",
                                       "ask with PKCS#10 for a key of the device's own, and for no extensions but "
                                       "those in wanted_extensions of the profile"};
inline constexpr Rule kUpstreamNames{
    "EST-UPSTREAM-NAMES", "the names that the device would get are not those that its request asks for",
    "RFC 2986 section 4.2", "let the device ask for the very names that the profile gives it: CN={id}"};
inline constexpr Rule kUpstreamKey{"EST-UPSTREAM-KEY", "upstream sent no certificate for the device's key, or several",
                                   "RFC 7030 section 4.2.3", "the server upstream has mixed up its clients"};
inline constexpr Rule kUpstreamChain{
    "EST-UPSTREAM-CHAIN", "the certificate from upstream does not lead to upstream.anchors now", "RFC 5280 section 6",
    "give upstream.anchors the root of the CA that signs there; check both clocks"};
inline constexpr Rule kUpstreamUsages{
    "EST-UPSTREAM-USAGES", "the certificate from upstream allows more than the profile gives",
    "ours: docs/guide.md, a gateway", "have that CA give less, or the profile more (extended_key_usage, key_usage)"};
inline constexpr Rule kUpstreamOtherNames{
    "EST-UPSTREAM-OTHER-NAMES", "the certificate from upstream has other names than were granted",
    "ours: docs/guide.md, a gateway", "have that CA keep the names of the request"};
inline constexpr Rule kUpstreamLifetime{
    "EST-UPSTREAM-LIFETIME", "the certificate from upstream is good for longer than the profile gives",
    "ours: docs/guide.md, a gateway", "have that CA sign for less, or raise lifetime_hours of the profile"};
inline constexpr Rule kUpstreamSerial{"EST-UPSTREAM-SERIAL",
                                      "the certificate from upstream has a serial number that is on record already",
                                      "RFC 5280 section 4.1.2.2",
                                      "if it is the device's own, revoked here: let the device make a new key; else "
                                      "the CA upstream has to choose numbers that do not meet others'"};

// ---- answers that a client reads ----
inline constexpr Rule kUnreachable{"EST-SERVER-UNREACHABLE", "the EST server does not answer", "RFC 7030 section 3",
                                   "check address, port and firewall; the device tries again by itself"};
inline constexpr Rule kServerUntrusted{"EST-SERVER-UNTRUSTED", "the server's certificate reaches none of our anchors",
                                       "RFC 7030 section 3.6", "give the device the right CA certificate (--anchors)"};
inline constexpr Rule kServerNotUnderCa{
    "EST-SERVER-CACERTS", "the server's own certificate does not reach the CA certificates that it gave out",
    "RFC 9148 section 9.1", "give the server a certificate of the CA that it speaks for"};
inline constexpr Rule kCoapsNeeds{"EST-COAPS-CREDENTIAL",
                                  "EST over CoAPS wants a certificate and anchors from the start", "RFC 9148 section 3",
                                  "give the device both (--cert, --key, --anchors), or onboard it over https"};
inline constexpr Rule kSrpNeeds{"EST-SRP-LOGIN", "TLS-SRP wants a user name, a secret and an https server",
                                "RFC 7030 section 3.3.3", "give --user and --password-file, and an https URI"};
inline constexpr Rule kSrpFailed{"EST-SRP", "device and server did not prove the same secret to each other",
                                 "RFC 7030 section 3.3.3",
                                 "check user name and secret; the server has to take TLS-SRP (est.srp), on TLS 1.2"};
inline constexpr Rule kDiscovery{"EST-DISCOVERY", "the server does not say where it has EST", "RFC 9148 section 4.1",
                                 "name the base path in the server's URI (coaps://host/est)"};
inline constexpr Rule kServerAlert{"EST-SERVER-ALERT", "the server ended the handshake", "RFC 8446 section 6",
                                   "the detail names its alert: mostly our certificate or key is not to its liking"};
inline constexpr Rule kServerName{
    "EST-SERVER-NAME", "the server's certificate is not for this host, and it is no registration authority of ours",
    "RFC 7030 section 3.6.1", "use the name that the certificate carries, or a certificate with id-kp-cmcRA"};
inline constexpr Rule kServerVouched{
    "EST-SERVER-VOUCHED", "the voucher does not pin this server, and it is no registration authority of the owner's",
    "RFC 8995 section 5.6.2; RFC 7030 section 3.6.1",
    "give the registrar a certificate with id-kp-cmcRA; if it has one, somebody of the domain stands in between"};
inline constexpr Rule kServerChanged{
    "EST-SERVER-CHANGED", "the server shows another certificate than the one that the voucher was asked for with",
    "RFC 8995 section 5",
    "let all connections of a device reach one registrar, or onboard it with --quirk registrar-changes"};
inline constexpr Rule kNoAnchors{"EST-NO-ANCHORS", "no anchors, and nobody to confirm a fingerprint",
                                 "RFC 7030 section 4.1.1", "give --anchors or --fingerprint"};
inline constexpr Rule kCaCertificates{"EST-CACERTS", "the server did not give its CA certificates",
                                      "RFC 7030 section 4.1.3", "any other answer than 200 ends the run"};
inline constexpr Rule kCaBag{"EST-CACERTS-BAG", "the CA certificates cannot be read or do not lead to one root",
                             "RFC 7030 section 4.1.3", "the server has to send its root and all issuing CAs"};
inline constexpr Rule kCaRollover{"EST-CACERTS-ROLLOVER",
                                  "the server's root is new and no believed anchor vouches for it",
                                  "RFC 7030 section 4.1.3; RFC 4210 section 4.4; stricter: ours",
                                  "the CA has to send NewWithOld, or a person has to give the new root by --anchors"};
inline constexpr Rule kNotConfirmed{"EST-FINGERPRINT", "the CA certificate's fingerprint was not confirmed",
                                    "RFC 7030 section 4.1.1", "compare with what the CA's owner says; then try again"};
inline constexpr Rule kRefused{"EST-REFUSED", "the server refused the request", "RFC 7030 section 4.2.3",
                               "read the server's sentence; its operator sees the reason in the audit log"};
inline constexpr Rule kNoDigest{"EST-NO-DIGEST", "the server takes the password by no HTTP Digest that we know",
                                "RFC 7616 section 3.7",
                                "have the server offer Digest with SHA-256, or let the password be sent inside TLS"};
inline constexpr Rule kUnauthorized{"EST-UNAUTHORIZED", "the server wants other credentials", "RFC 7030 section 3.2.3",
                                    "present the IDevID, the current certificate or a fresh one-time token"};
inline constexpr Rule kAnswerUnreadable{"EST-ANSWER", "the server's answer cannot be read", "RFC 7030 section 4.2.3",
                                        "the answer must be a certs-only message"};
inline constexpr Rule kNotMyKey{"EST-ANSWER-KEY", "no certificate in the answer is for our key",
                                "RFC 7030 section 4.2.3", "the server has mixed up its clients"};
inline constexpr Rule kNotMyAnchors{"EST-ANSWER-CHAIN", "the new certificate does not lead to the owner's anchors",
                                    "RFC 7030 section 4.1.3", "the server's CA certificates and its CA disagree"};
inline constexpr Rule kKeyAnswer{"EST-KEY-ANSWER",
                                 "the server's answer does not hold one key and one certificate for it",
                                 "RFC 7030 section 4.4.2", "the server has to send two parts"};
inline constexpr Rule kKeyInClear{"EST-KEY-IN-CLEAR", "a wrapped key was asked for, and the server sent it in clear",
                                  "RFC 7030 section 4.4.1", "the server has to wrap it; its operator has to be told"};
inline constexpr Rule kKeyEnvelope{"EST-KEY-ENVELOPE", "the wrapped key cannot be opened or read",
                                   "RFC 7030 section 4.4.2", "the server has to wrap it for the key that was named"};
inline constexpr Rule kKeySigner{"EST-KEY-SIGNER",
                                 "the wrapped key is not signed by the owner's server or CA, or not so that we can "
                                 "verify it",
                                 "RFC 7030 section 4.4.2",
                                 "the server has to sign with its own or its CA's key, RSA or NIST curve"};
inline constexpr Rule kKeyWeak{"EST-KEY-WEAK", "the key that the server made is weaker than what was asked for",
                               "RFC 7030 section 4.4", "the server has to honour the request's type of key"};
inline constexpr Rule kRetryAfter{"EST-RETRY-AFTER", "202 without a Retry-After", "RFC 7030 section 4.2.3",
                                  "the server has to say when to come again"};
inline constexpr Rule kRedirect{"EST-REDIRECT", "the server sends us elsewhere, and we do not go",
                                "RFC 7030 section 3.2.1",
                                "configure the new address; only GETs follow to another host, at most three times"};
inline constexpr Rule kRedirectLogin{"EST-REDIRECT-LOGIN",
                                     "the server sends us to another origin, where a token or password does not go",
                                     "RFC 7030 section 3.2.1", "if that server is the owner's, name it: --server"};
inline constexpr Rule kKey{"EST-KEY", "the device could not make or use its key", "ours: docs/guide.md",
                           "check the key folder's permissions and free space"};
inline constexpr Rule kGaveUp{"EST-GAVE-UP", "tried often enough", "ours: docs/guide.md",
                              "mend what the steps before say, then start again"};

inline constexpr std::array kRules{&kNoSuchOperation,
                                   &kNoSuchLabel,
                                   &kWantsGet,
                                   &kWantsPost,
                                   &kNotInThisForm,
                                   &kWrongType,
                                   &kBodyUnreadable,
                                   &kRequestUnreadable,
                                   &kPossession,
                                   &kLinkingWrong,
                                   &kLinkingMissing,
                                   &kLinkingImpossible,
                                   &kOtp,
                                   &kRenewalUnproven,
                                   &kRenewalNames,
                                   &kKeysNotMade,
                                   &kWrappingTwice,
                                   &kNoCapabilities,
                                   &kNoCapability,
                                   &kWhoAreYou,
                                   &kSignerSilent,
                                   &kSignerRefused,
                                   &kUnreachable,
                                   &kUpstreamAway,
                                   &kUpstreamServer,
                                   &kUpstreamCredentials,
                                   &kUpstreamPath,
                                   &kUpstreamRefused,
                                   &kUpstreamWaits,
                                   &kUpstreamAnswer,
                                   &kUpstreamCa,
                                   &kUpstreamRequest,
                                   &kUpstreamNames,
                                   &kUpstreamKey,
                                   &kUpstreamChain,
                                   &kUpstreamUsages,
                                   &kUpstreamOtherNames,
                                   &kUpstreamLifetime,
                                   &kUpstreamSerial,
                                   &kServerUntrusted,
                                   &kServerNotUnderCa,
                                   &kCoapsNeeds,
                                   &kSrpNeeds,
                                   &kSrpFailed,
                                   &kDiscovery,
                                   &kCmcUnreadable,
                                   &kCmcUnsupported,
                                   &kCmcSignature,
                                   &kCmcSigner,
                                   &kCmcOwnKey,
                                   &kCmcAlgorithm,
                                   &kWrongCmcType,
                                   &kFullNotSigned,
                                   &kCmcAnswer,
                                   &kCoapsNoFullCmc,
                                   &kServerAlert,
                                   &kServerName,
                                   &kServerVouched,
                                   &kServerChanged,
                                   &kNoAnchors,
                                   &kCaCertificates,
                                   &kCaBag,
                                   &kCaRollover,
                                   &kNotConfirmed,
                                   &kRefused,
                                   &kUnauthorized,
                                   &kNoDigest,
                                   &kAnswerUnreadable,
                                   &kNotMyKey,
                                   &kNotMyAnchors,
                                   &kKeyAnswer,
                                   &kKeyInClear,
                                   &kKeyEnvelope,
                                   &kKeySigner,
                                   &kKeyWeak,
                                   &kRetryAfter,
                                   &kRedirect,
                                   &kRedirectLogin,
                                   &kKey,
                                   &kGaveUp};

}  // namespace imprint::est
