#include "sim/owner.h"

#include "crypto/cms.h"
#include "crypto/random.h"
#include "site/operations.h"
#include "site/rollover.h"

namespace imprint::sim {
namespace {

constexpr Duration kRestart{3'000};
constexpr Duration kTenYears = std::chrono::hours(24 * 3650);
constexpr std::size_t kPepperBytes = 32;
constexpr std::string_view kHost = "owner.example";
constexpr std::uint16_t kPort = 443;

}  // namespace

class Owner::DistantSigner final : public site::Signer {
 public:
  DistantSigner(const Place& at, site::Ca ca, SignerFaults faults) : at_(at), ca_(std::move(ca)), faults_(faults) {}
  void issue(const Grant& grant, Instant now, std::function<void(Result<Bytes>)> done) override {
    const bool gone = at_.rng.chance(faults_.gone);
    Result<Bytes> answer =
        gone ? Result<Bytes>(Error{Fault::unreachable, "ca: nobody signs"}) : site::issue(ca_, grant, now, at_.rng);
    const auto takes = at_.rng.below(static_cast<std::uint64_t>(faults_.most.count()) + 1);
    at_.clock.after(Duration(static_cast<std::int64_t>(takes)),
                    [done = std::move(done), answer = std::move(answer)] { done(answer); });
  }
  void set(SignerFaults faults) { faults_ = faults; }
  const SignerFaults& faults() const { return faults_; }

 private:
  const Place& at_;
  const site::Ca ca_;
  SignerFaults faults_;
};

Result<std::unique_ptr<Owner>> Owner::make(const Place& place, const Certificate& maker, SignerFaults signer,
                                           EstServer::Binding binding) {
  std::unique_ptr<Owner> out(new Owner(place, binding));
  TRY(Ok{}, out->set_up(maker, signer));
  out->switch_on();
  return out;
}

Status Owner::set_up(const Certificate& maker, SignerFaults signer) {
  const Instant now = at_.clock.now();
  site_ = std::make_shared<EstSite>();
  TRY(const Name name, Name::from_text("CN=Simulated Owner"));
  TRY(site_->ca, site::make_root(KeyType::p256, name, now, kTenYears, at_.rng));
  signer_ = std::make_shared<DistantSigner>(at_, site_->ca, signer);
  site_->signer = signer_;
  site_->policy.profiles[""] = {};
  site_->policy.unknown = site::Unknown::refuse;
  site_->policy.owner_anchors = site_->est.owner_anchors = {site_->ca.certificate};
  site_->policy.pepper = random_secret(at_.rng, kPepperBytes);
  site_->est.labels[""].ca_certificates = encode_certs_only({site_->ca.certificate.der});
  maker_ = maker;
  return make_endpoint({});
}

// What it presents, and whose certificates it takes.
Status Owner::make_endpoint(const std::vector<Certificate>& links) {
  TRY(const PrivateKey key, PrivateKey::generate(KeyType::p256));
  TRY(const GeneralName host, GeneralName::from_text("dns:" + std::string(kHost)));
  TRY(const Certificate server,
      site::issue_server(site_->ca, key.public_key(), {host}, at_.clock.now(), kTenYears, at_.rng));
  endpoint_ = {kPort, {server}, {maker_}};
  endpoint_.chain.insert(endpoint_.chain.end(), links.begin(), links.end());
  endpoint_.anchors.insert(endpoint_.anchors.end(), site_->policy.owner_anchors.begin(),
                           site_->policy.owner_anchors.end());
  return Ok{};
}

Status Owner::roll_over() {
  TRY(const Name name, Name::from_text("CN=Simulated Owner G2"));
  auto next = std::make_shared<EstSite>(*site_);
  TRY(next->ca, site::make_root(KeyType::p256, name, at_.clock.now(), kTenYears, at_.rng));
  TRY(const std::vector<Certificate> links, site::make_links(site_->ca, next->ca, at_.clock.now(), at_.rng));
  signer_ = std::make_shared<DistantSigner>(at_, next->ca, signer_->faults());
  next->signer = signer_;
  next->policy.owner_anchors = {next->ca.certificate, site_->ca.certificate};
  next->est.owner_anchors = next->policy.owner_anchors;
  std::vector<Bytes> shown{next->ca.certificate.der, site_->ca.certificate.der};
  for (const Certificate& link : links) {
    shown.push_back(link.der);
  }
  next->est.labels[""].ca_certificates = encode_certs_only(shown);
  site_ = std::move(next);
  TRY(Ok{}, make_endpoint(links));
  restart();
  return Ok{};
}

void Owner::set(SignerFaults signer) { signer_->set(signer); }

Uri Owner::address() const {
  const std::string scheme = binding_ == EstServer::Binding::coaps ? "coaps://" : "https://";
  const auto out = Uri::parse(scheme + std::string(kHost) + ":" + std::to_string(kPort));
  assert(out);
  return *out;
}

Status Owner::expect(const std::vector<factory::Born>& devices) {
  return at_.disk.write([&](store::Writer& w) -> Status {
    for (const factory::Born& born : devices) {
      TRY(Ok{}, site::register_device(w, site_->policy.pepper, born.entry, {"factory", at_.clock.now()}));
    }
    return Ok{};
  });
}

void Owner::switch_on() {
  down_ = false;
  est_ = std::make_unique<EstServer>(at_.clock, at_.store, at_.rng, at_.journal, site_);
  est_->attach(at_.network.server(endpoint_, est_->handlers()), binding_);
  est_->on_acted([this] { acted(); });
}

void Owner::acted() {
  if (at_.power.goes()) {
    restart();
  }
}

void Owner::restart() {
  if (down_) {
    return;
  }
  down_ = true;
  est_->halt();
  at_.store.cut();
  at_.clock.post([this] { est_.reset(); });  // it is still on the stack
  at_.clock.after(kRestart, [this] { switch_on(); });
}

}  // namespace imprint::sim
