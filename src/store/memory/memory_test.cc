// The memory takes and refuses what SQLite takes and refuses, and both hold the same afterwards.
#include "store/memory/memory.h"

#include "base/rng.h"
#include "store/store_testing.h"

namespace imprint::store {
namespace {

constexpr Instant kYoung{5'000};            // certificates of the tests are fresh until 10^12
constexpr Instant kOld{1'500'000'000'000};  // and half used up by then
constexpr std::array kDevices{"dev-1", "dev-2", "dev-3"};

// Random acts on both stores, with few names so that they meet often.
class Walk : public StoreTest {
 protected:
  std::uint32_t pick(std::uint32_t below) { return static_cast<std::uint32_t>(rng_->below(below)); }
  std::string some_device() { return kDevices.at(pick(kDevices.size())); }
  Sha256 some_mac() {
    Sha256 out{};
    out.fill(static_cast<std::uint8_t>(1 + pick(4)));
    return out;
  }
  Bytes some_serial() { return numbered(1 + pick(12)); }

  Device some_newcomer() {
    Device out = device_named(some_device());
    out.identities = {"x509:" + std::to_string(pick(4))};
    out.added = out.changed = now_;
    out.admission = pick(2) == 0 ? Admission::waiting : Admission::approved;
    return out;
  }
  Issued some_issue() {
    Issued out = issued_fact(signers_.at(pick(2)), 1 + pick(12), some_device());
    out.request_key = numbered(pick(4));
    if (pick(4) == 0) {
      out.spent = hex(some_mac());
    }
    if (pick(4) == 0) {
      out.renews = some_serial();
    }
    if (pick(4) == 0) {
      out.newcomer = some_newcomer();
      out.grant.device = out.newcomer->id;
    }
    return out;
  }
  Pended some_pended() {
    Pended out;
    out.request_key = numbered(pick(20));
    out.device = some_device();
    out.subject = "CN=lamp";
    if (pick(4) == 0) {
      out.newcomer = some_newcomer();
      out.device = out.newcomer->id;
    }
    return out;
  }
  Device changed_device(Reader& from) {
    Device out = (*from.device(some_device())).value_or(some_newcomer());
    out.version += pick(6) == 0 ? 1 : 0;
    out.admission = static_cast<Admission>(pick(4));
    out.changed = now_;
    if (pick(3) == 0) {
      out.identities = {"x509:" + std::to_string(pick(4))};
    }
    return out;
  }
  Denied some_denied() { return {numbered(pick(2)), "nobody", "", "CN=x", pick(2) == 0 ? "A" : "B", "reason"}; }

  KeptAnswer some_answer() {
    KeptAnswer out;
    out.key.fill(static_cast<std::uint8_t>(pick(4)));
    out.request = some_mac();
    out.at = now_ + kAnswerKept / 8 * pick(10);
    out.status = 200;
    out.body = numbered(pick(9));
    return out;
  }

  // One act, the same on both.
  Store::Change act() {
    switch (pick(14)) {
      case 0:
        return [d = some_newcomer()](Writer& w) { return w.add_device(d, "cli"); };
      case 1:
        return [d = changed_device(*read())](Writer& w) { return w.update_device(d, "cli", "device.changed"); };
      case 2:
        return [s = DeviceSecret{some_device(), "user", pick(3) != 0, some_mac(), false}](Writer& w) {
          return w.add_secret(s);
        };
      case 3:
      case 4:
        return [f = some_issue(), at = now_](Writer& w) { return w.issued(f, at, "est"); };
      case 5:
        return [f = some_pended(), at = now_](Writer& w) { return w.pended(f, at, "est"); };
      case 6:
        return [f = some_denied(), at = now_](Writer& w) { return w.denied(f, at, "est"); };
      case 7:
        return [key = numbered(pick(20)), yes = pick(2) == 0, at = now_](Writer& w) {
          return w.decide(key, yes ? Admission::approved : Admission::refused, "admin", at);
        };
      case 8:
        return [device = some_device(), at = now_](Writer& w) { return w.spend_one_time(device, at); };
      case 9:
        return [der = signers_.at(pick(2)).certificate(some_serial()), at = now_](Writer& w) {
          return w.issued_to_server(der, "made", at, "server");
        };
      case 12:
        return [k = WrapKeyRow{some_device(), numbered(pick(2)), some_mac(), numbered(pick(9))}](Writer& w) {
          return w.add_wrap_key(k);
        };
      case 13:
        return [device = some_device(), id = pick(2) == 0 ? Bytes{} : numbered(pick(2))](Writer& w) {
          return w.forget_wrap_keys(device, id);
        };
      case 10:
        return [a = some_answer()](Writer& w) { return w.keep_answer(a); };
      default:
        return [serial = some_serial(), lost = pick(4) == 0, at = now_](Writer& w) {
          return w.revoke(serial, lost ? RevocationReason::key_compromise : RevocationReason::superseded, "admin", at);
        };
    }
  }

  void expect_same() {
    for (const std::int64_t least : {now_.ms, std::int64_t{3}}) {
      EXPECT_EQ(next_number(least), *MemoryWriter(tables_).next_list_number(least));
    }
    const auto disk = read();
    MemoryReader memory(tables_);
    EXPECT_EQ(*disk->devices("", 100), *memory.devices("", 100));
    EXPECT_EQ(described(*disk), described(memory));
    for (std::uint8_t n = 0; n < 4; ++n) {
      Sha256 key{};
      key.fill(n);
      for (const Instant at : {now_, now_ + kAnswerKept}) {
        EXPECT_EQ(kept_on_disk(key, at), *MemoryWriter(tables_).kept_answer(key, at));
      }
    }
  }

  std::optional<KeptAnswer> kept_on_disk(const Sha256& key, Instant at) {
    std::optional<KeptAnswer> out;
    EXPECT_TRUE(write([&](Writer& w) -> Status {
      TRY(out, w.kept_answer(key, at));
      return Ok{};
    }));
    return out;
  }

  std::int64_t next_number(std::int64_t least) {
    std::int64_t out = 0;
    EXPECT_TRUE(write([&](Writer& w) -> Status {
      TRY(out, w.next_list_number(least));
      return Ok{};
    }));
    return out;
  }

  // All else that the two hold, as text.
  std::vector<std::string> described(Reader& from) {
    std::vector<std::string> out;
    for (const CertificateRow& c : *from.certificates({})) {
      out.push_back("certificate " + hex(c.serial) + ' ' + c.device + ' ' + hex(c.request_key) + ' ' + hex(c.renews) +
                    ' ' + std::to_string(c.issued.ms) + (c.revoked ? " revoked" : ""));
    }
    for (const PendingRow& p : *from.all_pending()) {
      out.push_back("pending " + hex(p.what.request_key) + ' ' + p.what.device + ' ' + std::to_string(p.asked) + ' ' +
                    std::string(name(p.state)) + p.decided_by);
    }
    for (const std::string device : {"", "dev-1", "dev-2", "dev-3"}) {
      for (const PendingRow& p : *from.waiting(device)) {
        out.push_back("waits " + device + ' ' + hex(p.what.request_key));
      }
    }
    for (std::uint8_t mac = 1; mac <= 4; ++mac) {
      Sha256 value{};
      value.fill(mac);
      const auto secret = *from.secret(value);
      const auto wrap_key = *from.wrap_key(value);
      out.push_back(wrap_key ? "wrap key of " + wrap_key->device + hex(wrap_key->sealed) : "no wrap key");
      out.push_back(secret ? "secret of " + secret->device + (secret->spent ? " spent" : "") : "no secret");
    }
    for (const AuditEntry& e : *from.audit(0, 10'000)) {
      out.push_back(e.actor + ' ' + e.action + ' ' + e.subject);
    }
    for (std::uint32_t key = 0; key < 4; ++key) {
      const auto row = *from.certificate_for(numbered(key));
      out.push_back(row ? hex(row->serial) : "none");
    }
    for (std::uint32_t serial = 1; serial <= 12; ++serial) {
      const auto row = *from.successor(numbered(serial));
      out.push_back(row ? "renewed by " + hex(row->serial) : "not renewed");
    }
    for (const char* device : kDevices) {
      for (const WrapKeyRow& row : *from.wrap_keys(device)) {
        out.push_back("wrap key " + hex(row.id) + " of " + row.device);
      }
      out.push_back(std::to_string(*from.live_certificates(device, now_)) + " live");
      out.push_back(std::to_string(*from.live_certificates(device, kNoEnd)) + " live at the end");
    }
    for (const Signer& signer : signers_) {
      out.push_back(*from.is_compromised(signer.spki_sha256()) ? "compromised" : "good");
      out.push_back((*from.other_holder(signer.spki_sha256(), "dev-1")).has_value() ? "held" : "free");
    }
    return out;
  }

  std::array<Signer, 2> signers_;
  Tables tables_;
  std::optional<SeededRng> rng_;
  Instant now_ = kYoung;
};

TEST_F(Walk, memory_and_database_agree_on_every_act) {
  constexpr int kSeeds = 6;
  constexpr int kActs = 120;
  std::size_t taken = 0;
  for (int seed = 1; seed <= kSeeds; ++seed) {
    std::filesystem::remove(folder_.file());
    reopen();
    tables_ = {};
    rng_.emplace(static_cast<std::uint64_t>(seed));
    now_ = kYoung;
    for (int i = 0; i < kActs; ++i) {
      now_ = Instant{(i == kActs / 2 ? kOld : now_).ms + 1};
      const Store::Change change = act();
      MemoryWriter memory(tables_);
      const Status there = write(change);
      const Status here = change(memory);
      ASSERT_EQ(fault_of(there), fault_of(here))
          << "seed " << seed << ", act " << i << ": " << (there ? "taken" : there.error().what) << " / "
          << (here ? "taken" : here.error().what);
      taken += there ? 1 : 0;
    }
    expect_same();
  }
  EXPECT_GT(taken, 200U);  // both refused all: nothing was compared
}

}  // namespace
}  // namespace imprint::store
