// A run: one execution of one protocol between roles, with its timeline and its beliefs.
#pragma once

#include <string>
#include <vector>

#include "base/instant.h"
#include "model/belief.h"

namespace imprint {

// One named step of a run. The names are the role's own states.
struct RunStep {
  std::string state;  // the state entered, "Enrolling"
  std::string check;  // what was checked to get there, or the rule that was broken
  Instant at;
  Duration took{};    // since the step before
  std::string fault;  // empty if it went well
  std::string next;   // what to do next, on failure
  bool operator==(const RunStep&) const = default;
};

// Counted on the side whose run it is. Public-key operations are keys made, requests signed and, for each connection,
// one key agreement, the peer's handshake signature, its path's signatures, and our own handshake signature if we
// present a certificate. Persons' acts are answers to questions during the run.
struct RunCounts {
  std::uint32_t messages = 0, bytes = 0, round_trips = 0, connections = 0, public_key_operations = 0, persons_acts = 0;
  bool operator==(const RunCounts&) const = default;
};

struct Run {
  std::string id;        // 16 hex digits
  std::string protocol;  // "est"
  std::string mode;      // "certificate", "bootstrap"; after a comma how it began: "server key, certificate"
  std::string role;      // "client", "server"
  std::string device;    // as far as known
  Instant started, ended;
  std::string result;                 // "operational", "pending", "refused", "failed"; empty while it goes on
  std::string rule;                   // id of the rule broken
  std::vector<std::string> obtained;  // "certificate CN=… until …", "2 CA certificates"
  std::vector<RunStep> steps;
  std::vector<BeliefChange> beliefs;
  RunCounts counts;
  bool anonymous = false;  // nobody known asked: told and counted, but not kept (else strangers would fill the disk)
};

}  // namespace imprint
