// Who plays: two owners, a maker and its devices, with keys, certificates and what is on record before anybody asks.
#include "crypto/cms.h"
#include "crypto_toy/toy.h"
#include "sim/explore/brski_step.h"
#include "site/operations.h"

namespace imprint::explore::trio {
namespace {

constexpr Duration kDay = std::chrono::hours(24), kYear = std::chrono::hours(24 * 365);
constexpr std::string_view kMakerName = "CN=maker", kMasaHost = "masa.example";
constexpr std::array<std::string_view, kOwners> kNames{"first", "second"};

PrivateKey key_of(std::string_view name) { return toy::key(KeyType::p256, name); }

struct Wanted {
  std::string subject;
  PublicKey key;
  std::uint8_t serial = 1;
  std::string host = {};  // whose server it is
};

Certificate certificate(std::string_view issuer, const Wanted& wanted) {
  const PrivateKey above = key_of(issuer);
  CertificateTemplate what;
  what.serial = {wanted.serial};
  what.issuer = *Name::from_text(issuer);
  what.subject = *Name::from_text(wanted.subject);
  what.not_before = kNow - kDay;
  what.not_after = kNow + kYear;
  what.spki = wanted.key.spki;
  what.is_ca = issuer == wanted.subject;
  what.authority_key_id = key_identifier(above.public_key());
  if (!wanted.host.empty()) {
    what.alt_names = {*GeneralName::from_text("dns:" + wanted.host)};
  }
  return *Certificate::parse(*sign_certificate(above, what));
}

Certificate root(std::string_view name) { return certificate(name, {std::string(name), key_of(name).public_key()}); }

Certificate idevid_of(std::string_view serial, const PrivateKey& key, std::uint8_t number) {
  const std::string text(serial);
  return certificate(kMakerName, {"serialNumber=" + text + ",CN=" + text, key.public_key(), number});
}

MakerDevice record(const Certificate& idevid, std::string_view serial) {
  MakerDevice out;
  out.issuer = brski::issuer_key_id(idevid);
  out.serial = serial;
  out.idevid = idevid;
  out.added = kNow;
  return out;
}

// Both of the maker's devices are in every owner's inventory: what keeps a device from an owner is its maker.
Status expect(store::Tables& disk, const Cast& cast, const Domain& d, bool waits) {
  store::MemoryWriter store(disk);
  for (const auto& [id, idevid] : {std::pair(kDevice, &cast.idevid), std::pair(kInsider, &cast.insider)}) {
    ManifestEntry entry;
    entry.id = id;
    entry.idevid = *idevid;
    TRY(Ok{}, site::register_device(store, d.policy.pepper, entry, {"factory", kNow}));
  }
  if (waits) {
    TRY(std::optional<imprint::Device> waiting, store.device(kDevice));
    waiting->admission = Admission::waiting;
    TRY(Ok{}, store.update_device(*waiting, "cli", "device.waiting"));
  }
  return Ok{};
}

Domain make_domain(const Cast& cast, std::size_t which, const Setting& setting) {
  Domain out;
  const std::string name(kNames.at(which)), ca = "CN=" + name, host = name + ".example";
  out.ca = {key_of(ca), root(ca), {}};
  const PrivateKey key = key_of(host);
  SeededRng rng(which + 1);
  out.registrar = {
      key,
      {*site::issue_server(out.ca, key.public_key(), {*GeneralName::from_text("dns:" + host)}, kNow, kYear, rng),
       out.ca.certificate}};
  out.address = *Uri::parse("https://" + host);
  out.policy.profiles[""] = {};
  out.policy.unknown = site::Unknown::refuse;
  out.policy.owner_anchors = {out.ca.certificate};
  out.policy.pepper = Secret("the pepper of the site");
  out.policy.pledge_names = site::pledge_names;
  if (setting.plant != Plant::registrar_has_no_gate) {
    out.policy.needs_voucher = [](const Certificate& idevid, const std::vector<Certificate>&) {
      return Result<std::optional<PledgeId>>(site::pledge_id(idevid, {}));
    };
  }
  brski::RegistrarConfig config{out.registrar.chain, {}};
  config.log.log_needed = setting.mode != Mode::nonceless;  // behind an air gap there is none to be had
  out.config = std::make_shared<const brski::RegistrarConfig>(std::move(config));
  est::ServerConfig est;
  est.labels[""].ca_certificates = encode_certs_only({out.ca.certificate.der});
  est.owner_anchors = {out.ca.certificate};
  out.est = std::make_shared<const est::ServerConfig>(std::move(est));
  [[maybe_unused]] const Status ready =
      expect(out.disk, cast, out, setting.mode == Mode::approval && which == number(Place::owner));
  assert(ready);
  return out;
}

void make_maker(Cast& c) {
  c.maker = root(kMakerName);
  c.idevid = idevid_of(kDevice, key_of(kIdevidKey), 3);
  c.insider = idevid_of(kInsider, key_of("insider"), 4);
  const PrivateKey signer = key_of("voucher signer"), server = key_of(kMasaHost);
  c.voucher_signer = {signer, {certificate(kMakerName, {"CN=vouchers", signer.public_key(), 5}), c.maker}};
  c.masa = {server, {certificate(kMakerName, {"CN=masa", server.public_key(), 6, std::string(kMasaHost)}), c.maker}};
  c.contact.url = *Uri::parse("https://" + std::string(kMasaHost));
  c.contact.anchors = {c.maker};
  c.contact.voucher_anchors = {c.maker};
  brski::MasaConfig config;
  config.idevid_anchors = {c.maker};
  c.masa_config = std::make_shared<const brski::MasaConfig>(std::move(config));
  c.masa_policy.pepper = Secret("the pepper of the maker");
}

// What the maker knows: its devices, and with a sale whose the first one is.
Status fill_book(Cast& c, bool is_sold, Plant plant) {
  store::MakerMemoryWriter book(c.book);
  if (plant != Plant::masa_lacks_the_device) {
    TRY(Ok{}, book.add_device(record(c.idevid, kDevice), "factory"));
  }
  TRY(Ok{}, book.add_device(record(c.insider, kInsider), "factory"));
  if (!is_sold) {
    return Ok{};
  }
  for (std::size_t i = 0; i < kOwners; ++i) {
    Customer customer;
    customer.id = kNames.at(i);
    customer.anchors = {c.domains.at(i).ca.certificate};
    customer.added = kNow;
    TRY(Ok{}, book.put_customer(customer, "factory"));
  }
  TRY(const MakerDevice device, factory::find_maker_device(book, kDevice, {}));
  c.holder = 1;
  return factory::transfer_device(book, device, kNames.front(), kNow, "factory");
}

// A voucher without a nonce (RFC 8995 section 5.5.4), on record with the maker and with the owner.
Status fetch_ahead(Cast& c, brski::Form form) {
  Domain& owner = c.domains.front();
  const Certificate& pinned = owner.ca.certificate;
  brski::Voucher voucher;
  voucher.assertion = brski::Assertion::verified;
  voucher.created_on = brski::DateTime::of(kNow);
  voucher.expires_on = brski::DateTime::of(kNow + kDay);
  voucher.serial_number = std::string(kDevice);
  voucher.pinned_domain_cert = pinned.der;
  voucher.domain_cert_revocation_checks = false;
  TRY(const Bytes made, brski::sign_voucher(voucher, form, c.voucher_signer));
  store::MakerMemoryWriter book(c.book);
  TRY(const MakerDevice device, factory::find_maker_device(book, kDevice, {}));
  brski::Vouched fact;
  fact.device = {device.issuer, device.serial};
  fact.version = device.version;
  fact.customer = kNames.front();
  fact.request = to_bytes("of before");
  fact.form = form;
  fact.voucher = made;
  fact.domain_id = brski::domain_id(pinned);
  fact.pinned_key = key_digest(pinned);
  fact.assertion = brski::Assertion::verified;
  TRY(Ok{}, book.vouched(factory::given_voucher(fact, kNow), "masa"));
  VoucherObtained obtained;
  obtained.id = site::pledge_id(c.idevid, {});
  obtained.device = kDevice;
  obtained.voucher = made;
  obtained.form = brski::name(form);
  obtained.domain_id = fact.domain_id;
  store::MemoryWriter store(owner.disk);
  return store.voucher_obtained(obtained, kNow, "admin");
}

brski::PledgePlanRef plan_of(const Cast& c, const Setting& setting) {
  auto out = std::make_shared<brski::PledgePlan>();
  out->registrars = {c.domains[number(Place::owner)].address};
  if (setting.mode == Mode::rivals || setting.mode == Mode::sold) {
    out->registrars.insert(out->registrars.begin(), c.domains[number(Place::other)].address);
  }
  out->heard = true;
  out->identity = {std::string(kIdevidKey), {c.idevid}};
  out->voucher_anchors = {c.maker};
  out->form = setting.form;
  out->polls = 3;
  out->rounds = setting.mode == Mode::approval ? 2 : out->rounds;  // a person who says nothing is heard of soon
  out->enrolment.polls = 3;
  out->enrolment.names.subject = *Name::from_text("CN=" + std::string(kDevice));
  return out;
}

}  // namespace

Cast make_cast(const Setting& setting) {
  Cast out;
  make_maker(out);
  for (std::size_t i = 0; i < kOwners; ++i) {
    out.domains.at(i) = make_domain(out, i, setting);
  }
  const bool ahead = setting.mode == Mode::nonceless;
  [[maybe_unused]] Status ready = fill_book(out, setting.mode == Mode::sold || ahead, setting.plant);
  assert(ready);
  if (ahead) {
    ready = fetch_ahead(out, setting.form);
    assert(ready);
  }
  out.plan = plan_of(out, setting);
  return out;
}

}  // namespace imprint::explore::trio
