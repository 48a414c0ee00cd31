// The clients of a measurement: one thread that opens a new TLS 1.3 connection for every enrolment, on one epoll set
// and plain OpenSSL, so that it keeps ahead of the server. It does not verify the server: it is there to be quick.
#pragma once

#include <memory>

#include "bench/work.h"

struct ssl_ctx_st;

namespace imprint::bench {

struct LoadPlan {
  std::uint16_t port = 0;
  const std::vector<Applicant>* applicants = nullptr;  // whose certificates are presented; none: no certificate
  std::string login;                                   // the value of Authorization; empty: none is sent
  bool resume = false;                                 // with the latest ticket of an earlier connection
  bool check = true;                                   // the answer is a certificate for the key; else: any 200
  unsigned at_once = 64;                               // connections, when they follow one another
  double per_second = 0;  // above 0: they start on this beat instead, however many are open
  double seconds = 1;
  const std::atomic<bool>* interrupted = nullptr;
};

struct LoadResult {
  std::uint64_t done = 0;     // answered with what was wanted, in all
  std::uint64_t in_time = 0;  // of these, before the time was over
  std::uint64_t failed = 0;
  std::uint64_t resumed = 0;         // handshakes
  double wall_s = 0;                 // from the first start to the end of the time (or of the supply)
  double cpu_s = 0;                  // of the client's thread
  std::vector<double> latencies_ms;  // from the moment that a connection was due to its certificate
  std::string first_failure;

  double rate() const { return wall_s > 0 ? static_cast<double>(in_time) / wall_s : 0; }
  void add(const LoadResult& other);     // of a thread that ran at the same time
  void append(const LoadResult& other);  // of a run that came later
};

// Runs until the time is over or the supply is used up, then waits for what is under way (10 seconds at most).
LoadResult run_load(const LoadPlan& plan, Supply& supply);

// Connections that have shaken hands, with a client certificate, and then say nothing; they end with this object.
class IdleConnections {
 public:
  static Result<std::unique_ptr<IdleConnections>> open(std::uint16_t port, std::size_t count,
                                                       const std::vector<Applicant>& applicants);
  IdleConnections(const IdleConnections&) = delete;
  IdleConnections& operator=(const IdleConnections&) = delete;
  ~IdleConnections();

 private:
  IdleConnections();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace imprint::bench
