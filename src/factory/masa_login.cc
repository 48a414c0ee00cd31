#include "factory/masa_login.h"

#include "crypto/seal.h"
#include "proto/brski/masa_rules.h"
#include "role/digest.h"

namespace imprint::factory {
namespace {

constexpr std::size_t kSealedDigest = 12 + 64 + 16;  // nonce, H(user:realm:password) in hexadecimal, tag

Secret digest_key(const Secret& pepper) {
  Sha256 mac = hmac_sha256(pepper, view("imprint masa digest"));
  Secret out{BytesView(mac)};
  wipe(mac);
  return out;
}

bool shows_password(const MasaPolicy& policy, const std::optional<Customer>& customer, const Login& login) {
  const Sha256 mac = customer_mac(policy.pepper, login.user, login.password);
  const Sha256 none{};
  const bool right = same(BytesView(mac), BytesView(customer && customer->password ? *customer->password : none));
  return customer && customer->password && holds(right);
}

// For nobody the same is done with what cannot be opened.
bool answers_challenge(const MasaPolicy& policy, const std::optional<Customer>& customer, const DigestAnswer& answer) {
  const bool there = customer && customer->password && !customer->digest.empty();
  const Sha256 mac = there ? *customer->password : Sha256{};
  const auto secret = open_sealed(digest_key(policy.pepper), there ? customer->digest : Bytes(kSealedDigest), mac);
  const std::string wanted = digest_response(secret ? *secret : Secret(std::string(64, '0')), answer);
  const bool right = same(view(wanted), view(answer.response));
  return secret.operator bool() && holds(right);
}

}  // namespace

Result<Bytes> customer_digest(const Secret& pepper, const std::string& id, const Secret& password) {
  return seal(digest_key(pepper), digest_secret(id, kCustomerRealm, password), customer_mac(pepper, id, password));
}

Result<std::string> account_of_login(const MasaPolicy& policy, store::MakerReader& reader, const Login& login) {
  const Error wrong{Fault::unauthentic, brski::masa::kLogin};
  TRY(const auto customer, reader.customer(login.user));
  if (!login.digest) {
    CHECK_OR(policy.basic, wrong);
    CHECK_OR(shows_password(policy, customer, login), wrong);
    return login.user;
  }
  const DigestAnswer& answer = *login.digest;
  CHECK_OR(policy.digest, wrong);
  CHECK_OR(answer.realm == kCustomerRealm, wrong);
  CHECK_OR(answer.uri == answer.target, wrong);  // RFC 7616 section 3.4.6: for this resource and no other
  CHECK_OR(answers_challenge(policy, customer, answer), wrong);
  return login.user;
}

bool may_log_in(const MasaPolicy& policy, const Customer& customer) {
  return customer.password && (policy.basic || (policy.digest && !customer.digest.empty()));
}

}  // namespace imprint::factory
