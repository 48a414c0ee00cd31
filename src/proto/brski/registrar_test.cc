#include "proto/brski/registrar.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "codec/json.h"
#include "proto/brski/description.h"
#include "proto/brski/registrar_testing.h"
#include "role/guarded.h"

namespace imprint::brski {
namespace {

using testing::Desk;
using testing::kNow;
using testing::registrar_cast;
using Verdict = AdmitPledge::Decision::Verdict;

void expect_refused(Desk& d, int status, const Rule& rule) {
  const Response answer = d.ask_for_voucher();
  EXPECT_EQ(answer.status, status) << rule.id;
  EXPECT_NE(as_text(answer.body).find(rule.id), std::string_view::npos) << as_text(answer.body);
  EXPECT_EQ(d.fact<VoucherObtained>(), nullptr) << rule.id;
  EXPECT_TRUE(d.idle());
}

// What a device is refused stays on record with its rule.
void expect_on_record(const Desk& d, const Rule& rule) {
  ASSERT_NE(d.fact<PledgeRefused>(), nullptr) << rule.id;
  EXPECT_EQ(d.fact<PledgeRefused>()->rule, rule.id);
  EXPECT_EQ(d.fact<PledgeRefused>()->device, "dev-1");
  ASSERT_GE(d.order.size(), 2U);
  EXPECT_EQ(d.order[d.order.size() - 2], "fact") << "before the device hears of it";
  EXPECT_EQ(d.order.back(), "reply");
}

TEST(Registrar, hands_the_voucher_on_unchanged_and_keeps_it_before) {
  for (const Form form : {Form::cms, Form::jws}) {
    Desk d;
    d.form = form;
    Bytes sent;
    d.on_answer = [&](Response& r, const Request&) { sent = r.body; };
    const Response answer = d.ask_for_voucher();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, sent);
    EXPECT_EQ(answer.content_type, media_type(form));
    ASSERT_NE(d.fact<VoucherObtained>(), nullptr);
    EXPECT_EQ(d.fact<VoucherObtained>()->voucher, sent);
    EXPECT_EQ(d.fact<VoucherObtained>()->nonce, "bm9uY2Ugb2YgdGhlIGRldg==");
    EXPECT_EQ(d.fact<VoucherObtained>()->form, name(form));
    EXPECT_EQ(d.fact<VoucherObtained>()->domain_id, domain_id(registrar_cast().owner.certificate));
    EXPECT_EQ(d.fact<VoucherObtained>()->request, d.asked.at(0).body) << "the audit log is asked for with it";
    EXPECT_EQ(d.order, (std::vector<std::string>{"request", "fact", "reply"}));
    EXPECT_EQ(d.closed, std::vector<std::uint64_t>{99});
    EXPECT_TRUE(d.idle());
  }
}

TEST(Registrar, over_https_a_voucher_in_cose_keeps_its_certificates) {
  Desk d;
  d.form = Form::cose;
  d.request.nonce = d.voucher.nonce = Bytes(16, 7);
  Bytes sent;
  d.on_answer = [&](Response& r, const Request&) { sent = r.body; };
  EXPECT_EQ(d.ask_for_voucher().body, sent);
}

TEST(Registrar, over_coaps_it_strips_from_cose_what_is_not_signed) {
  Desk d;
  d.form = Form::cose;
  d.session.protocol = "DTLSv1.2";
  d.request.nonce = d.voucher.nonce = Bytes(16, 7);
  Bytes sent;
  d.on_answer = [&](Response& r, const Request&) { sent = r.body; };
  const Response answer = d.ask_for_voucher();
  ASSERT_EQ(answer.status, 200);
  EXPECT_NE(answer.body, sent);
  EXPECT_EQ(answer.body, *without_unprotected(sent));
  ASSERT_TRUE(d.signed_);
  EXPECT_EQ(d.signed_->along, d.session.presented) << "nothing comes along in the device's own request";
  EXPECT_EQ(d.fact<VoucherObtained>()->nonce, base64(Bytes(16, 7)));
}

TEST(Registrar, its_own_request_says_what_the_device_said_but_for_who_it_is) {
  Desk d;
  ASSERT_EQ(d.ask_for_voucher().status, 200);
  const Request& sent = d.asked.at(0);
  EXPECT_EQ(sent.path, "/.well-known/brski/requestvoucher");
  EXPECT_EQ(sent.method, Method::post);
  EXPECT_EQ(sent.content_type, "application/voucher-cms+json");
  EXPECT_EQ(sent.accept, "application/voucher-cms+json");
  const Artifact own = *parse_artifact(sent.body);
  EXPECT_TRUE(signed_by(own, registrar_cast().registrar.certificate.key));
  EXPECT_EQ(own.voucher.serial_number, "SN-1");
  EXPECT_EQ(own.voucher.nonce, d.request.nonce);
  EXPECT_EQ(own.voucher.assertion, Assertion::proximity);
  EXPECT_EQ(own.voucher.created_on->at, kNow);
  EXPECT_EQ(own.voucher.idevid_issuer, encode_idevid_issuer(d.decision.id.issuer));
  EXPECT_FALSE(own.voucher.proximity_registrar_cert) << "RFC 8995 section 5.5: MUST NOT";
  const auto prior = parse_artifact(*own.voucher.prior_signed_voucher_request);
  ASSERT_TRUE(prior);
  EXPECT_TRUE(signed_by(*prior, d.signs.certificate.key)) << "whole, as it came";
  EXPECT_EQ(d.opened.at(0).trust, Trust::anchors);
  EXPECT_EQ(d.opened.at(0).anchors, d.decision.masa.anchors);
}

TEST(Registrar, follows_what_is_known_of_a_maker) {
  Desk d;
  Quirks& q = d.decision.masa.quirks;
  q.content_type = kDataType;
  q.old_paths = true;
  q.issuer = IssuerForm::left_out;
  q.serial = SerialSource::common_name;
  d.request.serial_number = d.voucher.serial_number = d.decision.id.serial = "lamp";
  ASSERT_EQ(d.ask_for_voucher().status, 200);
  EXPECT_EQ(d.asked.at(0).path, "/.well-known/est/requestvoucher");
  EXPECT_EQ(parse_artifact(d.asked.at(0).body)->content_type, kDataType);
  EXPECT_FALSE(parse_artifact(d.asked.at(0).body)->voucher.idevid_issuer);
  const auto issuer = [](IssuerForm form) {
    Quirks one;
    one.issuer = form;
    const auto& c = registrar_cast();
    return *make_registrar_request(Artifact{}, c.device.certificate, one, kNow).idevid_issuer;
  };
  const Bytes id = issuer_key_id(registrar_cast().device.certificate);
  EXPECT_EQ(issuer(IssuerForm::key_id), id);
  EXPECT_EQ(hex(issuer(IssuerForm::octet_string)), "041830168014" + hex(id));
  EXPECT_EQ(hex(issuer(IssuerForm::authority_key_id)), "30168014" + hex(id));
  EXPECT_EQ(issuer(IssuerForm::printed_name), to_bytes("CN=Maker"));
}

TEST(Registrar, bodies_in_base64_for_makers_that_want_them) {
  Desk d;
  d.decision.masa.quirks.base64_bodies = true;
  d.on_body = [](Bytes& body) { body = to_bytes(base64(body)); };
  d.on_answer = [](Response& r, const Request&) { r.body = to_bytes(base64(r.body)); };
  const Response answer = d.ask_for_voucher();
  ASSERT_EQ(answer.status, 200);
  EXPECT_TRUE(parse_base64(as_text(d.asked.at(0).body)));
  EXPECT_TRUE(parse_artifact(*parse_base64(as_text(answer.body))));
}

TEST(Registrar, an_address_with_a_path_is_the_base) {
  Desk d;
  d.decision.masa.url = *Uri::parse("https://masa.example/tenant/a");
  ASSERT_EQ(d.ask_for_voucher().status, 200);
  EXPECT_EQ(d.asked.at(0).path, "/tenant/a/requestvoucher");
}

TEST(Registrar, finds_serial_numbers_where_makers_write_them) {
  // OtherName { id-on-hardwareModuleName, [0] { SEQUENCE { 1.2.3, OCTET STRING "HW-7" } } }
  const auto& c = registrar_cast();
  const est::Party one = est::make_below(c.maker, "CN=lamp", [](CertificateTemplate& what) {
    what.alt_names = {
        *GeneralName::from_text("other:06082b06010505070804a00a300806022a0304"
                                "02"
                                "4857")};
  });
  EXPECT_EQ(serial_of(c.device.certificate, SerialSource::subject), "SN-1");
  EXPECT_EQ(serial_of(c.device.certificate, SerialSource::common_name), "lamp");
  EXPECT_EQ(serial_of(c.device.certificate, SerialSource::hardware_module_name), "");
  EXPECT_EQ(serial_of(one.certificate, SerialSource::hardware_module_name), "HW");
}

// ---- what comes in ----

TEST(Registrar, takes_only_what_it_reads) {
  Desk type;
  type.content_type = "application/json";
  expect_refused(type, 415, kRequestType);
  Desk accept;
  accept.accept = "text/html";
  expect_refused(accept, 415, kAnswerType);
  Desk any;
  any.accept = "text/html, */*;q=0.1";
  EXPECT_EQ(any.ask_for_voucher().status, 200);
  Desk get;
  Request r;
  r.method = Method::get;
  r.path = path_of(Operation::request_voucher);
  EXPECT_EQ(get.serve(r).status, 405);
  r.path = path_of(Operation::request_audit_log);
  EXPECT_EQ(get.serve(r).status, 404) << "that is the MASA's";
  r.path = "/.well-known/brski";
  r.method = Method::post;
  EXPECT_EQ(get.serve(r).status, 405);
  r.path = path_of(Operation::voucher_status);
  r.content_type = "text/plain";
  EXPECT_EQ(get.serve(r).status, 415);
  r.content_type = "application/json";
  r.body = to_bytes("{}");
  const Response unread = get.serve(r);
  EXPECT_EQ(unread.status, 400);
  EXPECT_NE(as_text(unread.body).find(kTelemetryUnreadable.id), std::string_view::npos);
  EXPECT_TRUE(get.facts.empty());
}

TEST(Registrar, describes_itself) {
  constexpr Instant kAsked{1'000'000};
  const Response answer = describe_registrar({"imprint 9", true, true, true}, {}, kAsked);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.content_type, "application/json");
  const Json says = *parse_json(as_text(answer.body));
  EXPECT_EQ(says["service"], "registrar");
  EXPECT_EQ(says["api"], 1);
  EXPECT_EQ(says["software"], "imprint 9");
  EXPECT_EQ(says["bindings"], (Json{"https", "coaps", "coaps+jpy"}));
  EXPECT_EQ(says["formats"][0], "application/voucher-cms+json");
  EXPECT_EQ(says["bulk"]["serves"], false);
  EXPECT_EQ(says["voucher_first"], true);
  for (const auto& [name, path] : says["endpoints"].items()) {
    EXPECT_TRUE(name == "est" || operation_of(path.get<std::string>())) << name << " is at a path that is none";
  }
  EXPECT_TRUE(says["resources"].contains("voucher_status"));
  ASSERT_TRUE(answer.fresh) << "caches may keep it";
  EXPECT_GT(answer.fresh->until, kAsked);
  const Json bare = *parse_json(as_text(describe_registrar({}, {}, kAsked).body));
  EXPECT_EQ(bare["bindings"], (Json{"https"}));
  EXPECT_FALSE(bare.contains("software"));
  EXPECT_EQ(bare["voucher_first"], false);
}

TEST(Registrar, a_description_that_is_held_already_is_not_sent_again) {
  const Response first = describe_registrar({}, {}, Instant{1});
  const Response again = describe_registrar({}, "\"other\", " + first.etag, Instant{2});
  EXPECT_EQ(again.status, 304);
  EXPECT_TRUE(again.body.empty());
  EXPECT_EQ(again.etag, first.etag);
  EXPECT_EQ(describe_registrar({"imprint 9"}, first.etag, Instant{2}).status, 200) << "it says something else now";
}

TEST(Registrar, asks_who_it_is_of_nobody_without_an_idevid) {
  Desk d;
  d.session.proven.reset();
  expect_refused(d, 403, kNoIdevid);
  EXPECT_EQ(d.report(Operation::voucher_status, true).status, 403);
  EXPECT_EQ(d.report(Operation::enrol_status, true).status, 403);
  EXPECT_TRUE(d.facts.empty());
}

struct BadRequest {
  const char* what;
  std::function<void(Desk&)> make;
  int status;
  const Rule* rule;
};
TEST(Registrar, judges_the_device_s_request) {
  const std::vector<BadRequest> all{
      {"rubbish", [](Desk& d) { d.on_body = [](Bytes& b) { b.resize(b.size() / 2); }; }, 400, &kArtifact},
      {"another form", [](Desk& d) { d.content_type = "application/voucher-jws+json"; }, 400, &kArtifact},
      {"too long", [](Desk& d) { d.on_body = [](Bytes& b) { b.resize(2 * kMaxArtifact + 1); }; }, 413, &kArtifact},
      {"a voucher", [](Desk& d) { d.request.kind = Voucher::Kind::voucher; }, 400, &kRequestKind},
      {"another key", [](Desk& d) { d.signs = registrar_cast().stranger; }, 403, &kPledgeSignature},
      {"another serial", [](Desk& d) { d.request.serial_number = "SN-2"; }, 403, &kPledgeSerial},
      {"no serial", [](Desk& d) { d.request.serial_number.reset(); }, 403, &kPledgeSerial},
      {"no nonce", [](Desk& d) { d.request.nonce.reset(); }, 400, &kPledgeNonce},
      {"logged", [](Desk& d) { d.request.assertion = Assertion::logged; }, 401, &kNotInProximity},
      {"no assertion", [](Desk& d) { d.request.assertion.reset(); }, 401, &kNotInProximity},
      {"no registrar", [](Desk& d) { d.request.proximity_registrar_cert.reset(); }, 401, &kNotInProximity},
      {"another registrar", [](Desk& d) { d.request.proximity_registrar_cert = registrar_cast().masa.certificate.der; },
       401, &kOtherRegistrar},
      {"the CA is not the registrar",
       [](Desk& d) { d.request.proximity_registrar_cert = registrar_cast().owner.certificate.der; }, 401,
       &kOtherRegistrar},
      {"no serial number in the IDevID",
       [](Desk& d) { d.decision.masa.quirks.serial = SerialSource::hardware_module_name; }, 403, &kIdevidSerial}};
  for (const BadRequest& each : all) {
    SCOPED_TRACE(each.what);
    Desk d;
    each.make(d);
    expect_refused(d, each.status, *each.rule);
    expect_on_record(d, *each.rule);
    EXPECT_TRUE(d.opened.empty()) << "the MASA hears nothing of it";
  }
}

TEST(Registrar, base64_is_read_only_where_it_is_meant) {
  Desk d;
  d.decision.masa.quirks.base64_bodies = true;
  d.on_body = [](Bytes& b) { b = to_bytes("%%%"); };
  expect_refused(d, 400, kArtifact);
}

TEST(Registrar, takes_the_registrar_s_key_in_place_of_its_certificate) {
  const auto& c = registrar_cast();
  Desk key;
  key.request.proximity_registrar_cert.reset();
  key.request.proximity_registrar_pubk = c.registrar.certificate.key.spki;
  EXPECT_EQ(key.ask_for_voucher().status, 200);
  Desk hash;
  hash.request.proximity_registrar_cert.reset();
  hash.request.proximity_registrar_pubk_sha256 = to_bytes(sha256(c.registrar.certificate.key.spki));
  EXPECT_EQ(hash.ask_for_voucher().status, 200);
  Desk other;
  other.request.proximity_registrar_cert.reset();
  other.request.proximity_registrar_pubk = c.masa.certificate.key.spki;
  expect_refused(other, 401, kOtherRegistrar);
}

TEST(Registrar, proximity_may_be_left_out_by_makers_that_do_and_never_be_wrong) {
  Desk d;
  d.decision.masa.quirks.proximity_optional = true;
  d.request.proximity_registrar_cert.reset();
  d.request.assertion.reset();
  EXPECT_EQ(d.ask_for_voucher().status, 200);
  Desk wrong;
  wrong.decision.masa.quirks.proximity_optional = true;
  wrong.request.proximity_registrar_cert = registrar_cast().masa.certificate.der;
  expect_refused(wrong, 401, kOtherRegistrar);
}

// ---- the owner's word ----

TEST(Registrar, a_device_that_waits_is_on_record_before_the_202) {
  Desk d;
  d.decision.verdict = Verdict::pending;
  d.decision.retry_after = Duration(1500);
  d.decision.reason = "a person decides";
  d.decision.newcomer.emplace().id = "dev-1";
  const Response answer = d.ask_for_voucher();
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.retry_after_s, 2);
  ASSERT_NE(d.fact<PledgeWaits>(), nullptr);
  EXPECT_EQ(d.fact<PledgeWaits>()->reason, "a person decides");
  EXPECT_TRUE(d.fact<PledgeWaits>()->newcomer);
  EXPECT_EQ(d.order, (std::vector<std::string>{"fact", "reply"}));
  EXPECT_TRUE(d.opened.empty());
}

TEST(Registrar, who_waits_is_judged_as_well) {
  Desk d;
  d.decision.verdict = Verdict::pending;
  d.request.proximity_registrar_cert = registrar_cast().masa.certificate.der;
  expect_refused(d, 401, kOtherRegistrar);
  EXPECT_EQ(d.fact<PledgeWaits>(), nullptr);
}

TEST(Registrar, an_unwanted_device_gets_404_and_no_reasons) {
  static constexpr Rule kHouse{"HOUSE-1", "not this one", "ours", "ask the owner"};
  Desk d;
  d.decision.verdict = Verdict::refused;
  d.decision.rule = &kHouse;
  d.decision.reason = "it is on the list";
  expect_refused(d, 404, kHouse);
  expect_on_record(d, kHouse);
  EXPECT_EQ(d.fact<PledgeRefused>()->reason, "it is on the list");
  EXPECT_EQ(as_text(d.reply->body).find("on the list"), std::string_view::npos);
}

TEST(Registrar, a_store_or_a_signer_that_fails_is_no_refusal) {
  Desk store;
  store.deciding_fails = Error{Fault::unreachable, "disk"};
  expect_refused(store, 503, kSignerMute);
  EXPECT_TRUE(store.facts.empty());
  Desk signer;
  signer.signing_fails = Error{Fault::internal, "token"};
  expect_refused(signer, 503, kSignerMute);
  EXPECT_TRUE(signer.facts.empty());
  Desk chainless;
  chainless.config.chain.clear();
  expect_refused(chainless, 503, kSignerMute);
}

// ---- a voucher on record ----

Bytes kept_voucher(Desk& d, const std::function<void(Voucher&)>& edit) {
  Voucher v = d.voucher;
  edit(v);
  return *sign_voucher(v, Form::cms, Signer{d.masa_signs.key, {d.masa_signs.certificate}});
}

TEST(Registrar, a_voucher_on_record_serves_if_it_answers_this_request) {
  Desk nonceless;
  nonceless.decision.kept = kept_voucher(nonceless, [](Voucher& v) { v.nonce.reset(); });
  EXPECT_EQ(nonceless.ask_for_voucher().body, *nonceless.decision.kept);
  EXPECT_TRUE(nonceless.opened.empty());
  EXPECT_EQ(nonceless.order, (std::vector<std::string>{"fact", "reply"}));
  ASSERT_NE(nonceless.fact<VoucherObtained>(), nullptr);
  EXPECT_TRUE(nonceless.fact<VoucherObtained>()->request.empty()) << "that of before stays";
  Desk same;
  same.decision.kept = kept_voucher(same, [](Voucher&) {});
  EXPECT_EQ(same.ask_for_voucher().status, 200);
  EXPECT_TRUE(same.opened.empty()) << "the device asked again with the same nonce";
  const std::vector<std::function<void(Voucher&)>> edits{
      [](Voucher& v) { v.nonce = std::string("of another request"); }, [](Voucher& v) { v.serial_number = "SN-2"; },
      [](Voucher& v) { v.pinned_domain_cert = registrar_cast().masa.certificate.der; },
      [](Voucher& v) {
        v.nonce.reset();
        v.expires_on = DateTime::of(kNow - Duration(1000));
      }};
  for (const auto& edit : edits) {
    Desk d;
    d.decision.kept = kept_voucher(d, edit);
    EXPECT_EQ(d.ask_for_voucher().status, 200);
    EXPECT_EQ(d.opened.size(), 1U) << "the MASA is asked";
  }
}

// ---- the MASA ----

TEST(Registrar, says_nothing_to_who_is_not_the_masa) {
  for (const est::Party& who : {registrar_cast().device, est::make_below(registrar_cast().masa_root, "CN=x",
                                                                         est::for_host("dns:other.example"))}) {
    Desk d;
    d.masa_answers = who;
    expect_refused(d, 502, kMasaServer);
    EXPECT_TRUE(d.asked.empty());
    EXPECT_EQ(d.closed.size(), 1U);
  }
}

TEST(Registrar, a_masa_that_is_away_is_no_refusal) {
  Desk away;
  away.connecting_fails = Error{Fault::unreachable, "connect"};
  expect_refused(away, 504, kMasaAway);
  Desk other;
  other.connecting_fails = Error{Fault::unauthentic, "path"};
  expect_refused(other, 502, kMasaServer);
  Desk inside;
  inside.connecting_fails = Error{Fault::refused, kGuardMachine};
  expect_refused(inside, 502, kMasaInside);
  Desk near;
  near.connecting_fails = Error{Fault::refused, kGuardInside};
  expect_refused(near, 502, kMasaInside);
  Desk purpose;
  purpose.connecting_fails = Error{Fault::refused, "certificate: purpose"};
  expect_refused(purpose, 502, kMasaServer);
  Desk silent;
  silent.answering_fails = Error{Fault::unreachable, "no answer in time"};
  expect_refused(silent, 504, kMasaAway);
  EXPECT_EQ(silent.closed.size(), 1U);
  Desk odd;
  odd.answering_fails = Error{Fault::malformed, "http"};
  expect_refused(odd, 502, kMasaAnswer);
  Desk failing;
  failing.on_answer = [](Response& r, const Request&) { r = Response{500}; };
  expect_refused(failing, 502, kMasaFailed);
  for (const Desk* d : {&away, &other, &silent, &odd, &failing}) {
    EXPECT_TRUE(d->facts.empty());
  }
}

TEST(Registrar, what_the_masa_refuses_goes_through_and_its_words_to_the_operator) {
  for (const int status : {403, 404, 406, 415}) {
    Desk d;
    d.on_answer = [&](Response& r, const Request&) {
      r = Response{status, "text/plain", to_bytes("sold to somebody else\x1b[31m\nline two")};
    };
    expect_refused(d, status, kMasaRefused);
    expect_on_record(d, kMasaRefused);
    EXPECT_EQ(d.fact<PledgeRefused>()->reason, "status " + std::to_string(status) + ": sold to somebody else?[31m");
    EXPECT_EQ(as_text(d.reply->body).find("sold"), std::string_view::npos);
  }
  Desk gone;
  gone.on_answer = [](Response& r, const Request&) { r = Response{410}; };
  expect_refused(gone, 406, kMasaRefused);
  Desk moved;
  moved.on_answer = [](Response& r, const Request&) {
    r = Response{307};
    r.location = "https://other.example/";
  };
  expect_refused(moved, 502, kMasaMoved);
  EXPECT_EQ(moved.opened.size(), 1U);
  Desk odd;
  odd.on_answer = [](Response& r, const Request&) { r = Response{204}; };
  expect_refused(odd, 502, kMasaAnswer);
}

TEST(Registrar, a_masa_that_takes_its_time_is_relayed) {
  Desk d;
  d.on_answer = [](Response& r, const Request&) {
    r = Response{202};
    r.retry_after_s = 90;
  };
  const Response answer = d.ask_for_voucher();
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.retry_after_s, 90);
  EXPECT_NE(d.fact<PledgeWaits>(), nullptr);
  EXPECT_EQ(d.order, (std::vector<std::string>{"request", "fact", "reply"}));
  Desk unsaid;
  unsaid.on_answer = [](Response& r, const Request&) { r = Response{202}; };
  EXPECT_EQ(unsaid.ask_for_voucher().retry_after_s, 60);
}

TEST(Registrar, a_masa_that_wants_a_login_gets_it_once) {
  Desk none;
  none.on_answer = [](Response& r, const Request&) {
    r = Response{401};
    r.authenticate = {"Basic realm=\"masa\""};
  };
  expect_refused(none, 502, kMasaLogin);
  expect_on_record(none, kMasaLogin);
  Desk wrong;
  wrong.decision.masa.login = Login{"us", Secret("wrong")};
  wrong.on_answer = none.on_answer;
  expect_refused(wrong, 502, kMasaLogin);
  EXPECT_EQ(wrong.asked.size(), 2U);
  for (const bool digest : {false, true}) {
    Desk d;
    d.decision.masa.login = Login{"us", Secret("right")};
    d.on_answer = [&](Response& r, const Request& q) {
      if (!q.login) {
        r = Response{401};
        r.authenticate = {digest ? challenge_text({"masa", "n", "", false}) : "Basic realm=\"masa\""};
      }
    };
    EXPECT_EQ(d.ask_for_voucher().status, 200);
    ASSERT_EQ(d.asked.size(), 2U);
    EXPECT_FALSE(d.asked[0].login) << "no password before it is asked for";
    ASSERT_TRUE(d.asked[1].login);
    EXPECT_EQ(d.asked[1].login->digest.has_value(), digest);
    EXPECT_EQ(d.asked[1].body, d.asked[0].body);
  }
}

struct BadVoucher {
  const char* what;
  std::function<void(Desk&)> make;
  const Rule* rule;
};
TEST(Registrar, judges_the_voucher_before_the_device_does) {
  const std::vector<BadVoucher> all{
      {"rubbish", [](Desk& d) { d.on_answer = [](Response& r, const Request&) {
                                  r.body = {1, 2, 3};
                                }; }, &kMasaAnswer},
      {"another type", [](Desk& d) { d.on_answer = [](Response& r, const Request&) { r.content_type = "text/html"; }; },
       &kMasaAnswer},
      {"a request", [](Desk& d) { d.voucher.kind = Voucher::Kind::request; }, &kMasaAnswer},
      {"a form that the device does not read",
       [](Desk& d) {
         d.on_answer = [&d](Response& r, const Request&) {
           r.content_type = media_type(Form::jws);
           r.body = *sign_voucher(d.voucher, Form::jws, Signer{d.masa_signs.key, {d.masa_signs.certificate}});
         };
       },
       &kMasaAnswer},
      {"another device", [](Desk& d) { d.voucher.serial_number = "SN-2"; }, &kMasaVoucher},
      {"another issuer", [](Desk& d) { d.voucher.idevid_issuer = encode_idevid_issuer(Bytes(20, 1)); }, &kMasaVoucher},
      {"another nonce", [](Desk& d) { d.voucher.nonce = std::string("of another request"); }, &kMasaVoucher},
      {"over",
       [](Desk& d) {
         d.voucher.nonce.reset();
         d.voucher.expires_on = DateTime::of(kNow - Duration(1000));
       },
       &kMasaVoucher},
      {"no pin", [](Desk& d) { d.voucher.pinned_domain_cert.reset(); }, &kMasaPin},
      {"another domain", [](Desk& d) { d.voucher.pinned_domain_cert = registrar_cast().masa_root.certificate.der; },
       &kMasaPin},
      {"two pins, one of another domain",
       [](Desk& d) { d.voucher.pinned_domain_pubk = registrar_cast().masa.certificate.key.spki; }, &kMasaPin},
      {"somebody else signed",
       [](Desk& d) { d.decision.masa.voucher_anchors = {registrar_cast().masa_root.certificate}; }, &kMasaAnswer}};
  for (const BadVoucher& each : all) {
    SCOPED_TRACE(each.what);
    Desk d;
    each.make(d);
    expect_refused(d, 502, *each.rule);
    expect_on_record(d, *each.rule);
  }
}

TEST(Registrar, takes_every_kind_of_pin_and_a_voucher_without_a_nonce) {
  const auto& c = registrar_cast();
  Desk nonceless;
  nonceless.voucher.nonce.reset();
  EXPECT_EQ(nonceless.ask_for_voucher().status, 200);
  EXPECT_EQ(nonceless.fact<VoucherObtained>()->nonce, "");
  Desk leaf;
  leaf.voucher.pinned_domain_cert = c.registrar.certificate.der;
  EXPECT_EQ(leaf.ask_for_voucher().status, 200);
  Desk key;
  key.voucher.pinned_domain_cert.reset();
  key.voucher.pinned_domain_pubk = c.registrar.certificate.key.spki;
  EXPECT_EQ(key.ask_for_voucher().status, 200);
  EXPECT_EQ(key.fact<VoucherObtained>()->domain_id, to_bytes(sha256(c.registrar.certificate.key.spki)));
  Desk hash;
  hash.voucher.pinned_domain_cert.reset();
  hash.voucher.pinned_domain_pubk_sha256 = to_bytes(sha256(c.registrar.certificate.key.spki));
  EXPECT_EQ(hash.ask_for_voucher().status, 200);
  Desk checked;
  checked.decision.masa.voucher_anchors = {c.maker.certificate};
  checked.voucher.idevid_issuer = encode_idevid_issuer(checked.decision.id.issuer);
  EXPECT_EQ(checked.ask_for_voucher().status, 200);
  Desk other_form;
  other_form.accept = "application/voucher-jws+json, application/voucher-cms+json";
  other_form.on_answer = [&](Response& r, const Request&) {
    r.content_type = media_type(Form::jws);
    r.body = *sign_voucher(other_form.voucher, Form::jws,
                           Signer{other_form.masa_signs.key, {other_form.masa_signs.certificate}});
  };
  EXPECT_EQ(other_form.ask_for_voucher().content_type, media_type(Form::jws));
  EXPECT_EQ(other_form.asked.at(0).accept, "application/voucher-jws+json, application/voucher-cms+json");
}

TEST(Registrar, takes_an_issuer_that_is_echoed_as_it_was_sent) {
  Desk d;
  d.decision.masa.quirks.issuer = IssuerForm::printed_name;
  d.voucher.idevid_issuer = to_bytes("CN=Maker");
  EXPECT_EQ(d.ask_for_voucher().status, 200);
  Desk other;
  other.voucher.idevid_issuer = to_bytes("CN=Maker");
  expect_refused(other, 502, kMasaVoucher);
}

// ---- who leaves ----

TEST(Registrar, who_leaves_before_the_masa_is_asked_is_forgotten) {
  Desk d;
  d.deciding_fails = std::nullopt;
  Request r;
  r.session = std::make_shared<const Session>(d.session);
  d.feed(Registrar::RequestVoucher{{7}, r.session, {}, Form::cms, {}});
  d.inputs.clear();
  d.feed(Gone{{8}});
  EXPECT_EQ(d.refused.back().fault, Fault::stale);
  d.feed(Gone{{7}});
  EXPECT_TRUE(d.idle());
}

TEST(Registrar, who_leaves_while_the_masa_is_asked_has_a_voucher_on_record) {
  Desk d;
  d.answers = false;
  d.ask_for_voucher();
  ASSERT_TRUE(std::holds_alternative<Registrar::Fetching>(d.state));
  d.feed(Gone{{8}});
  EXPECT_EQ(d.refused.back().fault, Fault::stale);
  d.feed(Gone{{7}});
  const auto ticket = std::get<Registrar::Fetching>(d.state).awaits;
  d.reply.reset();
  d.feed(Done<Response>{
      ticket, Response{200, std::string(media_type(Form::cms)),
                       *sign_voucher(d.voucher, Form::cms, Signer{d.masa_signs.key, {d.masa_signs.certificate}})}});
  EXPECT_NE(d.fact<VoucherObtained>(), nullptr);
  EXPECT_FALSE(d.reply) << "nothing is answered to nobody";
  EXPECT_TRUE(d.idle());
}

TEST(Registrar, who_leaves_is_told_from_others_in_every_state) {
  const Registrar role(std::make_shared<const RegistrarConfig>());
  SeededRng rng(1);
  const auto after = [&](const Registrar::State& state, std::uint64_t who) {
    Registrar::Turn turn(kNow, rng, 1);
    return step(role, state, Registrar::Input(Gone{{who}}), turn);
  };
  Registrar::Case of;
  of.from = {7};
  Registrar::Report report;
  report.from = {7};
  Registrar::Admitting admitting;
  admitting.asked.from = {7};
  for (const Registrar::State& state : {Registrar::State(admitting), Registrar::State(Registrar::Signing{of, {}})}) {
    EXPECT_EQ(after(state, 8).error().fault, Fault::stale);
    EXPECT_TRUE(std::holds_alternative<Registrar::Idle>(*after(state, 7)));
  }
  Registrar::Recalling recalling;
  recalling.told.from = {7};
  Registrar::Ending ending;
  ending.told.from = {7};
  for (const Registrar::State& state :
       {Registrar::State(Registrar::Opening{of, {}, {}}), Registrar::State(Registrar::Fetching{of, {}, {}, false, {}}),
        Registrar::State(recalling), Registrar::State(Registrar::OpeningForLog{report, {}}),
        Registrar::State(Registrar::FetchingLog{report, {}, false, {}, {}}), Registrar::State(ending)}) {
    EXPECT_EQ(after(state, 8).error().fault, Fault::stale) << state.index();
    const auto next = after(state, 7);
    ASSERT_TRUE(next) << state.index();
    EXPECT_EQ(next->index(), state.index()) << "it goes on without the device";
    EXPECT_EQ(after(*next, 7).error().fault, Fault::stale) << "it has left already";
  }
}

TEST(Registrar, an_answer_to_a_question_of_before_is_stale) {
  Desk d;
  d.answers = false;
  d.ask_for_voucher();
  d.feed(Done<Response>{{999}, Response{200}});
  EXPECT_EQ(d.refused.back().fault, Fault::stale);
}

// ---- other makers ----

TEST(Registrar, its_own_request_is_called_a_voucher_only_for_makers_that_want_it) {
  for (const bool quirk : {false, true}) {
    Desk d;
    d.decision.masa.quirks.requests_named_voucher = quirk;
    ASSERT_EQ(d.ask_for_voucher().status, 200);
    const auto sent = parse_artifact(d.asked.at(0).body);
    ASSERT_TRUE(sent);
    EXPECT_EQ(sent->voucher.kind, quirk ? Voucher::Kind::voucher : Voucher::Kind::request);
    EXPECT_EQ(sent->voucher.serial_number, "SN-1");
    EXPECT_TRUE(signed_by(*sent, registrar_cast().registrar.certificate.key));
  }
}

// ot-registrar's MASA: the names of older drafts.
TEST(Registrar, media_types_of_drafts_only_for_makers_that_want_them) {
  for (const bool quirk : {false, true}) {
    for (const std::string_view type : {"application/voucher-cose+cbor", "application/cose"}) {
      Desk d;
      d.form = Form::cose;
      d.request.nonce = d.voucher.nonce = Bytes{1, 2, 3, 4, 5, 6, 7, 8};
      d.decision.masa.quirks.old_media_types = quirk;
      d.on_answer = [type](Response& r, const Request&) { r.content_type = std::string(type) + "; x=y"; };
      const Response answer = d.ask_for_voucher();
      const std::string_view asked = quirk ? "application/voucher-cose+cbor" : "application/voucher+cose";
      EXPECT_EQ(d.asked.at(0).content_type, asked);
      EXPECT_EQ(d.asked.at(0).accept, asked);
      EXPECT_EQ(answer.status == 200, quirk || type != "application/cose") << type;
      EXPECT_TRUE(answer.status != 200 || answer.content_type == "application/voucher+cose") << "ours, to the device";
    }
  }
  Quirks old;
  old.old_media_types = true;
  EXPECT_EQ(media_type(Form::cms, old), media_type(Form::cms));
}

// nqminds' MASA answers as text/plain.
TEST(Registrar, a_voucher_of_any_media_type_only_from_makers_that_do_so) {
  for (const bool quirk : {false, true}) {
    for (const bool in_base64 : {false, true}) {
      Desk d;
      d.decision.masa.quirks.any_voucher_type = quirk;
      d.decision.masa.quirks.base64_bodies = in_base64;
      d.on_answer = [in_base64](Response& r, const Request&) {
        r.content_type = "text/plain";
        r.body = in_base64 ? to_bytes(base64(r.body)) : r.body;
      };
      EXPECT_EQ(d.ask_for_voucher().status == 200, quirk);
      ASSERT_EQ(d.fact<PledgeRefused>() == nullptr, quirk);
      EXPECT_TRUE(quirk || d.fact<PledgeRefused>()->rule == kMasaAnswer.id);
    }
  }
  Quirks any;
  any.any_voucher_type = true;
  EXPECT_EQ(form_of_answer("application/voucher-cms+json", view("{}"), any), Form::jws) << "what it is counts";
  EXPECT_FALSE(form_of_answer("text/plain", view("MIIB"), any));
  EXPECT_FALSE(form_of_answer("text/plain", view("!"), any));
  any.base64_bodies = true;
  EXPECT_EQ(form_of_answer("text/plain", view("MIIB"), any), Form::cms);
  EXPECT_FALSE(form_of_answer("text/plain", view("!"), any));
}

TEST(Registrar, a_log_with_registrar_id_clears_only_for_makers_that_write_it) {
  for (const bool quirk : {false, true}) {
    Desk d;
    d.decision.masa.quirks.registrar_id_log = quirk;
    d.log = R"({"version":"1","events":[{"date":"2026-11-23T01:09:00.742Z","registrarID":")" +
            base64(domain_id(registrar_cast().registrar.certificate)) + R"(","nonce":"n"}]})";
    ASSERT_EQ(d.report(Operation::voucher_status, true).status, 200);
    ASSERT_NE(d.fact<VoucherReported>(), nullptr);
    EXPECT_EQ(d.fact<VoucherReported>()->cleared, quirk);
    EXPECT_EQ(d.fact<VoucherReported>()->rule, quirk ? "" : kLogUnknown.id);
  }
  Desk d;  // and another domain's holds it all the same
  d.decision.masa.quirks.registrar_id_log = true;
  d.log = R"({"version":"1","events":[{"date":"2026-11-23T01:09:00.742Z","registrarID":"AQI=","nonce":"n"}]})";
  ASSERT_EQ(d.report(Operation::voucher_status, true).status, 200);
  EXPECT_EQ(d.fact<VoucherReported>()->rule, kLogDomain.id);
}

// nqminds/brski calls both a voucher, and sends them in base64.
TEST(Registrar, a_request_that_is_called_a_voucher_is_read_as_what_it_is) {
  Quirks quirks;
  quirks.requests_named_voucher = true;
  const est::Party maker = est::make_root("CN=Maker");
  const std::string content = R"({"ietf-voucher:voucher":{"serial-number":"S","proximity-registrar-cert":"AQID"}})";
  const auto message = sign_content(kJsonVoucherType, view(content), Signer{maker.key, {maker.certificate}});
  ASSERT_TRUE(message);
  const auto plain = read_request(message->expose(), Form::cms, {});
  ASSERT_TRUE(plain);
  EXPECT_FALSE(plain->voucher.proximity_registrar_cert);
  const auto read = read_request(message->expose(), Form::cms, quirks);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->voucher.kind, Voucher::Kind::request);
  EXPECT_EQ(read->voucher.proximity_registrar_cert, (Bytes{1, 2, 3}));
  EXPECT_TRUE(signed_by(*read, maker.key.public_key()));
  // In a voucher that leaf is passed over; in the request that it is, it is none.
  const std::string odd = R"({"ietf-voucher:voucher":{"serial-number":"S","proximity-registrar-cert":5}})";
  const auto unreadable = sign_content(kJsonVoucherType, view(odd), Signer{maker.key, {maker.certificate}});
  ASSERT_TRUE(unreadable);
  EXPECT_TRUE(read_request(unreadable->expose(), Form::cms, {}));
  EXPECT_FALSE(read_request(unreadable->expose(), Form::cms, quirks));
  quirks.base64_bodies = true;
  EXPECT_TRUE(read_request(view(base64(message->expose())), Form::cms, quirks));
  EXPECT_TRUE(read_request(message->expose(), Form::cms, quirks));
  EXPECT_FALSE(read_request(view("!"), Form::cms, quirks));
}

}  // namespace
}  // namespace imprint::brski
