// Every vector of tests/data/brski.json: read, judged, or refused for what is wrong with it, and as its own "expect"
// says. A vector that nobody judges fails.
#include <algorithm>
#include <functional>

#include "coap/mapping.h"
#include "codec/base64.h"
#include "codec/cbor.h"
#include "proto/brski/audit_log.h"
#include "proto/brski/coap.h"
#include "proto/brski/grasp.h"
#include "proto/brski/jpy.h"
#include "proto/brski/judge_testing.h"
#include "proto/brski/leaves.h"
#include "proto/brski/registrar_judge.h"
#include "proto/brski/telemetry.h"

namespace imprint::brski {
namespace {

using namespace testing;

Bytes field(std::string_view id, const char* name) { return *from_hex(vector_of(id).at(name).get<std::string>()); }
std::string text_in(std::string_view id, const char* name) { return vector_of(id).at(name).get<std::string>(); }

// Whether the file wants it taken; without a word of its own it has to hold.
bool is_taken(std::string_view id) {
  const Json one = vector_of(id);
  return !one.contains("expect") || one["expect"].get<std::string>().starts_with("accept");
}

void expect_rule(std::string_view id, const std::string& found, const std::string& wanted) {
  EXPECT_EQ(found, wanted) << id;
  EXPECT_EQ(found.empty(), is_taken(id)) << id << ": the file's own expect";
}

bool has_octets(const Bytes& whole, const Bytes& part) {
  return !part.empty() && std::search(whole.begin(), whole.end(), part.begin(), part.end()) != whole.end();
}

// ---- what the file says of each kind of artefact beside the verdict ----

void facts_of_cms(std::string_view id, const Artifact& read) {
  const Json one = vector_of(id);
  const Bytes der = bytes_of(id);
  EXPECT_EQ(as_text(read.content), one.at("content_text").get<std::string>()) << id;
  EXPECT_EQ(read.content_type, one.at("econtent_type").get<std::string>()) << id;
  if (one.contains("message_digest")) {
    const Sha256 digest = sha256(read.content);
    EXPECT_EQ(hex(digest), text_in(id, "message_digest")) << id;
    Bytes attributes = field(id, "signed_attrs_der_set");
    ASSERT_FALSE(attributes.empty());
    EXPECT_TRUE(has_octets(attributes, Bytes(digest.begin(), digest.end()))) << id;
    attributes[0] = 0xa0;  // as they travel: [0] IMPLICIT (RFC 5652 section 5.4)
    EXPECT_TRUE(has_octets(der, attributes)) << id;
    EXPECT_TRUE(has_octets(der, field(id, "signature_der"))) << id;
    const auto signers = signers_of(read);
    ASSERT_FALSE(signers.empty()) << id;
    EXPECT_EQ(hex(signers.front().fingerprint()), text_in(id, "signer_cert_sha256")) << id;
  }
}

void facts_of_cose(std::string_view id, const Artifact& read) {
  const Json one = vector_of(id);
  const auto& sign1 = std::get<Sign1>(read.wrapping);
  if (one.contains("payload")) {
    EXPECT_EQ(hex(sign1.payload), text_in(id, "payload")) << id;
  }
  if (one.contains("sig_structure")) {
    cbor::Writer w;  // RFC 9052 section 4.4
    w.array(4);
    w.text("Signature1");
    w.bytes(sign1.protected_header);
    w.bytes({});
    w.bytes(sign1.payload);
    EXPECT_EQ(hex(std::move(w).out()), text_in(id, "sig_structure")) << id;
  }
  if (one.contains("signer")) {
    EXPECT_TRUE(signed_by(read, certificate_of(text_in(id, "signer")).key)) << id;
  }
}

void facts_of_jws(std::string_view id, const Artifact& read) {
  const Json one = vector_of(id);
  const auto& jws = std::get<Jws>(read.wrapping);
  EXPECT_EQ(as_text(jws.payload), one.at("payload_text").get<std::string>()) << id;
  ASSERT_EQ(jws.signatures.size(), one.at("signatures").size()) << id;
  for (std::size_t i = 0; i < jws.signatures.size(); ++i) {
    const Json& said = one["signatures"][i];
    EXPECT_EQ(jws.signatures[i].chain.size(), said.at("x5c_count").get<std::size_t>()) << id;
    ASSERT_FALSE(jws.signatures[i].chain.empty()) << id;
    EXPECT_TRUE(verify_jws(jws.signatures[i], jws.signatures[i].chain.front().key)) << id << " " << i;
    EXPECT_FALSE(verify_jws(jws.signatures[i], key_of(KeyType::p256).public_key())) << id << " " << i;
  }
}

Artifact with_facts(std::string_view id) {
  const Artifact out = artifact_of(id);
  switch (out.form) {
    case Form::cms:
      facts_of_cms(id, out);
      break;
    case Form::cose:
      facts_of_cose(id, out);
      break;
    case Form::jws:
      facts_of_jws(id, out);
      break;
  }
  return out;
}

// ---- who judges ----

constexpr std::string_view kIdevid = "rfc8995-c1-idevid_00-D0-E5-F2-00-02";

Maker appendix() { return {{certificate_of("rfc8995-c1-vendor")}, {}, {}, false, std::nullopt}; }
Maker constrained() {
  return {{certificate_of("cbrski-cert-masa_ca")}, {}, {certificate_of("cbrski-cert-pledge")}, false, std::nullopt};
}

Device appendix_device(std::string_view request) {
  Device out;
  out.anchors = appendix().anchors;
  out.serial = serial_of(certificate_of(kIdevid));
  out.issuer = issuer_key_id(certificate_of(kIdevid));
  out.nonce = artifact_of(request).voucher.nonce;
  return out;
}

Device constrained_device() {
  Device out;
  out.anchors = constrained().anchors;
  out.serial = serial_of(certificate_of("cbrski-cert-pledge"));
  out.nonce = artifact_of("cbrski-pvr").voucher.nonce;
  out.asked_with_key = true;
  return out;
}

using Expect = std::function<void(std::string_view)>;

// ---- what is expected of each ----

void is_a_certificate(std::string_view id) {
  const Json one = vector_of(id);
  const Certificate read = certificate_of(id);
  EXPECT_EQ(read.der, field(id, "der"));
  EXPECT_EQ(hex(sha256(read.key.spki)), text_in(id, "spki_sha256"));
  EXPECT_EQ(hex(read.key_id), one.at("ski").is_null() ? std::string() : text_in(id, "ski"));
  EXPECT_EQ(names_masa(read), one.contains("masa_url"));
  if (!one.at("aki_extnvalue").is_null()) {
    EXPECT_TRUE(text_in(id, "aki_extnvalue").ends_with(hex(issuer_key_id(read)))) << id;
  }
}

void domain_ids_certificate(std::string_view id) {
  const std::string name = "rfc8995-c1-" + std::string(id.substr(std::string_view("domainid-").size()));
  const Certificate of = certificate_of(name);
  EXPECT_EQ(hex(of.fingerprint()), text_in(id, "cert_sha256"));
  EXPECT_EQ(hex(domain_id(of)), text_in(id, "domain_id"));
  EXPECT_EQ(base64(domain_id(of)), text_in(id, "domain_id_base64"));
}

std::vector<std::string> leaves_in(const Voucher& voucher, std::string_view container) {
  const Json json = *parse_json(*encode_json_voucher(voucher));
  std::vector<std::string> out;
  for (const auto& [name, ignored] : json.at(std::string(container)).items()) {
    out.push_back(name);
  }
  std::ranges::sort(out);
  return out;
}

void chain_of_the_rfc(std::string_view id) {
  const Json facts = vector_of(id);
  const Voucher pledge = artifact_of("rfc8995-pledge-voucher-request").voucher;
  const Voucher registrar = artifact_of("rfc8995-registrar-voucher-request").voucher;
  const Voucher voucher = artifact_of("rfc8995-voucher").voucher;
  const Bytes own = certificate_of("rfc8995-c1-jrc_prime256v1").der;
  EXPECT_EQ(nonce_text(pledge.nonce), text_in(id, "nonce_string"));
  EXPECT_EQ(nonce_text(voucher.nonce), text_in(id, "nonce_in_voucher"));
  EXPECT_EQ(pledge.nonce == voucher.nonce, facts.at("nonce_equal").get<bool>());
  EXPECT_EQ(registrar.prior_signed_voucher_request == bytes_of("rfc8995-pledge-voucher-request"),
            facts.at("pvr_equals_prior_signed").get<bool>());
  EXPECT_EQ(voucher.pinned_domain_cert, field(id, "pinned_domain_cert"));
  EXPECT_EQ(voucher.pinned_domain_cert == own, facts.at("pinned_is_registrar_ee").get<bool>());
  EXPECT_EQ(pledge.proximity_registrar_cert == own, facts.at("proximity_cert_is_registrar_ee").get<bool>());
  using Names = std::vector<std::string>;
  EXPECT_EQ(leaves_in(pledge, kRequestName), facts.at("pledge_request_fields").get<Names>());
  EXPECT_EQ(leaves_in(registrar, kRequestName), facts.at("registrar_request_fields").get<Names>());
  EXPECT_EQ(leaves_in(voucher, kVoucherName), facts.at("voucher_fields").get<Names>());
}

void facts_of_the_constrained_draft(std::string_view id) {
  const Json facts = vector_of(id);
  const Voucher pledge = artifact_of("cbrski-pvr").voucher, registrar = artifact_of("cbrski-rvr").voucher;
  const Voucher voucher = artifact_of("cbrski-voucher").voucher;
  EXPECT_EQ(pledge.proximity_registrar_pubk == certificate_of("cbrski-cert-registrar").key.spki,
            facts.at("proximity_pubk_equals_registrar_spki").get<bool>());
  EXPECT_EQ(registrar.prior_signed_voucher_request == bytes_of("cbrski-pvr"),
            facts.at("prior_signed_equals_pvr").get<bool>());
  EXPECT_EQ(voucher.pinned_domain_cert == certificate_of("cbrski-cert-domain_ca").der,
            facts.at("pinned_equals_domain_ca").get<bool>());
  EXPECT_EQ(pledge.nonce == voucher.nonce, facts.at("nonce_equal").get<bool>());
  // It has the OCTET STRING around the extension's value, and means the same issuer.
  const Bytes whole = field("cbrski-cert-pledge", "aki_extnvalue");
  EXPECT_EQ(registrar.idevid_issuer == whole, facts.at("idevid_issuer_equals_full_aki").get<bool>());
  EXPECT_EQ(issuer_key_id(*registrar.idevid_issuer), issuer_key_id(certificate_of("cbrski-cert-pledge")));
}

Expect pledge_request(bool small = false) {
  return [small](std::string_view id) {
    const auto found = small ? check_pledge_request(with_facts(id), constrained(), constrained().idevids)
                             : check_pledge_request(with_facts(id), appendix());
    const auto failed = first_failure(found);
    expect_rule(id, failed ? std::string(failed->rule->id) : std::string(), "");
  };
}

Expect registrar_request(std::string rule = "") {
  return [rule = std::move(rule)](std::string_view id) {
    const Artifact sent = with_facts(id);
    const Maker maker = sent.form == Form::cose ? constrained() : appendix();
    expect_rule(id, broken(judge_registrar_request(sent, maker)), rule);
  };
}

Expect voucher(std::string request, std::string rule = "") {
  return [=](std::string_view id) {
    expect_rule(id, broken(judge_voucher(with_facts(id), appendix_device(request))), rule);
  };
}

// The device that made cbrski-pvr; the registrar is that of the draft.
Expect constrained_voucher(std::string rule = "") {
  return [rule = std::move(rule)](std::string_view id) {
    const auto verdict = judge_voucher(with_facts(id), constrained_device());
    expect_rule(id, broken(verdict), rule);
    if (verdict) {
      EXPECT_TRUE(verify_pin((*verdict)->pin, certificate_of("cbrski-cert-registrar"), {}, std::nullopt)) << id;
      EXPECT_FALSE(verify_pin((*verdict)->pin, certificate_of("cbrski-cert-pledge"), {}, std::nullopt)) << id;
    }
  };
}

// The draft's own voucher answers another request than the draft's: it has no "expect", and is refused for that alone.
void voucher_of_the_draft(std::string_view id) {
  const Artifact read = with_facts(id);
  EXPECT_EQ(broken(judge_voucher(read, constrained_device())), kVoucherNonce.id);
  Device device = constrained_device();
  device.nonce = read.voucher.nonce;
  expect_rule(id, broken(judge_voucher(read, device)), "");
}

// The form is refused already: OpenSSL alone would take it (RFC 5652 section 5.3).
Expect unreadable(std::string why) {
  return [why = std::move(why)](std::string_view id) {
    const auto read = parse_artifact(bytes_of(id));
    ASSERT_FALSE(read) << id;
    EXPECT_EQ(read.error().fault, Fault::unsupported) << id;
    EXPECT_EQ(read.error().what, why) << id;
    expect_rule(id, broken(read_body(bytes_of(id), Form::cms, {})), std::string(kArtifact.id));
  };
}

void signed_by_ed25519(std::string_view id) {
  const Bytes prefix = *from_hex("302a300506032b6570032100");  // RFC 8410 section 4
  Bytes spki = prefix;
  const Bytes raw = field(id, "ed25519_public");
  spki.insert(spki.end(), raw.begin(), raw.end());
  const Artifact read = with_facts(id);
  EXPECT_EQ(bool(signed_by(read, *PublicKey::parse(spki))), is_taken(id));
  EXPECT_FALSE(signed_by(read, certificate_of("cbrski-cert-masa_ca").key));
  EXPECT_EQ(broken(judge_voucher(read, constrained_device())), kVoucherSignature.id) << "no such signer is known";
}

// Drafts whose makers' anchors are not published, PRM's above all: format and signatures, with_facts(), and no verdict.
void form_and_signatures(std::string_view id) {
  const Artifact read = with_facts(id);
  EXPECT_EQ(read.form, Form::jws);
  EXPECT_EQ(signers_of(read).size(), vector_of(id).at("signatures").size());
  const bool request = id.ends_with("vr");
  EXPECT_EQ(read.voucher.kind, request ? Voucher::Kind::request : Voucher::Kind::voucher);
  EXPECT_TRUE(!id.starts_with("prm") || read.voucher.assertion == Assertion::agent_proximity) << id;
}

void telemetry(std::string_view id) {
  const Json said = vector_of(id).at("decoded");
  const auto read = parse_cbor_telemetry(field(id, "cbor"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->version, said.at("version").get<std::uint64_t>());
  EXPECT_EQ(read->status, said.at("status").get<bool>());
  EXPECT_EQ(read->reason, said.value("reason", std::string()));
  std::map<std::string, std::string> context;
  const Json more = said.value("reason-context", Json::object());
  for (const auto& [name, value] : more.items()) {
    context[name] = value.dump();
  }
  EXPECT_EQ(read->context, context);
  EXPECT_EQ(parse_cbor_telemetry(encode_cbor_telemetry(*read)), read);
  if (context.empty()) {  // a key that is a number comes back as text
    EXPECT_EQ(hex(encode_cbor_telemetry(*read)), text_in(id, "cbor"));
  }
}

void status_over_coap(std::string_view id) {
  const auto message = coap::Message::parse(field(id, "message"));
  ASSERT_TRUE(message);
  EXPECT_EQ(hex(message->encode()), text_in(id, "message"));
  const auto request = coap::to_request(*message);
  ASSERT_TRUE(request);
  const auto operation = parse_coap_request(*request);
  ASSERT_TRUE(operation);
  EXPECT_EQ(*operation, Operation::enrol_status);
  coap::Message answer = coap::to_message(to_coap(Response{200}, *operation), request->method);
  answer.type = coap::Type::acknowledgement;
  answer.id = message->id;
  answer.token = message->token;
  EXPECT_EQ(hex(answer.encode()), text_in(id, "response"));
}

void jpy_message(std::string_view id) {
  const Bytes whole = field(id, "message");
  const auto read = Jpy::parse(whole);
  ASSERT_TRUE(read);
  EXPECT_EQ(hex(read->header), text_in(id, "header"));
  EXPECT_EQ(hex(read->content), text_in(id, "content"));
  EXPECT_EQ(hex(read->encode()), hex(whole));
}

void jpy_header(std::string_view id) {
  const Bytes header = field(id, "jpy_header");
  const Bytes content(vector_of(id).at("content_length").get<std::size_t>(), 0x16);
  EXPECT_TRUE(hex(Jpy{header, content}.encode()).starts_with(text_in(id, "message_prefix").substr(0, 42)));
}

void flood(std::string_view id) {
  const auto read = Flood::parse(field(id, "cbor"));
  ASSERT_TRUE(read);
  EXPECT_EQ(hex(read->encode()), text_in(id, "cbor"));
}

const std::map<std::string, Expect>& expected() {
  static const auto* const kAll = new std::map<std::string, Expect>{
      {"rfc8995-c1-vendor", is_a_certificate},
      {"rfc8995-c1-masa", is_a_certificate},
      {"rfc8995-c1-ownerca_secp384r1", is_a_certificate},
      {"rfc8995-c1-jrc_prime256v1", is_a_certificate},
      {std::string(kIdevid), is_a_certificate},
      {"cbrski-cert-pledge", is_a_certificate},
      {"cbrski-cert-registrar", is_a_certificate},
      {"cbrski-cert-domain_ca", is_a_certificate},
      {"cbrski-cert-masa_ca", is_a_certificate},
      {"rfc8995-pledge-voucher-request", pledge_request()},
      {"rfc8995-registrar-voucher-request", registrar_request()},
      {"rfc8995-voucher", voucher("rfc8995-pledge-voucher-request")},
      {"rfc8995-chain-facts", chain_of_the_rfc},
      {"domainid-jrc_prime256v1", domain_ids_certificate},
      {"domainid-ownerca_secp384r1", domain_ids_certificate},
      {"rfc8366bis-pledge-voucher-request", pledge_request()},
      {"rfc8366bis-voucher", voucher("rfc8366bis-pledge-voucher-request")},
      {"cbrski-pvr", pledge_request(true)},
      {"cbrski-rvr", registrar_request()},
      {"cbrski-voucher", voucher_of_the_draft},
      {"cbrski-facts", facts_of_the_constrained_draft},
      {"cbrski-telemetry-es-ok", telemetry},
      {"cbrski-telemetry-es-fail", telemetry},
      {"cbrski-telemetry-vs-fail", telemetry},
      {"cbrski-coap-es-request", status_over_coap},
      {"jpy-example-header", jpy_header},
      {"jpy-0", jpy_message},
      {"jpy-1", jpy_message},
      {"grasp-an-proxy", flood},
      {"grasp-an-join-registrar", flood},
      {"jws-pvr", form_and_signatures},
      {"jws-rvr", form_and_signatures},
      {"jws-voucher", form_and_signatures},
      {"prm-pvr", form_and_signatures},
      {"prm-rvr", form_and_signatures},
      {"prm-voucher", form_and_signatures},
      {"prm-voucher-countersigned", form_and_signatures},
      {"own-pvr-conforming", pledge_request()},
      {"own-rvr-conforming", registrar_request()},
      {"own-voucher-conforming", voucher("own-pvr-conforming")},
      {"own-voucher-nonceless", voucher("own-pvr-conforming")},
      {"own-voucher-wrong-nonce", voucher("own-pvr-conforming", "BRSKI-VOUCHER-NONCE")},
      {"own-voucher-wrong-serial", voucher("own-pvr-conforming", "BRSKI-VOUCHER-SERIAL")},
      {"own-voucher-no-pin", voucher("own-pvr-conforming", "BRSKI-VOUCHER-PIN")},
      {"own-voucher-signed-by-registrar", voucher("own-pvr-conforming", "BRSKI-VOUCHER-SIGNER")},
      {"own-voucher-no-signed-attrs", unreadable("signed data: no signed attributes")},
      {"own-voucher-bad-digest", voucher("own-pvr-conforming", "BRSKI-VOUCHER-SIGNATURE")},
      {"own-voucher-ctype-mismatch", unreadable("signed data: the attribute names another content type")},
      {"own-rvr-serial-mismatch", registrar_request("BRSKI-RVR-SERIAL")},
      {"own-rvr-signer-without-cmcra", registrar_request("BRSKI-RVR-CMCRA")},
      {"cose-own-voucher-from-masa", constrained_voucher()},
      {"cose-own-voucher-to-pledge", constrained_voucher()},
      {"cose-own-voucher-names", constrained_voucher()},
      {"cose-own-voucher-mixed", constrained_voucher()},
      {"cose-own-voucher-rpk", constrained_voucher()},
      {"cose-own-voucher-rpk-sha256", constrained_voucher()},
      {"cose-own-voucher-wrong-nonce", constrained_voucher("BRSKI-VOUCHER-NONCE")},
      {"cose-own-voucher-signed-by-registrar", constrained_voucher("BRSKI-VOUCHER-SIGNATURE")},
      {"cose-own-voucher-eddsa", signed_by_ed25519}};
  return *kAll;
}

std::vector<std::string> all_ids() {
  std::ifstream in(IMPRINT_TEST_DATA "/brski.json");
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const Json json = *parse_json(text);
  std::vector<std::string> out;
  for (const Json& one : json.at("vectors")) {
    out.push_back(one.at("id").get<std::string>());
  }
  return out;
}

class Vectors : public ::testing::TestWithParam<std::string> {};

TEST_P(Vectors, are_judged_as_the_file_says) {
  const auto at = expected().find(GetParam());
  ASSERT_NE(at, expected().end()) << "a vector that nobody judges";
  at->second(GetParam());
}

std::string name_of_case(const ::testing::TestParamInfo<std::string>& info) {
  std::string out = info.param;
  std::ranges::replace(out, '-', '_');
  return out;
}

INSTANTIATE_TEST_SUITE_P(Published, Vectors, ::testing::ValuesIn(all_ids()), name_of_case);

TEST(VectorsFile, has_every_vector_that_is_expected) {
  const std::vector<std::string> there = all_ids();
  for (const auto& [id, ignored] : expected()) {
    EXPECT_NE(std::ranges::find(there, id), there.end()) << id;
  }
  EXPECT_EQ(there.size(), 59U);
  EXPECT_EQ(there.size(), expected().size());
}

}  // namespace
}  // namespace imprint::brski
