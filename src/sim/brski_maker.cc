#include "sim/brski_maker.h"

#include "crypto/random.h"
#include "proto/brski/wire.h"

namespace imprint::sim {
namespace {

constexpr Duration kDisk{1};
constexpr Duration kRestart{3'000};
constexpr Duration kTenYears = std::chrono::hours(24 * 3650);
constexpr std::size_t kPepperBytes = 32;
constexpr std::string_view kMasaHost = "masa.example", kCloudHost = "cloud.example";
constexpr std::uint16_t kMasaPort = 9443, kCloudPort = 8443;
constexpr int kTemporaryRedirect = 307;
constexpr std::string_view kActor = "factory";

Uri address(std::string_view host, std::uint16_t port) {
  const auto out = Uri::parse("https://" + std::string(host) + ":" + std::to_string(port));
  assert(out);
  return *out;
}

}  // namespace

void SlowMakerStore::submit(Change change, std::function<void(Status)> done) {
  clock_.after(kDisk, [this, life = life_, change = std::move(change), done = std::move(done)] {
    if (life == life_) {
      done(disk_.write(change));
    }
  });
}

Result<std::unique_ptr<Maker>> Maker::make(Clock& clock, Network& network, store::MakerStore& disk, Power& power,
                                           SeededRng& rng) {
  std::unique_ptr<Maker> out(new Maker(clock, network, disk, power, rng));
  TRY(Ok{}, out->set_up());
  out->switch_on();
  return out;
}

Status Maker::set_up() {
  TRY(const Name name, Name::from_text("CN=Simulated Maker"));
  TRY(ca_, site::make_root(KeyType::p256, name, clock_.now(), kTenYears, rng_));
  TRY(const PrivateKey key, PrivateKey::generate(KeyType::p256));
  Grant grant;
  TRY(grant.names.subject, Name::from_text("CN=Simulated MASA"));
  grant.spki = key.public_key().spki;
  grant.lifetime = kTenYears;
  TRY(const Bytes der, site::issue(ca_, grant, clock_.now(), rng_));
  TRY(const Certificate signer, Certificate::parse(der));
  site_->voucher_signer = {key, {signer, ca_.certificate}};
  site_->config.idevid_anchors = {ca_.certificate};
  site_->policy.pepper = random_secret(rng_, kPepperBytes);
  site_->name = "Simulated Maker";
  TRY(endpoint_, endpoint(kMasaHost, kMasaPort));
  return Ok{};
}

Result<Endpoint> Maker::endpoint(std::string_view host, std::uint16_t port) {
  TRY(const PrivateKey key, PrivateKey::generate(KeyType::p256));
  TRY(const GeneralName name, GeneralName::from_text("dns:" + std::string(host)));
  TRY(const Certificate server, site::issue_server(ca_, key.public_key(), {name}, clock_.now(), kTenYears, rng_));
  return Endpoint{port, {server}, {ca_.certificate}};
}

Result<factory::Born> Maker::make_device() {
  factory::Order order;
  order.model = "lamp";
  order.masa = contact().url.authority();
  TRY(std::vector<factory::Born> born, factory::make(order, ca_, clock_.now(), rng_));
  MakerDevice device;
  device.issuer = brski::issuer_key_id(*born.front().entry.idevid);
  device.serial = born.front().entry.serial;
  device.model = order.model;
  device.idevid = born.front().entry.idevid;
  device.added = clock_.now();
  TRY(Ok{}, disk_.write([&](store::MakerWriter& w) { return w.add_device(device, kActor); }));
  return std::move(born.front());
}

Status Maker::sell(const factory::Born& device, const std::string& customer, const Certificate& anchor) {
  return disk_.write([&](store::MakerWriter& w) -> Status {
    Customer account;
    account.id = customer;
    account.anchors = {anchor};
    account.added = clock_.now();
    TRY(Ok{}, w.put_customer(account, kActor));
    TRY(const MakerDevice found, factory::find_maker_device(w, device.entry.serial, {}));
    return factory::transfer_device(w, found, customer, clock_.now(), kActor);
  });
}

brski::MasaContact Maker::contact() const {
  brski::MasaContact out;
  out.url = address(kMasaHost, kMasaPort);
  out.anchors = {ca_.certificate};
  out.voucher_anchors = {ca_.certificate};
  out.because = "the simulation";
  return out;
}

Uri Maker::cloud() const { return address(kCloudHost, kCloudPort); }

Status Maker::send_all_to(const Uri& registrar) {
  TRY(Endpoint place, endpoint(kCloudHost, kCloudPort));
  io::HttpsServer::Handlers handlers;
  handlers.request = [this, registrar](Exchange from, const Request&) {
    Response answer;
    answer.status = kTemporaryRedirect;
    answer.location = "https://" + registrar.authority() + brski::path_of(brski::Operation::request_voucher);
    cloud_->reply(from, answer);
  };
  handlers.gone = [](Exchange) {};
  cloud_ = network_.server(std::move(place), std::move(handlers));
  return Ok{};
}

void Maker::close_masa() {
  down_ = true;
  masa_.reset();
}

void Maker::switch_on() {
  down_ = false;
  masa_ = std::make_unique<MasaServer>(clock_, book_, rng_, site_);
  masa_->attach(network_.server(endpoint_, masa_->handlers()));
  masa_->on_acted([this] { acted(); });
  masa_->on_told([this](const MasaServer::Told&) { ++answered_; });
}

void Maker::acted() {
  if (down_ || !power_.goes()) {
    return;
  }
  down_ = true;
  masa_->halt();
  book_.cut();
  clock_.post([this] { masa_.reset(); });  // it is still on the stack
  clock_.after(kRestart, [this] { switch_on(); });
}

}  // namespace imprint::sim
