// The pledge as a constrained device (draft-ietf-anima-constrained-voucher).
#include <gtest/gtest.h>

#include "proto/brski/pledge_desks.h"
#include "proto/brski/pledge_rules.h"

namespace imprint::brski {
namespace {

using testing::CoapDesk;
using testing::players;
using testing::PledgeDesk;
using testing::uri;

TEST(ConstrainedPledge, goes_to_its_owner_by_the_short_names_and_in_its_own_forms) {
  CoapDesk d;
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_EQ(d.paths(),
            (std::vector<std::string>{"/.well-known/brski/rv", "/.well-known/brski/vs", "/.well-known/est/crts",
                                      "/.well-known/est/sen", "/.well-known/brski/es"}));
  EXPECT_EQ(d.requests[0].what.content_type, "application/voucher+cose");
  EXPECT_EQ(d.requests[0].what.accept, "application/voucher+cose");
  EXPECT_EQ(d.requests[1].what.content_type, "application/cbor");
  ASSERT_EQ(d.told.size(), 2U);
  EXPECT_TRUE(d.told[0].status && d.told[1].status);
}

TEST(ConstrainedPledge, asks_in_cose_whatever_its_form_elsewhere) {
  for (const Form form : {Form::cms, Form::jws}) {
    CoapDesk d;
    d.plan.form = form;
    d.run();
    ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
    const auto asked = parse_artifact(d.requests_to("/rv").at(0).what.body);
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->form, Form::cose);
    EXPECT_EQ(asked->voucher.proximity_registrar_pubk, players().registrar.certificate.key.spki);
  }
}

TEST(ConstrainedPledge, takes_no_voucher_in_another_form) {
  CoapDesk d;
  d.plan.rounds = 1;
  d.on_response = [&](Response& answer, const Request& asked, const Uri&) {
    if (asked.path.ends_with("/rv")) {
      const Voucher v = parse_artifact(answer.body)->voucher;
      Voucher other = v;
      other.nonce = "bm9uY2U=";
      answer = {200, "application/voucher-cms+json",
                *sign_voucher(other, Form::cms, Signer{d.masa.key, {d.masa.certificate}})};
    }
  };
  d.run();
  EXPECT_EQ(d.rule(), kWrongForm.id);
  EXPECT_FALSE(d.imprinted);
}

TEST(ConstrainedPledge, asks_below_the_base_that_its_registrar_lists) {
  CoapDesk d;
  d.plan.registrars = {uri("coaps://registrar.example:5684/b")};
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_EQ(d.paths(),
            (std::vector<std::string>{"/b/rv", "/b/vs", "/.well-known/est/crts", "/.well-known/est/sen", "/b/es"}));
}

TEST(ConstrainedPledge, comes_again_with_the_same_request_when_the_answer_is_not_ready) {
  CoapDesk d;
  d.waits = 2;
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  const auto asked = d.requests_to("/rv");
  ASSERT_EQ(asked.size(), 3U);
  EXPECT_EQ(asked[0].what.body, asked[1].what.body);
  EXPECT_EQ(asked[0].on.id, asked[2].on.id);
  EXPECT_EQ(d.rests.at(0), std::chrono::seconds(5));
}

TEST(ConstrainedPledge, asks_what_is_wished_only_if_it_is_told_to) {
  CoapDesk d;
  d.plan.coap_wishes = true;
  d.run();
  ASSERT_TRUE(d.is<Pledge::Configured>()) << d.rule();
  EXPECT_EQ(d.requests_to("/att").size(), 1U);
}

}  // namespace
}  // namespace imprint::brski
