// `imprint bench est`: what an enrolment costs the server, beside the least that it could cost.
#pragma once

#include <functional>

#include "bench/floor.h"
#include "bench/load.h"

namespace imprint::bench {

struct EstDevice {
  std::string id;
  PrivateKey key;
  Certificate certificate;  // its IDevID, straight below the maker's root
};

// A site in a folder, with the devices registered and one of them given a password.
struct EstPlan {
  std::string data;
  std::string one_core_config, all_cores_config;  // of `imprint serve` with one loop, and with one a core
  std::vector<EstDevice> devices;
  Certificate maker;
  std::vector<Certificate> tls_chain;
  PrivateKey tls_key;
  Certificate ca;
  PrivateKey ca_key;
  std::string login;  // Basic credentials of the first device
  double seconds = 2;
  unsigned at_once = 64;
  std::size_t idle = 1000;
  const std::atomic<bool>* interrupted = nullptr;
  std::function<void(std::string_view)> progress;
};

// Where the servers' output goes.
inline std::string log_of(const EstPlan& plan) { return plan.data + "/bench.log"; }

// One run of enrolments against one server.
struct EstRun {
  double rate = 0;       // enrolments a second
  double server_us = 0;  // processor time of the server, all its threads, for one enrolment
  double waited_us = 0;  // that its threads waited for their core, for one enrolment
  double client_us = 0;
  double p50_ms = 0, p99_ms = 0;
  std::uint64_t done = 0, failed = 0, resumed = 0;
};

struct EstFigures {
  unsigned cores = 1;
  bool pinned = false;   // server on the first core, client on the second
  EstRun full;           // as fast as one server core goes
  double best_rate = 0;  // of its rounds
  double floor_us = 0;   // the sum of these:
  double floor_handshake_us = 0, floor_request_us = 0, floor_certificate_us = 0;
  EstRun bare;  // the same client, a server that only shakes hands
  double half_rate = 0;
  EstRun half;               // on the beat of half the best rate
  EstRun password, resumed;  // without a client certificate: full handshake, and by ticket
  std::size_t idle = 0;
  double idle_kib = 0;                     // anonymous memory of the server, a connection
  EstRun all_cores;                        // unpinned, a loop and a client thread a core
  double all_cores_used = 0;               // processor seconds of the server a second
  std::vector<double> all_cores_loops_s;   // of its busiest threads, one a core
  std::uint64_t enrolled = 0, failed = 0;  // in all, with the warm-ups
  std::string first_failure;

  double ratio() const { return floor_us > 0 ? full.server_us / floor_us : 0; }
};

// Takes about eight times `seconds` and three more. Faults: unreachable (a server does not start), refused
// (interrupted).
Result<EstFigures> measure_est(const EstPlan& plan);

}  // namespace imprint::bench
