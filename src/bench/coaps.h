// `imprint bench est --coaps`: what an enrolment over CoAPS costs the server, beside the least that it could cost.
#pragma once

#include "bench/est.h"

namespace imprint::bench {

struct CoapsFigures {
  unsigned cores = 1;
  bool pinned = false;  // server on the first core, client on the second
  EstRun full;          // enrolments, each on a new association
  EstRun handshakes;    // associations that are opened and closed
  double floor_us = 0;  // the sum of these, over DTLS 1.2:
  double floor_handshake_us = 0, floor_request_us = 0, floor_certificate_us = 0;
  std::size_t idle = 0;    // associations that were open at the same time: as wanted, or as many as there may be files
  double idle_kib = 0;     // anonymous memory of the server for each
  double idle_open_s = 0;  // how long it took to open them
  std::uint64_t enrolled = 0, failed = 0;
  std::string first_failure;

  double ratio() const { return floor_us > 0 ? full.server_us / floor_us : 0; }
};

// As measure_est(), with servers that listen for CoAPS.
Result<CoapsFigures> measure_coaps(const EstPlan& plan);

}  // namespace imprint::bench
