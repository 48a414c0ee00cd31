#include "site/pledges.h"

#include <algorithm>

#include "site/est_gate.h"
#include "site/masa_rules.h"
#include "site/newcomer.h"
#include "site/pledge_rules.h"
#include "site/policy_testing.h"
#include "site/rules.h"

namespace imprint::site {
namespace {

using Verdict = brski::AdmitPledge::Decision::Verdict;

class SitePledges : public SitePolicy {
 protected:
  void SetUp() override {
    SitePolicy::SetUp();
    idevid_ = certify(maker_, idevid_key_, "CN=lamp,serialNumber=SN-1");
    session_ = session_with(idevid_, maker_);
    find_ = [this](const Certificate&, const std::vector<Certificate>&) -> Result<brski::MasaContact> {
      if (!masa_) {
        return Error{Fault::refused, "no rule"};
      }
      return *masa_;
    };
    masa_.emplace().url = *Uri::parse("https://masa.example");
  }

  brski::AdmitPledge::Decision ask() {
    auto reader = *store_->read();
    return *admit_pledge(policy_, *reader, {session_}, find_);
  }
  Result<brski::RecallPledge::Recalled> recall(const SessionRef& session) {
    auto reader = *store_->read();
    return recall_pledge(policy_, *reader, {session}, find_);
  }
  PledgeId id() { return pledge_id(idevid_, {}); }
  void vouchered() {
    const VoucherObtained fact{id(), "dev-1", {1}, {2}, "cms", "n", {3}, "masa", "run"};
    EXPECT_TRUE(store_->write([&](store::Writer& w) { return w.voucher_obtained(fact, kNow, "test"); }));
  }
  void reported(bool cleared) {
    const VoucherReported fact{id(), "dev-1", {true, {}, {}}, cleared, {}, "why", "log"};
    EXPECT_TRUE(store_->write([&](store::Writer& w) { return w.voucher_reported(fact, kNow, "test"); }));
  }
  Status gate(const SessionRef& session) {
    auto reader = *store_->read();
    return may_enrol(policy_, *reader, *session);
  }

  Certificate idevid_;
  SessionRef session_;
  std::optional<brski::MasaContact> masa_;
  FindMasa find_;
};

TEST_F(SitePledges, the_inventory_decides) {
  struct Case {
    Admission admission;
    Verdict verdict;
    const Rule* rule;
  };
  for (const Case& c :
       {Case{Admission::approved, Verdict::wanted, nullptr}, Case{Admission::waiting, Verdict::pending, &kWaiting},
        Case{Admission::refused, Verdict::refused, &kUnwanted},
        Case{Admission::retired, Verdict::refused, &kRetired}}) {
    TearDown();
    SetUp();
    add_device("dev-1", c.admission, identity_of(idevid_));
    const auto d = ask();
    EXPECT_EQ(d.verdict, c.verdict);
    EXPECT_EQ(d.rule, c.rule);
    EXPECT_EQ(d.device, "dev-1");
    EXPECT_FALSE(d.newcomer);
    EXPECT_EQ(d.id, id());
    EXPECT_EQ(d.id.serial, "SN-1");
  }
}

TEST_F(SitePledges, a_stranger_is_what_the_policy_makes_of_it) {
  policy_.unknown = Unknown::refuse;
  EXPECT_EQ(ask().rule, &kUnknown);
  policy_.unknown = Unknown::queue;
  const auto waits = ask();
  EXPECT_EQ(waits.verdict, Verdict::pending);
  ASSERT_TRUE(waits.newcomer);
  EXPECT_EQ(waits.newcomer->admission, Admission::waiting);
  EXPECT_EQ(waits.newcomer->serial, "SN-1");
  EXPECT_EQ(waits.newcomer->id, newcomer_id("SN-1", identity_of(idevid_)));
  EXPECT_TRUE(waits.newcomer->id.starts_with("SN-1-")) << waits.newcomer->id;
  EXPECT_EQ(waits.newcomer->identities, std::vector<std::string>{identity_of(idevid_)});
  EXPECT_GT(waits.retry_after, Duration(0));
  policy_.unknown = Unknown::admit;
  EXPECT_EQ(ask().verdict, Verdict::wanted);
  EXPECT_EQ(ask().newcomer->admission, Admission::approved);
}

TEST_F(SitePledges, nobody_is_answered_who_has_proven_nothing) {
  auto reader = *store_->read();
  for (const SessionRef& session : {SessionRef(), SessionRef(std::make_shared<Session>())}) {
    EXPECT_EQ(admit_pledge(policy_, *reader, {session}, find_).error().rule, &kUnknown);
    EXPECT_EQ(recall_pledge(policy_, *reader, {session}, find_).error().rule, &kNotAsked);
  }
}

TEST_F(SitePledges, a_compromised_key_gets_no_voucher) {
  add_device("dev-1", Admission::approved, identity_of(idevid_));
  const Certificate given = certify(owner_, idevid_key_, "CN=dev-1");
  Decision d;
  d.grant.device = "dev-1";
  d.grant.names.subject = name_of("CN=dev-1");
  record(d, given.der, {1, 2, 3});
  EXPECT_EQ(ask().verdict, Verdict::wanted);
  ASSERT_TRUE(store_->write(
      [&](store::Writer& w) { return w.revoke(given.serial, RevocationReason::key_compromise, "test", kNow); }));
  EXPECT_EQ(ask().rule, &kCompromised);
}

TEST_F(SitePledges, nobody_speaks_for_its_maker) {
  add_device("dev-1", Admission::approved, identity_of(idevid_));
  masa_.reset();
  const auto d = ask();
  EXPECT_EQ(d.verdict, Verdict::refused);
  EXPECT_EQ(d.rule, &kMasaUnknown);
}

TEST_F(SitePledges, a_device_of_ours_needs_no_voucher) {
  session_ = session_with(certify(owner_, key_, "CN=dev-1"), owner_);
  EXPECT_EQ(ask().rule, &kNotIdevid);
}

TEST_F(SitePledges, the_serial_number_is_where_the_maker_writes_it) {
  masa_->quirks.serial = brski::SerialSource::common_name;
  EXPECT_EQ(ask().id.serial, "lamp");
}

TEST_F(SitePledges, the_voucher_on_record_is_offered_to_this_key_alone) {
  add_device("dev-1", Admission::approved, identity_of(idevid_));
  EXPECT_FALSE(ask().kept);
  vouchered();
  EXPECT_EQ(ask().kept, Bytes{2});
  session_ = session_with(certify(maker_, key_, "CN=lamp,serialNumber=SN-1"), maker_);
  policy_.unknown = Unknown::admit;
  auto other = ask();
  other.id.issuer = id().issuer;
  EXPECT_FALSE(other.kept);
}

TEST_F(SitePledges, recalls_who_asked_with_the_same_key) {
  EXPECT_EQ(recall(session_).error().rule, &kNotAsked);
  const PledgeWaits waits{id(), "dev-1", "why", {}};
  ASSERT_TRUE(store_->write([&](store::Writer& w) { return w.pledge_waits(waits, kNow, "test"); }));
  EXPECT_EQ(recall(session_).error().rule, &kNotAsked) << "it has no voucher yet";
  vouchered();
  const auto found = recall(session_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->row.device, "dev-1");
  EXPECT_EQ(found->certificate, "");
  EXPECT_EQ(found->masa.url.host, "masa.example");
  const auto stranger = session_with(certify(maker_, key_, "CN=lamp,serialNumber=SN-2"), maker_);
  EXPECT_EQ(recall(stranger).error().rule, &kNotAsked);
}

TEST_F(SitePledges, recalls_a_device_by_the_certificate_that_it_was_given) {
  add_device("dev-1", Admission::approved, identity_of(idevid_));
  vouchered();
  const Certificate ldevid = certify(owner_, key_, "CN=dev-1");
  const auto session = session_with(ldevid, owner_);
  EXPECT_EQ(recall(session).error().rule, &kNotAsked) << "nobody knows that certificate";
  Decision d;
  d.grant.device = "dev-1";
  d.grant.names.subject = name_of("CN=dev-1");
  record(d, ldevid.der, {1, 2, 3});
  const auto found = recall(session);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->certificate, hex(ldevid.serial));
  EXPECT_EQ(found->row.id, id());
  ASSERT_TRUE(store_->write(
      [&](store::Writer& w) { return w.revoke(ldevid.serial, RevocationReason::superseded, "test", kNow); }));
  EXPECT_EQ(recall(session).error().rule, &kNotAsked);
}

TEST_F(SitePledges, est_waits_for_a_cleared_voucher_where_it_has_to) {
  add_device("dev-1", Admission::approved, identity_of(idevid_));
  EXPECT_TRUE(gate(session_)) << "off unless somebody says so";
  std::size_t asked = 0;
  policy_.pledge_names = pledge_names;
  policy_.needs_voucher = [&](const Certificate& c, const std::vector<Certificate>&) {
    ++asked;
    return Result<std::optional<PledgeId>>(c.issuer == idevid_.issuer ? std::optional(pledge_id(c, {})) : std::nullopt);
  };
  EXPECT_EQ(gate(session_).error().rule, &kEstEarly);
  vouchered();
  EXPECT_EQ(gate(session_).error().rule, &kEstEarly);
  reported(false);
  EXPECT_EQ(gate(session_).error().rule, &kEstHeld) << "held for a person";
  const auto enrol = [&] { return decide(session_, {}, request(key_, asking_for("CN=dev-1"))); };
  const Decision held = enrol();
  EXPECT_EQ(held.verdict, imprint::Verdict::pending) << "it comes again, and need not begin anew";
  EXPECT_EQ(held.rule, &kEstHeld);
  EXPECT_EQ(held.retry_after, policy_.retry_after);
  EXPECT_TRUE(held.noted) << "nothing is written each time";
  EXPECT_EQ(held.grant.device, "dev-1");
  ASSERT_TRUE(store_->write([&](store::Writer& w) { return w.clear_pledge(id(), true, "looked", kNow, "cli"); }));
  EXPECT_TRUE(gate(session_));
  EXPECT_EQ(enrol().verdict, imprint::Verdict::issue);
  asked = 0;
  EXPECT_TRUE(gate(session_with(certify(owner_, key_, "CN=dev-1"), owner_))) << "renewals are nobody's voucher";
  EXPECT_EQ(asked, 0U);
  EXPECT_TRUE(gate(std::make_shared<Session>())) << "nor are tokens";
}

TEST_F(SitePledges, est_is_not_open_to_the_held_because_no_rule_is_for_them_any_more) {
  add_device("dev-1", Admission::approved, identity_of(idevid_));
  policy_.pledge_names = pledge_names;
  policy_.needs_voucher = [](const Certificate&, const std::vector<Certificate>&) {
    return Result<std::optional<PledgeId>>(std::nullopt);
  };
  EXPECT_TRUE(gate(session_));
  vouchered();
  EXPECT_TRUE(gate(session_)) << "its maker lets it enrol before it reports";
  reported(false);
  EXPECT_EQ(gate(session_).error().rule, &kEstHeld);
  EXPECT_TRUE(gate(session_with(certify(maker_, key_, "CN=lamp,serialNumber=SN-2"), maker_))) << "another device";
  ASSERT_TRUE(store_->write([&](store::Writer& w) { return w.clear_pledge(id(), true, "looked", kNow, "cli"); }));
  EXPECT_TRUE(gate(session_));
}

TEST_F(SitePledges, est_is_not_open_to_the_refused_because_no_rule_is_for_them_any_more) {
  policy_.pledge_names = pledge_names;
  policy_.needs_voucher = [](const Certificate&, const std::vector<Certificate>&) {
    return Result<std::optional<PledgeId>>(std::nullopt);
  };
  const auto refused = [&](std::string_view rule) {
    const PledgeRefused fact{id(), "dev-1", std::string(rule), "why"};
    EXPECT_TRUE(store_->write([&](store::Writer& w) { return w.pledge_refused(fact, kNow, "test"); }));
    return gate(session_);
  };
  for (const Rule* const rule : {&kUnknown, &kUnwanted, &kRetired, &kCompromised, &kNotIdevid, &kMasaUnknown,
                                 &kMasaEnded, &kMakerFile, &kMasaAnchors}) {
    EXPECT_TRUE(refused(rule->id)) << rule->id;
  }
  EXPECT_EQ(refused("BRSKI-MASA-REFUSED").error().rule, &kEstEarly);
  EXPECT_TRUE(gate(session_with(certify(maker_, key_, "CN=lamp,serialNumber=SN-1"), maker_))) << "another key";
  ASSERT_TRUE(store_->write([&](store::Writer& w) { return w.clear_pledge(id(), true, "looked", kNow, "cli"); }));
  EXPECT_TRUE(gate(session_));
}

// The rules of its maker say anew where its serial number stands; or another CA of that name issued its IDevID.
TEST_F(SitePledges, a_hold_goes_with_the_device_and_not_with_its_name) {
  brski::Quirks quirks;
  quirks.serial = brski::SerialSource::common_name;
  const PledgeId now = pledge_id(idevid_, quirks);
  policy_.pledge_names = pledge_names;
  policy_.needs_voucher = [&](const Certificate&, const std::vector<Certificate>&) {
    return Result<std::optional<PledgeId>>(now);
  };
  const auto write = [&](const store::Store::Change& change) { ASSERT_TRUE(store_->write(change)); };
  const auto come_cleared = [&] {
    write([&](store::Writer& w) {
      return w.voucher_obtained({now, "dev-1", {1}, {2}, "cms", "n", {3}, "masa", "run"}, kNow, "test");
    });
    write([&](store::Writer& w) {
      return w.voucher_reported({now, "dev-1", {true, {}, {}}, true, {}, "why", "log"}, kNow, "test");
    });
  };
  come_cleared();
  EXPECT_TRUE(gate(session_));
  const auto hold = [&](const PledgeId& before, const char* device, bool held) {
    write([&](store::Writer& w) { return w.pledge_waits({before, device, "why", {}}, kNow, "test"); });
    write([&](store::Writer& w) { return w.clear_pledge(before, !held, "why", kNow, "cli"); });
  };
  hold(id(), "", true);
  EXPECT_EQ(gate(session_).error().rule, &kEstHeld) << "under the serial number of before";
  hold(id(), "", false);
  EXPECT_TRUE(gate(session_));
  add_device("dev-1", Admission::approved, identity_of(idevid_));
  const PledgeId elsewhere{"SN-1", {9, 9}, id().key};
  hold(elsewhere, "dev-1", true);
  EXPECT_EQ(gate(session_).error().rule, &kEstHeld) << "under another CA";
  hold(elsewhere, "dev-1", false);
  EXPECT_TRUE(gate(session_));
  PledgeId other_key = id();
  other_key.key = Bytes(32, 1);
  hold(other_key, "dev-2", true);
  EXPECT_TRUE(gate(session_)) << "another device of that serial number";
}

TEST_F(SitePledges, what_is_held_and_not_wanted_is_refused) {
  policy_.pledge_names = pledge_names;
  policy_.needs_voucher = [](const Certificate& c, const std::vector<Certificate>&) {
    return Result<std::optional<PledgeId>>(pledge_id(c, {}));
  };
  add_device("dev-1", Admission::refused, identity_of(idevid_));
  vouchered();
  const auto enrol = [&] { return decide(session_, {}, request(key_, asking_for("CN=dev-1"))); };
  EXPECT_EQ(enrol().rule, &kEstEarly);
  reported(false);
  EXPECT_EQ(enrol().verdict, imprint::Verdict::refused);
  EXPECT_EQ(enrol().rule, &kEstHeld);
}

TEST_F(SitePledges, est_is_open_to_the_device_that_was_cleared_and_not_to_its_key_elsewhere) {
  policy_.pledge_names = pledge_names;
  policy_.needs_voucher = [](const Certificate& c, const std::vector<Certificate>&) {
    return Result<std::optional<PledgeId>>(pledge_id(c, {}));
  };
  vouchered();
  reported(true);
  EXPECT_TRUE(gate(session_));
  const auto other = [&](const Ca& ca, const PrivateKey& key, const char* subject) {
    return gate(session_with(certify(ca, key, subject), ca)).error().rule;
  };
  EXPECT_EQ(other(maker_, idevid_key_, "CN=lamp,serialNumber=SN-2"), &kEstEarly) << "another device of the maker";
  EXPECT_EQ(other(maker_, key_, "CN=lamp,serialNumber=SN-1"), &kEstEarly) << "another key";
  const Ca elsewhere = *make_root(KeyType::p256, name_of("CN=Other Maker"), kNow, kYear, rng_);
  EXPECT_EQ(other(elsewhere, idevid_key_, "CN=lamp,serialNumber=SN-1"), &kEstEarly) << "another maker";
}

TEST_F(SitePledges, who_needs_a_voucher_is_what_the_makers_rules_say) {
  MasaBook book;
  const std::vector<Certificate> chain{maker_.certificate};
  const auto ask_book = [&] { return voucher_needed(book, idevid_, chain, kNow); };
  ASSERT_TRUE(ask_book());
  EXPECT_FALSE(*ask_book()) << "nobody speaks for it, nobody ever did";
  MasaRule rule;
  rule.url = *Uri::parse("https://masa.example");
  book.rules = {rule};
  ASSERT_TRUE(ask_book());
  EXPECT_EQ(*ask_book(), id());
  book.rules[0].quirks.serial = brski::SerialSource::common_name;
  EXPECT_EQ((*ask_book())->serial, "lamp");
  book.rules[0].quirks.est_before_status = true;
  EXPECT_FALSE(*ask_book());
  book.rules[0].ends = kNow;
  EXPECT_EQ(ask_book().error().rule, &kMasaEnded);
  policy_.pledge_names = pledge_names;
  policy_.needs_voucher = [&](const Certificate& c, const std::vector<Certificate>& above) {
    return voucher_needed(book, c, above, kNow);
  };
  add_device("dev-1", Admission::approved, identity_of(idevid_));
  vouchered();
  reported(true);
  const Decision d = decide(session_, {}, request(key_, asking_for("CN=dev-1")));
  EXPECT_EQ(d.verdict, imprint::Verdict::refused);
  EXPECT_EQ(d.rule, &kMasaEnded);
}

// Registrars show their server certificate to MASAs, and could to us.
TEST_F(SitePledges, a_server_certificate_of_ours_is_no_device) {
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  const Certificate server = *issue_server(owner_, key.public_key(), {}, kNow, kYear, rng_);
  EXPECT_NE(std::ranges::find(server.extended, eku::kClientAuth), server.extended.end());
  const SessionRef session = session_with(server, owner_);
  const auto enrol = [&](bool renewal) {
    return decide(session, {}, request(key_, asking_for("CN=dev-1")), {1, 2, 3}, renewal);
  };
  EXPECT_EQ(enrol(false).verdict, imprint::Verdict::refused);
  ASSERT_TRUE(store_->write([&](store::Writer& w) { return w.issued_to_server(server.der, "tls", kNow, "test"); }));
  for (const bool renewal : {false, true}) {
    const Decision d = enrol(renewal);
    EXPECT_EQ(d.verdict, imprint::Verdict::refused);
    EXPECT_EQ(d.rule, &kUnknown);
    EXPECT_FALSE(d.newcomer);
    EXPECT_TRUE(d.grant.device.empty());
  }
  session_ = session;
  EXPECT_EQ(ask().rule, &kNotIdevid);
  EXPECT_EQ(recall(session).error().rule, &kNotAsked);
}

}  // namespace
}  // namespace imprint::site
