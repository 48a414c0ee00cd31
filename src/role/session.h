// Connections and messages as values: what a role may know of them.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/secret.h"
#include "codec/uri.h"
#include "crypto/x509.h"

namespace imprint {

// How a connection is opened: only to a peer whose chain reaches one of our anchors, or to anybody (nothing secret may
// travel before somebody has vouched for the peer).
enum class Trust : std::uint8_t { anchors, provisional };

// Which key and certificates to present. The key is named, not held.
struct Credential {
  std::string key_id;
  std::vector<Certificate> chain;  // own certificate first
  bool operator==(const Credential&) const = default;
};

// A connection with its facts: who is there and how proven, and what ties a message to this very channel. The program
// and the simulator make them alike.
struct Session {
  std::uint64_t id = 0;  // never used twice by one process
  Trust trust = Trust::anchors;
  std::string host;                                  // whom we meant to reach; empty on the side that accepted
  std::vector<Certificate> presented;                // by the peer, own certificate first; empty: it presented none
  std::optional<Verified<CertificateChain>> proven;  // its path to one of our anchors, if that was checked
  Bytes channel_binding;  // tls-unique on TLS 1.2 (RFC 5929 section 3.1), tls-exporter on TLS 1.3 (RFC 9266 section 2)
  std::string protocol;   // "TLSv1.3", for people
  std::string psk_identity = {};  // identity of a pre-shared key that the peer has proven; empty: none
  std::string srp_user = {};      // whose secret was proven on both sides by TLS-SRP (RFC 5054); empty: nobody's
  Bytes srp_record = {};          // where the accepting side has that secret on record
  bool by_message = false;  // `proven` stands on a signed message that is linked to this channel, not the handshake
  bool operator==(const Session&) const = default;
};
using SessionRef = std::shared_ptr<const Session>;

// What answers a challenge of HTTP Digest (RFC 7616 section 3.4), as it was sent, and what it came with.
struct DigestAnswer {
  std::string realm, nonce, uri, cnonce, nc, response;
  std::string method, target;  // of the request
  std::string opaque = {};     // of the challenge; a server of ours sends none
};

// User name and password of HTTP Basic (RFC 7617), or an empty user and a one-time token. With HTTP Digest the password
// is not sent.
struct Login {
  std::string user;
  Secret password;
  std::optional<DigestAnswer> digest = {};
};

// Whether a request names anybody: by certificate, by a secret that was proven in the handshake, or by a login, which
// is still to be checked.
inline bool names_somebody(const Session& session, const std::optional<Login>& login) {
  return session.proven || login || !session.srp_user.empty();
}

enum class Method : std::uint8_t { get, post, put, del, other };
std::string_view name(Method method);

// A request of HTTP or CoAP.
struct Request {
  Method method = Method::get;
  std::string path;          // "/.well-known/est/cacerts", as sent, without the query
  std::string query;         // without '?'
  std::string content_type;  // as sent, parameters included; empty if absent
  std::string accept;
  Bytes body;
  std::optional<Login> login;
  std::optional<Secret> bearer = {};                // RFC 6750: a token in place of a login
  std::string host = {};                            // whom the asker meant, as sent: "localhost:8480"
  std::string if_match = {};                        // as sent
  std::string if_none_match = {};                   // version that the asker holds, in quotes
  std::string user_agent = {};                      // for quirks of known peers, never for decisions
  std::string last_event_id = {};                   // of a stream of events that is taken up again
  std::optional<std::string> idempotency_key = {};  // as sent
  std::string origin = {};                          // of the page that a browser asks for, as sent
  SessionRef session;                               // the connection that it came on; empty for a request that we send
};

// One part of an answer that has several; how they are put together is the binding's business.
struct Part {
  std::string content_type;
  Secret body;  // it may be a key
  bool operator==(const Part& o) const { return content_type == o.content_type && same(body, o.body); }
};

// From and until when caches on the way may give an answer again without asking (RFC 9111).
struct Freshness {
  Instant since, until;
  bool operator==(const Freshness&) const = default;
};

struct Response {
  int status = 0;  // HTTP status code; a CoAP binding maps its own
  std::string content_type = {};
  Bytes body = {};
  std::optional<std::int64_t> retry_after_s = {};  // seconds from now
  std::string location = {};                       // of a redirect
  std::vector<std::string> authenticate = {};      // WWW-Authenticate, a challenge each
  std::string etag = {};                           // version of what is answered, in quotes
  std::string allow = {};                          // methods, with status 405
  std::vector<Part> parts = {};                    // in place of content_type and body
  std::optional<Freshness> fresh = {};             // none: nothing is said to caches
  bool operator==(const Response&) const = default;
};

}  // namespace imprint
