// Steps that the registrar's requests and reports share. Private to this folder.
#pragma once

#include "proto/brski/registrar.h"

namespace imprint::brski::steps {

inline constexpr Exchange kNobody{};

inline void tell(Registrar::Turn& t, Exchange to, Response answer) {
  if (to != kNobody) {
    t.reply(to, std::move(answer));
  }
}

// Who comes, by the certificate of the handshake. `session` is proven.
void learn_device(const Session& session, Registrar::Turn& t);

// 202: come again after so long.
Response later(Duration retry_after);
// How long the MASA wants us to wait; a minute if it does not say.
Duration asked_delay(const Response& answer);

// What keeps policy or store from answering: with its own rule, or none.
Error away(const Error& why);
// The answer to a report that nothing is on record for, or that could not be looked up (RFC 8995 section 5.7: the
// device takes a 404).
Response no_record(const Error& why);
// Why there is no connection to the MASA, or no answer on it.
Error no_masa(const Error& why);
// What the MASA's status means. Fault::unreachable: it may be asked again.
Error refusal_of(int status);
// The same on the device's wire: what the RFC has for it goes through, the rest is ours.
Response mapped(const Error& why, int status);
// A rule of a voucher that was broken by who made it: the device is not to blame.
Error blame_masa(const Error& why);

// Whether the server's certificate speaks for the host of the address (RFC 8995 section 5.4: DNS-ID), on a chain that
// was verified.
bool is_masa(const Session& session, const MasaContact& contact);
Request voucher_request(const Registrar::Case& of, const Bytes& request);
Request log_request(const Registrar::Report& of);
// Answers the MASA's challenge, by HTTP Digest if it takes that, else by Basic. False: it has none, or we no login.
bool log_in(Request& again, const Response& answer, const std::optional<Login>& login, BytesView client_nonce);
// The first line of what was said, safe to show; at most 200 octets.
std::string first_line(const Response& answer);
// The voucher in an answer with status 200. BRSKI-MASA-ANSWER.
Result<Artifact> read_voucher(const Response& answer, const Registrar::Case& of);

}  // namespace imprint::brski::steps
