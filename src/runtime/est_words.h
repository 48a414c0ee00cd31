// What the EST server has checked, in words: for the timeline of a run.
#pragma once

#include <string>

#include "proto/est/server.h"

namespace imprint {

// Who asks and how that was shown, before the policy has looked: the handshake's certificate, a user of HTTP Basic
// whose password nobody has compared yet, or nobody.
std::string applicant_words(const Session& session, const std::optional<Login>& login);

// What on(Idle, Enrol) has found in order: possession of the key, and linking to the session.
std::string accepted_words(const est::Server::Admitting& s, const est::ServerConfig& config);

// Who it is, as the policy identified it, and the step that decided, with what it decided on.
std::string decided_words(const Decision& decision);

// "serial number 20ab… for CN=dev-1, until 2027-…, signed by CN=Owner"; says so if the DER cannot be read.
std::string certificate_words(BytesView der);

}  // namespace imprint
