// What devices report to the registrar, and what it makes of their past: the MASA's log, holds, entries in our own
// name.
#include <gtest/gtest.h>

#include "proto/brski/registrar_testing.h"

namespace imprint::brski {
namespace {

using namespace testing;

constexpr Duration kHour = std::chrono::hours(1);

// Its CA goes by what it is, on record; the MASA writes what the IDevID says of it.
TEST(RegistrarPast, a_voucher_names_the_issuer_as_the_idevid_does) {
  for (const bool checked : {false, true}) {
    Desk d;
    d.voucher.idevid_issuer = encode_idevid_issuer(d.decision.id.issuer);
    d.decision.id.issuer = Bytes(32, 5);
    if (checked) {
      d.decision.masa.voucher_anchors = {registrar_cast().maker.certificate};
    }
    EXPECT_EQ(d.ask_for_voucher().status, 200) << checked;
    ASSERT_NE(d.fact<VoucherObtained>(), nullptr);
    EXPECT_EQ(d.fact<VoucherObtained>()->id, d.decision.id);
  }
  Desk other;
  other.decision.id.issuer = Bytes(32, 5);
  other.voucher.idevid_issuer = encode_idevid_issuer(Bytes(32, 5));
  EXPECT_NE(other.ask_for_voucher().status, 200);
}

// ---- reports ----

TEST(RegistrarPast, a_device_that_took_its_voucher_is_cleared_by_the_log) {
  Desk d;
  EXPECT_EQ(d.report(Operation::voucher_status, true).status, 200);
  ASSERT_EQ(d.asked.size(), 1U);
  EXPECT_EQ(d.asked[0].path, "/.well-known/brski/requestauditlog");
  EXPECT_EQ(d.asked[0].body, d.row.request) << "the same request again";
  EXPECT_EQ(d.asked[0].content_type, "application/voucher-cms+json");
  ASSERT_NE(d.fact<VoucherReported>(), nullptr);
  EXPECT_TRUE(d.fact<VoucherReported>()->cleared);
  EXPECT_EQ(d.fact<VoucherReported>()->log, d.log);
  EXPECT_EQ(d.fact<VoucherReported>()->vouchered, d.row.vouchered) << "which voucher it is about";
  EXPECT_EQ(d.fact<VoucherReported>()->nonce, d.row.nonce);
  EXPECT_EQ(d.order, (std::vector<std::string>{"request", "fact", "reply"}));
  EXPECT_EQ(d.closed.size(), 1U);
}

TEST(RegistrarPast, a_device_that_refused_its_voucher_is_held) {
  Desk d;
  EXPECT_EQ(d.report(Operation::voucher_status, false, "no pin\x1b").status, 200);
  ASSERT_NE(d.fact<VoucherReported>(), nullptr);
  EXPECT_FALSE(d.fact<VoucherReported>()->cleared);
  EXPECT_EQ(d.fact<VoucherReported>()->rule, kVoucherRejected.id);
  EXPECT_EQ(d.fact<VoucherReported>()->told.reason, "no pin?");
  EXPECT_EQ(d.fact<VoucherReported>()->vouchered, d.row.vouchered);
  EXPECT_EQ(d.fact<VoucherReported>()->nonce, d.row.nonce);
  EXPECT_EQ(d.order, (std::vector<std::string>{"fact", "reply"}));
  EXPECT_TRUE(d.asked.empty());
}

TEST(RegistrarPast, what_is_not_on_record_gets_404) {
  static constexpr Rule kNotAsked{"TEST-UNASKED", "not asked", "ours", "ask"};
  for (const Operation each : {Operation::voucher_status, Operation::enrol_status}) {
    Desk d;
    d.recalling_fails = Error{Fault::refused, kNotAsked};
    EXPECT_EQ(d.report(each, true).status, 404);
    EXPECT_TRUE(d.facts.empty());
    Desk store;
    store.recalling_fails = Error{Fault::unreachable, "disk"};
    EXPECT_EQ(store.report(each, true).status, 503);
  }
}

const VoucherReported& reported(Desk& d) {
  EXPECT_EQ(d.report(Operation::voucher_status, true).status, 200);
  EXPECT_NE(d.fact<VoucherReported>(), nullptr);
  return *d.fact<VoucherReported>();
}

TEST(RegistrarPast, without_a_log_the_policy_decides) {
  const std::vector<std::function<void(Desk&)>> ways{
      [](Desk& d) { d.on_answer = [](Response& r, const Request&) { r = Response{404}; }; },
      [](Desk& d) { d.on_answer = [](Response& r, const Request&) { r = Response{501}; }; },
      [](Desk& d) {
        d.connecting_fails = Error{Fault::unreachable, "connect"};
      },
      [](Desk& d) {
        d.answering_fails = Error{Fault::unreachable, "timeout"};
      },
      [](Desk& d) { d.masa_answers = registrar_cast().device; },
      [](Desk& d) { d.row.request.clear(); }};
  for (const auto& way : ways) {
    Desk needed;
    way(needed);
    EXPECT_FALSE(reported(needed).cleared);
    EXPECT_EQ(needed.fact<VoucherReported>()->rule, kLogMissing.id);
    Desk not_needed;
    not_needed.config.log.log_needed = false;
    way(not_needed);
    EXPECT_TRUE(reported(not_needed).cleared);
  }
  Desk maker;
  maker.decision.masa.quirks.no_audit_log = true;
  EXPECT_TRUE(reported(maker).cleared);
  EXPECT_TRUE(maker.opened.empty());
}

TEST(RegistrarPast, a_log_that_is_elsewhere_is_fetched_from_the_same_masa) {
  for (const std::string location : {"/log/7?x=1", "https://masa.example/log/7?x=1"}) {
    Desk d;
    d.on_answer = [&](Response& r, const Request& q) {
      if (q.method == Method::post) {
        r = Response{201};
        r.location = location;
      } else {
        r.body = to_bytes(d.log);
      }
    };
    EXPECT_TRUE(reported(d).cleared);
    ASSERT_EQ(d.asked.size(), 2U);
    EXPECT_EQ(d.asked[1].path, "/log/7");
    EXPECT_EQ(d.asked[1].query, "x=1");
    EXPECT_EQ(d.asked[1].method, Method::get);
  }
  for (const std::string location : {"https://other.example/log", "//other.example/log", ""}) {
    Desk d;
    d.on_answer = [&](Response& r, const Request&) {
      r = Response{201};
      r.location = location;
    };
    EXPECT_FALSE(reported(d).cleared);
    EXPECT_EQ(d.asked.size(), 1U) << location;
  }
}

TEST(RegistrarPast, a_log_that_is_elsewhere_may_want_a_login_there_as_well) {
  Desk d;
  d.decision.masa.login = Login{"us", Secret("password")};
  d.on_answer = [&](Response& r, const Request& q) {
    if (!q.login) {
      r = Response{401};
      r.authenticate = {"Basic realm=\"masa\""};
    } else if (q.method == Method::post) {
      r = Response{201};
      r.location = "/log/7";
    }
    r.body = to_bytes(d.log);
  };
  EXPECT_TRUE(reported(d).cleared);
  ASSERT_EQ(d.asked.size(), 4U);
  EXPECT_EQ(d.asked[3].path, "/log/7");
  EXPECT_EQ(d.asked[3].method, Method::get);
}

TEST(RegistrarPast, a_new_kind_of_report_is_told_to_a_person) {
  Desk d;
  Request r;
  r.method = Method::post;
  r.path = path_of(Operation::voucher_status);
  r.content_type = "application/json; charset=utf-8";
  r.body = to_bytes(R"({"version":2,"status":true})");
  EXPECT_EQ(d.serve(r).status, 200);
  EXPECT_NE(d.fact<VoucherReported>()->reason.find("version 2"), std::string::npos);
}

TEST(RegistrarPast, an_enrolment_is_noted_with_the_certificate_behind_it) {
  Desk d;
  d.certificate = "0a0b";
  EXPECT_EQ(d.report(Operation::enrol_status, true).status, 200);
  ASSERT_NE(d.fact<EnrolmentReported>(), nullptr);
  EXPECT_EQ(d.fact<EnrolmentReported>()->certificate, "0a0b");
  EXPECT_TRUE(d.fact<EnrolmentReported>()->told.status);
  EXPECT_EQ(d.order, (std::vector<std::string>{"fact", "reply"}));
}

TEST(RegistrarPast, what_was_told_counts_also_if_the_device_has_left) {
  Desk d;
  d.answers = false;
  d.report(Operation::voucher_status, true);
  ASSERT_TRUE(std::holds_alternative<Registrar::FetchingLog>(d.state));
  d.feed(Gone{{8}});
  EXPECT_EQ(d.refused.back().fault, Fault::stale);
  d.feed(Gone{{7}});
  d.reply.reset();
  d.feed(Done<Response>{std::get<Registrar::FetchingLog>(d.state).awaits, Response{200, "", to_bytes(d.log)}});
  EXPECT_NE(d.fact<VoucherReported>(), nullptr);
  EXPECT_FALSE(d.reply);
}

// ---- the audit log ----

LogVerdict verdict(const std::function<void(AuditLog&, LogPolicy&)>& edit) {
  AuditLog log;
  log.events = {{DateTime::of(kNow), Bytes{1}, "n", Assertion::proximity, 0}};
  LogPolicy policy;
  edit(log, policy);
  return judge_log(Result<AuditLog>(log), {Bytes{1}, Bytes{2}}, policy);
}

TEST(AuditLogPolicy, holds_a_device_with_a_past_that_is_not_clear) {
  EXPECT_TRUE(verdict([](AuditLog&, LogPolicy&) {}).cleared);
  EXPECT_TRUE(verdict([](AuditLog& l, LogPolicy&) { l.events[0].nonce.reset(); }).cleared) << "ours";
  const auto stranger = [](AuditLog& l) {
    l.events.push_back({DateTime::of(kNow), Bytes{9}, "n", Assertion::logged, 0});
  };
  EXPECT_EQ(verdict([&](AuditLog& l, LogPolicy&) { stranger(l); }).rule, &kLogDomain);
  const auto known = [&](AuditLog& l, LogPolicy& p) {
    stranger(l);
    p.known = {Bytes{9}};
  };
  EXPECT_TRUE(verdict(known).cleared);
  EXPECT_TRUE(verdict([&](AuditLog& l, LogPolicy& p) {
                stranger(l);
                p.strangers = true;
              }).cleared);
  const auto nonceless = [&](AuditLog& l, LogPolicy& p) {
    known(l, p);
    l.events[1].nonce.reset();
  };
  EXPECT_EQ(verdict(nonceless).rule, &kLogNonceless);
  EXPECT_TRUE(verdict([&](AuditLog& l, LogPolicy& p) {
                nonceless(l, p);
                p.others_nonceless = true;
              }).cleared);
  EXPECT_EQ(verdict([&](AuditLog& l, LogPolicy& p) {
              known(l, p);
              p.new_goods = true;
            }).rule,
            &kLogHistory);
  EXPECT_EQ(verdict([](AuditLog& l, LogPolicy&) { l.arbitrary = 1; }).rule, &kLogTruncated);
  EXPECT_TRUE(verdict([](AuditLog& l, LogPolicy& p) {
                l.arbitrary = 1;
                p.truncated = true;
              }).cleared);
  EXPECT_TRUE(verdict([](AuditLog& l, LogPolicy&) { l.nonced_duplicates = 5; }).cleared);
  EXPECT_EQ(verdict([](AuditLog& l, LogPolicy&) { l.unknown_events = 1; }).rule, &kLogUnknown);
}

TEST(AuditLogPolicy, a_log_that_cannot_be_read_holds_the_device) {
  Desk d;
  d.log = "{}";
  EXPECT_FALSE(reported(d).cleared);
  EXPECT_EQ(d.fact<VoucherReported>()->rule, kLogUnreadable.id);
  EXPECT_TRUE(d.fact<VoucherReported>()->log.empty());
}

TEST(AuditLogPolicy, knows_every_domain_that_its_own_chain_may_stand_for) {
  for (const Bytes& own : {domain_id(registrar_cast().owner.certificate),
                           domain_id(registrar_cast().registrar.certificate), Bytes{4, 2}}) {
    Desk d;
    d.row.domain_id = {4, 2};
    AuditLog log;
    log.events = {{DateTime::of(kNow), own, "n", Assertion::proximity, 0}};
    d.log = encode_audit_log(log);
    EXPECT_TRUE(reported(d).cleared);
  }
}

// ---- holds, and what comes again ----

TEST(RegistrarPast, a_report_that_was_judged_asks_nobody_again) {
  for (const PledgeStage stage : {PledgeStage::asked, PledgeStage::imprinted, PledgeStage::enrolled}) {
    Desk d;
    d.row.stage = stage;
    EXPECT_EQ(d.report(Operation::voucher_status, true).status, 200);
    EXPECT_TRUE(d.opened.empty());
    EXPECT_TRUE(d.facts.empty());
    EXPECT_TRUE(d.idle());
    Desk sorry;
    sorry.row.stage = stage;
    EXPECT_EQ(sorry.report(Operation::voucher_status, false).status, 200);
    EXPECT_NE(sorry.fact<VoucherReported>(), nullptr) << "that it wants us no more counts at any time";
  }
}

// It goes back with the voucher that it has after its power went, and that is when the MASA can be asked again.
TEST(RegistrarPast, a_report_that_could_not_be_judged_for_want_of_a_log_is_judged_the_next_time) {
  for (const Rule* const rule : {&kLogMissing, &kLogUnreadable}) {
    Desk d;
    d.row.stage = PledgeStage::imprinted;
    d.row.rule = rule->id;
    EXPECT_EQ(d.report(Operation::voucher_status, true).status, 200);
    ASSERT_NE(d.fact<VoucherReported>(), nullptr) << rule->id;
    EXPECT_TRUE(d.fact<VoucherReported>()->cleared);
  }
  const std::vector<std::function<void(PledgeRow&)>> judged{
      [](PledgeRow& r) { r.cleared = true; }, [](PledgeRow& r) { r.held = kHeldByPerson; },
      [](PledgeRow& r) { r.rule = kLogDomain.id; }, [](PledgeRow& r) { r.stage = PledgeStage::asked; }};
  for (const auto& how : judged) {
    Desk d;
    d.row.stage = PledgeStage::imprinted;
    d.row.rule = kLogMissing.id;
    how(d.row);
    EXPECT_EQ(d.report(Operation::voucher_status, true).status, 200);
    EXPECT_TRUE(d.opened.empty());
    EXPECT_TRUE(d.facts.empty());
  }
}

TEST(RegistrarPast, a_hold_for_want_of_a_log_may_pass_and_one_for_what_is_in_it_not) {
  struct Case {
    std::string log;
    const Rule* rule;
    bool passing;
  };
  const std::string stranger =
      R"({"version":1,"events":[{"date":"2019-05-15T17:25:55Z","domainID":"AQ==","nonce":"n","assertion":"logged"}]})";
  for (const Case& c :
       {Case{"", &kLogMissing, true}, Case{"{}", &kLogUnreadable, true}, Case{stranger, &kLogDomain, false}}) {
    Desk d;
    d.log = c.log;
    if (c.log.empty()) {
      d.on_answer = [](Response& r, const Request&) { r = Response{404}; };
    }
    d.report(Operation::voucher_status, true);
    ASSERT_NE(d.fact<VoucherReported>(), nullptr);
    EXPECT_EQ(d.fact<VoucherReported>()->rule, c.rule->id);
    EXPECT_EQ(d.fact<VoucherReported>()->passing, c.passing) << c.log;
  }
}

TEST(RegistrarPast, a_log_that_is_always_elsewhere_is_looked_for_once) {
  Desk d;
  d.on_answer = [](Response& r, const Request&) {
    r = Response{201};
    r.location = "/log/again";
  };
  EXPECT_EQ(d.report(Operation::voucher_status, true).status, 200);
  EXPECT_EQ(d.asked.size(), 2U);
  EXPECT_EQ(d.fact<VoucherReported>()->rule, kLogMissing.id);
  EXPECT_TRUE(d.idle());
}

// What the registrar says of an entry in its own domain's name.
const Rule* rule_for(
    const LogEvent& event, const std::function<void(Desk&)>& edit = [](Desk&) {}) {
  Desk d;
  edit(d);
  AuditLog log;
  log.events = {event};
  d.log = encode_audit_log(log);
  d.report(Operation::voucher_status, true);
  const auto* const fact = d.fact<VoucherReported>();
  if (fact == nullptr || fact->rule.empty()) {
    return nullptr;
  }
  const auto at = std::ranges::find(kRegistrarRules, fact->rule, &Rule::id);
  return at == kRegistrarRules.end() ? nullptr : *at;
}

LogEvent entry_in_our_name(Instant when, std::optional<std::string> nonce = "another") {
  return {DateTime::of(when), domain_id(registrar_cast().owner.certificate), std::move(nonce), Assertion::proximity, 0};
}

// Whoever has a certificate made with our subject key identifier gets vouchers that are logged as ours.
TEST(RegistrarPast, an_entry_in_our_name_from_before_the_device_came_is_not_ours) {
  EXPECT_EQ(rule_for(entry_in_our_name(kNow)), nullptr);
  EXPECT_EQ(rule_for(entry_in_our_name(kNow - kHour)), nullptr) << "clocks differ";
  EXPECT_EQ(rule_for(entry_in_our_name(kNow - 25 * kHour)), &kLogOwn);
  EXPECT_EQ(rule_for(entry_in_our_name(kNow - 25 * kHour, std::nullopt)), &kLogOwn);
  EXPECT_EQ(rule_for(entry_in_our_name(kNow - 25 * kHour), [](Desk& d) { d.row.first = kNow - 20 * kHour; }), nullptr)
      << "it was here before";
  const std::string latest = Desk().row.nonce;
  EXPECT_EQ(rule_for(entry_in_our_name(kNow - 25 * kHour, latest)), nullptr) << "this very voucher";
  EXPECT_EQ(rule_for(entry_in_our_name(kNow - 25 * kHour, ""), [](Desk& d) { d.row.nonce.clear(); }), &kLogOwn);
}

TEST(RegistrarPast, entries_in_our_name_may_be_another_registrar_s_if_somebody_says_so) {
  const LogEvent early = entry_in_our_name(kNow - 25 * kHour);
  EXPECT_EQ(rule_for(early, [&](Desk& d) { d.config.log.known = {early.domain_id}; }), nullptr);
  EXPECT_EQ(rule_for(early, [](Desk& d) { d.config.log.known = {Bytes{9}}; }), &kLogOwn);
  EXPECT_EQ(rule_for(early, [](Desk& d) { d.config.log.strangers = true; }), nullptr);
}

// A voucher without a nonce may have been made long before the device comes, and be on record since yesterday.
TEST(RegistrarPast, a_voucher_that_came_by_hand_is_as_old_as_it_says) {
  const auto carried = [](Instant made) {
    return [made](Desk& d) {
      Voucher one = d.voucher;
      one.nonce.reset();
      one.created_on = DateTime::of(made);
      const auto& signer = registrar_cast().signer;
      d.row.voucher = *sign_voucher(one, Form::cms, Signer{signer.key, {signer.certificate}});
      d.row.nonce.clear();
    };
  };
  const LogEvent logged = entry_in_our_name(kNow - 100 * kHour, std::nullopt);
  EXPECT_EQ(rule_for(logged, carried(kNow - 100 * kHour)), nullptr);
  EXPECT_EQ(rule_for(logged, carried(kNow - 70 * kHour)), &kLogOwn);
}

}  // namespace
}  // namespace imprint::brski
