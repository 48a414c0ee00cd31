// Requests as MASAs judge them, a registrar's and a device's: those of others first, then each check alone.
#include "proto/brski/judge_testing.h"

namespace imprint::brski {
namespace {

using namespace testing;

class RequestWorlds : public Worlds {};
INSTANTIATE_TEST_SUITE_P(Forms, RequestWorlds, ::testing::Values(Form::cms, Form::cose, Form::jws),
                         [](const auto& one) { return std::string(name(one.param)); });

Maker appendix_maker() { return {{certificate_of("rfc8995-c1-vendor")}, {}, {}, false, std::nullopt}; }

TEST(JudgeRequests, requests_of_others_are_taken) {
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

TEST(JudgeRequests, requests_that_do_not_hold_are_refused_for_what_is_wrong) {
  for (const auto& [id, rule] : {std::pair("own-rvr-serial-mismatch", "BRSKI-RVR-SERIAL"),
                                 std::pair("own-rvr-signer-without-cmcra", "BRSKI-RVR-CMCRA"),
                                 std::pair("own-voucher-conforming", "BRSKI-REQUEST-KIND")}) {
    EXPECT_EQ(broken(judge_registrar_request(artifact_of(id), appendix_maker())), rule) << id;
  }
  const Maker stranger{{make_root(KeyType::p256).certificate}, {}, {}, false, std::nullopt};
  EXPECT_EQ(broken(judge_registrar_request(artifact_of("own-rvr-conforming"), stranger)), "BRSKI-PVR-SIGNER");
}

TEST(JudgeRequests, device_requests_of_others_hold) {
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

TEST_P(RequestWorlds, registrar_request_that_nobody_signed) {
  const World w = world();
  const Voucher request = w.registrar_request(w.pledge_request());
  const Party stranger = make_root(KeyType::p256, "CN=Stranger");
  const Signer mixed{stranger.key, w.registrar.chain};  // says that it is the registrar
  const auto bytes = sign_voucher(request, w.form, mixed);
  if (bytes) {  // OpenSSL signs no CMS with a key that is not the certificate's
    EXPECT_EQ(broken(judge_registrar_request(*parse_artifact(*bytes), w.makers())), "BRSKI-RVR-SIGNATURE");
  }
}

TEST_P(RequestWorlds, registrar_without_the_role_and_out_of_time) {
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

TEST_P(RequestWorlds, registrar_of_a_domain_that_is_known_or_not) {
  const World w = world();
  Maker makers = w.makers();
  makers.registrars = {w.domain.certificate};
  const Artifact request = w.signed_as(w.registrar_request(w.pledge_request()), w.registrar);
  EXPECT_TRUE(judge_registrar_request(request, makers));
  makers.registrars = {w.maker.certificate};
  EXPECT_EQ(broken(judge_registrar_request(request, makers)), "BRSKI-RVR-CHAIN");
}

TEST_P(RequestWorlds, request_without_a_nonce_needs_a_known_registrar) {
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

TEST_P(RequestWorlds, registrar_request_whose_parts_disagree) {
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

TEST_P(RequestWorlds, device_request_in_it_that_does_not_hold) {
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
TEST_P(RequestWorlds, registrar_request_for_the_device_of_another_ca) {
  const World w = world();
  Voucher request = w.registrar_request(w.pledge_request());
  request.idevid_issuer = encode_idevid_issuer(issuer_key_id(w.idevid.chain.front()));
  EXPECT_TRUE(judge_registrar_request(w.signed_as(request, w.registrar), w.makers()));
  request.idevid_issuer = encode_idevid_issuer(Bytes(20, 7));
  EXPECT_EQ(broken(judge_registrar_request(w.signed_as(request, w.registrar), w.makers())), "BRSKI-RVR-ISSUER");
}

TEST_P(RequestWorlds, proximity_is_what_the_device_says_and_nobody_else) {
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

TEST_P(RequestWorlds, what_may_be_pinned_is_what_the_registrar_sent_and_nothing_above) {
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

TEST_P(RequestWorlds, registrar_whose_own_certificate_the_masa_knows) {
  const World w = world();
  Maker makers = w.makers();
  makers.registrars = {w.registrar.chain.front()};
  const auto verdict =
      judge_registrar_request(w.signed_as(w.registrar_request(w.pledge_request()), w.registrar), makers);
  ASSERT_TRUE(verdict) << broken(verdict);
  EXPECT_EQ((*verdict)->registrar.anchor, w.registrar.chain.front()) << "and nobody above it";
  EXPECT_EQ((*verdict)->account, w.registrar.chain.front());
}

TEST_P(RequestWorlds, registrar_that_sends_two_roots_of_one_name) {
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
TEST_P(RequestWorlds, request_without_a_nonce_around_a_devices_own) {
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

TEST_P(RequestWorlds, request_without_the_devices_own_is_named_and_refused_where_it_is_wanted) {
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

TEST_P(RequestWorlds, device_request_in_it_that_another_signed) {
  const World w = world();
  Voucher request = w.registrar_request(w.pledge_request());
  request.prior_signed_voucher_request = *sign_voucher(w.pledge_request(), w.form, w.registrar);
  const std::string signer = broken(judge_registrar_request(w.signed_as(request, w.registrar), w.makers()));
  EXPECT_EQ(signer, "BRSKI-PVR-SIGNER");
}

TEST_P(RequestWorlds, registrar_that_is_revoked_or_may_be) {
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

TEST_P(RequestWorlds, device_request_alone) {
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

}  // namespace
}  // namespace imprint::brski
