#include "sim/brski_domain.h"

#include "crypto/cms.h"
#include "crypto/random.h"
#include "site/operations.h"
#include "site/pledges.h"

namespace imprint::sim {
namespace {

constexpr Duration kRestart{3'000};
constexpr Duration kTenYears = std::chrono::hours(24 * 3650);
constexpr std::size_t kPepperBytes = 32;
constexpr std::string_view kHost = "registrar.example";
constexpr std::uint16_t kPort = 443;
constexpr int kOk = 200;

}  // namespace

Result<std::unique_ptr<Domain>> Domain::make(const Place& place, const Maker& maker, const brski::LogPolicy& log,
                                             EstServer::Binding binding) {
  std::unique_ptr<Domain> out(new Domain(place, maker, binding));
  TRY(Ok{}, out->set_up(log));
  out->switch_on();
  return out;
}

Status Domain::set_up(const brski::LogPolicy& log) {
  const Instant now = at_.clock.now();
  TRY(const Name name, Name::from_text("CN=Simulated Owner"));
  TRY(site_->ca, site::make_root(KeyType::p256, name, now, kTenYears, at_.rng));
  TRY(const PrivateKey key, PrivateKey::generate(KeyType::p256));
  TRY(const GeneralName host, GeneralName::from_text("dns:" + std::string(kHost)));
  TRY(const Certificate own, site::issue_server(site_->ca, key.public_key(), {host}, now, kTenYears, at_.rng));
  signer_ = {key, {own, root()}};
  endpoint_ = {kPort, {own}, {maker_.root(), root()}};

  site_->policy.profiles[""] = {};
  site_->policy.unknown = site::Unknown::refuse;
  site_->policy.owner_anchors = site_->est.owner_anchors = {root()};
  site_->policy.pepper = random_secret(at_.rng, kPepperBytes);
  site_->policy.pledge_names = site::pledge_names;
  site_->policy.needs_voucher = [](const Certificate& idevid, const std::vector<Certificate>&) {
    return Result<std::optional<PledgeId>>(site::pledge_id(idevid, {}));
  };
  site_->est.labels[""].ca_certificates = encode_certs_only({root().der});

  auto registrar = std::make_shared<RegistrarSite>();
  registrar->role = std::make_shared<const brski::RegistrarConfig>(brski::RegistrarConfig{signer_.chain, log});
  registrar->signer = signer_;
  registrar->find_masa = [this](const Certificate&, const std::vector<Certificate>&) {
    return Result<brski::MasaContact>(maker_.contact());
  };
  site_->registrar = std::move(registrar);
  return Ok{};
}

Status Domain::expect(const factory::Born& device) {
  return at_.disk.write([&](store::Writer& w) {
    return site::register_device(w, site_->policy.pepper, device.entry, {"factory", at_.clock.now()});
  });
}

Uri Domain::address() const {
  const std::string scheme = binding_ == EstServer::Binding::coaps ? "coaps://" : "https://";
  const auto out = Uri::parse(scheme + std::string(kHost) + ":" + std::to_string(kPort));
  assert(out);
  return *out;
}

// ---- a voucher before the device comes ----

Result<Bytes> Domain::nonceless_request(const factory::Born& device) const {
  brski::Voucher what;
  what.kind = brski::Voucher::Kind::request;
  what.created_on = brski::DateTime::of(at_.clock.now());
  what.serial_number = device.entry.serial;
  what.idevid_issuer = brski::encode_idevid_issuer(brski::issuer_key_id(*device.entry.idevid));
  return brski::sign_voucher(what, brski::Form::cms, signer_);
}

Status Domain::keep_voucher(const factory::Born& device, const Bytes& voucher) {
  VoucherObtained fact;
  fact.id = site::pledge_id(*device.entry.idevid, {});
  fact.device = device.entry.id;
  fact.voucher = voucher;
  fact.form = "cms";
  return at_.disk.write([&](store::Writer& w) { return w.voucher_obtained(fact, at_.clock.now(), "admin"); });
}

void Domain::ask_masa(const SessionRef& masa, const factory::Born& device, std::function<void(Status)> done) {
  auto body = nonceless_request(device);
  if (!body) {
    done(body.error());
    return;
  }
  Request what;
  what.method = Method::post;
  what.path = brski::path_of(brski::Operation::request_voucher);
  what.content_type = std::string(brski::media_type(brski::Form::cms));
  what.body = *std::move(body);
  ahead_->request(masa->id, std::move(what), [this, &device, done = std::move(done)](Result<Response> answer) {
    if (!answer || answer->status != kOk) {
      done(answer ? Error{Fault::refused, "masa: no voucher"} : answer.error());
      return;
    }
    done(keep_voucher(device, answer->body));
  });
}

void Domain::fetch_ahead(const factory::Born& device, std::function<void(Status)> done) {
  ahead_ = to_masas();
  Open what;
  what.to = maker_.contact().url;
  what.anchors = maker_.contact().anchors;
  ahead_->open(std::move(what), [this, &device, done = std::move(done)](Result<SessionRef> masa) {
    if (!masa) {
      done(masa.error());
      return;
    }
    ask_masa(*masa, device, done);
  });
}

std::unique_ptr<io::RequestClient> Domain::to_masas() {
  return at_.network.client(
      [](const std::string&) -> Result<PrivateKey> {
        return Error{Fault::internal, "no certificate is shown"};
      },
      [](std::uint64_t) {});
}

// ---- the server ----

void Domain::switch_on() {
  down_ = false;
  est_ = std::make_unique<EstServer>(at_.clock, at_.store, at_.rng, at_.journal, site_);
  est_->attach(at_.network.server(endpoint_, est_->handlers()), binding_);
  est_->serve_registrar(to_masas());
  est_->on_acted([this] { acted(); });
}

void Domain::acted() {
  if (down_ || !at_.power.goes()) {
    return;
  }
  down_ = true;
  est_->halt();
  at_.store.cut();
  at_.clock.post([this] { est_.reset(); });  // it is still on the stack
  at_.clock.after(kRestart, [this] { switch_on(); });
}

}  // namespace imprint::sim
