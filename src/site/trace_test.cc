#include "site/trace.h"

#include <gtest/gtest.h>

#include "site/operations.h"
#include "store/store_testing.h"

namespace imprint::site {
namespace {

class TraceTest : public store::StoreTest {
 protected:
  Trace found(std::uint32_t serial) {
    auto out = *trace(*read(), store::numbered(serial));
    EXPECT_TRUE(out.has_value());
    return out ? *out : Trace{};
  }
};

TEST_F(TraceTest, a_certificate_leads_to_run_evidence_and_decision) {
  Device device = store::device_named("dev-1");
  device.admission = Admission::waiting;
  ASSERT_TRUE(add(device));
  Pended pended;
  pended.request_key = store::numbered(1);
  pended.device = "dev-1";
  ASSERT_TRUE(write([&](store::Writer& w) { return w.pended(pended, Instant{2000}, "est"); }));
  ASSERT_TRUE(write([&](store::Writer& w) {
    return decide_request(w, store::numbered(1), Admission::approved, {"admin", Instant{3000}});
  }));
  imprint::Run run;
  run.id = "0123456789abcdef";
  run.protocol = "est";
  run.started = Instant{4000};
  run.steps.push_back({"Issuing", "decided", Instant{4500}, {}, "", ""});
  ASSERT_TRUE(write([&](store::Writer& w) { return w.save_run(run); }));
  Issued fact = store::issued_fact(signer_, 1);
  fact.basis = Basis::request;
  fact.evidence = "certificate:00ff";
  fact.run = run.id;
  ASSERT_TRUE(issue(fact));
  ASSERT_TRUE(write([&](store::Writer& w) {
    return w.revoke(store::numbered(1), RevocationReason::superseded, "cli", Instant{9000});
  }));

  const Trace t = found(1);
  EXPECT_EQ(t.certificate.origin.basis, Basis::request);
  EXPECT_EQ(t.certificate.origin.evidence, "certificate:00ff");
  ASSERT_TRUE(t.issued);
  EXPECT_EQ(t.issued->action, "certificate.issued");
  EXPECT_NE(t.issued->detail.find(run.id), std::string::npos) << "the audit entry says it as well";
  ASSERT_TRUE(t.revoked);
  EXPECT_EQ(t.revoked->action, "certificate.revoked");
  EXPECT_EQ(t.revoked->actor, "cli");
  ASSERT_TRUE(t.request);
  EXPECT_EQ(t.request->decided_by, "admin");
  ASSERT_TRUE(t.run);
  ASSERT_EQ(t.run->steps.size(), 1U);
  ASSERT_EQ(t.admission.size(), 2U);
  EXPECT_EQ(t.admission[0].action, "device.added");
  EXPECT_EQ(t.admission[1].action, "device.approved");
}

TEST_F(TraceTest, what_is_not_kept_is_left_out) {
  ASSERT_TRUE(add(store::device_named("dev-1")));
  Issued fact = store::issued_fact(signer_, 1);
  fact.run = "0123456789abcdef";
  ASSERT_TRUE(issue(fact));
  const Trace t = found(1);
  EXPECT_FALSE(t.run) << "the oldest runs are not kept";
  EXPECT_EQ(t.certificate.origin.run, "0123456789abcdef");
  EXPECT_FALSE(t.request);
  EXPECT_FALSE(t.revoked);
  EXPECT_FALSE(t.successor);
}

TEST_F(TraceTest, renewals_lead_to_one_another) {
  ASSERT_TRUE(add(store::device_named("dev-1")));
  ASSERT_TRUE(issue(store::issued_fact(signer_, 1)));
  Issued renewal = store::issued_fact(signer_, 2);
  renewal.renews = store::numbered(1);
  ASSERT_TRUE(issue(renewal));
  ASSERT_TRUE(found(1).successor);
  EXPECT_EQ(found(1).successor->serial, store::numbered(2));
  ASSERT_TRUE(found(2).renewed);
  EXPECT_EQ(found(2).renewed->serial, store::numbered(1));
}

TEST_F(TraceTest, the_owners_own_certificates_have_no_device) {
  ASSERT_TRUE(write([&](store::Writer& w) {
    return w.issued_to_server(signer_.certificate(store::numbered(4)), "made for tls/", Instant{1}, "server");
  }));
  const Trace t = found(4);
  EXPECT_TRUE(t.admission.empty());
  ASSERT_TRUE(t.issued);
  EXPECT_EQ(t.issued->subject, store::kServer);
}

TEST_F(TraceTest, an_unknown_serial_number_has_no_trace) {
  EXPECT_FALSE(trace(*read(), store::numbered(77))->has_value());
}

}  // namespace
}  // namespace imprint::site
