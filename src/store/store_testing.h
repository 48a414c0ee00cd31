// What the store's tests share: a folder that goes away, certificates, and facts about them.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "crypto/issue.h"
#include "crypto/random.h"
#include "store/store.h"

namespace imprint::store {

// A folder of the test's own, removed at its end.
class TestFolder {
 public:
  TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "imprint-store-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      std::abort();
    }
    path_ = name;
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() { std::filesystem::remove_all(path_); }
  std::string file() const { return (path_ / "site.db").string(); }

 private:
  std::filesystem::path path_;
};

inline std::unique_ptr<Store> open_store(const std::string& path) {
  Result<std::unique_ptr<Store>> store = open_sqlite(path);
  if (!store) {
    ADD_FAILURE() << store.error().what;
    std::abort();
  }
  return *std::move(store);
}

inline Device device_named(std::string id) {
  Device out;
  out.id = std::move(id);
  out.model = "lamp";
  out.serial = "4711";
  out.label = "lamps";
  out.identities = {"x509:" + out.id, "raw:" + out.id};
  out.added = out.changed = Instant{1000};
  return out;
}

// Makes certificates of one key, which is cheaper than a key for each.
class Signer {
 public:
  Signer() : key_(*PrivateKey::generate(KeyType::p256)) {}

  Bytes certificate(BytesView serial) const {
    CertificateTemplate what;
    what.serial = to_bytes(serial);
    what.issuer = *Name::from_text("CN=CA");
    what.subject = *Name::from_text("CN=lamp");
    what.not_after = Instant{2'000'000'000'000};
    what.spki = key_.public_key().spki;
    return *sign_certificate(key_, what);
  }
  Sha256 spki_sha256() const { return sha256(key_.public_key().spki); }

 private:
  PrivateKey key_;
};

// 1, 0, 0, n: a serial number and a request key for tests that count.
inline Bytes numbered(std::uint32_t n) {
  return {1, static_cast<std::uint8_t>(n >> 16U), static_cast<std::uint8_t>(n >> 8U), static_cast<std::uint8_t>(n)};
}

inline Issued issued_fact(const Signer& signer, std::uint32_t n, std::string device = "dev-1") {
  Issued out;
  out.grant.device = std::move(device);
  out.grant.profile = "default";
  out.certificate = signer.certificate(numbered(n));
  out.request_key = numbered(n);
  out.identity = "one-time token";
  out.reason = "in the inventory";
  return out;
}

// The fault of a status; nothing if it is good.
inline std::optional<Fault> fault_of(const Status& status) {
  return status ? std::nullopt : std::optional(status.error().fault);
}

// Whether every entry of the audit log is in its place.
inline bool audit_is_whole(Store& store) {
  const std::unique_ptr<Reader> reader = *store.read();
  const Result<std::optional<std::int64_t>> broken = verify_audit(*reader);
  return broken && !broken->has_value();
}

// A store of the test's own, and the words that its tests use most.
class StoreTest : public testing::Test {
 protected:
  std::unique_ptr<Reader> read() { return *store_->read(); }
  Status write(Store::Change change) { return store_->write(std::move(change)); }
  Status add(const Device& device) {
    return write([&](Writer& w) { return w.add_device(device, "cli"); });
  }
  Status issue(const Issued& fact, Instant at = Instant{5000}) {
    return write([&](Writer& w) { return w.issued(fact, at, "est"); });
  }
  void reopen() {
    store_.reset();
    store_ = open_store(folder_.file());
  }
  std::vector<std::string> actions() {
    std::vector<std::string> out;
    const std::vector<AuditEntry> audit = *read()->audit(0, 1000);
    for (const AuditEntry& entry : audit) {
      out.push_back(entry.action);
    }
    return out;
  }

  TestFolder folder_;
  std::unique_ptr<Store> store_ = open_store(folder_.file());
  Signer signer_;
};

}  // namespace imprint::store
