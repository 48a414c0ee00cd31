#include "proto/brski/wire.h"

#include <gtest/gtest.h>

#include "proto/brski/registrar_rules.h"
#include "proto/brski/rules.h"

namespace imprint::brski {
namespace {

TEST(BrskiWire, knows_the_paths_of_both_bindings_and_of_old_drafts) {
  EXPECT_EQ(operation_of("/.well-known/brski/requestvoucher"), Operation::request_voucher);
  EXPECT_EQ(operation_of("/.well-known/est/requestvoucher"), Operation::request_voucher);
  EXPECT_EQ(operation_of("/.well-known/brski/rv"), Operation::request_voucher);
  EXPECT_EQ(operation_of("/b/rv"), Operation::request_voucher);
  EXPECT_EQ(operation_of("/.well-known/brski/voucher_status"), Operation::voucher_status);
  EXPECT_EQ(operation_of("/b/vs"), Operation::voucher_status);
  EXPECT_EQ(operation_of("/.well-known/brski/enrollstatus"), Operation::enrol_status);
  EXPECT_EQ(operation_of("/b/es"), Operation::enrol_status);
  EXPECT_EQ(operation_of("/.well-known/brski/requestauditlog"), Operation::request_audit_log);
  EXPECT_EQ(operation_of("/.well-known/brski"), Operation::describe);
  EXPECT_EQ(operation_of("/.well-known/brski/"), Operation::describe);
  for (const std::string_view other :
       {"/.well-known/est/simpleenroll", "/.well-known/est", "/.well-known/est/", "/b/", "/b", "/", "",
        "/b/requestvoucher", "/.well-known/est/rv", "/.well-known/brski/requestvoucher/x", "/.well-known/brskix"}) {
    EXPECT_EQ(operation_of(other), std::nullopt) << other;
  }
}

TEST(BrskiWire, makes_the_paths_that_it_reads) {
  for (const Operation each : {Operation::request_voucher, Operation::voucher_status, Operation::enrol_status,
                               Operation::request_audit_log, Operation::describe}) {
    EXPECT_EQ(operation_of(path_of(each)), each);
    EXPECT_EQ(path_of(each, ""), path_of(each));
    EXPECT_EQ(path_of(each, "/"), path_of(each));
  }
  EXPECT_EQ(path_of(Operation::request_voucher, "/tenant/a/"), "/tenant/a/requestvoucher");
}

TEST(BrskiWire, reads_accept_in_its_order) {
  using Forms = std::vector<Form>;
  EXPECT_EQ(accepted_forms("application/voucher-jws+json, application/voucher-cms+json;q=0.5"),
            (Forms{Form::jws, Form::cms}));
  EXPECT_EQ(accepted_forms("Application/Voucher-CMS+JSON ,application/voucher-cms+json"), (Forms{Form::cms}));
  EXPECT_EQ(accepted_forms("application/voucher+cose;q=0, application/voucher-cms+json;q=0.001"), (Forms{Form::cms}));
  EXPECT_EQ(accepted_forms("*/*"), Forms{});
  EXPECT_EQ(accepted_forms(""), Forms{});
  EXPECT_EQ(accepted_forms("text/html,,;"), Forms{});
}

TEST(BrskiWire, a_refusal_has_its_own_status_and_says_its_rule) {
  const auto status = [](Fault fault, const Rule& rule) { return wire_error({fault, rule}).status; };
  EXPECT_EQ(status(Fault::unsupported, kNoSuchResource), 404);
  EXPECT_EQ(status(Fault::unsupported, kRequestType), 415);
  EXPECT_EQ(status(Fault::unsupported, kAnswerType), 415);
  EXPECT_EQ(status(Fault::unauthentic, kOtherRegistrar), 401);
  EXPECT_EQ(status(Fault::unauthentic, kNotInProximity), 401);
  EXPECT_EQ(status(Fault::unauthentic, kPledgeSignature), 403);
  EXPECT_EQ(status(Fault::malformed, kArtifact), 400);
  EXPECT_EQ(status(Fault::malformed, kPledgeNonce), 400);
  EXPECT_EQ(status(Fault::unreachable, kMasaAway), 504);
  EXPECT_EQ(status(Fault::unreachable, kMasaFailed), 502);
  EXPECT_EQ(status(Fault::refused, kMasaLogin), 502);
  EXPECT_EQ(status(Fault::unreachable, kSignerMute), 503);
  EXPECT_EQ(wire_error({Fault::unreachable, kSignerMute}).retry_after_s, 5);
  const Response post = wire_error({Fault::unexpected, kWantsPostHere});
  EXPECT_EQ(post.status, 405);
  EXPECT_EQ(post.allow, "POST");
  EXPECT_EQ(wire_error({Fault::unexpected, kWantsGetHere}).allow, "GET, HEAD");
  const std::string_view text = as_text(post.body);
  EXPECT_NE(text.find(kWantsPostHere.what), std::string_view::npos);
  EXPECT_NE(text.find("BRSKI-METHOD-POST"), std::string_view::npos);
  EXPECT_NE(text.find(kWantsPostHere.next), std::string_view::npos);
  EXPECT_EQ(post.content_type, "text/plain; charset=utf-8");
}

TEST(BrskiWire, without_a_rule_the_fault_decides) {
  const auto status = [](Fault fault) { return wire_error({fault, "why"}).status; };
  EXPECT_EQ(status(Fault::malformed), 400);
  EXPECT_EQ(status(Fault::unexpected), 400);
  EXPECT_EQ(status(Fault::unsupported), 406);
  EXPECT_EQ(status(Fault::refused), 403);
  EXPECT_EQ(status(Fault::expired), 403);
  EXPECT_EQ(status(Fault::limit), 413);
  EXPECT_EQ(status(Fault::stale), 409);
  EXPECT_EQ(status(Fault::conflict), 409);
  EXPECT_EQ(status(Fault::unreachable), 503);
  EXPECT_EQ(status(Fault::internal), 500);
}

}  // namespace
}  // namespace imprint::brski
