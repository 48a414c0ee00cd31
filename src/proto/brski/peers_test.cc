// What other implementations sent when they were run by hand, judged once more: every vector of
// tests/data/brski_peers.json, with the quirks that a maker's file would have for them and without, as
// docs/interop/brski-peers.md says.
#include <arpa/inet.h>

#include <algorithm>
#include <functional>

#include "codec/base64.h"
#include "proto/brski/audit_log.h"
#include "proto/brski/brski_testing.h"
#include "proto/brski/discovery.h"
#include "proto/brski/discovery_rules.h"
#include "proto/brski/registrar_judge.h"
#include "proto/brski/registrar_rules.h"
#include "proto/brski/rules.h"
#include "proto/brski/telemetry.h"
#include "proto/est/anchors.h"

namespace imprint::brski {
namespace {

Json peer(std::string_view id) { return testing::vector_in("brski_peers.json", id); }

Bytes octets(std::string_view id) {
  const Json one = peer(id);
  const char* const as = one.contains("cose") ? "cose" : one.contains("hex") ? "hex" : "der";
  return *from_hex(one.at(as).get<std::string>());
}

Certificate certificate(std::string_view id) { return *Certificate::parse(octets(id)); }

Artifact artifact(std::string_view id) {
  auto out = parse_artifact(octets(id));
  EXPECT_TRUE(out) << id << ": " << (out ? "" : out.error().what);
  return out ? *out : Artifact{};
}

// The rule that is broken; "" if none is.
template <class T>
std::string broken(const Result<T>& result) {
  return result ? std::string() : std::string(result.error().rule == nullptr ? "?" : result.error().rule->id);
}

// Its bytes are those that its certificate signed; of CMS it is id-data, as all peers have it and we do not.
Artifact signed_one(std::string_view id) {
  const Json one = peer(id);
  Artifact out = artifact(id);
  if (one.contains("signer")) {
    EXPECT_TRUE(signed_by(out, certificate(one["signer"].get<std::string>()).key)) << id;
  }
  if (one.contains("content_text")) {
    EXPECT_EQ(as_text(out.content), one["content_text"].get<std::string>()) << id;
  }
  const bool theirs = out.form == Form::cms && !id.starts_with("ours");
  EXPECT_TRUE(!theirs || out.content_type == kDataType) << id;
  return out;
}

// ---- the players of the runs ----

struct Maker_ {
  std::string_view ca, idevid;
};
constexpr Maker_ kPeer{"peers-cert-maker-ca", "peers-cert-idevid"}, kOt{"ot-cert-masa_ca", "ot-cert-pledge"};

// After the runs, while all certificates were good.
Instant at_the_time() { return DateTime::parse("2026-11-23T05:30:00Z")->at; }

std::string registrar_says(std::string_view request, const Maker_& maker, std::string_view own, const Quirks& quirks) {
  const Artifact sent = signed_one(request);
  const auto read = read_request(sent.received, sent.form, quirks);
  return read ? broken(judge_pledge_request(*read, certificate(maker.idevid), certificate(own), quirks)) : broken(read);
}

std::string masa_says(std::string_view request, const Maker_& maker) {
  Maker knows;
  knows.anchors = {certificate(maker.ca)};
  knows.idevids = {certificate(maker.idevid)};
  knows.now = at_the_time();
  knows.needs_prior = true;
  return broken(judge_registrar_request(signed_one(request), knows));
}

// The device that made `request` gets `voucher` from this registrar.
std::string device_says(std::string_view voucher, std::string_view request, const Maker_& maker,
                        const Certificate& registrar, const Quirks& quirks = {}) {
  const Artifact asked = artifact(request);
  Device device;
  device.anchors = {certificate(maker.ca)};
  device.serial = serial_of(certificate(maker.idevid));
  device.issuer = issuer_key_id(certificate(maker.idevid));
  device.nonce = asked.voucher.nonce;
  device.now = at_the_time();
  device.asked_with_key = asked.voucher.proximity_registrar_pubk.has_value();
  const Artifact sent = signed_one(voucher);
  const auto read = read_body(sent.received, sent.form, quirks);
  EXPECT_TRUE(read);
  const auto verdict = judge_voucher(*read, device);
  if (!verdict) {
    return broken(verdict);
  }
  Device other = device;
  other.nonce = std::string("another nonce of it");
  EXPECT_EQ(broken(judge_voucher(*read, other)), kVoucherNonce.id) << voucher;
  return broken(verify_registrar((*verdict)->pin, {registrar, artifact(request).along, device.now}));
}

// Our registrar, before the device sees it.
std::string registrar_takes(std::string_view voucher, std::string_view request, const Maker_& maker,
                            const std::vector<Certificate>& own) {
  const Artifact asked = artifact(request);
  const Certificate idevid = certificate(maker.idevid);
  const VoucherWanted wanted{
      {serial_of(idevid), issuer_key_id(idevid), {}}, asked.voucher.nonce, {asked.form}, own, {certificate(maker.ca)},
      asked.voucher.idevid_issuer.value_or(Bytes{})};
  return broken(judge_masa_voucher(signed_one(voucher), wanted, at_the_time()));
}

// Who signed; in CMS certificates are a set.
Certificate registrar_of(const Artifact& request) { return signers_of(request).at(0); }
std::vector<Certificate> peers_chain() {
  return {certificate("peers-cert-registrar"), certificate("peers-cert-domain-ca")};
}

std::string flood_says(std::string_view id, bool strict, FloodCache& cache) {
  Bytes source(16);
  EXPECT_EQ(::inet_pton(AF_INET6, peer(id)["from"].get<std::string>().c_str(), source.data()), 1);
  cache = FloodCache(FloodCache::Options{strict, false, 64});
  return broken(cache.take(octets(id), {at_the_time(), 2, source}));
}

// ---- what is expected of each ----

void is_a_certificate(std::string_view id) {
  const auto read = Certificate::parse(octets(id));
  ASSERT_TRUE(read) << id;
  EXPECT_EQ(read->der, octets(id));
  EXPECT_EQ(names_masa(*read), id == "peers-cert-idevid" || id == "ot-cert-pledge") << id;
}

// nqminds/brski: base64, and requests that are called vouchers. Each is a quirk of its own.
void nqminds_request(std::string_view id) {
  Quirks quirks;
  EXPECT_EQ(registrar_says(id, kPeer, "peers-cert-registrar", quirks), kRequestKind.id);
  quirks.requests_named_voucher = true;
  EXPECT_EQ(registrar_says(id, kPeer, "peers-cert-registrar", quirks), "");
  EXPECT_EQ(registrar_says(id, kPeer, "peers-cert-domain-ca", quirks), kOtherRegistrar.id);
  const std::string body = base64(octets(id));
  EXPECT_EQ(broken(read_request(view(body), Form::cms, quirks)), kArtifact.id);
  quirks.base64_bodies = true;
  EXPECT_EQ(broken(read_request(view(body), Form::cms, quirks)), "");
}

void nqminds_registrars_request(std::string_view id) {
  EXPECT_EQ(masa_says(id, kPeer), kRequestKind.id);
  Quirks quirks;
  quirks.requests_named_voucher = true;
  const auto read = read_request(octets(id), Form::cms, quirks);
  ASSERT_TRUE(read);
  // What our registrar would write with the quirks for it.
  quirks.issuer = IssuerForm::printed_name;
  const Voucher ours =
      make_registrar_request(artifact("nqminds-pvr"), certificate("peers-cert-idevid"), quirks, at_the_time());
  EXPECT_EQ(ours.serial_number, read->voucher.serial_number);
  EXPECT_EQ(ours.nonce, read->voucher.nonce);
  EXPECT_EQ(ours.prior_signed_voucher_request, read->voucher.prior_signed_voucher_request);
}

void nqminds_voucher(std::string_view id) {
  EXPECT_EQ(device_says(id, "nqminds-pvr", kPeer, certificate("peers-cert-registrar")), "");
  EXPECT_EQ(registrar_takes(id, "nqminds-pvr", kPeer, peers_chain()), "");
  const std::string body = base64(octets(id));
  Quirks quirks;
  EXPECT_FALSE(form_of_answer("text/plain", view(body), quirks));
  EXPECT_EQ(broken(read_body(view(body), Form::cms, quirks)), kArtifact.id);
  quirks.any_voucher_type = quirks.base64_bodies = true;
  EXPECT_EQ(form_of_answer("text/plain", view(body), quirks), Form::cms);
  EXPECT_EQ(broken(read_body(view(body), Form::cms, quirks)), "");
}

// highway: registrarID for domainID.
void highways_log(std::string_view id) {
  const std::string text = peer(id)["text"].get<std::string>();
  const std::vector<Bytes> own{domain_id(certificate("peers-cert-registrar"))};
  const auto strict = parse_audit_log(text);
  ASSERT_TRUE(strict);
  EXPECT_EQ(strict->unknown_events, 6U);
  EXPECT_EQ(judge_log(strict, own, {}).rule, &kLogUnknown);
  const auto read = parse_audit_log(text, true);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->version, 1U);
  EXPECT_EQ(read->unknown_events, 0U);
  ASSERT_EQ(read->events.size(), 6U);
  EXPECT_EQ(read->events.front().nonce, nonce_text(artifact("secsy-rvr").voucher.nonce));
  EXPECT_TRUE(judge_log(read, own, {}).cleared);
  EXPECT_EQ(judge_log(read, {Bytes{1}}, {}).rule, &kLogDomain);
}

// secsy-pki: the version is text, both ways.
void secsys_telemetry(std::string_view id) {
  const auto read = parse_json_telemetry(peer(id)["text"].get<std::string>());
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, (Telemetry{1, true, {}, {}, {}}));
  EXPECT_EQ(encode_json_telemetry(*read, true), R"({"version":"1","status":true})");
}

// Ours to nqminds' MASA: its quirks in one request, and a MASA without them refuses it for what it is called.
void request_for_nqminds(std::string_view id) {
  EXPECT_EQ(masa_says(id, kPeer), kRequestKind.id);
  const Artifact sent = artifact(id);
  EXPECT_EQ(sent.content_type, kDataType);
  EXPECT_TRUE(as_text(sent.content).starts_with(R"({"ietf-voucher:voucher":)"));
  Quirks quirks;
  quirks.requests_named_voucher = true;
  const auto read = read_request(sent.received, Form::cms, quirks);
  ASSERT_TRUE(read);
  ASSERT_TRUE(read->voucher.prior_signed_voucher_request && read->voucher.idevid_issuer);
  EXPECT_EQ(as_text(*read->voucher.idevid_issuer), certificate("peers-cert-idevid").issuer.text);
  const auto prior = read_request(*read->voucher.prior_signed_voucher_request, Form::cms, quirks);
  ASSERT_TRUE(prior);
  EXPECT_EQ(broken(judge_pledge_request(*prior, certificate("peers-cert-idevid"), registrar_of(sent), quirks)), "");
}

// What the EST client reads of other servers, bare or in PEM.
Response est_answer(std::string_view id) {
  const Json one = peer(id);
  return {200, {}, one.contains("text") ? to_bytes(one["text"].get<std::string>()) : octets(id)};
}

void fountains_cacerts(std::string_view id) {
  const auto read = est::certificates_in(est_answer(id));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, std::vector{certificate("peers-cert-domain-ca")});
  EXPECT_TRUE(est::sort_ca_certificates(*read, at_the_time()));
}

void fountains_certificate(std::string_view id) {
  const auto read = est::certificates_in(est_answer(id));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 1U);
  EXPECT_TRUE(est::verify_answer(read->front().key, *read, {}, {certificate("peers-cert-domain-ca")}, at_the_time()));
  EXPECT_FALSE(est::verify_answer(read->front().key, *read, {}, {certificate("ot-cert-domain_ca")}, at_the_time()));
}

// BER of indefinite length (RFC 5652 allows it), with an empty content (RFC 5272 section 4.1 does not).
void ots_crts(std::string_view id) {
  const auto read = est::certificates_in(est_answer(id));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, std::vector{certificate("ot-cert-domain_ca")});
  EXPECT_TRUE(est::sort_ca_certificates(*read, at_the_time()));
}

using Expect = std::function<void(std::string_view)>;

Expect holds_at_registrar(const Maker_& maker, std::string_view own) {
  return [maker, own](std::string_view id) {
    EXPECT_EQ(registrar_says(id, maker, own, {}), "");
    EXPECT_EQ(registrar_says(id, maker, maker.ca, {}), kOtherRegistrar.id);
  };
}

Expect holds_at_masa(const Maker_& maker) {
  return [maker](std::string_view id) {
    EXPECT_EQ(masa_says(id, maker), "");
    const bool ot = maker.ca == kOt.ca;
    EXPECT_EQ(masa_says(id, ot ? kPeer : kOt), kPledgeSigner.id) << "another maker's MASA";
  };
}

Expect holds_at_device(const Maker_& maker, std::string_view request, std::string_view registrar) {
  return [=](std::string_view id) {
    const Certificate own = registrar.empty() ? registrar_of(artifact(request)) : certificate(registrar);
    EXPECT_EQ(device_says(id, request, maker, own), "");
    EXPECT_EQ(device_says(id, request, maker, certificate(maker.ca)), kRegistrarPin.id);
    std::vector<Certificate> chain = artifact(request).along;
    if (!registrar.empty()) {
      chain = {certificate(maker.ca == kOt.ca ? "ot-cert-domain_ca" : "peers-cert-domain-ca")};
    }
    chain.insert(chain.begin(), own);
    EXPECT_EQ(registrar_takes(id, request, maker, chain), "");
  };
}

// Floods: on a bare link, and where other sources are trusted.
Expect flood(std::string bare, std::string trusted, std::size_t heard) {
  return [=](std::string_view id) {
    FloodCache cache;
    EXPECT_EQ(flood_says(id, true, cache), bare);
    EXPECT_EQ(flood_says(id, false, cache), trusted);
    EXPECT_EQ(cache.all(at_the_time()).size(), heard);
    const auto read = Flood::parse(octets(id));
    if (trusted.empty()) {
      ASSERT_TRUE(read);
      EXPECT_EQ(hex(read->encode()), hex(octets(id))) << "octet by octet";
    }
  };
}

const std::map<std::string, Expect>& expected() {
  static const auto* const kAll = new std::map<std::string, Expect>{
      {"peers-cert-maker-ca", is_a_certificate},
      {"peers-cert-idevid", is_a_certificate},
      {"peers-cert-masa", is_a_certificate},
      {"peers-cert-domain-ca", is_a_certificate},
      {"peers-cert-registrar", is_a_certificate},
      {"ot-cert-masa_ca", is_a_certificate},
      {"ot-cert-pledge", is_a_certificate},
      {"ot-cert-domain_ca", is_a_certificate},
      {"ot-cert-registrar", is_a_certificate},
      {"nqminds-pvr", nqminds_request},
      {"nqminds-rvr", nqminds_registrars_request},
      {"nqminds-voucher", nqminds_voucher},
      {"minerva-pvr", holds_at_registrar(kPeer, "peers-cert-registrar")},
      {"minerva-rvr", holds_at_masa(kPeer)},
      {"minerva-voucher", holds_at_device(kPeer, "minerva-pvr", "peers-cert-registrar")},
      {"minerva-audit-log", highways_log},
      {"secsy-pvr", holds_at_registrar(kPeer, "peers-cert-registrar")},
      {"secsy-rvr", holds_at_masa(kPeer)},
      {"secsy-telemetry", secsys_telemetry},
      {"secsy-voucher", holds_at_device(kPeer, "secsy-pvr", "peers-cert-registrar")},
      {"secsy-highway-voucher", holds_at_device(kPeer, "secsy-rvr", "peers-cert-registrar")},
      {"ot-pvr", holds_at_registrar(kOt, "ot-cert-registrar")},
      {"ot-rvr", holds_at_masa(kOt)},
      {"ot-voucher", holds_at_device(kOt, "ot-pvr", "ot-cert-registrar")},
      {"ours-to-ot-rvr", holds_at_masa(kOt)},
      {"ot-to-ours-voucher", holds_at_device(kOt, "ours-to-ot-rvr", "")},
      {"ours-to-highway-rvr", holds_at_masa(kPeer)},
      {"highway-to-ours-voucher", holds_at_device(kPeer, "ours-to-highway-rvr", "")},
      {"ours-to-nqminds-rvr", request_for_nqminds},
      {"nqminds-to-ours-voucher", holds_at_device(kPeer, "ours-to-nqminds-rvr", "")},
      {"fountain-cacerts", fountains_cacerts},
      {"fountain-certificate", fountains_certificate},
      {"ot-crts", ots_crts},
      {"fountain-grasp-registrar", flood("BRSKI-GRASP-LOOP", "", 1)},
      {"graspy-grasp-registrar", flood("BRSKI-GRASP-OBJECTIVE", "", 1)},
      {"graspy-grasp-proxy", flood("BRSKI-GRASP-OBJECTIVE", "", 0)},
      {"graspy-grasp-noop", flood("BRSKI-GRASP-TYPE", "BRSKI-GRASP-TYPE", 0)}};
  return *kAll;
}

std::vector<std::string> all_ids() {
  std::ifstream in(IMPRINT_TEST_DATA "/brski_peers.json");
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  std::vector<std::string> out;
  const Json json = *parse_json(text);
  for (const Json& one : json["vectors"]) {
    out.push_back(one["id"].get<std::string>());
  }
  return out;
}

class Peers : public ::testing::TestWithParam<std::string> {};

TEST_P(Peers, are_judged_as_the_document_says) {
  const auto at = expected().find(GetParam());
  ASSERT_NE(at, expected().end()) << "a vector that nobody judges";
  at->second(GetParam());
}

std::string name_of_case(const ::testing::TestParamInfo<std::string>& info) {
  std::string out = info.param;
  std::ranges::replace(out, '-', '_');
  return out;
}

INSTANTIATE_TEST_SUITE_P(Recorded, Peers, ::testing::ValuesIn(all_ids()), name_of_case);

TEST(PeersFile, has_every_vector_that_is_expected) {
  const std::vector<std::string> there = all_ids();
  for (const auto& [id, ignored] : expected()) {
    EXPECT_NE(std::ranges::find(there, id), there.end()) << id;
  }
  EXPECT_EQ(there.size(), expected().size());
}

}  // namespace
}  // namespace imprint::brski
