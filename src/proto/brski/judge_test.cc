// Vouchers and requests as their receivers judge them: those of others first, then each check alone.
#include "proto/brski/judge.h"

#include "codec/der.h"
#include "proto/brski/brski_testing.h"
#include "proto/brski/rules.h"

namespace imprint::brski {
namespace {

using namespace testing;
using Outcome = Check::Outcome;

// The rule that is broken; "" if none is.
template <class T>
std::string broken(const Result<T>& result) {
  return result ? std::string() : std::string(result.error().rule == nullptr ? "?" : result.error().rule->id);
}

const Check* find(const std::vector<Check>& checks, const Rule& rule) {
  const auto at = std::ranges::find(checks, &rule, &Check::rule);
  return at == checks.end() ? nullptr : &*at;
}

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

Maker appendix_maker() { return {{certificate_of("rfc8995-c1-vendor")}, {}, {}, false, std::nullopt}; }

TEST(Judge, requests_of_others_are_taken) {
  for (const char* id : {"rfc8995-registrar-voucher-request", "own-rvr-conforming"}) {
    const auto verdict = judge_registrar_request(artifact_of(id), appendix_maker());
    ASSERT_TRUE(verdict) << id << ": " << broken(verdict);
    EXPECT_EQ((*verdict)->assertion, Assertion::proximity) << id;
    EXPECT_EQ((*verdict)->registrar.leaf, certificate_of("rfc8995-c1-jrc_prime256v1"));
    EXPECT_EQ((*verdict)->registrar.anchor, certificate_of("rfc8995-c1-ownerca_secp384r1"));
    ASSERT_TRUE((*verdict)->device);
    EXPECT_EQ(serial_of((*verdict)->device->leaf), (*verdict)->request.serial_number);
  }
  // The device's certificate came with neither request: the MASA knows it.
  Maker maker{{certificate_of("cbrski-cert-masa_ca")}, {}, {certificate_of("cbrski-cert-pledge")}, false, std::nullopt};
  const auto constrained = judge_registrar_request(artifact_of("cbrski-rvr"), maker);
  ASSERT_TRUE(constrained) << broken(constrained);
  EXPECT_EQ((*constrained)->assertion, Assertion::proximity);
  EXPECT_EQ((*constrained)->device->leaf, certificate_of("cbrski-cert-pledge"));
  // Or it does not: then the device's request counts like none, and is no proof of anything.
  maker.idevids.clear();
  const auto blind = judge_registrar_request(artifact_of("cbrski-rvr"), maker);
  ASSERT_TRUE(blind) << broken(blind);
  EXPECT_EQ((*blind)->assertion, Assertion::logged);
  EXPECT_FALSE((*blind)->device);
  maker.needs_prior = true;
  EXPECT_EQ(broken(judge_registrar_request(artifact_of("cbrski-rvr"), maker)), "BRSKI-PVR-SIGNATURE");
}

TEST(Judge, requests_that_do_not_hold_are_refused_for_what_is_wrong) {
  for (const auto& [id, rule] : {std::pair("own-rvr-serial-mismatch", "BRSKI-RVR-SERIAL"),
                                 std::pair("own-rvr-signer-without-cmcra", "BRSKI-RVR-CMCRA"),
                                 std::pair("own-voucher-conforming", "BRSKI-REQUEST-KIND")}) {
    EXPECT_EQ(broken(judge_registrar_request(artifact_of(id), appendix_maker())), rule) << id;
  }
  const Maker stranger{{make_root(KeyType::p256).certificate}, {}, {}, false, std::nullopt};
  EXPECT_EQ(broken(judge_registrar_request(artifact_of("own-rvr-conforming"), stranger)), "BRSKI-PVR-SIGNER");
}

TEST(Judge, device_requests_of_others_hold) {
  for (const char* id : {"rfc8995-pledge-voucher-request", "rfc8366bis-pledge-voucher-request", "own-pvr-conforming"}) {
    EXPECT_FALSE(first_failure(check_pledge_request(artifact_of(id), appendix_maker()))) << id;
  }
  const Maker maker{{certificate_of("cbrski-cert-masa_ca")}, {}, {}, false, std::nullopt};
  EXPECT_FALSE(
      first_failure(check_pledge_request(artifact_of("cbrski-pvr"), maker, {certificate_of("cbrski-cert-pledge")})));
  // Its IDevID is that of TLS; without it nothing can be said, and that is not the same as a wrong one.
  const std::vector<Check> open = check_pledge_request(artifact_of("cbrski-pvr"), maker);
  for (const Rule* rule : {&kPledgeSignature, &kPledgeSigner, &kPledgeSerial}) {
    EXPECT_EQ(find(open, *rule)->outcome, Outcome::unknown) << rule->id;
  }
  EXPECT_EQ(first_failure(open)->rule, &kPledgeSignature);
  const Party root = make_root(KeyType::p256);
  const auto other = root.issue(root.below(key_of(KeyType::p256).public_key(), "serialNumber=JADA123456789"));
  EXPECT_EQ(find(check_pledge_request(artifact_of("cbrski-pvr"), maker, {other}), kPledgeSignature)->outcome,
            Outcome::failed);
}

// ---- one of our own, in each form, with one thing wrong at a time ----

struct World {
  Party maker = make_root(KeyType::p256, "CN=Maker");
  Party domain = make_root(KeyType::p256, "CN=Domain");
  Signer masa = signer(maker, "CN=MASA", {});
  Signer registrar = signer(domain, "CN=Registrar", {std::string(eku::kCmcRa)});
  Signer idevid = signer(maker, "serialNumber=dev-1,CN=lamp", {}, true);
  Form form = Form::cms;

  static Signer signer(const Party& by, std::string_view subject, std::vector<std::string> usages,
                       bool device = false) {
    const PrivateKey key = *PrivateKey::generate(KeyType::p256);
    CertificateTemplate what = by.below(key.public_key(), subject);
    what.extended = std::move(usages);
    if (device) {
      what.other_extensions.push_back({"1.3.6.1.5.5.7.1.32", false, der::text(der::kIa5, "masa.example")});
    }
    return {key, {by.issue(what), by.certificate}};
  }
  Nonce nonce(std::uint8_t fill) const {
    return form == Form::cose ? Nonce(Bytes(16, fill)) : Nonce(std::string(22, static_cast<char>('A' + fill)));
  }
  Voucher voucher() const {
    Voucher out;
    out.serial_number = "dev-1";
    out.assertion = Assertion::logged;
    out.created_on = DateTime::of(kNow);
    out.nonce = nonce(1);
    out.pinned_domain_cert = domain.certificate.der;
    return out;
  }
  Device device() const {
    return {{maker.certificate}, "dev-1", issuer_key_id(idevid.chain.front()), nonce(1), true, kNow, {}, false};
  }
  Voucher pledge_request() const {
    Voucher out;
    out.kind = Voucher::Kind::request;
    out.serial_number = "dev-1";
    out.assertion = Assertion::proximity;
    out.nonce = nonce(1);
    out.proximity_registrar_cert = registrar.chain.front().der;
    return out;
  }
  Voucher registrar_request(const Voucher& prior) const {
    Voucher out;
    out.kind = Voucher::Kind::request;
    out.serial_number = "dev-1";
    out.nonce = prior.nonce;
    out.prior_signed_voucher_request = *sign_voucher(prior, form, idevid);
    return out;
  }
  Maker makers() const { return {{maker.certificate}, {}, {}, false, kNow}; }
  Artifact signed_as(const Voucher& what, const Signer& by) const {
    return *parse_artifact(*sign_voucher(what, form, by));
  }
  std::string verdict(const Voucher& what, const Device& of) const {
    return broken(judge_voucher(signed_as(what, masa), of));
  }
  std::string verdict(const Voucher& what) const { return verdict(what, device()); }
  std::string asked(const Voucher& prior) const {
    return broken(judge_registrar_request(signed_as(registrar_request(prior), registrar), makers()));
  }
};

// One world for the whole run, in each form.
class Worlds : public ::testing::TestWithParam<Form> {
 protected:
  static World world() {
    static const World made;
    World out = made;
    out.form = GetParam();
    return out;
  }
};
INSTANTIATE_TEST_SUITE_P(Forms, Worlds, ::testing::Values(Form::cms, Form::cose, Form::jws),
                         [](const auto& one) { return std::string(name(one.param)); });

TEST_P(Worlds, all_is_well) {
  const World w = world();
  EXPECT_EQ(w.verdict(w.voucher()), "");
  EXPECT_EQ(w.asked(w.pledge_request()), "");
  EXPECT_FALSE(first_failure(check_pledge_request(w.signed_as(w.pledge_request(), w.idevid), w.makers())));
}

TEST_P(Worlds, signer_of_another_maker) {
  const World w = world();
  const Party other = make_root(KeyType::p256, "CN=Maker");
  Device device = w.device();
  device.anchors = {other.certificate};
  EXPECT_EQ(w.verdict(w.voucher(), device), "BRSKI-VOUCHER-SIGNER");
  device.anchors.clear();
  EXPECT_EQ(w.verdict(w.voucher(), device), "BRSKI-VOUCHER-SIGNER");
}

TEST_P(Worlds, signer_that_is_a_device_of_the_same_maker) {
  const World w = world();
  EXPECT_EQ(broken(judge_voucher(w.signed_as(w.voucher(), w.idevid), w.device())), "BRSKI-VOUCHER-SIGNER-DEVICE");
}

TEST_P(Worlds, signer_whose_time_is_over) {
  const World w = world();
  Device device = w.device();
  device.now = kNow + 3 * kDay;
  EXPECT_EQ(w.verdict(w.voucher(), device), "BRSKI-VOUCHER-SIGNER-TIME");
  device.now = std::nullopt;  // its clock does not count
  EXPECT_EQ(w.verdict(w.voucher(), device), "");
}

TEST_P(Worlds, serial_of_another_or_of_none) {
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

TEST_P(Worlds, issuer_in_every_form_and_of_another) {
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

TEST_P(Worlds, nonce_of_another_request_and_none) {
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

TEST_P(Worlds, times) {
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

TEST_P(Worlds, assertion_that_is_not_enough) {
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

TEST_P(Worlds, pin_that_is_missing_or_unreadable) {
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

TEST_P(Worlds, of_several_pins_the_kind_that_was_asked_with) {
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

TEST_P(Worlds, registrar_request_that_nobody_signed) {
  const World w = world();
  const Voucher request = w.registrar_request(w.pledge_request());
  const Party stranger = make_root(KeyType::p256, "CN=Stranger");
  const Signer mixed{stranger.key, w.registrar.chain};  // says that it is the registrar
  const auto bytes = sign_voucher(request, w.form, mixed);
  if (bytes) {  // OpenSSL signs no CMS with a key that is not the certificate's
    EXPECT_EQ(broken(judge_registrar_request(*parse_artifact(*bytes), w.makers())), "BRSKI-RVR-SIGNATURE");
  }
}

TEST_P(Worlds, registrar_without_the_role_and_out_of_time) {
  const World w = world();
  const Signer plain = World::signer(w.domain, "CN=Device", {std::string(eku::kClientAuth)});
  const Signer bare = World::signer(w.domain, "CN=Device", {});
  const Voucher request = w.registrar_request(w.pledge_request());
  EXPECT_EQ(broken(judge_registrar_request(w.signed_as(request, plain), w.makers())), "BRSKI-RVR-CMCRA");
  EXPECT_EQ(broken(judge_registrar_request(w.signed_as(request, bare), w.makers())), "BRSKI-RVR-CMCRA");
  Maker late = w.makers();
  late.now = kNow + 3 * kDay;
  EXPECT_EQ(broken(judge_registrar_request(w.signed_as(request, w.registrar), late)), "BRSKI-RVR-CHAIN");
}

TEST_P(Worlds, registrar_of_a_domain_that_is_known_or_not) {
  const World w = world();
  Maker makers = w.makers();
  makers.registrars = {w.domain.certificate};
  const Artifact request = w.signed_as(w.registrar_request(w.pledge_request()), w.registrar);
  EXPECT_TRUE(judge_registrar_request(request, makers));
  makers.registrars = {w.maker.certificate};
  EXPECT_EQ(broken(judge_registrar_request(request, makers)), "BRSKI-RVR-CHAIN");
}

TEST_P(Worlds, request_without_a_nonce_needs_a_known_registrar) {
  const World w = world();
  Voucher request = w.registrar_request(w.pledge_request());
  request.nonce = std::nullopt;
  request.prior_signed_voucher_request = std::nullopt;
  const Artifact artifact = w.signed_as(request, w.registrar);
  EXPECT_EQ(broken(judge_registrar_request(artifact, w.makers())), "BRSKI-RVR-REGISTRAR");
  Maker makers = w.makers();
  makers.knows_registrar = true;
  const auto verdict = judge_registrar_request(artifact, makers);
  ASSERT_TRUE(verdict) << broken(verdict);
  EXPECT_EQ((*verdict)->assertion, Assertion::logged);
  EXPECT_FALSE((*verdict)->device);
}

TEST_P(Worlds, registrar_request_whose_parts_disagree) {
  const World w = world();
  const auto verdict = [&w](const Voucher& request) {
    return broken(judge_registrar_request(w.signed_as(request, w.registrar), w.makers()));
  };
  Voucher request = w.registrar_request(w.pledge_request());
  request.nonce = w.nonce(2);
  EXPECT_EQ(verdict(request), "BRSKI-RVR-NONCE");
  request = w.registrar_request(w.pledge_request());
  request.serial_number = "dev-2";
  EXPECT_EQ(verdict(request), "BRSKI-RVR-SERIAL");
  request.serial_number = std::nullopt;
  EXPECT_EQ(verdict(request), "BRSKI-RVR-SERIAL");
  request = w.registrar_request(w.pledge_request());
  request.prior_signed_voucher_request = Bytes{0x30, 0};
  EXPECT_EQ(verdict(request), "BRSKI-RVR-PRIOR");
  request.prior_signed_voucher_request = *sign_voucher(w.voucher(), w.form, w.masa);  // no request
  EXPECT_EQ(verdict(request), "BRSKI-RVR-PRIOR");
}

TEST_P(Worlds, device_request_in_it_that_does_not_hold) {
  const World w = world();
  Voucher prior = w.pledge_request();
  prior.serial_number = "dev-2";  // of another device than signs
  Voucher request = w.registrar_request(prior);
  request.serial_number = "dev-2";
  EXPECT_EQ(broken(judge_registrar_request(w.signed_as(request, w.registrar), w.makers())), "BRSKI-PVR-SERIAL");
  prior = w.pledge_request();
  prior.proximity_registrar_cert = w.masa.chain.front().der;
  EXPECT_EQ(w.asked(prior), "BRSKI-RVR-PROXIMITY");
  prior.proximity_registrar_cert = std::nullopt;
  EXPECT_EQ(w.asked(prior), "BRSKI-RVR-PROXIMITY");
  prior.proximity_registrar_pubk = w.registrar.key.public_key().spki;
  EXPECT_EQ(w.asked(prior), "");
  prior.proximity_registrar_pubk = w.masa.key.public_key().spki;
  EXPECT_EQ(w.asked(prior), "BRSKI-RVR-PROXIMITY");
  prior.proximity_registrar_pubk = std::nullopt;
  prior.proximity_registrar_pubk_sha256 = to_bytes(sha256(w.domain.key.public_key().spki));  // anywhere in the chain
  EXPECT_EQ(w.asked(prior), "");
}

// Serial numbers count by the CA of the IDevID: another maker's device may have the same.
TEST_P(Worlds, registrar_request_for_the_device_of_another_ca) {
  const World w = world();
  Voucher request = w.registrar_request(w.pledge_request());
  request.idevid_issuer = encode_idevid_issuer(issuer_key_id(w.idevid.chain.front()));
  EXPECT_TRUE(judge_registrar_request(w.signed_as(request, w.registrar), w.makers()));
  request.idevid_issuer = encode_idevid_issuer(Bytes(20, 7));
  EXPECT_EQ(broken(judge_registrar_request(w.signed_as(request, w.registrar), w.makers())), "BRSKI-RVR-ISSUER");
}

TEST_P(Worlds, proximity_is_what_the_device_says_and_nobody_else) {
  const World w = world();
  Voucher prior = w.pledge_request();
  prior.assertion = Assertion::logged;
  const auto verdict = judge_registrar_request(w.signed_as(w.registrar_request(prior), w.registrar), w.makers());
  ASSERT_TRUE(verdict) << broken(verdict);
  EXPECT_EQ((*verdict)->assertion, Assertion::logged);
  const auto failure = first_failure(check_pledge_request(w.signed_as(prior, w.idevid), w.makers()));
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->rule, &kPledgeProximity);
}

TEST_P(Worlds, voucher_by_a_registrar_or_a_key_that_is_not_to_sign) {
  const World w = world();
  const Signer registrar = World::signer(w.maker, "CN=MASA", {std::string(eku::kCmcRa)});
  EXPECT_EQ(broken(judge_voucher(w.signed_as(w.voucher(), registrar), w.device())), "BRSKI-VOUCHER-SIGNER-DEVICE");
}

TEST_P(Worlds, registrar_that_is_pinned_itself_and_over) {
  const World w = world();
  const Certificate& own = w.registrar.chain.front();
  EXPECT_TRUE(verify_pin(Pin(own), own, {}, kNow));
  EXPECT_TRUE(verify_pin(Pin(own), own, {}, std::nullopt)) << "its clock does not count";
  EXPECT_EQ(broken(verify_pin(Pin(own), own, {}, kNow + 1000 * kDay)), "BRSKI-REGISTRAR-PIN");
  EXPECT_EQ(broken(verify_pin(Pin(own.key), own, {}, kNow + 1000 * kDay)), "BRSKI-REGISTRAR-PIN");
}

// ---- what a hostile reading found ----

CertificateTemplate below(const Party& by, const PrivateKey& key, std::string_view subject,
                          std::vector<std::string> usages = {}) {
  CertificateTemplate out = by.below(key.public_key(), subject);
  out.extended = std::move(usages);
  return out;
}

TEST_P(Worlds, signer_that_is_a_device_without_the_address_of_a_masa) {
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

TEST_P(Worlds, signer_with_a_key_that_is_not_to_sign) {
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

TEST_P(Worlds, what_may_be_pinned_is_what_the_registrar_sent_and_nothing_above) {
  const World w = world();
  const Party office = make_ca_below(w.domain, "CN=Office");
  const PrivateKey& key = w.registrar.key;
  const Certificate own = office.issue(below(office, key, "CN=Registrar", {std::string(eku::kCmcRa)}));
  Voucher prior = w.pledge_request();
  prior.proximity_registrar_cert = own.der;
  const Voucher request = w.registrar_request(prior);
  Maker makers = w.makers();
  for (const bool known : {false, true}) {
    makers.registrars = known ? std::vector<Certificate>{w.domain.certificate} : std::vector<Certificate>{};
    const std::vector<std::vector<Certificate>> chains{
        {own, office.certificate, w.domain.certificate}, {own, office.certificate}, {own}};
    for (const auto& chain : chains) {
      if (known && chain.size() == 1) {
        continue;  // nothing leads from it to the anchor
      }
      const auto verdict = judge_registrar_request(w.signed_as(request, {key, chain}), makers);
      ASSERT_TRUE(verdict) << broken(verdict);
      EXPECT_EQ((*verdict)->registrar.anchor, chain.back());
      EXPECT_EQ((*verdict)->registrar.leaf, own);
      EXPECT_EQ((*verdict)->registrar.via.size() + 2, std::max<std::size_t>(2, chain.size()));
      EXPECT_EQ((*verdict)->account.has_value(), known);
    }
  }
  // The one that signed, right below the MASA's anchor: it alone may be pinned.
  makers.registrars = {w.domain.certificate};
  const Signer alone{key, {w.registrar.chain.front()}};
  const auto verdict = judge_registrar_request(w.signed_as(w.registrar_request(w.pledge_request()), alone), makers);
  ASSERT_TRUE(verdict) << broken(verdict);
  EXPECT_EQ((*verdict)->registrar.anchor, w.registrar.chain.front());
  EXPECT_TRUE((*verdict)->registrar.via.empty());
  EXPECT_EQ((*verdict)->account, w.domain.certificate);
}

TEST_P(Worlds, registrar_whose_own_certificate_the_masa_knows) {
  const World w = world();
  Maker makers = w.makers();
  makers.registrars = {w.registrar.chain.front()};
  const auto verdict =
      judge_registrar_request(w.signed_as(w.registrar_request(w.pledge_request()), w.registrar), makers);
  ASSERT_TRUE(verdict) << broken(verdict);
  EXPECT_EQ((*verdict)->registrar.anchor, w.registrar.chain.front()) << "and nobody above it";
  EXPECT_EQ((*verdict)->account, w.registrar.chain.front());
}

TEST_P(Worlds, registrar_that_sends_two_roots_of_one_name) {
  const World w = world();
  const Certificate own = w.registrar.chain.front();
  const Party other = make_root(KeyType::p256, "CN=Domain");
  CertificateTemplate renewed = as_ca(w.domain.below(w.domain.key.public_key(), "CN=Domain"));
  renewed.serial = {0x12};
  renewed.not_after = kNow - kDay / 2;  // the same root of before, and it is over
  for (const Certificate& more : {other.certificate, w.domain.issue(renewed)}) {
    const Signer registrar{w.registrar.key, {own, more, w.domain.certificate}};
    const auto verdict =
        judge_registrar_request(w.signed_as(w.registrar_request(w.pledge_request()), registrar), w.makers());
    ASSERT_TRUE(verdict) << broken(verdict);
    EXPECT_EQ((*verdict)->registrar.anchor, w.domain.certificate);
  }
  // Two that certify each other have no end, and the search has.
  const Party one{*PrivateKey::generate(KeyType::p256), {}}, two{*PrivateKey::generate(KeyType::p256), {}};
  const Party first{one.key, two.issue([&] {
                      CertificateTemplate what = as_ca(w.domain.below(one.key.public_key(), "CN=One"));
                      what.issuer = name_of("CN=Two");
                      what.authority_key_id = key_identifier(two.key.public_key());
                      return what;
                    }())};
  const Party second{two.key, first.issue(as_ca(first.below(two.key.public_key(), "CN=Two")))};
  const PrivateKey& key = w.registrar.key;
  const Signer round{key,
                     {first.issue(below(first, key, "CN=Registrar", {std::string(eku::kCmcRa)})), first.certificate,
                      second.certificate}};
  Voucher prior = w.pledge_request();
  prior.proximity_registrar_cert = round.chain.front().der;
  const auto verdict = judge_registrar_request(w.signed_as(w.registrar_request(prior), round), w.makers());
  ASSERT_TRUE(verdict) << broken(verdict);
  EXPECT_EQ((*verdict)->registrar.anchor, second.certificate);
}

// RFC 8995 section 5.5.6 compares nonces only if the registrar sends one.
TEST_P(Worlds, request_without_a_nonce_around_a_devices_own) {
  const World w = world();
  Voucher request = w.registrar_request(w.pledge_request());
  request.nonce = std::nullopt;
  Maker makers = w.makers();
  const Artifact artifact = w.signed_as(request, w.registrar);
  EXPECT_EQ(broken(judge_registrar_request(artifact, makers)), "BRSKI-RVR-REGISTRAR");
  makers.knows_registrar = true;
  const auto verdict = judge_registrar_request(artifact, makers);
  ASSERT_TRUE(verdict) << broken(verdict);
  EXPECT_EQ((*verdict)->assertion, Assertion::logged) << "it outlives the moment in which the device saw anybody";
  EXPECT_TRUE((*verdict)->device);
  Voucher prior = w.pledge_request();
  prior.nonce = std::nullopt;
  request = w.registrar_request(prior);
  request.nonce = w.nonce(1);  // of nowhere
  EXPECT_EQ(broken(judge_registrar_request(w.signed_as(request, w.registrar), makers)), "BRSKI-RVR-NONCE");
}

TEST_P(Worlds, request_without_the_devices_own_is_named_and_refused_where_it_is_wanted) {
  const World w = world();
  Voucher request = w.registrar_request(w.pledge_request());
  request.prior_signed_voucher_request = std::nullopt;
  const Artifact artifact = w.signed_as(request, w.registrar);
  Maker makers = w.makers();
  const auto checks = check_registrar_request(artifact, makers);
  EXPECT_EQ(find(checks, kRegistrarNoPrior)->outcome, Outcome::skipped);
  EXPECT_FALSE(find(checks, kRegistrarNoPrior)->detail.empty());
  EXPECT_TRUE(judge_registrar_request(artifact, makers));
  request.serial_number = std::nullopt;
  EXPECT_EQ(broken(judge_registrar_request(w.signed_as(request, w.registrar), makers)), "BRSKI-RVR-SERIAL");
  makers.needs_prior = true;
  EXPECT_EQ(broken(judge_registrar_request(artifact, makers)), "BRSKI-RVR-NO-PRIOR");
  EXPECT_EQ(broken(judge_registrar_request(w.signed_as(w.registrar_request(w.pledge_request()), w.registrar), makers)),
            "");
}

TEST_P(Worlds, device_request_in_it_that_another_signed) {
  const World w = world();
  Voucher request = w.registrar_request(w.pledge_request());
  request.prior_signed_voucher_request = *sign_voucher(w.pledge_request(), w.form, w.registrar);
  const std::string signer = broken(judge_registrar_request(w.signed_as(request, w.registrar), w.makers()));
  EXPECT_EQ(signer, "BRSKI-PVR-SIGNER");
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

RevocationList list_of(const Party& by, std::vector<Bytes> revoked, Instant until = kNow + kDay) {
  return {by.certificate.subject, by.key.public_key().spki, kNow - kDay, until, std::move(revoked)};
}

TEST_P(Worlds, pinned_certificate_that_is_revoked_or_may_be) {
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

TEST_P(Worlds, registrar_that_is_revoked_or_may_be) {
  const World w = world();
  const Party office = make_ca_below(w.domain, "CN=Office");
  const PrivateKey& key = w.registrar.key;
  CertificateTemplate what = below(office, key, "CN=Registrar", {std::string(eku::kCmcRa)});
  what.serial = {0x21};
  const Certificate own = office.issue(what);
  what.other_extensions = {list_distribution("http://domain/crl")};
  const Certificate told = office.issue(what);
  const auto outcome = [&](const Certificate& leaf, std::vector<RevocationList> lists, bool needed = false) {
    Voucher prior = w.pledge_request();
    prior.proximity_registrar_cert = leaf.der;
    Maker makers = w.makers();
    makers.lists = std::move(lists);
    makers.needs_status = needed;
    const Signer by{key, {leaf, office.certificate, w.domain.certificate}};
    const Artifact artifact = w.signed_as(w.registrar_request(prior), by);
    const Outcome out = find(check_registrar_request(artifact, makers), kRegistrarRevoked)->outcome;
    const bool holds = out == Outcome::passed || out == Outcome::skipped;
    EXPECT_EQ(broken(judge_registrar_request(artifact, makers)), holds ? "" : "BRSKI-RVR-REVOKED");
    return out;
  };
  EXPECT_EQ(outcome(own, {}), Outcome::skipped);
  EXPECT_EQ(outcome(own, {}, true), Outcome::skipped) << "it does not say where to look";
  EXPECT_EQ(outcome(told, {}), Outcome::skipped);
  EXPECT_EQ(outcome(told, {}, true), Outcome::unknown);
  EXPECT_EQ(outcome(told, {list_of(office, {})}, true), Outcome::passed);
  EXPECT_EQ(outcome(told, {list_of(office, {own.serial})}), Outcome::failed);
  EXPECT_EQ(outcome(told, {list_of(w.domain, {office.certificate.serial})}), Outcome::failed) << "the CA above it";
  RevocationList forged = list_of(office, {own.serial});
  forged.signer = w.maker.key.public_key().spki;  // of a CA that has only the name
  EXPECT_EQ(outcome(told, {forged}, true), Outcome::unknown);
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

TEST_P(Worlds, device_request_alone) {
  const World w = world();
  const auto rule = [&w](const Voucher& request, const Signer& by) {
    const auto failure = first_failure(check_pledge_request(w.signed_as(request, by), w.makers()));
    return failure ? std::string(failure->rule->id) : std::string();
  };
  Voucher request = w.pledge_request();
  EXPECT_EQ(rule(request, w.registrar), "BRSKI-PVR-SIGNER");
  EXPECT_EQ(rule(request, w.masa), "BRSKI-PVR-SERIAL");  // of the maker, and no device
  request.nonce = std::nullopt;
  EXPECT_EQ(rule(request, w.idevid), "BRSKI-PVR-NONCE");
  request = w.pledge_request();
  request.proximity_registrar_cert = std::nullopt;
  EXPECT_EQ(rule(request, w.idevid), "BRSKI-PVR-PROXIMITY");
  request = w.voucher();
  EXPECT_EQ(rule(request, w.idevid), "BRSKI-REQUEST-KIND");
}

TEST_P(Worlds, each_check_is_told_even_when_one_before_it_fails) {
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
