// Whose row a device gets: not another maker's, not that of its life before, not that of the authority before it.
#include <openssl/x509v3.h>

#include "crypto/issue.h"
#include "crypto/openssl.h"
#include "site/applicant.h"
#include "site/est_gate.h"
#include "site/operations.h"
#include "site/pledge_rules.h"
#include "site/pledges.h"
#include "site/policy_testing.h"
#include "site/rules.h"

namespace imprint::site {
namespace {

using Verdict = brski::AdmitPledge::Decision::Verdict;

// A root without a subject key identifier: OpenSSL then holds nothing against what IDevIDs below it say of theirs.
Ca root_without_identifier(std::string_view common_name) {
  Ca out;
  out.key = *PrivateKey::generate(KeyType::p256);
  const auto key = openssl_key(out.key);
  const X509Ptr raw(X509_new());
  X509_set_version(raw.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(raw.get()), 5);
  X509_NAME* const name = X509_get_subject_name(raw.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, view(common_name).data(), static_cast<int>(common_name.size()),
                             -1, 0);
  X509_set_issuer_name(raw.get(), name);
  time_t from = kNow.ms / 1000 - 86'400, to = from + 86'400L * 3'650;
  X509_time_adj(X509_getm_notBefore(raw.get()), 0, &from);
  X509_time_adj(X509_getm_notAfter(raw.get()), 0, &to);
  X509_set_pubkey(raw.get(), key.get());
  for (const auto& [nid, text] :
       {std::pair(NID_basic_constraints, "critical,CA:TRUE"), std::pair(NID_key_usage, "critical,keyCertSign")}) {
    X509_EXTENSION* const one = X509V3_EXT_conf_nid(nullptr, nullptr, nid, text);
    X509_add_ext(raw.get(), one, -1);
    X509_EXTENSION_free(one);
  }
  X509_sign(raw.get(), key.get(), EVP_sha256());
  out.certificate = *from_openssl(raw.get());
  return out;
}

class PledgeRows : public SitePolicy {
 protected:
  void SetUp() override {
    SitePolicy::SetUp();
    idevid_ = certify(maker_, idevid_key_, "CN=lamp,serialNumber=SN-1");
    session_ = session_with(idevid_, maker_);
    // Another maker that is trusted for its own devices: its IDevID says A's key identifier, and A's serial number.
    other_ = root_without_identifier("Other Maker");
    CertificateTemplate t;
    t.serial = {9};
    t.issuer = other_.certificate.subject;
    t.subject = name_of("CN=lamp,serialNumber=SN-1");
    t.not_before = kNow - std::chrono::hours(24);
    t.not_after = kNow + kYear;
    t.spki = key_.public_key().spki;
    t.authority_key_id = brski::issuer_key_id(idevid_);
    alike_ = *Certificate::parse(*sign_certificate(other_.key, t));
    alike_session_ = session_with(alike_, other_);
    policy_.pledge_names = pledge_names;
    policy_.needs_voucher = [](const Certificate& c, const std::vector<Certificate>& above) {
      return Result<std::optional<PledgeId>>(pledge_id(c, above, {}));
    };
  }

  brski::AdmitPledge::Decision ask(const SessionRef& session) {
    auto reader = *store_->read();
    return *admit_pledge(policy_, *reader, {session}, find());
  }
  Result<brski::RecallPledge::Recalled> recall(const SessionRef& session) {
    auto reader = *store_->read();
    return recall_pledge(policy_, *reader, {session}, find());
  }
  static FindMasa find() {
    return [](const Certificate&, const std::vector<Certificate>&) -> Result<brski::MasaContact> {
      brski::MasaContact out;
      out.url = *Uri::parse("https://masa.example");
      return out;
    };
  }
  const Rule* gate(const SessionRef& session) {
    auto reader = *store_->read();
    const Status open = may_enrol(policy_, *reader, *session);
    return open ? nullptr : open.error().rule;
  }
  void write(const store::Store::Change& change) { ASSERT_TRUE(store_->write(change)); }
  void obtains(const PledgeId& id, const std::string& device) {
    write([&](store::Writer& w) {
      return w.voucher_obtained({id, device, {1}, {2}, "cms", "n", {3}, "masa", "run"}, kNow, "test");
    });
  }
  void onboards(const PledgeId& id, const std::string& device, bool cleared = true) {
    obtains(id, device);
    write([&](store::Writer& w) {
      return w.voucher_reported({id, device, {true, {}, {}}, cleared, cleared ? "" : "RULE", "why", "log"}, kNow, "t");
    });
  }
  PledgeId id() { return pledge_id(idevid_, {}); }
  PledgeRow row() { return (*(*store_->read())->pledge(id().issuer, id().serial)).value_or(PledgeRow{}); }

  Certificate idevid_, alike_;
  Ca other_;
  SessionRef session_, alike_session_;
};

TEST_F(PledgeRows, a_ca_goes_by_its_key_and_not_by_the_words_of_its_certificates) {
  EXPECT_EQ(pledge_id(idevid_, {maker_.certificate}, {}), id()) << "its identifier is made of its key";
  const PledgeId alike = pledge_id(alike_, {other_.certificate}, {});
  EXPECT_EQ(pledge_id(alike_, {}).issuer, id().issuer);
  EXPECT_NE(alike.issuer, id().issuer);
  EXPECT_EQ(alike.serial, "SN-1");
  EXPECT_EQ(pledge_id(alike_, {other_.certificate, maker_.certificate}, {}), alike) << "whatever is above that CA";
  EXPECT_NE(pledge_id(alike_, {root_without_identifier("Other Maker").certificate}, {}).issuer, alike.issuer);
  Certificate bare = idevid_;
  bare.der.clear();  // no authority key identifier: the device's own key stands for it
  EXPECT_EQ(pledge_id(bare, {maker_.certificate}, {}).issuer, key_identifier(idevid_key_.public_key()));
}

TEST_F(PledgeRows, another_maker_s_device_takes_nothing_from_this_one) {
  add_device("dev-1", Admission::approved, identity_of(idevid_));
  onboards(id(), "dev-1");
  const PledgeRow before = row();
  policy_.unknown = Unknown::refuse;
  const auto refused = ask(alike_session_);
  EXPECT_EQ(refused.rule, &kUnknown);
  write([&](store::Writer& w) {
    return w.pledge_refused({refused.id, refused.device, std::string(refused.rule->id), "why"}, kNow, "brski");
  });
  EXPECT_EQ(row(), before);
  EXPECT_EQ(gate(session_), nullptr);
  add_device("dev-2", Admission::approved, identity_of(alike_));
  const auto wanted = ask(alike_session_);
  EXPECT_EQ(wanted.verdict, Verdict::wanted);
  EXPECT_FALSE(wanted.kept) << "the other one's voucher";
  EXPECT_EQ(recall(alike_session_).error().rule, &kNotAsked);
  EXPECT_EQ(gate(alike_session_), &kEstEarly);
  onboards(wanted.id, wanted.device);
  EXPECT_EQ(row(), before);
  EXPECT_EQ(gate(alike_session_), nullptr);
  EXPECT_EQ(recall(alike_session_)->row.device, "dev-2");
  write([&](store::Writer& w) { return w.clear_pledge(id(), false, "stolen", kNow, "cli"); });
  EXPECT_EQ(gate(session_), &kEstHeld);
  EXPECT_EQ(gate(alike_session_), nullptr);
  policy_.needs_voucher = [](const Certificate&, const std::vector<Certificate>&) {
    return Result<std::optional<PledgeId>>(std::nullopt);
  };
  write([&](store::Writer& w) { return w.clear_pledge(wanted.id, false, "stolen", kNow, "cli"); });
  EXPECT_EQ(gate(alike_session_), &kEstHeld) << "found by what its CA is";
}

TEST_F(PledgeRows, what_earlier_versions_wrote_is_found_by_the_device_s_key) {
  add_device("dev-2", Admission::approved, identity_of(alike_));
  const PledgeId said = pledge_id(alike_, {});
  onboards(said, "dev-2");
  EXPECT_EQ(ask(alike_session_).id, said);
  EXPECT_EQ(ask(alike_session_).kept, Bytes{2});
  EXPECT_TRUE(recall(alike_session_));
  EXPECT_EQ(gate(alike_session_), nullptr);
  onboards(said, "dev-2", false);
  EXPECT_EQ(gate(alike_session_), &kEstHeld);
}

TEST_F(PledgeRows, a_voucher_that_came_before_its_device_is_for_that_device) {
  add_device("dev-1", Admission::approved, {});
  add_device("dev-2", Admission::approved, identity_of(alike_));
  PledgeId kit = id();
  kit.key.clear();
  obtains(kit, "dev-1");
  EXPECT_FALSE(ask(alike_session_).kept);
  EXPECT_NE(ask(alike_session_).id.issuer, kit.issuer);
  obtains(kit, "dev-2");
  EXPECT_EQ(ask(alike_session_).kept, Bytes{2});
  EXPECT_EQ(ask(alike_session_).id.issuer, kit.issuer);
  EXPECT_FALSE(recall(alike_session_)) << "it has not come yet";
}

TEST_F(PledgeRows, a_retired_device_that_is_added_again_begins_anew) {
  add_device("dev-1", Admission::approved, identity_of(idevid_));
  onboards(id(), "dev-1");
  ASSERT_EQ(gate(session_), nullptr);
  const Act act{"cli", kNow + std::chrono::hours(1)};
  write([&](store::Writer& w) { return retire_device(w, {"dev-1", std::nullopt}, act); });
  EXPECT_EQ(gate(session_), &kEstEarly);
  EXPECT_EQ(recall(session_).error().rule, &kNotAsked);
  onboards(id(), "dev-1");  // was on its way while it was retired
  ManifestEntry entry;
  entry.id = "dev-2";
  entry.idevid = idevid_;
  write([&](store::Writer& w) { return register_device(w, policy_.pepper, entry, act); });
  EXPECT_EQ(gate(session_), &kEstEarly);
  EXPECT_EQ(decide(session_, {}, request(key_, asking_for("CN=dev-2"))).rule, &kEstEarly);
  EXPECT_FALSE(ask(session_).kept) << "the voucher of its life before";
  onboards(id(), "dev-2");
  EXPECT_EQ(row().device, "dev-2");
  EXPECT_EQ(gate(session_), nullptr);
}

TEST_F(PledgeRows, a_device_that_is_adopted_begins_anew_and_keeps_its_hold) {
  policy_.unknown = Unknown::queue;
  const auto waits = ask(session_);
  write([&](store::Writer& w) {
    return w.pledge_waits({waits.id, waits.device, "waits", waits.newcomer}, kNow, "brski");
  });
  write([&](store::Writer& w) { return w.clear_pledge(id(), true, "why", kNow, "cli"); });
  ASSERT_EQ(gate(session_), nullptr);
  ManifestEntry entry;
  entry.id = "lamp";
  entry.idevid = idevid_;
  write([&](store::Writer& w) { return register_device(w, policy_.pepper, entry, {"cli", kNow}); });
  EXPECT_EQ(gate(session_), &kEstEarly);
  onboards(id(), "lamp", false);
  write([&](store::Writer& w) { return retire_device(w, {"lamp", std::nullopt}, {"cli", kNow}); });
  entry.id = "lamp-2";
  write([&](store::Writer& w) { return register_device(w, policy_.pepper, entry, {"cli", kNow}); });
  EXPECT_EQ(row().held, "RULE");
  onboards(id(), "lamp-2");
  EXPECT_EQ(gate(session_), &kEstHeld);
}

// What a registration authority handed on is on record as the authority's own.
TEST_F(PledgeRows, a_device_behind_an_authority_reports_nothing_as_that_authority) {
  add_device("ra-1", Admission::approved, identity_of(idevid_));
  onboards(id(), "ra-1");
  const PrivateKey behind = *PrivateKey::generate(KeyType::p256);
  const auto given = [&](const std::string& profile, const std::string& device) {
    const Certificate out = certify(owner_, behind, "CN=behind");
    Decision d;
    d.grant.device = device;
    d.grant.profile = profile;
    d.grant.names.subject = name_of("CN=behind");
    record(d, out.der, out.serial);
    return recall(session_with(out, owner_));
  };
  EXPECT_EQ(given("default" + std::string(kHandedOnMark), "ra-1").error().rule, &kNotAsked);
  EXPECT_TRUE(given("default", "ra-1"));
  // A server's certificate of ours is nobody's: the latest row of all would answer for it.
  const Certificate server = *issue_server(owner_, behind.public_key(), {}, kNow, kYear, rng_);
  write([&](store::Writer& w) { return w.issued_to_server(server.der, "tls", kNow, "test"); });
  EXPECT_EQ(recall(session_with(server, owner_)).error().rule, &kNotAsked);
}

}  // namespace
}  // namespace imprint::site
