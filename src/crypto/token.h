// A key that is elsewhere, as PKCS#11 and TPM give it to us. Private to src/crypto.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "crypto/key_uri.h"

namespace imprint {

// One way to one key. Not for several threads at once: TokenKey sees to that.
class Token {
 public:
  Token() = default;
  Token(const Token&) = delete;
  Token& operator=(const Token&) = delete;
  virtual ~Token() = default;

  // Connects, logs in and finds the key. Once closed it may be opened again.
  virtual Result<PublicKey> open() = 0;
  virtual void close() = 0;
  // Elliptic curves: of a digest of 32, 48 or 64 octets, DER. RSA: of a SHA-256 digest, PKCS#1 v1.5. Ed25519: of the
  // message.
  virtual Result<Bytes> sign(BytesView what) = 0;
};

std::unique_ptr<Token> pkcs11_token(const KeyUri& uri, const std::optional<Secret>& pin);
std::unique_ptr<Token> tpm2_token(const KeyUri& uri, const std::optional<Secret>& pin);

// A token's key for a whole process: one signature at a time, and open again after a failure.
class TokenKey {
 public:
  TokenKey(std::unique_ptr<Token> token, std::string uri, std::optional<Secret> pin)
      : token_(std::move(token)), uri_(std::move(uri)), pin_(std::move(pin)) {}

  // The first opening; the key that it finds is the one that every later opening has to find.
  Result<PublicKey> open();
  // In place of open(): the first signature opens it, and has to find this key.
  void expect(const PublicKey& key);
  Result<Bytes> sign(BytesView what);
  bool is_open() const;
  bool refused() const;  // the token refused the PIN: it is not tried again
  bool had(const std::optional<Secret>& pin) const;
  const std::string& uri() const { return uri_; }

 private:
  Status reopen();
  Error remember(const Error& error);

  mutable std::mutex mutex_;
  std::unique_ptr<Token> token_;
  std::string uri_;
  std::optional<Secret> pin_;
  std::optional<PublicKey> key_;
  bool open_ = false, refused_ = false;
};

}  // namespace imprint
