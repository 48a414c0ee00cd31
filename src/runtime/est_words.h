// What EST's roles have checked, in words: for the timeline of a run, which command line, API and log show alike.
#pragma once

#include <string>

#include "base/instant.h"
#include "proto/est/client.h"
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

// What a client has found on its way into this state. `status` is that of the last answer, 0 without one; `delay` is
// how long it waits or rests.
std::string client_words(const est::Client::State& state, int status, Duration delay);

// "202: the owner has to approve; asks again in 30 s", or "503: the server asks to come again in 30 s".
std::string waiting_words(int status, Duration delay);

// A device's id as it may stand in a command that is shown: "ID" if it is not known, or has other characters in it.
std::string id_words(const std::string& device);

// What the owner runs so that a device that waits goes on; any device if its id is not known.
std::string approval_words(const std::string& device);

}  // namespace imprint
