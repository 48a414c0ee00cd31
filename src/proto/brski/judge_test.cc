// Vouchers as devices judge them: those of others first, then each check alone.
#include "proto/brski/judge_testing.h"

namespace imprint::brski {
namespace {

using namespace testing;

class VoucherWorlds : public Worlds {};
INSTANTIATE_TEST_SUITE_P(Forms, VoucherWorlds, ::testing::Values(Form::cms, Form::cose, Form::jws),
                         [](const auto& one) { return std::string(name(one.param)); });

// ---- the known answers ----

// The device of RFC 8995's appendix, at a time when its certificates were good, or without a clock.
Device appendix_device(std::string_view request) {
  Device out;
  out.anchors = {certificate_of("rfc8995-c1-vendor")};
  out.serial = serial_of(certificate_of("rfc8995-c1-idevid_00-D0-E5-F2-00-02"));
  out.issuer = issuer_key_id(certificate_of("rfc8995-c1-idevid_00-D0-E5-F2-00-02"));
  out.nonce = artifact_of(request).voucher.nonce;
  return out;
}

Device constrained_device() {
  Device out;
  out.anchors = {certificate_of("cbrski-cert-masa_ca")};
  out.serial = serial_of(certificate_of("cbrski-cert-pledge"));
  out.nonce = artifact_of("cbrski-pvr").voucher.nonce;
  out.asked_with_key = true;
  return out;
}

TEST(Judge, vouchers_of_others_are_taken) {
  for (const auto& [id, request] : {std::pair("rfc8995-voucher", "rfc8995-pledge-voucher-request"),
                                    std::pair("rfc8366bis-voucher", "rfc8366bis-pledge-voucher-request"),
                                    std::pair("own-voucher-conforming", "own-pvr-conforming"),
                                    std::pair("own-voucher-nonceless", "own-pvr-conforming")}) {
    const auto verdict = judge_voucher(artifact_of(id), appendix_device(request));
    ASSERT_TRUE(verdict) << id << ": " << broken(verdict);
    EXPECT_EQ((*verdict)->voucher, artifact_of(id).voucher);
    EXPECT_EQ((*verdict)->signer.leaf, certificate_of("rfc8995-c1-masa"));
  }
  for (const char* id : {"cose-own-voucher-from-masa", "cose-own-voucher-to-pledge", "cose-own-voucher-names",
                         "cose-own-voucher-mixed", "cose-own-voucher-rpk", "cose-own-voucher-rpk-sha256"}) {
    Device device = constrained_device();
    device.serial = artifact_of(id).voucher.serial_number;
    const auto verdict = judge_voucher(artifact_of(id), device);
    ASSERT_TRUE(verdict) << id << ": " << broken(verdict);
    EXPECT_TRUE(verify_pin((*verdict)->pin, certificate_of("cbrski-cert-registrar"), {}, std::nullopt)) << id;
    EXPECT_EQ(broken(verify_pin((*verdict)->pin, certificate_of("cbrski-cert-pledge"), {}, std::nullopt)),
              "BRSKI-REGISTRAR-PIN");
  }
}

TEST(Judge, a_masa_certificate_itself_may_be_the_anchor) {
  Device device = appendix_device("rfc8995-pledge-voucher-request");
  device.anchors = {certificate_of("rfc8995-c1-masa")};
  EXPECT_TRUE(judge_voucher(artifact_of("rfc8995-voucher"), device));
  device.now = Instant{1618350204000};  // when it was made
  EXPECT_TRUE(judge_voucher(artifact_of("rfc8995-voucher"), device));
}

TEST(Judge, vouchers_that_do_not_hold_are_refused_for_what_is_wrong) {
  const Device device = appendix_device("own-pvr-conforming");
  for (const auto& [id, rule] : {std::pair("own-voucher-wrong-nonce", "BRSKI-VOUCHER-NONCE"),
                                 std::pair("own-voucher-wrong-serial", "BRSKI-VOUCHER-SERIAL"),
                                 std::pair("own-voucher-no-pin", "BRSKI-VOUCHER-PIN"),
                                 std::pair("own-voucher-signed-by-registrar", "BRSKI-VOUCHER-SIGNER"),
                                 std::pair("own-voucher-bad-digest", "BRSKI-VOUCHER-SIGNATURE"),
                                 std::pair("own-pvr-conforming", "BRSKI-VOUCHER-KIND")}) {
    EXPECT_EQ(broken(judge_voucher(artifact_of(id), device)), rule) << id;
  }
  Device constrained = constrained_device();
  for (const auto& [id, rule] : {std::pair("cose-own-voucher-wrong-nonce", "BRSKI-VOUCHER-NONCE"),
                                 std::pair("cose-own-voucher-signed-by-registrar", "BRSKI-VOUCHER-SIGNATURE"),
                                 std::pair("cbrski-voucher", "BRSKI-VOUCHER-NONCE")}) {
    constrained.serial = artifact_of(id).voucher.serial_number;
    EXPECT_EQ(broken(judge_voucher(artifact_of(id), constrained)), rule) << id;
  }
}

// ---- one of our own, in each form, with one thing wrong at a time ----

TEST_P(VoucherWorlds, all_is_well) {
  const World w = world();
  EXPECT_EQ(w.verdict(w.voucher()), "");
  EXPECT_EQ(w.asked(w.pledge_request()), "");
  EXPECT_FALSE(first_failure(check_pledge_request(w.signed_as(w.pledge_request(), w.idevid), w.makers())));
}

TEST_P(VoucherWorlds, signer_of_another_maker) {
  const World w = world();
  const Party other = make_root(KeyType::p256, "CN=Maker");
  Device device = w.device();
  device.anchors = {other.certificate};
  EXPECT_EQ(w.verdict(w.voucher(), device), "BRSKI-VOUCHER-SIGNER");
  device.anchors.clear();
  EXPECT_EQ(w.verdict(w.voucher(), device), "BRSKI-VOUCHER-SIGNER");
}

TEST_P(VoucherWorlds, signer_that_is_a_device_of_the_same_maker) {
  const World w = world();
  EXPECT_EQ(broken(judge_voucher(w.signed_as(w.voucher(), w.idevid), w.device())), "BRSKI-VOUCHER-SIGNER-DEVICE");
}

TEST_P(VoucherWorlds, signer_whose_time_is_over) {
  const World w = world();
  Device device = w.device();
  device.now = kNow + 3 * kDay;
  EXPECT_EQ(w.verdict(w.voucher(), device), "BRSKI-VOUCHER-SIGNER-TIME");
  device.now = std::nullopt;  // its clock does not count
  EXPECT_EQ(w.verdict(w.voucher(), device), "");
}

TEST_P(VoucherWorlds, serial_of_another_or_of_none) {
  const World w = world();
  Voucher voucher = w.voucher();
  voucher.serial_number = "dev-2";
  EXPECT_EQ(w.verdict(voucher), "BRSKI-VOUCHER-SERIAL");
  voucher.serial_number = std::nullopt;
  EXPECT_EQ(w.verdict(voucher), "BRSKI-VOUCHER-SERIAL");
  Device device = w.device();
  device.serial = std::nullopt;  // and so it cannot be compared
  EXPECT_EQ(w.verdict(voucher, device), "BRSKI-VOUCHER-SERIAL");
  EXPECT_EQ(w.verdict(w.voucher(), device), "BRSKI-VOUCHER-SERIAL");
}

TEST_P(VoucherWorlds, issuer_in_every_form_and_of_another) {
  const World w = world();
  const Bytes id = *w.device().issuer;
  const Bytes whole = encode_idevid_issuer(id);
  for (const Bytes& form : {whole, to_bytes(BytesView(whole).subspan(2)), id}) {
    Voucher voucher = w.voucher();
    voucher.idevid_issuer = form;
    EXPECT_EQ(w.verdict(voucher), "") << hex(form);
    voucher.idevid_issuer->back() ^= 1;
    EXPECT_EQ(w.verdict(voucher), "BRSKI-VOUCHER-ISSUER") << hex(form);
    Device device = w.device();
    device.issuer = std::nullopt;
    EXPECT_EQ(w.verdict(voucher, device), "BRSKI-VOUCHER-ISSUER");
  }
}

TEST_P(VoucherWorlds, nonce_of_another_request_and_none) {
  const World w = world();
  Voucher voucher = w.voucher();
  voucher.nonce = w.nonce(2);
  EXPECT_EQ(w.verdict(voucher), "BRSKI-VOUCHER-NONCE");
  Device device = w.device();
  device.nonce = std::nullopt;
  EXPECT_EQ(w.verdict(w.voucher(), device), "BRSKI-VOUCHER-NONCE");
  voucher.nonce = std::nullopt;
  EXPECT_EQ(w.verdict(voucher), "");
  device.takes_nonceless = false;
  EXPECT_EQ(w.verdict(voucher, device), "BRSKI-VOUCHER-NONCELESS");
}

TEST(Judge, a_nonce_in_other_letters_is_another) {
  World w;
  Voucher voucher = w.voucher();
  voucher.nonce = "AAECAwQFBgcICQoLDA0ODw==";
  Device device = w.device();
  for (const Nonce& same_octets :
       {Nonce("AAECAwQFBgcICQoLDA0ODw"), Nonce(*from_hex("000102030405060708090a0b0c0d0e0f")),
        Nonce("000102030405060708090a0b0c0d0e0f")}) {
    device.nonce = same_octets;
    EXPECT_EQ(w.verdict(voucher, device), "BRSKI-VOUCHER-NONCE");
  }
}

TEST_P(VoucherWorlds, times) {
  const World w = world();
  Voucher voucher = w.voucher();
  voucher.created_on = DateTime::of(kNow + std::chrono::minutes(5));
  EXPECT_EQ(w.verdict(voucher), "");
  voucher.created_on = DateTime::of(kNow + std::chrono::minutes(6));
  EXPECT_EQ(w.verdict(voucher), "BRSKI-VOUCHER-CREATED");
  Device device = w.device();
  device.now = std::nullopt;
  EXPECT_EQ(w.verdict(voucher, device), "");
  voucher = w.voucher();
  voucher.expires_on = DateTime::of(kNow);
  EXPECT_EQ(w.verdict(voucher), "");
  voucher.expires_on = DateTime::of(kNow - std::chrono::seconds(1));
  EXPECT_EQ(w.verdict(voucher), "BRSKI-VOUCHER-EXPIRED");  // also beside a nonce
  voucher.nonce = std::nullopt;
  EXPECT_EQ(w.verdict(voucher), "BRSKI-VOUCHER-EXPIRED");
  EXPECT_EQ(w.verdict(voucher, device), "");
  voucher.created_on = std::nullopt;  // RFC 8995's own example has none
  voucher.expires_on = std::nullopt;
  EXPECT_EQ(w.verdict(voucher, device), "");
}

TEST_P(VoucherWorlds, assertion_that_is_not_enough) {
  const World w = world();
  Device device = w.device();
  device.assertions = {Assertion::verified, Assertion::proximity};
  EXPECT_EQ(w.verdict(w.voucher(), device), "BRSKI-VOUCHER-ASSERTION");
  Voucher voucher = w.voucher();
  voucher.assertion = std::nullopt;
  EXPECT_EQ(w.verdict(voucher), "");
  EXPECT_EQ(w.verdict(voucher, device), "BRSKI-VOUCHER-ASSERTION");
  voucher.assertion = Assertion::proximity;
  EXPECT_EQ(w.verdict(voucher, device), "");
}

TEST(Judge, an_assertion_that_nobody_knows_is_not_enough) {
  const World w;
  const std::string text =
      R"({"ietf-voucher:voucher":{"serial-number":"dev-1","assertion":"sworn","pinned-domain-cert":"AA=="}})";
  const auto message = sign_jws(view(text), w.masa.key, {{}, {}, w.masa.chain});
  EXPECT_EQ(broken(judge_voucher(*parse_artifact(view(*message)), w.device())), "BRSKI-VOUCHER-ASSERTION");
}

TEST_P(VoucherWorlds, pin_that_is_missing_or_unreadable) {
  const World w = world();
  Voucher voucher = w.voucher();
  voucher.pinned_domain_cert = std::nullopt;
  EXPECT_EQ(w.verdict(voucher), "BRSKI-VOUCHER-PIN");
  voucher.pinned_domain_cert = Bytes{0x30, 0};
  EXPECT_EQ(w.verdict(voucher), "BRSKI-VOUCHER-PIN");
  voucher.pinned_domain_cert = std::nullopt;
  voucher.pinned_domain_pubk = Bytes{0x30, 0};
  EXPECT_EQ(w.verdict(voucher), "BRSKI-VOUCHER-PIN");
}

TEST_P(VoucherWorlds, of_several_pins_the_kind_that_was_asked_with) {
  const World w = world();
  Voucher voucher = w.voucher();
  voucher.pinned_domain_pubk = w.registrar.key.public_key().spki;
  const auto kind_of = [&](const Device& device) {
    return (*judge_voucher(w.signed_as(voucher, w.masa), device))->pin.index();
  };
  Device device = w.device();
  EXPECT_EQ(kind_of(device), 0U);  // a certificate
  device.asked_with_key = true;
  EXPECT_EQ(kind_of(device), 1U);  // a key
  voucher.pinned_domain_pubk_sha256 = Bytes(32, 1);
  EXPECT_EQ(kind_of(device), 2U);
  device.asked_with_key = false;
  EXPECT_EQ(kind_of(device), 0U);
  voucher.nonce = std::nullopt;
  EXPECT_EQ(kind_of(device), 2U);
}

TEST(Judge, a_pin_holds_the_registrar_that_it_names_and_no_other) {
  const World w;
  const Certificate registrar = w.registrar.chain.front(), ca = w.domain.certificate;
  const Certificate other = World::signer(make_root(KeyType::p256, "CN=Domain"), "CN=Registrar", {}).chain.front();
  const Sha256 of_key = sha256(registrar.key.spki), of_ca = sha256(ca.key.spki);
  for (const Pin& pin :
       {Pin(registrar), Pin(ca), Pin(registrar.key), Pin(ca.key), Pin(to_bytes(of_key)), Pin(to_bytes(of_ca))}) {
    EXPECT_TRUE(verify_pin(pin, registrar, {ca}, kNow)) << pin.index();
    EXPECT_EQ(broken(verify_pin(pin, other, {ca}, kNow)), "BRSKI-REGISTRAR-PIN") << pin.index();
  }
  EXPECT_FALSE(verify_pin(Pin(ca.key), registrar, {}, kNow));  // nothing leads to a bare key
  EXPECT_FALSE(verify_pin(Pin(ca), registrar, {}, kNow + 3 * kDay));
  EXPECT_TRUE(verify_pin(Pin(ca), registrar, {}, std::nullopt));
  EXPECT_FALSE(verify_pin(Pin(Bytes()), registrar, {ca}, kNow));
}

TEST_P(VoucherWorlds, voucher_by_a_registrar_or_a_key_that_is_not_to_sign) {
  const World w = world();
  const Signer registrar = World::signer(w.maker, "CN=MASA", {std::string(eku::kCmcRa)});
  EXPECT_EQ(broken(judge_voucher(w.signed_as(w.voucher(), registrar), w.device())), "BRSKI-VOUCHER-SIGNER-DEVICE");
  // The maker's web server has a key below the same root, where many can reach it.
  for (const std::string_view usage : {eku::kServerAuth, eku::kClientAuth, eku::kOcspSigning}) {
    const Signer server = World::signer(w.maker, "CN=www", {std::string(usage)});
    EXPECT_EQ(broken(judge_voucher(w.signed_as(w.voucher(), server), w.device())), "BRSKI-VOUCHER-SIGNER-DEVICE");
    Device told = w.device();
    told.signers = {server.chain.front().subject};
    EXPECT_TRUE(judge_voucher(w.signed_as(w.voucher(), server), told)) << "who is called by name is meant";
  }
}

TEST_P(VoucherWorlds, registrar_that_is_pinned_itself_and_over) {
  const World w = world();
  const Certificate& own = w.registrar.chain.front();
  EXPECT_TRUE(verify_pin(Pin(own), own, {}, kNow));
  EXPECT_TRUE(verify_pin(Pin(own), own, {}, std::nullopt)) << "its clock does not count";
  EXPECT_EQ(broken(verify_pin(Pin(own), own, {}, kNow + 1000 * kDay)), "BRSKI-REGISTRAR-PIN");
  EXPECT_EQ(broken(verify_pin(Pin(own.key), own, {}, kNow + 1000 * kDay)), "BRSKI-REGISTRAR-PIN");
}

// ---- what a hostile reading found ----

TEST_P(VoucherWorlds, signer_that_is_a_device_without_the_address_of_a_masa) {
  const World w = world();
  const Signer old = World::signer(w.maker, "CN=lamp,serialNumber=dev-9", {});
  Device device = w.device();
  EXPECT_EQ(broken(judge_voucher(w.signed_as(w.voucher(), old), device)), "BRSKI-VOUCHER-SIGNER-DEVICE");
  // One whose serial number is its common name is told apart by the names of those that sign.
  const Signer plain = World::signer(w.maker, "CN=dev-9", {});
  EXPECT_EQ(broken(judge_voucher(w.signed_as(w.voucher(), plain), device)), "");
  device.signers = {name_of("CN=MASA")};
  EXPECT_EQ(broken(judge_voucher(w.signed_as(w.voucher(), plain), device)), "BRSKI-VOUCHER-SIGNER-DEVICE");
  EXPECT_EQ(w.verdict(w.voucher(), device), "");
  // A maker may call its MASA what it likes, if the device knows it: by name, or by its certificate.
  const Signer odd = World::signer(w.maker, "CN=MASA,serialNumber=HRB 1", {});
  device.signers = {name_of("CN=MASA,serialNumber=HRB 1")};
  EXPECT_EQ(broken(judge_voucher(w.signed_as(w.voucher(), odd), device)), "");
  device.signers.clear();
  device.anchors = {odd.chain.front()};
  EXPECT_EQ(broken(judge_voucher(w.signed_as(w.voucher(), odd), device)), "");
}

// `--serial-from common-name`: a device whose own IDevID is not marked as one takes nobody's word but an anchor's own.
TEST_P(VoucherWorlds, signer_that_is_a_device_like_oneself_whose_serial_is_its_common_name) {
  const World w = world();
  const Signer sibling = World::signer(w.maker, "CN=dev-9", {});
  Device device = w.device();
  device.unmarked = true;
  EXPECT_EQ(broken(judge_voucher(w.signed_as(w.voucher(), sibling), device)), "BRSKI-VOUCHER-SIGNER-DEVICE");
  EXPECT_EQ(w.verdict(w.voucher(), device), "BRSKI-VOUCHER-SIGNER-DEVICE") << "the MASA's looks the same";
  device.anchors.push_back(w.masa.chain.front());
  EXPECT_EQ(w.verdict(w.voucher(), device), "") << "until it is built in";
  EXPECT_EQ(broken(judge_voucher(w.signed_as(w.voucher(), sibling), device)), "BRSKI-VOUCHER-SIGNER-DEVICE");
  device.anchors.pop_back();
  device.signers = {name_of("CN=MASA")};
  EXPECT_EQ(w.verdict(w.voucher(), device), "") << "or called by name";
}

// What a registrar takes out before a constrained device sees it (draft-ietf-anima-constrained-voucher section 6.2.2)
// was for the registrar: who signed stands under the signature, and the root is enough, also after a new signer.
TEST(Judge, a_voucher_without_its_bag_is_judged_by_a_device_that_knows_the_root_alone) {
  World w;
  w.form = Form::cose;
  const auto stripped = [](const Voucher& what, const Signer& by) {
    return *parse_artifact(*without_unprotected(*sign_voucher(what, Form::cose, by)));
  };
  for (const Signer& masa : {w.masa, World::signer(w.maker, "CN=The next MASA", {})}) {
    const Artifact sent = stripped(w.voucher(), masa);
    EXPECT_EQ(sent.along, std::vector{masa.chain.front()}) << "and no more than the device lacks";
    EXPECT_EQ(broken(judge_voucher(sent, w.device())), "");
  }
  EXPECT_EQ(broken(judge_voucher(stripped(w.voucher(), w.idevid), w.device())), "BRSKI-VOUCHER-SIGNER-DEVICE");
  const Party other = make_root(KeyType::p256, "CN=Maker");
  EXPECT_EQ(broken(judge_voucher(stripped(w.voucher(), World::signer(other, "CN=MASA", {})), w.device())),
            "BRSKI-VOUCHER-SIGNER");
  // A signer that is the anchor itself sends nothing: every octet counts.
  const Signer anchor{w.masa.key, {w.masa.chain.front()}};
  Device device = w.device();
  device.anchors = {w.masa.chain.front()};
  EXPECT_TRUE(stripped(w.voucher(), anchor).along.empty());
  EXPECT_EQ(broken(judge_voucher(stripped(w.voucher(), anchor), device)), "");
  // A request keeps its certificates in the bag alone.
  EXPECT_TRUE(stripped(w.pledge_request(), w.idevid).along.empty());
}

TEST_P(VoucherWorlds, signer_with_a_key_that_is_not_to_sign) {
  const World w = world();
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  CertificateTemplate what = below(w.maker, key, "CN=MASA");
  what.usage = key_usage::kKeyAgreement;
  const Signer no_signer{key, {w.maker.issue(what), w.maker.certificate}};
  EXPECT_EQ(broken(judge_voucher(w.signed_as(w.voucher(), no_signer), w.device())), "BRSKI-VOUCHER-SIGNER-DEVICE");
}

// A bag says nothing of which of its certificates is meant.
TEST(Judge, of_several_certificates_of_the_signers_key_the_one_that_may_counts) {
  World w;
  w.form = Form::cose;
  const PrivateKey& key = w.masa.key;
  const Certificate old = w.maker.issue(below(w.maker, key, "CN=MASA", {std::string(eku::kCmcRa)}));
  const Signer masa{key, {old, w.masa.chain.front(), w.maker.certificate}};
  EXPECT_EQ(broken(judge_voucher(w.signed_as(w.voucher(), masa), w.device())), "");
  const Certificate plain = w.domain.issue(below(w.domain, w.registrar.key, "CN=Registrar"));
  const Party stranger = make_root(KeyType::p256, "CN=Nobody");
  CertificateTemplate late = below(stranger, w.registrar.key, "CN=Registrar", {std::string(eku::kCmcRa)});
  late.not_before = late.not_after = kNow - kDay;
  for (const Certificate& first : {plain, stranger.issue(late)}) {
    const Signer registrar{w.registrar.key, {first, w.registrar.chain.front(), w.domain.certificate}};
    const auto verdict =
        judge_registrar_request(w.signed_as(w.registrar_request(w.pledge_request()), registrar), w.makers());
    ASSERT_TRUE(verdict) << broken(verdict);
    EXPECT_EQ((*verdict)->registrar.leaf, w.registrar.chain.front());
  }
}

// ---- times and revocation ----

TEST(Judge, a_voucher_is_not_signed_in_the_future) {
  const World w;
  const Artifact voucher = w.signed_as(w.voucher(), w.masa);
  Artifact changed = voucher;
  auto& when = std::get<SignedContent>(changed.wrapping).signing_time;
  ASSERT_TRUE(when);
  const auto rule = [&](std::optional<Instant> now) {
    Device device = w.device();
    device.now = now;
    return broken(judge_voucher(changed, device));
  };
  when = kNow + std::chrono::minutes(5);
  EXPECT_EQ(rule(kNow), "");
  when = kNow + std::chrono::minutes(6);
  EXPECT_EQ(rule(kNow), "BRSKI-VOUCHER-SIGNING-TIME");
  EXPECT_EQ(rule(std::nullopt), "") << "its clock does not count";
  when = std::nullopt;
  EXPECT_EQ(rule(kNow), "");
}

TEST_P(VoucherWorlds, pinned_certificate_that_is_revoked_or_may_be) {
  const World w = world();
  const Certificate& pinned = w.registrar.chain.front();
  const Party other = make_root(KeyType::p256, "CN=Other");
  const auto outcome = [&](std::optional<bool> wanted, std::vector<RevocationList> lists) {
    Voucher voucher = w.voucher();
    voucher.pinned_domain_cert = pinned.der;
    voucher.domain_cert_revocation_checks = wanted;
    Device device = w.device();
    device.lists = std::move(lists);
    const Artifact artifact = w.signed_as(voucher, w.masa);
    const Outcome out = find(check_voucher(artifact, device), kVoucherRevocation)->outcome;
    const bool holds = out == Outcome::passed || out == Outcome::skipped;
    EXPECT_EQ(broken(judge_voucher(artifact, device)), holds ? "" : "BRSKI-VOUCHER-REVOCATION");
    return out;
  };
  const RevocationList good = list_of(w.domain, {}), bad = list_of(w.domain, {pinned.serial});
  const RevocationList over = list_of(w.domain, {}, kNow - kDay),
                       over_bad = list_of(w.domain, {pinned.serial}, kNow - kDay);
  EXPECT_EQ(outcome(true, {}), Outcome::unknown);
  EXPECT_EQ(outcome(true, {over}), Outcome::unknown);
  EXPECT_EQ(outcome(true, {list_of(other, {pinned.serial})}), Outcome::unknown);
  EXPECT_EQ(outcome(true, {good}), Outcome::passed);
  EXPECT_EQ(outcome(true, {good, bad}), Outcome::failed);
  EXPECT_EQ(outcome(true, {over_bad}), Outcome::failed);
  EXPECT_EQ(outcome(std::nullopt, {}), Outcome::skipped);
  EXPECT_EQ(outcome(std::nullopt, {good}), Outcome::passed);
  EXPECT_EQ(outcome(std::nullopt, {bad}), Outcome::failed);
  EXPECT_EQ(outcome(false, {bad}), Outcome::skipped);
  Voucher root = w.voucher();
  root.domain_cert_revocation_checks = true;
  EXPECT_EQ(w.verdict(root), "") << "nobody revokes a root";
}

// ---- the registrar on the connection ----

TEST(Judge, what_leads_to_a_pinned_ca_has_to_be_a_registrar) {
  const World w;
  const auto cmc = std::string(eku::kCmcRa), server = std::string(eku::kServerAuth);
  const Signer lamp = World::signer(w.domain, "CN=Lamp", {server}),
               both = World::signer(w.domain, "CN=R", {cmc, server});
  const auto rule = [&](const Pin& pin, const Signer& by, RegistrarRole role, Instant now = kNow) {
    const SeenRegistrar seen{by.chain.front(), by.chain, now, role};
    const auto failure = first_failure(check_registrar(pin, seen));
    const auto proof = verify_registrar(pin, seen);
    EXPECT_EQ(broken(proof), failure ? std::string(failure->rule->id) : "");
    return broken(proof);
  };
  const Pin ca(w.domain.certificate);
  EXPECT_EQ(rule(ca, w.registrar, RegistrarRole::cmc_ra), "");
  EXPECT_EQ(rule(ca, w.registrar, RegistrarRole::cmc_server), "BRSKI-REGISTRAR-CMCRA");
  EXPECT_EQ(rule(ca, both, RegistrarRole::cmc_server), "");
  EXPECT_EQ(rule(ca, lamp, RegistrarRole::cmc_ra), "BRSKI-REGISTRAR-CMCRA");
  EXPECT_EQ(rule(ca, lamp, RegistrarRole::any), "");
  EXPECT_EQ(rule(ca, w.masa, RegistrarRole::any), "BRSKI-REGISTRAR-PIN");
  EXPECT_EQ(rule(ca, w.registrar, RegistrarRole::cmc_ra, kNow + 3 * kDay), "BRSKI-REGISTRAR-PIN");
  // The maker named this very key.
  for (const Pin& own : {Pin(lamp.chain.front()), Pin(lamp.key.public_key())}) {
    EXPECT_EQ(rule(own, lamp, RegistrarRole::cmc_server), "");
  }
  const SeenRegistrar strict{lamp.chain.front(), {}, kNow};
  EXPECT_EQ(broken(verify_registrar(ca, strict)), "BRSKI-REGISTRAR-CMCRA") << "without a word of policy";
}

TEST(Judge, the_proof_is_the_way_from_the_registrar_to_the_pin) {
  const World w;
  const Party office = make_ca_below(w.domain, "CN=Office");
  const Signer by = World::signer(office, "CN=Registrar", {std::string(eku::kCmcRa)});
  const Certificate own = by.chain.front();
  const auto way = verify_pin(Pin(w.domain.certificate), own, by.chain, kNow);
  ASSERT_TRUE(way) << broken(way);
  EXPECT_EQ(**way, (CertificateChain{own, w.domain.certificate, {office.certificate}}));
  const auto to_office = verify_pin(Pin(office.certificate.key), own, by.chain, kNow);
  ASSERT_TRUE(to_office) << broken(to_office);
  EXPECT_EQ(**to_office, (CertificateChain{own, office.certificate, {}}));
  for (const Pin& pin : {Pin(own), Pin(own.key), Pin(to_bytes(sha256(own.key.spki)))}) {
    const auto alone = verify_pin(pin, own, by.chain, kNow);
    ASSERT_TRUE(alone) << broken(alone);
    EXPECT_EQ(**alone, (CertificateChain{own, own, {}}));
  }
  // Another certificate of the registrar's key is pinned, and over.
  CertificateTemplate what = below(office, by.key, "CN=Registrar");
  what.not_before = what.not_after = kNow - kDay;
  const auto over = verify_pin(Pin(office.issue(what)), own, {}, kNow);
  EXPECT_EQ(broken(over), "BRSKI-REGISTRAR-PIN");
  EXPECT_EQ(fault(over), Fault::expired);
  EXPECT_TRUE(verify_pin(Pin(office.issue(what)), own, {}, std::nullopt));
}

TEST_P(VoucherWorlds, each_check_is_told_even_when_one_before_it_fails) {
  const World w = world();
  Voucher voucher = w.voucher();
  voucher.serial_number = "dev-2";
  voucher.pinned_domain_cert = std::nullopt;
  const std::vector<Check> checks = check_voucher(w.signed_as(voucher, w.masa), w.device());
  EXPECT_EQ(find(checks, kVoucherSignature)->outcome, Outcome::passed);
  EXPECT_EQ(find(checks, kVoucherSerial)->outcome, Outcome::failed);
  EXPECT_EQ(find(checks, kVoucherIssuer)->outcome, Outcome::skipped);
  EXPECT_EQ(find(checks, kVoucherNonce)->outcome, Outcome::passed);
  EXPECT_EQ(find(checks, kVoucherPin)->outcome, Outcome::failed);
}

}  // namespace
}  // namespace imprint::brski
