// Where a device keeps its keys and records.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "crypto/enveloped.h"
#include "proto/brski/pledge.h"
#include "proto/est/client.h"

namespace imprint {

class DeviceStorage {
 public:
  DeviceStorage() = default;
  DeviceStorage(const DeviceStorage&) = delete;
  DeviceStorage& operator=(const DeviceStorage&) = delete;
  virtual ~DeviceStorage() = default;

  // Makes a key; it is durable when this returns.
  virtual Result<KeyRef> make_key(KeyType type) = 0;
  virtual Result<PrivateKey> key(const std::string& id) = 0;
  // Takes a key that a server has made (PKCS#8, DER); it is durable when this returns.
  virtual Result<KeyRef> keep_key(const Secret& pkcs8) = 0;
  // Decrypts EnvelopedData with the named key: a key pair, or the shared key "shared".
  Result<Secret> unwrap(const std::string& key_id, BytesView message);
  void set_shared_key(SharedKey key) { shared_ = std::move(key); }
  // Both are durable when they return; Installed replaces key, certificate and anchors at once and drops Asked.
  virtual Status save(const est::Asked& record) = 0;
  virtual Status save(const est::Installed& record) = 0;
  // Who became the owner by a voucher. Durable when it returns.
  virtual Status save(const brski::Imprinted& record) = 0;
  virtual Result<std::optional<est::Asked>> asked() = 0;
  virtual Result<std::optional<est::Installed>> installed() = 0;
  virtual Result<std::optional<brski::Imprinted>> imprinted() = 0;

 private:
  std::optional<SharedKey> shared_;
};

// In memory: virtual devices.
class MemoryStorage final : public DeviceStorage {
 public:
  Result<KeyRef> make_key(KeyType type) override;
  Result<PrivateKey> key(const std::string& id) override;
  Result<KeyRef> keep_key(const Secret& pkcs8) override;
  void add_key(const std::string& id, const PrivateKey& key) { keys_[id] = key; }
  // A mistake on purpose, for the simulator: the record was not durable after all.
  void lose_asked() { asked_.reset(); }
  Status save(const est::Asked& record) override;
  Status save(const est::Installed& record) override;
  Status save(const brski::Imprinted& record) override;
  Result<std::optional<est::Asked>> asked() override { return asked_; }
  Result<std::optional<est::Installed>> installed() override { return installed_; }
  Result<std::optional<brski::Imprinted>> imprinted() override { return imprinted_; }

 private:
  std::map<std::string, PrivateKey> keys_;
  std::optional<brski::Imprinted> imprinted_;
  std::optional<est::Asked> asked_;
  std::optional<est::Installed> installed_;
};

// A folder (0700) with PEM files (0600): key.pem, cert.pem, chain.pem (certificate and those up to the anchor) and
// anchors.pem. Each installation is a folder of its own under `generations/`, complete and synced before the link
// `current` is renamed onto it; the four names above are links through `current`, so a reader sees the old set or the
// new one, whole. A key that a request is under way for waits under `pending/` with its record, `asked`, and so does
// one that a server has made, `given.pem`. `owner` says who became the owner by a voucher. Only files of these names
// are ever removed.
class FolderStorage final : public DeviceStorage {
 public:
  // Makes the folder, durably, unless it is there. Fault::conflict if there is a foreign file in it.
  static Result<std::unique_ptr<FolderStorage>> open(const std::string& folder);
  // The name of a file, folder or link that is not ours where something of ours would go: one of our links' names, or
  // something in `pending/` or `generations/` that we do not put there. Nothing if there is none.
  static std::optional<std::string> foreign_file(const std::string& folder);

  Result<KeyRef> make_key(KeyType type) override;
  Result<PrivateKey> key(const std::string& id) override;
  Result<KeyRef> keep_key(const Secret& pkcs8) override;
  Status save(const est::Asked& record) override;
  Status save(const est::Installed& record) override;
  Status save(const brski::Imprinted& record) override;
  Result<std::optional<est::Asked>> asked() override;
  Result<std::optional<est::Installed>> installed() override;
  Result<std::optional<brski::Imprinted>> imprinted() override;
  // The files of a Credential given on the command line, known under the id "credential".
  void set_credential_key(const PrivateKey& key) { credential_ = key; }
  // What a power cut right behind an installation has left goes: the request that led to it, and the sets of before.
  // For a folder in which no other request is under way; without an installation nothing happens.
  Status tidy();

 private:
  explicit FolderStorage(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;
  std::string installed_as_;  // the id that the installed key had before
  PrivateKey credential_;
};

}  // namespace imprint
