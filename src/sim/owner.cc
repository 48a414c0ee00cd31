#include "sim/owner.h"

#include "crypto/cms.h"
#include "crypto/random.h"

namespace imprint::sim {
namespace {

constexpr Duration kRestart{3'000};
constexpr Duration kTenYears = std::chrono::hours(24 * 3650);
constexpr std::size_t kPepperBytes = 32;
constexpr std::string_view kHost = "owner.example";
constexpr std::uint16_t kPort = 443;

}  // namespace

Result<std::unique_ptr<Owner>> Owner::make(Clock& clock, Network& network, store::Store& disk, SlowStore& store,
                                           Power& power, Rng& rng, Journal& journal, const Certificate& maker) {
  std::unique_ptr<Owner> out(new Owner(clock, network, disk, store, power, rng, journal));
  TRY(Ok{}, out->set_up(maker));
  out->switch_on();
  return out;
}

Status Owner::set_up(const Certificate& maker) {
  site_ = std::make_shared<EstSite>();
  TRY(const Name name, Name::from_text("CN=Simulated Owner"));
  TRY(site_->ca, site::make_root(KeyType::p256, name, clock_.now(), kTenYears, rng_));
  site_->policy.profiles[""] = {};
  site_->policy.unknown = site::Unknown::refuse;
  site_->policy.owner_anchors = site_->ca.chain();
  site_->policy.pepper = random_secret(rng_, kPepperBytes);
  site_->est.labels[""].ca_certificates = encode_certs_only({site_->ca.certificate.der});
  TRY(const PrivateKey key, PrivateKey::generate(KeyType::p256));
  TRY(const GeneralName host, GeneralName::from_text("dns:" + std::string(kHost)));
  TRY(const Certificate server, site::issue_server(site_->ca, key.public_key(), {host}, clock_.now(), kTenYears, rng_));
  endpoint_ = {kPort, {server}, {maker, site_->ca.certificate}};
  return Ok{};
}

Uri Owner::address() const {
  const auto out = Uri::parse("https://" + std::string(kHost));
  assert(out);
  return *out;
}

Status Owner::expect(const std::vector<factory::Born>& devices) {
  return disk_.write([&](store::Writer& w) -> Status {
    for (const factory::Born& born : devices) {
      Device device;
      device.id = born.entry.id;
      device.model = born.entry.model;
      device.serial = born.entry.serial;
      device.added = device.changed = clock_.now();
      if (born.entry.idevid) {
        device.identities = {identity_of(*born.entry.idevid)};
      }
      TRY(Ok{}, w.add_device(device, "factory"));
      if (!born.entry.idevid) {
        const Sha256 mac = site::secret_mac(site_->policy.pepper, device.id, born.entry.one_time);
        TRY(Ok{}, w.add_secret({device.id, device.id, /*one_time=*/true, mac, /*spent=*/false}));
      }
    }
    return Ok{};
  });
}

void Owner::switch_on() {
  est_ = std::make_unique<EstServer>(clock_, store_, rng_, journal_, site_);
  est_->attach(network_.server(endpoint_, est_->handlers()));
  est_->on_acted([this] { acted(); });
}

void Owner::acted() {
  if (!power_.goes()) {
    return;
  }
  est_->halt();
  store_.cut();
  clock_.post([this] { est_.reset(); });  // it is still on the stack
  clock_.after(kRestart, [this] { switch_on(); });
}

}  // namespace imprint::sim
