// The players of a BRSKI measurement that this process has: devices that onboard themselves one after the other on one
// thread, by the role and over the sockets of `imprint onboard brski`, and a registrar's call for many vouchers at
// once.
#pragma once

#include "bench/est.h"
#include "bench/load.h"

namespace imprint::bench {

struct PledgePlanOf {
  std::uint16_t port = 0;  // of the registrar, on 127.0.0.1
  const std::vector<EstDevice>* devices = nullptr;
  Certificate maker;  // what their vouchers have to lead to
  unsigned at_once = 16;
  double seconds = 1;
  const std::atomic<bool>* interrupted = nullptr;
};

// Devices in turn, the first one `first`; each run begins with no record. What they keep is kept in memory: their disk
// is not measured. Ends when the time is over and those under way are done (20 seconds more at most). A result counts
// whole onboardings: voucher, certificate, and the reports of both; its wall time is that until the last one's end.
LoadResult run_pledges(const PledgePlanOf& plan, std::size_t first);

struct BulkPlan {
  std::uint16_t port = 0;  // of the MASA, on 127.0.0.1
  Certificate maker;       // anchor of its TLS certificate
  PrivateKey key;          // the registrar's
  std::vector<Certificate> chain;
};

// A registrar's requests without a nonce, one for each device, in CMS, as lines of one bulk call.
Result<Bytes> make_bulk_body(const BulkPlan& plan, const std::vector<EstDevice>& devices);

struct BulkResult {
  std::uint64_t vouchers = 0, failed = 0;
  double wall_s = 0;  // from the request's first octet to the answer's last
  std::string first_failure;
};
// One call. `began` is called once the connection stands, just before the request leaves. Fault::unreachable: no
// answer, or another than a bulk call's.
Result<BulkResult> run_bulk(const BulkPlan& plan, Bytes body, const std::function<void()>& began);

}  // namespace imprint::bench
