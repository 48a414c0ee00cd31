#define OPENSSL_SUPPRESS_DEPRECATED  // OpenSSL 3.0 has SRP, and no other way to it
#include "crypto/srp.h"

#include <openssl/srp.h>

#include <algorithm>
#include <memory>

#include "crypto/openssl.h"
#include "crypto/random.h"

namespace imprint {
namespace {

constexpr std::size_t kSaltBytes = 20;
constexpr std::size_t kMaxUser = 255;

using NumberPtr = std::unique_ptr<BIGNUM, Free<BN_clear_free>>;

bool has_nul(BytesView text) { return std::ranges::find(text, 0) != text.end(); }

// OpenSSL takes it as a C string, which is wiped here.
struct Text {
  explicit Text(const Secret& secret) : bytes(secret.size() + 1) { std::ranges::copy(secret.expose(), bytes.begin()); }
  Text(const Text&) = delete;
  Text& operator=(const Text&) = delete;
  ~Text() { wipe(bytes); }
  const char* get() const { return reinterpret_cast<const char*>(bytes.data()); }
  Bytes bytes;
};

}  // namespace

Result<SrpVerifier> srp_detail::verifier_of(const std::string& user, const Secret& password, std::size_t bits,
                                            const Bytes& salt) {
  const bool good_name = !user.empty() && user.size() <= kMaxUser && !has_nul(view(user));
  CHECK_OR(good_name && !has_nul(password.expose()), Error{Fault::malformed, "srp: no such user name or password"});
  const SRP_gN* const group = SRP_get_default_gN(std::to_string(bits).c_str());
  CHECK_OR(group != nullptr, Error{Fault::unsupported, "srp: no such group"});
  BIGNUM* raw_salt = BN_bin2bn(salt.data(), static_cast<int>(salt.size()), nullptr);
  BIGNUM* raw_verifier = nullptr;
  const Text text(password);
  const int made = SRP_create_verifier_BN(user.c_str(), text.get(), &raw_salt, &raw_verifier, group->N, group->g);
  const NumberPtr own_salt(raw_salt);
  const NumberPtr own_verifier(raw_verifier);
  CHECK_OR(made == 1 && own_verifier != nullptr, ossl::failed(Fault::internal, "srp: no verifier"));
  Bytes out(static_cast<std::size_t>(BN_num_bytes(own_verifier.get())));
  BN_bn2bin(own_verifier.get(), out.data());
  SrpVerifier result{salt, Secret(BytesView(out))};
  wipe(out);
  return result;
}

Result<SrpVerifier> srp_verifier(const std::string& user, const Secret& password) {
  Bytes salt(kSaltBytes);
  SystemRng().fill(salt);
  salt.front() |= 0x80U;  // as a number it has all its bytes: some peers send it on as one
  return srp_detail::verifier_of(user, password, kSrpBits, salt);
}

}  // namespace imprint
