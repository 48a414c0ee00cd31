#include "factory/line.h"

#include <algorithm>

#include "codec/der.h"
#include "crypto/random.h"
#include "proto/brski/masa_url.h"

namespace imprint::factory {
namespace {

constexpr std::uint32_t kMaxDevices = 100000;
constexpr std::size_t kMaxModel = 32;
constexpr std::size_t kTokenBytes = 20;
constexpr std::size_t kWrapKeyBytes = 32, kWrapKeyIdBytes = 8;

bool valid_model(std::string_view model) {
  const auto allowed = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-';
  };
  return !model.empty() && model.size() <= kMaxModel && model.front() != '-' && std::ranges::all_of(model, allowed);
}

// "MODEL-0001"; longer numbers take the digits that they need.
std::string numbered(const std::string& model, std::uint32_t number) {
  std::string digits = std::to_string(number);
  digits.insert(0, digits.size() < 4 ? 4 - digits.size() : 0, '0');
  return model + "-" + digits;
}

// For signatures, unless the maker wants more of it (IEEE 802.1AR leaves that to the maker).
Result<std::uint16_t> usage_of(const Order& order) {
  if (!order.key_agreement) {
    return key_usage::kDigitalSignature;
  }
  const bool rsa = order.key == KeyType::rsa2048 || order.key == KeyType::rsa3072 || order.key == KeyType::rsa4096;
  CHECK_OR(rsa || order.key != KeyType::ed25519,
           Error{Fault::unsupported, "order: a key of this type unwraps nothing"});
  const std::uint16_t more = rsa ? key_usage::kKeyEncipherment : key_usage::kKeyAgreement;
  return static_cast<std::uint16_t>(key_usage::kDigitalSignature | more);
}

// Where the device's MASA is: not critical, since others than registrars need not know it (RFC 8995 section 2.3.2).
Extension masa_extension(std::string_view authority) {
  return {"1.3.6.1.5.5.7.1.32", false, der::item(der::kIa5, view(authority))};
}

// An IDevID without an end (IEEE 802.1AR section 8.6), signed by the maker's CA.
Status give_idevid(const Order& order, const site::Ca& maker, Instant now, Rng& rng, Born& device) {
  TRY(device.key, PrivateKey::generate(order.key));
  CertificateTemplate t;
  t.serial = site::random_serial(rng);
  t.issuer = maker.certificate.subject;
  TRY(t.subject, Name::from_text("serialNumber=" + device.entry.serial + ",CN=" + device.entry.id));
  t.not_before = now - std::chrono::minutes(5);
  t.not_after = kNoEnd;
  t.spki = device.key.public_key().spki;
  TRY(t.usage, usage_of(order));
  t.authority_key_id = key_identifier(maker.certificate.key);
  if (!order.masa.empty()) {
    t.other_extensions.push_back(masa_extension(order.masa));
  }
  TRY(const Bytes der, sign_certificate(maker.key, t));
  TRY(device.entry.idevid, Certificate::parse(der));
  device.chain = {*device.entry.idevid};
  for (const Certificate& c : maker.chain()) {
    if (!c.self_issued()) {
      device.chain.push_back(c);
    }
  }
  return Ok{};
}

// 160 bits as 40 hexadecimal digits, which a person can still read out from a label.
Status give_token(Rng& rng, Born& device) {
  std::string digits = hex(random_secret(rng, kTokenBytes).expose());
  device.entry.one_time = Secret(digits);
  wipe({reinterpret_cast<std::uint8_t*>(digits.data()), digits.size()});
  return check_secret_strength(device.entry.one_time);
}

Status give_wrap_key(Rng& rng, Born& device) {
  device.entry.wrap_key =
      SharedKey{to_bytes(random_secret(rng, kWrapKeyIdBytes).expose()), random_secret(rng, kWrapKeyBytes)};
  return check_shared_key(*device.entry.wrap_key);
}

}  // namespace

Result<std::vector<Born>> make(const Order& order, const site::Ca& maker, Instant now, Rng& rng) {
  CHECK_OR(valid_model(order.model), Error{Fault::malformed, "order: model is not [A-Za-z0-9-]{1,32}"});
  CHECK_OR(order.count >= 1 && order.count <= kMaxDevices, Error{Fault::limit, "order: count is not 1..100,000"});
  CHECK_OR(order.first <= UINT32_MAX - order.count, Error{Fault::limit, "order: first number"});
  if (!order.masa.empty()) {
    TRY([[maybe_unused]] const Uri masa, brski::masa_url(order.masa));  // registrars would refuse it
    CHECK_OR(order.birth == Birth::idevid, Error{Fault::unsupported, "order: only an IDevID names a MASA"});
  }
  std::vector<Born> out(order.count);
  for (std::uint32_t i = 0; i < order.count; ++i) {
    ManifestEntry& entry = out[i].entry;
    entry.id = numbered(order.model, order.first + i);
    entry.model = order.model;
    entry.serial = entry.id;
    entry.label = order.label;
    entry.server_uri = order.server_uri;
    TRY(Ok{}, order.birth == Birth::idevid ? give_idevid(order, maker, now, rng, out[i]) : give_token(rng, out[i]));
    TRY(Ok{}, order.wrap_key ? give_wrap_key(rng, out[i]) : Status(Ok{}));
  }
  return out;
}

}  // namespace imprint::factory
