// The MASA's role, question by question: requests of others (tests/data/brski.json), answers of ours.
#include "proto/brski/masa.h"

#include "base/rng.h"
#include "codec/base64.h"
#include "proto/brski/brski_testing.h"
#include "proto/brski/masa_rules.h"
#include "proto/brski/rules.h"

namespace imprint::brski {
namespace {

using namespace testing;
using Ruling = JudgeClaim::Ruling;

constexpr Instant kThen{1622505600000};  // June 2021: the certificates of RFC 8995's appendix were good
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

// A MASA and the world around it, which says yes unless a test says otherwise.
struct Service {
  Service() {
    auto made = std::make_shared<MasaConfig>();
    made->idevid_anchors = {certificate_of("rfc8995-c1-vendor")};
    config = made;
    ruling.verdict = Ruling::Verdict::grant;
    ruling.device = DeviceKey{issuer_key_id(certificate_of("rfc8995-c1-idevid_00-D0-E5-F2-00-02")), "serial"};
    ruling.version = 3;
    ruling.customer = "first";
    ruling.assertion = Assertion::verified;
    log.entitled = true;
  }

  // Runs to the end; every action in order.
  std::vector<Masa::Turn::Action> run(Masa::Input input) {
    const Masa role(config);
    Masa::State state = Masa::Idle{};
    std::vector<Masa::Turn::Action> all;
    std::uint64_t ticket = 1;
    std::optional<Masa::Input> next = std::move(input);
    while (next) {
      Masa::Turn turn(now, luck, ticket);
      auto stepped = step(role, state, *next, turn);
      next.reset();
      if (!stepped) {
        error = stepped.error();
        return all;
      }
      state = *std::move(stepped);
      ticket = turn.next_ticket();
      for (auto& action : turn.take_actions()) {
        next = answer(action, next);
        all.push_back(std::move(action));
      }
    }
    EXPECT_TRUE(std::holds_alternative<Masa::Idle>(state));
    return all;
  }
  std::vector<Masa::Turn::Action> ask(std::string_view vector, std::string accept = {}) {
    return run(Masa::RequestVoucher{asked(bytes_of(vector), std::move(accept))});
  }
  static Masa::Asked asked(Bytes body, std::string accept = {}, std::string type = "application/voucher-cms+json") {
    return {kAsker, std::make_shared<const Session>(), {}, std::move(body), std::move(type), std::move(accept)};
  }
  std::optional<Masa::Input> answer(const Masa::Turn::Action& action, std::optional<Masa::Input> before) {
    if (const auto* const a = std::get_if<Ask<FindIdevid>>(&action)) {
      return Done<std::vector<Certificate>>{{a->ticket}, idevids};
    }
    if (const auto* const a = std::get_if<Ask<JudgeClaim>>(&action)) {
      return Done<Ruling>{{a->ticket}, ruling_error ? Result<Ruling>(*ruling_error) : Result<Ruling>(ruling)};
    }
    if (const auto* const a = std::get_if<Ask<ReadDeviceLog>>(&action)) {
      return Done<ReadDeviceLog::Log>{{a->ticket}, log};
    }
    if (const auto* const a = std::get_if<Ask<SignVoucher>>(&action)) {
      wanted = a->question;
      return Done<Bytes>{{a->ticket}, signature_error ? Result<Bytes>(*signature_error) : Result<Bytes>(signature)};
    }
    return before;
  }

  std::shared_ptr<const MasaConfig> config;
  Instant now = kThen;
  SeededRng luck{1};
  Result<std::vector<Certificate>> idevids = std::vector<Certificate>{};
  Ruling ruling;
  std::optional<Error> ruling_error, signature_error, error;
  ReadDeviceLog::Log log;
  Bytes signature = to_bytes("signed");
  std::optional<SignVoucher> wanted;
};

template <class Actions>
int status(const Actions& actions) {
  const auto* const reply = find<Reply>(actions);
  return reply == nullptr ? 0 : reply->what.status;
}

TEST(MasaRole, a_voucher_echoes_the_nonce_and_pins_the_farthest_certificate) {
  Service service;
  const auto actions = service.ask("own-rvr-conforming");
  ASSERT_EQ(status(actions), 200) << as_text(find<Reply>(actions)->what.body);
  const Voucher request = artifact_of("own-rvr-conforming").voucher;
  const Voucher& made = service.wanted->what;
  EXPECT_EQ(made.kind, Voucher::Kind::voucher);
  EXPECT_EQ(made.nonce, request.nonce);
  EXPECT_FALSE(made.expires_on);
  EXPECT_EQ(made.serial_number, request.serial_number);
  EXPECT_EQ(made.pinned_domain_cert, certificate_of("rfc8995-c1-ownerca_secp384r1").der);
  EXPECT_EQ(made.domain_cert_revocation_checks, false);
  EXPECT_EQ(made.assertion, Assertion::verified);
  EXPECT_EQ(made.created_on, DateTime::of(kThen));
  EXPECT_FALSE(made.idevid_issuer);
  EXPECT_FALSE(made.prior_signed_voucher_request);
}

TEST(MasaRole, the_fact_is_noted_before_the_answer_leaves) {
  Service service;
  const auto actions = service.ask("own-rvr-conforming");
  ASSERT_GE(actions.size(), 2U);
  const auto* const note = std::get_if<Note<Vouched>>(&actions[actions.size() - 2]);
  ASSERT_NE(note, nullptr);
  EXPECT_TRUE(std::holds_alternative<Reply>(actions.back()));
  EXPECT_EQ(note->fact.version, 3);
  EXPECT_EQ(note->fact.customer, "first");
  EXPECT_EQ(note->fact.voucher, service.signature);
  EXPECT_EQ(note->fact.nonce, nonce_text(*artifact_of("own-rvr-conforming").voucher.nonce));
  EXPECT_EQ(note->fact.domain_id, domain_id(certificate_of("rfc8995-c1-ownerca_secp384r1")));
  const Sha256 key = sha256(certificate_of("rfc8995-c1-ownerca_secp384r1").key.spki);
  EXPECT_TRUE(equal(note->fact.pinned_key, key));
  const Sha256 request = sha256(bytes_of("own-rvr-conforming"));
  EXPECT_TRUE(equal(note->fact.request, request));
}

TEST(MasaRole, policy_may_pin_the_registrar_and_name_the_issuer) {
  Service service;
  service.ruling.pin_registrar = true;
  service.ruling.name_issuer = true;
  service.ask("own-rvr-conforming");
  EXPECT_EQ(service.wanted->what.pinned_domain_cert, certificate_of("rfc8995-c1-jrc_prime256v1").der);
  EXPECT_EQ(service.wanted->what.idevid_issuer, encode_idevid_issuer(service.ruling.device->issuer));
}

TEST(MasaRole, what_was_answered_is_answered_again_without_a_signature) {
  Service service;
  service.ruling.verdict = Ruling::Verdict::already;
  service.ruling.voucher = to_bytes("of before");
  const auto actions = service.ask("own-rvr-conforming");
  EXPECT_EQ(find<Reply>(actions)->what.body, to_bytes("of before"));
  EXPECT_FALSE(service.wanted);
  EXPECT_EQ(find<Note<Vouched>>(actions), nullptr);
}

TEST(MasaRole, requests_that_do_not_hold_ask_for_no_ruling) {
  for (const char* id : {"own-rvr-serial-mismatch", "own-rvr-signer-without-cmcra"}) {
    Service service;
    const auto actions = service.ask(id);
    EXPECT_EQ(status(actions), 403) << id;
    EXPECT_EQ(find<Ask<JudgeClaim>>(actions), nullptr);
    EXPECT_TRUE(find<Reply>(actions)->what.content_type.starts_with("text/plain"));
  }
}

TEST(MasaRole, a_refusal_is_told_and_noted_if_the_device_is_known) {
  Service service;
  service.ruling.verdict = Ruling::Verdict::refused;
  service.ruling.rule = &masa::kClaimed;
  auto actions = service.ask("own-rvr-conforming");
  EXPECT_EQ(status(actions), 403);
  ASSERT_NE(find<Note<ClaimRefused>>(actions), nullptr);
  EXPECT_EQ(find<Note<ClaimRefused>>(actions)->fact.rule, "MASA-CLAIMED");
  EXPECT_TRUE(std::holds_alternative<Reply>(actions.back())) << "it is on record before anybody hears of it";
  service.ruling.rule = &masa::kDeviceUnknown;
  service.ruling.device.reset();
  actions = service.ask("own-rvr-conforming");
  EXPECT_EQ(status(actions), 404);
  EXPECT_EQ(find<Note<ClaimRefused>>(actions), nullptr);
}

// A registrar's request of ours, without a device's.
Bytes nonceless(bool with_nonce = false) {
  static const Party domain = make_root(KeyType::p256, "CN=Domain");
  static const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  CertificateTemplate what = domain.below(key.public_key(), "CN=Registrar");
  what.extended = {std::string(eku::kCmcRa)};
  what.not_before = kThen - kDay;
  CertificateTemplate root = as_ca(domain.below(domain.key.public_key(), "CN=Domain"));
  root.not_before = kThen - kDay;
  Voucher v;
  v.kind = Voucher::Kind::request;
  v.serial_number = "lamp-1";
  if (with_nonce) {
    v.nonce = Nonce(std::string("bm9uY2Utbm9uY2Ux"));
  }
  return *sign_voucher(v, Form::cms, {key, {domain.issue(what), domain.issue(root)}});
}

TEST(MasaRole, without_a_nonce_somebody_known_has_to_ask_whatever_the_policy_says) {
  Service service;
  service.ruling.customer.clear();
  auto actions = service.run(Masa::RequestVoucher{Service::asked(nonceless())});
  EXPECT_EQ(status(actions), 403);
  EXPECT_NE(as_text(find<Reply>(actions)->what.body).find(kRegistrarUnknown.id), std::string_view::npos);
  EXPECT_EQ(status(service.run(Masa::RequestVoucher{Service::asked(nonceless(true))})), 200);
  service.ruling.customer = "first";
  service.ruling.lifetime = std::chrono::hours(1);
  actions = service.run(Masa::RequestVoucher{Service::asked(nonceless())});
  EXPECT_EQ(status(actions), 200);
  EXPECT_EQ(service.wanted->what.expires_on, DateTime::of(kThen + std::chrono::hours(1)));
  EXPECT_FALSE(service.wanted->what.nonce);
  EXPECT_FALSE(find<Note<Vouched>>(actions)->fact.nonce);
  // Never longer than what is pinned.
  service.ruling.lifetime = std::chrono::hours(24 * 36500);
  service.run(Masa::RequestVoucher{Service::asked(nonceless())});
  EXPECT_EQ(service.wanted->what.expires_on, DateTime::of(kNow + kDay));
}

TEST(MasaRole, the_answer_comes_in_a_form_that_the_device_reads) {
  Service service;
  EXPECT_EQ(find<Reply>(service.ask("own-rvr-conforming", "application/voucher-cms+json"))->what.content_type,
            "application/voucher-cms+json");
  EXPECT_EQ(find<Reply>(service.ask("own-rvr-conforming", "*/*"))->what.content_type, "application/voucher-cms+json");
  EXPECT_EQ(find<Reply>(service.ask("own-rvr-conforming", "application/voucher-jws+json"))->what.content_type,
            "application/voucher-jws+json");
  EXPECT_EQ(service.wanted->form, Form::jws);
  service.ask("own-rvr-conforming", "text/html");
  ASSERT_TRUE(service.error);
  EXPECT_EQ(masa_error(*service.error).status, 406);
  service.signature_error = Error{Fault::unsupported, "voucher: nonce"};
  EXPECT_EQ(status(service.ask("own-rvr-conforming", "application/voucher+cose")), 406);
}

TEST(MasaRole, types_and_bodies_that_it_does_not_read) {
  Service service;
  service.run(Masa::RequestVoucher{Service::asked(bytes_of("own-rvr-conforming"), {}, "text/plain")});
  EXPECT_EQ(masa_error(*service.error).status, 415);
  service.run(Masa::RequestVoucher{Service::asked(to_bytes("nonsense"))});
  EXPECT_EQ(masa_error(*service.error).status, 400);
  service.run(Masa::RequestVoucher{Service::asked(Bytes(kMaxArtifact + 1, 0x30))});
  EXPECT_EQ(masa_error(*service.error).status, 413);
  for (const Form form : {Form::cms, Form::cose, Form::jws}) {  // nothing at all is not too much
    service.run(Masa::RequestVoucher{Service::asked({}, {}, std::string(media_type(form)))});
    EXPECT_EQ(masa_error(*service.error).status, 400) << name(form);
  }
}

TEST(MasaRole, base64_is_a_quirk_and_goes_both_ways) {
  Service service;
  const Bytes bare = bytes_of("own-rvr-conforming");
  Masa::Asked in_text = Service::asked(to_bytes(base64(bare)));
  service.run(Masa::RequestVoucher{in_text});
  ASSERT_TRUE(service.error);
  EXPECT_EQ(service.error->rule, &kArtifact) << "not of whom it is not known";
  in_text.base64_bodies = true;
  const auto actions = service.run(Masa::RequestVoucher{in_text});
  ASSERT_EQ(status(actions), 200);
  EXPECT_EQ(as_text(find<Reply>(actions)->what.body), base64(service.signature));
  const Sha256 digest = sha256(bare);
  EXPECT_EQ(find<Ask<JudgeClaim>>(actions)->question.request, Bytes(digest.begin(), digest.end()))
      << "the request is what is signed, however it came";
  in_text.body = bare;
  EXPECT_EQ(find<Reply>(service.run(Masa::RequestVoucher{in_text}))->what.body, service.signature);
  in_text.body = to_bytes("%%%");
  service.error.reset();
  service.run(Masa::RequestVoucher{in_text});
  ASSERT_TRUE(service.error);
  EXPECT_EQ(service.error->rule, &kArtifact);
}

TEST(MasaRole, who_has_to_log_in_is_asked_and_not_noted) {
  Service service;
  service.ruling.verdict = Ruling::Verdict::refused;
  service.ruling.rule = &masa::kLoginWanted;
  service.ruling.fault = Fault::unauthentic;
  const auto actions = service.ask("own-rvr-conforming");
  EXPECT_EQ(status(actions), 401);
  EXPECT_EQ(find<Note<ClaimRefused>>(actions), nullptr);
}

TEST(MasaRole, trouble_of_ours_is_503_and_leaves_nothing) {
  Service service;
  service.signature_error = Error{Fault::unreachable, "signer"};
  const auto actions = service.ask("own-rvr-conforming");
  EXPECT_EQ(status(actions), 503);
  EXPECT_EQ(find<Note<Vouched>>(actions), nullptr);
  service.ruling_error = Error{Fault::unreachable, "store"};
  EXPECT_EQ(status(service.ask("own-rvr-conforming")), 503);
  service.idevids = Error{Fault::unreachable, "store"};
  EXPECT_EQ(status(service.ask("own-rvr-conforming")), 503);
}

TEST(MasaRole, a_log_is_for_who_is_entitled) {
  Service service;
  service.log.log.events.push_back({DateTime::of(kThen), to_bytes("domain"), "nonce", Assertion::logged, 0});
  const Masa::RequestAuditLog ask{Service::asked(bytes_of("own-rvr-conforming"))};
  const auto actions = service.run(ask);
  ASSERT_EQ(status(actions), 200);
  const auto read = parse_audit_log(as_text(find<Reply>(actions)->what.body));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->events, service.log.log.events);
  service.log.entitled = false;
  EXPECT_EQ(status(service.run(ask)), 404);
}

TEST(MasaRole, a_device_on_record_speaks_for_itself_where_its_certificate_did_not_come_along) {
  Service service;
  auto config = std::make_shared<MasaConfig>();
  config->idevid_anchors = {certificate_of("cbrski-cert-masa_ca")};
  service.config = config;
  service.now = Instant{1672531200000};  // 2023, for this sample
  const Masa::RequestVoucher ask{Service::asked(bytes_of("cbrski-rvr"), {}, "application/voucher+cose")};
  const auto blind = service.run(ask);
  ASSERT_NE(find<Ask<JudgeClaim>>(blind), nullptr);
  EXPECT_EQ(find<Ask<JudgeClaim>>(blind)->question.facts->assertion, Assertion::logged);
  config->needs_prior = true;
  EXPECT_EQ(status(service.run(ask)), 403);
  service.idevids = std::vector<Certificate>{certificate_of("cbrski-cert-pledge")};
  const auto actions = service.run(ask);
  const auto* const judged = find<Ask<JudgeClaim>>(actions);
  ASSERT_NE(judged, nullptr);
  EXPECT_EQ(judged->question.facts->assertion, Assertion::proximity);
  EXPECT_EQ(judged->question.form, Form::cose);
}

}  // namespace
}  // namespace imprint::brski
