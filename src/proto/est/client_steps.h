// What the steps of the client share, whichever file they are in: to fail, to rest, to open a connection, to have a
// request signed.
#pragma once

#include <string>
#include <utility>

#include "proto/est/client.h"
#include "proto/est/rules.h"

namespace imprint::est::steps {

inline constexpr std::uint32_t kMaxRedirects = 3;

inline Client::Failed fail(Fault fault, const Rule& rule, std::string detail = {}) {
  return {Error{fault, rule}, std::move(detail)};
}

// The server's own sentence, made safe to show: the first line, printable ASCII, at most 200 characters.
std::string sentence_of(const Response& r);

inline bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

inline bool same_origin(const Uri& a, const Uri& b) {
  return a.scheme == b.scheme && a.host == b.host && a.port == b.port;
}

inline bool worth_another_try(const Error& e) { return e.fault == Fault::unreachable || e.fault == Fault::limit; }

// Another attempt later, or the end of them. Whatever connection there was is given up.
template <class Next>
Next rest(Client::Progress p, Error why, std::string detail, Client::Turn& t) {
  p.failures += 1;
  if (!holds(p.failures < p.plan->attempts)) {
    return Client::Failed{why, std::move(detail)};
  }
  t.arm(rest_after(p.failures, t.random<1>()[0]));
  return Client::Resting{std::move(p)};
}

// No answer came. A connection that broke may be tried again; an alert in place of an answer is the server's refusal of
// our certificate, which TLS 1.3 tells only after the handshake.
template <class Next>
Next unanswered(Client::Progress p, const Error& why, Client::Turn& t) {
  if (worth_another_try(why)) {
    return rest<Next>(std::move(p), Error{Fault::unreachable, kUnreachable}, std::string(why.what), t);
  }
  return fail(why.fault, kServerAlert, std::string(why.what));
}

// What time it is, if the device's clock counts.
inline std::optional<Instant> time_of(const Client::Progress& p, const Client::Turn& t) {
  return p.plan->trusts_clock ? std::optional(t.now()) : std::nullopt;
}

// By anchors, or by the secret if the plan says so; the next state.
Client::Opening open_verified(Client::Progress p, Client::Turn& t);

// No answer came to a GET. A server may end a connection after any answer: then the request, which is idempotent, goes
// out on a new one without a rest (RFC 9112 section 9.3.1). There it is the first, so this happens once.
template <class Next>
Next unanswered_get(Client::Progress p, const Error& why, Client::Turn& t) {
  if (p.used && why.fault == Fault::unreachable) {
    return open_verified(std::move(p), t);
  }
  return unanswered<Next>(std::move(p), why, t);
}

// The same rule for other text of a peer's.
std::string shown(std::string_view text);

// Whether who signed something may speak for the owner: the server that we talk to, or the owner's registration
// authority or CA. Another device of the owner's may not. `along`: certificates to build the path with.
bool speaks_for_owner(const Certificate& signer, const std::vector<Certificate>& along, const Client::Progress& p,
                      const Session& tls, std::optional<Instant> now);

// Asks for a certification request by the key that there is; the next state.
Client::Signing sign(Client::Progress p, SessionRef tls, Client::Turn& t);

// Has the key made, or goes on with the one that there is; the next state.
template <class Next>
Next begin_request(Client::Progress p, SessionRef tls, Client::Turn& t) {
  if (p.key) {
    return sign(std::move(p), std::move(tls), t);
  }
  const KeyType type = p.wishes.key && *p.wishes.key != KeyType::other ? *p.wishes.key : p.plan->key_type;
  const auto ticket = t.ask(MakeKey{type});
  return Client::Keying{std::move(p), std::move(tls), ticket};
}

// Takes the server's answer with a key that it made: asks to have it unwrapped, or to keep it; the next state.
std::variant<Client::Unwrapping, Client::Keeping, Client::Failed> take_server_key(Client::Progress p, SessionRef tls,
                                                                                  const Response& answer,
                                                                                  Client::Turn& t);

// Key, certificate and anchors replace what was there, at once; the next state.
Client::Enrolled install(const Client::Progress& p, const KeyRef& key, const Verified<CertificateChain>& chain,
                         Client::Turn& t);

}  // namespace imprint::est::steps
