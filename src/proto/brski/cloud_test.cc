// The maker's default registrar, question by question.
#include "proto/brski/cloud.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "proto/brski/cloud_rules.h"
#include "proto/brski/masa_rules.h"
#include "proto/brski/pledge_testing.h"
#include "proto/brski/rules.h"

namespace imprint::brski {
namespace {

using Kind = OwnerAddress::Kind;
constexpr Exchange kAsker{7};

template <class T, class Actions>
const T* find(const Actions& actions) {
  for (const auto& one : actions) {
    if (const auto* const found = std::get_if<T>(&one)) {
      return found;
    }
  }
  return nullptr;
}

// A cloud registrar, and a device in front of it.
struct Desk {
  Desk() {
    const auto& cast = testing::players();
    config->idevid_anchors = {cast.maker.certificate};
    config->own = cast.cloud.certificate;
    session->presented = {cast.device.certificate};
    request.kind = Voucher::Kind::request;
    request.assertion = Assertion::proximity;
    request.serial_number = "LAMP-1";
    request.nonce = Nonce(std::string("bm9uY2Utbm9uY2Ux"));
    request.proximity_registrar_cert = cast.cloud.certificate.der;
    found.known = true;
    found.version = 3;
    found.customer = "first";
  }

  Bytes signed_request() const {
    const auto& cast = testing::players();
    return *sign_voucher(request, form, Signer{by.value_or(cast.device).key, {by.value_or(cast.device).certificate}});
  }
  Response ask() { return run(Cloud::RequestVoucher{kAsker, session, signed_request(), type, accept}); }
  Response run(Cloud::Input input) {
    const Cloud role(config);
    Cloud::State state = Cloud::Idle{};
    std::uint64_t ticket = 1;
    std::optional<Cloud::Input> next = std::move(input);
    actions.clear();
    while (next) {
      Cloud::Turn turn(now, luck, ticket);
      auto stepped = step(role, state, *next, turn);
      next.reset();
      if (!stepped) {
        refused = stepped.error();
        return cloud_error(*refused);
      }
      state = *std::move(stepped);
      ticket = turn.next_ticket();
      for (auto& action : turn.take_actions()) {
        if (const auto* const a = std::get_if<Ask<FindOwner>>(&action)) {
          asked = a->question;
          next = Done<FindOwner::Found>{
              {a->ticket}, store_fails ? Result<FindOwner::Found>(Error{Fault::unreachable, "disk"}) : found};
        } else if (const auto* const s = std::get_if<Ask<SignVoucher>>(&action)) {
          wanted = s->question;
          next = Done<Bytes>{{s->ticket}, signature_error ? Result<Bytes>(*signature_error) : to_bytes("signed")};
        }
        actions.push_back(std::move(action));
      }
    }
    EXPECT_TRUE(std::holds_alternative<Cloud::Idle>(state));
    const auto* const reply = find<Reply>(actions);
    return reply == nullptr ? Response{} : reply->what;
  }
  std::string_view rule() const { return refused && refused->rule != nullptr ? refused->rule->id : ""; }
  void to_est() {
    found.owner = {Kind::est, "https://est.example", est::cast().owner.certificate, "https://est.example/more"};
  }

  std::shared_ptr<CloudConfig> config = std::make_shared<CloudConfig>();
  std::shared_ptr<Session> session = std::make_shared<Session>();
  Instant now = est::kStart;
  SeededRng luck{1};
  Voucher request;
  Form form = Form::cms;
  std::optional<est::Party> by;
  std::string type = "application/voucher-cms+json", accept;
  FindOwner::Found found;
  bool store_fails = false;
  std::optional<Error> signature_error, refused;
  std::optional<FindOwner> asked;
  std::optional<SignVoucher> wanted;
  std::vector<Cloud::Turn::Action> actions;
};

TEST(Cloud, sends_a_device_to_its_owners_registrar) {
  Desk desk;
  desk.found.owner = {Kind::registrar, "https://registrar.example:8443", {}, {}};
  const Response answer = desk.ask();
  EXPECT_EQ(answer.status, 307);
  EXPECT_EQ(answer.location, "https://registrar.example:8443");
  EXPECT_EQ(desk.asked->device.serial, "LAMP-1");
  EXPECT_EQ(desk.asked->device.issuer, issuer_key_id(testing::players().device.certificate));
  EXPECT_EQ(find<Note<Vouched>>(desk.actions), nullptr);
}

TEST(Cloud, gives_a_voucher_for_an_owner_without_a_registrar_and_notes_it_before) {
  Desk desk;
  desk.to_est();
  desk.found.name_issuer = true;
  const Response answer = desk.ask();
  ASSERT_EQ(answer.status, 200) << as_text(answer.body);
  EXPECT_EQ(answer.body, to_bytes("signed"));
  EXPECT_EQ(answer.content_type, "application/voucher-cms+json");
  const Voucher& made = desk.wanted->what;
  EXPECT_EQ(made.kind, Voucher::Kind::voucher);
  EXPECT_EQ(made.est_domain, "https://est.example");
  EXPECT_EQ(made.additional_configuration_url, "https://est.example/more");
  EXPECT_EQ(made.nonce, desk.request.nonce);
  EXPECT_EQ(made.serial_number, "LAMP-1");
  EXPECT_EQ(made.assertion, Assertion::verified);
  EXPECT_EQ(made.created_on, DateTime::of(desk.now));
  EXPECT_EQ(made.pinned_domain_cert, est::cast().owner.certificate.der);
  EXPECT_EQ(made.idevid_issuer, encode_idevid_issuer(desk.asked->device.issuer));
  EXPECT_FALSE(made.expires_on);
  ASSERT_GE(desk.actions.size(), 2U);
  const auto* const note = std::get_if<Note<Vouched>>(&desk.actions[desk.actions.size() - 2]);
  ASSERT_NE(note, nullptr);
  EXPECT_TRUE(std::holds_alternative<Reply>(desk.actions.back()));
  EXPECT_EQ(note->fact.voucher, to_bytes("signed"));
  EXPECT_EQ(note->fact.version, 3);
  EXPECT_EQ(note->fact.customer, "first");
  EXPECT_EQ(note->fact.nonce, "bm9uY2Utbm9uY2Ux");
  EXPECT_EQ(note->fact.domain_id, domain_id(est::cast().owner.certificate));
  EXPECT_EQ(note->fact.pinned_key, to_bytes(sha256(est::cast().owner.certificate.key.spki)));
  EXPECT_EQ(note->fact.request, desk.asked->request);
}

TEST(Cloud, what_was_answered_is_answered_again_without_a_signature) {
  Desk desk;
  desk.to_est();
  desk.found.voucher = to_bytes("of before");
  EXPECT_EQ(desk.ask().body, to_bytes("of before"));
  EXPECT_FALSE(desk.wanted);
}

TEST(Cloud, a_device_waits_until_somebody_has_said_whose_it_is) {
  Desk desk;
  const Response answer = desk.ask();
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.retry_after_s, 60);
}

TEST(Cloud, an_unknown_device_and_one_without_an_owner_are_not_found) {
  Desk desk;
  desk.found.owner.kind = Kind::nobody;
  Response answer = desk.ask();
  EXPECT_EQ(answer.status, 404);
  EXPECT_NE(as_text(answer.body).find("BRSKI-CLOUD-NOBODY"), std::string_view::npos);
  desk.to_est();
  desk.found.known = false;
  answer = desk.ask();
  EXPECT_EQ(answer.status, 404);
  EXPECT_NE(as_text(answer.body).find("BRSKI-CLOUD-UNKNOWN"), std::string_view::npos);
  EXPECT_FALSE(desk.wanted);
}

TEST(Cloud, an_est_server_that_nothing_would_prove_is_not_named) {
  Desk desk;
  desk.to_est();
  desk.found.owner.pinned.reset();
  EXPECT_EQ(desk.ask().status, 404);
  EXPECT_FALSE(desk.wanted);
}

TEST(Cloud, only_devices_of_this_maker_are_answered) {
  Desk nobody;
  nobody.session = std::make_shared<Session>();  // nothing was ever there: no certificate to look at
  EXPECT_EQ(nobody.ask().status, 401);
  EXPECT_EQ(nobody.rule(), "BRSKI-CLOUD-IDEVID");
  Desk stranger;
  stranger.session->presented = {testing::players().stranger.certificate};
  stranger.ask();
  EXPECT_EQ(stranger.rule(), "BRSKI-CLOUD-IDEVID");
  Desk service;  // below the same root, and no device
  service.session->presented = {testing::players().masa.certificate};
  service.ask();
  EXPECT_EQ(service.rule(), "BRSKI-CLOUD-IDEVID");
  EXPECT_FALSE(service.asked);
  Desk late;
  late.now = testing::players().device.certificate.not_after + std::chrono::hours(1);
  late.ask();
  EXPECT_EQ(late.rule(), "BRSKI-CLOUD-IDEVID");
}

TEST(Cloud, who_signed_is_who_is_there) {
  const est::Party other = est::make_below(testing::players().maker, "CN=lamp,serialNumber=LAMP-1");
  Desk desk;
  desk.by = other;  // a device of the maker's with the same serial number, and not the one on the line
  EXPECT_EQ(desk.ask().status, 401);
  EXPECT_EQ(desk.rule(), "BRSKI-CLOUD-SIGNER");
  EXPECT_FALSE(desk.asked);
}

TEST(Cloud, a_request_for_another_registrar_is_refused) {
  Desk desk;
  desk.request.proximity_registrar_cert = testing::players().registrar.certificate.der;
  EXPECT_EQ(desk.ask().status, 401);
  EXPECT_EQ(desk.rule(), "BRSKI-CLOUD-OTHER");
  Desk by_key;
  by_key.found.owner.kind = Kind::nobody;
  by_key.request.proximity_registrar_cert.reset();
  by_key.request.proximity_registrar_pubk = testing::players().cloud.certificate.key.spki;
  EXPECT_EQ(by_key.ask().status, 404) << "it saw this one, by its key";
}

TEST(Cloud, requests_that_do_not_hold_are_refused_by_their_rule) {
  Desk serial;
  serial.request.serial_number = "LAMP-2";
  serial.ask();
  EXPECT_EQ(serial.rule(), kPledgeSerial.id);
  Desk nonce;
  nonce.request.nonce.reset();
  EXPECT_EQ(nonce.ask().status, 400);
  EXPECT_EQ(nonce.rule(), kPledgeNonce.id);
  Desk desk;
  EXPECT_EQ(desk.run(Cloud::RequestVoucher{kAsker, desk.session, to_bytes("x"), desk.type, {}}).status, 400);
  desk.type = "text/plain";
  EXPECT_EQ(desk.ask().status, 415);
  desk.type = "application/voucher-cms+json";
  desk.accept = "image/png";
  EXPECT_EQ(desk.ask().status, 406);
}

TEST(Cloud, the_voucher_is_in_the_form_that_the_device_reads) {
  Desk desk;
  desk.to_est();
  desk.accept = "application/voucher-jws+json";
  EXPECT_EQ(desk.ask().content_type, "application/voucher-jws+json");
  desk.accept = "application/voucher-jws+json, application/voucher-cms+json";
  EXPECT_EQ(desk.ask().content_type, "application/voucher-cms+json");
}

TEST(Cloud, when_store_or_key_fail_the_device_comes_again) {
  Desk desk;
  desk.store_fails = true;
  EXPECT_EQ(desk.ask().status, 503);
  desk.store_fails = false;
  desk.to_est();
  desk.signature_error = Error{Fault::unreachable, "token"};
  const Response answer = desk.ask();
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.retry_after_s);
  EXPECT_EQ(find<Note<Vouched>>(desk.actions), nullptr);
  desk.signature_error = Error{Fault::unsupported, "nonce"};
  EXPECT_EQ(desk.ask().status, 406);
}

TEST(Cloud, reports_of_its_devices_are_read_and_answered) {
  Desk desk;
  const auto told = [&](std::string_view body, std::string kind = "application/json") {
    return desk.run(Cloud::Report{kAsker, desk.session, to_bytes(body), std::move(kind)}).status;
  };
  EXPECT_EQ(told(R"({"version":1,"status":true})"), 200);
  EXPECT_EQ(told("nonsense"), 400);
  desk.session->presented = {testing::players().stranger.certificate};
  EXPECT_EQ(told(R"({"version":1,"status":true})"), 401);
}

}  // namespace
}  // namespace imprint::brski
