// An owner's domain in the simulator: the real registrar and EST server, policy, CA and store.
#pragma once

#include "runtime/est_server.h"
#include "sim/brski_maker.h"
#include "sim/owner.h"

namespace imprint::sim {

class Domain {
 public:
  // Everything that `place` and `maker` name outlives the domain. `log`: what it makes of a device's past.
  // Devices come over HTTPS or CoAPS; the MASA is asked over HTTPS.
  static Result<std::unique_ptr<Domain>> make(const Place& place, const Maker& maker, const brski::LogPolicy& log,
                                              EstServer::Binding binding);
  Domain(const Domain&) = delete;
  Domain& operator=(const Domain&) = delete;

  // Into the inventory, approved.
  Status expect(const factory::Born& device);
  // Asks the MASA for a voucher without a nonce (RFC 8995 section 3.1) and puts it on record; `done` with how it went.
  void fetch_ahead(const factory::Born& device, std::function<void(Status)> done);

  Uri address() const;
  const Certificate& root() const { return site_->ca.certificate; }

 private:
  Domain(const Place& place, const Maker& maker, EstServer::Binding binding)
      : at_(place), maker_(maker), binding_(binding) {}
  Status set_up(const brski::LogPolicy& log);
  Result<Bytes> nonceless_request(const factory::Born& device) const;
  void ask_masa(const SessionRef& masa, const factory::Born& device, std::function<void(Status)> done);
  Status keep_voucher(const factory::Born& device, const Bytes& voucher);
  std::unique_ptr<io::RequestClient> to_masas();
  void switch_on();
  void acted();

  const Place at_;
  const Maker& maker_;
  const EstServer::Binding binding_;
  std::shared_ptr<EstSite> site_ = std::make_shared<EstSite>();
  Signer signer_;  // of the registrar's certificate
  Endpoint endpoint_;
  std::unique_ptr<EstServer> est_;
  std::unique_ptr<io::RequestClient> ahead_;  // for vouchers fetched beforehand
  bool down_ = false;
};

}  // namespace imprint::sim
