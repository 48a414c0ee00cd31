#include <algorithm>

#include "codec/der.h"
#include "crypto/cms.h"
#include "crypto/crypto_test.h"
#include "crypto/signed_data.h"

namespace imprint {
namespace {

using testing::der_of;
using testing::fault;
using testing::general;
using testing::key_of;
using testing::name_of;
using testing::vector_of;

RequestTemplate full_template() {
  RequestTemplate out;
  out.subject = name_of("O=Example,CN=dev-1");
  out.alt_names = {general("dns:dev-1.example"), general("ip:10.0.0.1")};
  out.usage = key_usage::kDigitalSignature | key_usage::kKeyAgreement;
  out.extended = {std::string(eku::kClientAuth), std::string(eku::kCmcRa)};
  out.other_extensions = {{"1.2.3.4", false, {0x05, 0x00}}};
  out.challenge_password = "secret+/=";
  out.identity_linking = "link\xc3\xa4";
  out.change_names = ChangeSubjectName{name_of("CN=new"), std::vector<GeneralName>{general("dns:new.example")}};
  return out;
}

// A request for this subject whose attributes are given as DER, signed or not.
Bytes with_attributes(BytesView content) {
  const PrivateKey& key = key_of(KeyType::p256);
  const Bytes body =
      der::sequence({der::integer(0), der::sequence({}), key.public_key().spki, der::item(der::context(0), content)});
  const Bytes signature = der::concat({Bytes{0}, *key.sign(body)});
  return der::sequence({body, key.signature_algorithm(), der::item(der::kBitString, signature)});
}

Bytes attribute(std::string_view id, BytesView values) {
  return der::sequence({der::oid(id), der::item(der::kSet, values)});
}

TEST(Csr, round_trip_with_everything_for_each_key_type) {
  const RequestTemplate wanted = full_template();
  for (const KeyType type : {KeyType::p256, KeyType::p384, KeyType::p521, KeyType::ed25519, KeyType::rsa2048,
                             KeyType::rsa3072, KeyType::rsa4096}) {
    const Result<Bytes> der = make_request(key_of(type), wanted);
    ASSERT_TRUE(der);
    const Result<CertificateRequest> csr = CertificateRequest::parse(*der);
    ASSERT_TRUE(csr);
    EXPECT_EQ(csr->subject, wanted.subject);
    EXPECT_EQ(csr->key, key_of(type).public_key());
    EXPECT_EQ(csr->alt_names, wanted.alt_names);
    EXPECT_EQ(csr->usage, wanted.usage);
    EXPECT_EQ(csr->extended, wanted.extended);
    EXPECT_EQ(csr->other_extensions, wanted.other_extensions);
    EXPECT_EQ(csr->challenge_password, wanted.challenge_password);
    EXPECT_EQ(csr->identity_linking, wanted.identity_linking);
    EXPECT_EQ(csr->change_names, wanted.change_names);
    EXPECT_FALSE(csr->otp_challenge);
    const Result<Verified<CertificateRequest>> proof = verify_possession(*csr);
    ASSERT_TRUE(proof) << name(type);
    EXPECT_EQ((*proof)->der, *der);
  }
}

TEST(Csr, no_flipped_bit_survives) {
  const Bytes good = *make_request(key_of(KeyType::p256), full_template());
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] = static_cast<std::uint8_t>(bad[i] ^ (1U << (i % 8)));
    const Result<CertificateRequest> csr = CertificateRequest::parse(bad);
    EXPECT_FALSE(csr && verify_possession(*csr)) << "octet " << i;
  }
}

TEST(Csr, cut_or_followed_by_more_is_refused) {
  Bytes good = *make_request(key_of(KeyType::ed25519), full_template());
  for (std::size_t n = 0; n < good.size(); ++n) {
    EXPECT_FALSE(CertificateRequest::parse(BytesView(good).first(n)));
  }
  good.push_back(0);
  EXPECT_EQ(fault(CertificateRequest::parse(good)), Fault::malformed);
  EXPECT_EQ(fault(CertificateRequest::parse(Bytes(16385, 0x30))), Fault::limit);
}

TEST(Csr, a_nameless_request_and_one_with_only_alt_names_are_read) {
  const Result<CertificateRequest> bare = CertificateRequest::parse(*make_request(key_of(KeyType::p256), {}));
  ASSERT_TRUE(bare);
  EXPECT_TRUE(bare->subject.empty());
  EXPECT_TRUE(verify_possession(*bare));
  RequestTemplate only_names;
  only_names.alt_names = {general("uri:urn:dev:1")};
  EXPECT_EQ(CertificateRequest::parse(*make_request(key_of(KeyType::p256), only_names))->alt_names,
            only_names.alt_names);
}

TEST(Csr, an_attribute_twice_is_refused) {
  const Bytes one = attribute("1.2.840.113549.1.9.14", der::sequence({}));
  EXPECT_TRUE(CertificateRequest::parse(with_attributes(one)));
  const Result<CertificateRequest> twice = CertificateRequest::parse(with_attributes(der::concat({one, one})));
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().what, "csr: attribute twice");
}

TEST(Csr, text_attributes_are_one_string_of_1_to_255_characters) {
  const auto password = [](BytesView values) {
    return CertificateRequest::parse(with_attributes(attribute("1.2.840.113549.1.9.7", values)));
  };
  const Bytes text = der::text(der::kUtf8, "x");
  EXPECT_EQ(password(text)->challenge_password, "x");
  EXPECT_TRUE(password(der::text(der::kPrintable, std::string(255, 'a'))));
  EXPECT_FALSE(password(der::text(der::kPrintable, std::string(256, 'a'))));
  EXPECT_FALSE(password(der::text(der::kUtf8, "")));
  EXPECT_FALSE(password(der::text(der::kUtf8, "\xff")));
  EXPECT_FALSE(password(der::text(der::kOctetString, "x")));
  EXPECT_FALSE(password(der::concat({text, text})));
  EXPECT_FALSE(password({}));
}

TEST(Csr, limits_hold_for_attributes_and_names) {
  Bytes attributes;
  for (unsigned i = 0; i < 33; ++i) {
    const Bytes one = attribute("1.2.3." + std::to_string(i), der::integer(1));
    attributes.insert(attributes.end(), one.begin(), one.end());
    EXPECT_EQ(bool(CertificateRequest::parse(with_attributes(attributes))), i < 32);
  }
  RequestTemplate many;
  many.alt_names = std::vector<GeneralName>(64, general("dns:a"));
  EXPECT_TRUE(make_request(key_of(KeyType::p256), many));
  many.alt_names.push_back(general("dns:a"));
  EXPECT_EQ(fault(make_request(key_of(KeyType::p256), many)), Fault::limit);
}

// RFC 6402 section 2.8: two optional members that share a tag.
TEST(Csr, change_subject_name_tells_its_members_apart) {
  const auto change = [](BytesView value) {
    return CertificateRequest::parse(with_attributes(attribute("1.3.6.1.5.5.7.7.36", value)));
  };
  const Bytes subject = name_of("CN=n").der;
  const Bytes names = der::sequence({der::text(der::context_primitive(2), "a.example")});
  const std::vector<GeneralName> list{general("dns:a.example")};
  EXPECT_EQ(change(der::sequence({subject}))->change_names, (ChangeSubjectName{name_of("CN=n"), std::nullopt}));
  EXPECT_EQ(change(der::sequence({names}))->change_names, (ChangeSubjectName{std::nullopt, list}));
  EXPECT_EQ(change(der::sequence({subject, names}))->change_names, (ChangeSubjectName{name_of("CN=n"), list}));
  const Bytes tagged = der::item(der::context(1), BytesView(names).subspan(2));  // erratum 3943
  EXPECT_EQ(change(der::sequence({tagged}))->change_names, (ChangeSubjectName{std::nullopt, list}));
  EXPECT_EQ(change(der::sequence({subject, tagged}))->change_names, (ChangeSubjectName{name_of("CN=n"), list}));
  EXPECT_EQ(change(der::sequence({der::sequence({})}))->change_names, (ChangeSubjectName{name_of(""), std::nullopt}));
  EXPECT_FALSE(change(der::sequence({})));
  EXPECT_FALSE(change(der::sequence({names, subject})));
  EXPECT_FALSE(change(der::sequence({names, names})));
  EXPECT_FALSE(change(der::sequence({subject, names, names})));
  EXPECT_FALSE(change(der::integer(1)));
}

TEST(Csr, an_empty_extended_key_usage_is_refused) {
  RequestTemplate empty;
  empty.other_extensions = {{"2.5.29.37", false, der::sequence({})}};
  EXPECT_EQ(fault(make_request(key_of(KeyType::p256), empty)), Fault::malformed);
}

TEST(CsrVectors, rfc_7030_simpleenroll_request) {
  const Result<CertificateRequest> csr = CertificateRequest::parse(der_of("rfc7030-a3-simpleenroll-request"));
  ASSERT_TRUE(csr);
  EXPECT_EQ(csr->subject.text, "CN=demostep4 1368141352");
  EXPECT_EQ(csr->challenge_password, "+rrCir/7+EYu50T4");
  EXPECT_EQ(csr->key.type, KeyType::rsa2048);
  // The sample of 2013 is signed with SHA-1.
  EXPECT_EQ(fault(verify_possession(*csr)), Fault::unsupported);
}

TEST(CsrVectors, rfc_9148_enrolment_request) {
  const Result<CertificateRequest> csr = CertificateRequest::parse(der_of("rfc9148-a2-sen-request-286"));
  ASSERT_TRUE(csr);
  EXPECT_EQ(csr->subject.text, "serialNumber=Wt1234,OU=IoT,O=example Inc,L=LA,ST=CA,C=US");
  EXPECT_EQ(hex(view(*csr->challenge_password)),
            "76437630292a264a4b4a3bc3a2c280c2992f3e3c2e2c3d6b6e7634332323403d204e787e60");
  ASSERT_EQ(csr->alt_names.size(), 1U);
  EXPECT_EQ(csr->alt_names[0].kind, GeneralName::Kind::other);
  EXPECT_EQ(hex(csr->alt_names[0].value), "06082b06010505070804a013301106092b06010401b43b0a01040401020304");
  EXPECT_TRUE(verify_possession(*csr));
  const Result<CertificateRequest> keygen = CertificateRequest::parse(der_of("rfc9148-a3-skg-request-286"));
  ASSERT_TRUE(keygen);
  EXPECT_TRUE(verify_possession(*keygen));
}

TEST(CertsOnlyVectors, rfc_7030_ca_certificates) {
  const Result<std::vector<Certificate>> all = parse_certs_only(der_of("rfc7030-a1-cacerts"));
  ASSERT_TRUE(all);
  const Json expected = vector_of("rfc7030-a1-cacerts")["certs"];
  ASSERT_EQ(all->size(), expected.size());
  for (std::size_t i = 0; i < all->size(); ++i) {
    EXPECT_EQ((*all)[i].subject.text, expected[i]["subject"]);
    EXPECT_EQ((*all)[i].issuer.text, expected[i]["issuer"]);
    EXPECT_EQ(hex((*all)[i].fingerprint()), expected[i]["sha256"]);
    // The sample's cross certificates carry no basicConstraints.
    EXPECT_EQ((*all)[i].is_ca, (*all)[i].self_issued());
  }
  EXPECT_EQ(hex((*all)[0].serial), "9a58de75193b7a9c");
}

TEST(CertsOnlyVectors, responses_carry_the_key_of_the_request) {
  for (const auto& [request, response] :
       {std::pair("rfc7030-a3-simpleenroll-request", "rfc7030-a3-simpleenroll-response"),
        std::pair("rfc9148-a2-sen-request-286", "rfc9148-a2-sen-response-281")}) {
    const Result<std::vector<Certificate>> issued = parse_certs_only(der_of(response));
    ASSERT_TRUE(issued) << response;
    EXPECT_EQ(issued->front().key, CertificateRequest::parse(der_of(request))->key);
  }
  EXPECT_EQ(parse_certs_only(der_of("rfc9148-a2-sen-response-281"))->front().not_after, kNoEnd);
  EXPECT_EQ(parse_certs_only(der_of("rfc9148-a1-crts-281"))->front().subject.text,
            "CN=Root CA,OU=certification,O=Example Inc,L=LA,ST=CA,C=US");
}

TEST(CertsOnly, round_trip_keeps_the_order) {
  std::vector<Bytes> ders;
  const std::vector<Certificate> all = *parse_certs_only(der_of("rfc7030-a1-cacerts"));
  for (auto one = all.rbegin(); one != all.rend(); ++one) {
    ders.push_back(one->der);
  }
  const Result<std::vector<Certificate>> again = parse_certs_only(encode_certs_only(ders));
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, std::vector<Certificate>(all.rbegin(), all.rend()));
}

TEST(CertsOnly, refuses_none_too_many_and_cut_messages) {
  const Bytes good = der_of("rfc9148-a1-crts-281");
  for (std::size_t n = 0; n < good.size(); ++n) {
    EXPECT_FALSE(parse_certs_only(BytesView(good).first(n)));
  }
  EXPECT_EQ(fault(parse_certs_only(encode_certs_only({}))), Fault::malformed);
  const Bytes one = parse_certs_only(good)->front().der;
  EXPECT_TRUE(parse_certs_only(encode_certs_only(std::vector<Bytes>(32, one))));
  EXPECT_EQ(fault(parse_certs_only(encode_certs_only(std::vector<Bytes>(33, one)))), Fault::limit);
  EXPECT_EQ(fault(parse_certs_only(Bytes(65537, 0x30))), Fault::limit);
}

// A value of indefinite length: BER.
Bytes endless(std::uint8_t tag, std::initializer_list<BytesView> parts) {
  Bytes out{tag, 0x80};
  const Bytes content = der::concat(parts);
  out.insert(out.end(), content.begin(), content.end());
  out.insert(out.end(), {0, 0});
  return out;
}

// As BouncyCastle's generator for streams writes it.
Bytes certs_only_in_ber(const std::vector<Certificate>& all, const std::optional<Bytes>& content = std::nullopt,
                        const Bytes& signers = der::set_of({})) {
  Bytes ders;
  for (const Certificate& one : all) {
    ders.insert(ders.end(), one.der.begin(), one.der.end());
  }
  const Bytes octets = content ? endless(der::context(0), {endless(der::kOctetString | 0x20U, {*content})}) : Bytes();
  const Bytes body = endless(der::kSequence, {der::integer(1), der::set_of({}),
                                              endless(der::kSequence, {der::oid("1.2.840.113549.1.7.1"), octets}),
                                              ders.empty() ? Bytes() : endless(der::context(0), {ders}), signers});
  return endless(der::kSequence, {der::oid("1.2.840.113549.1.7.2"), endless(der::context(0), {body})});
}

TEST(CertsOnly, in_ber_of_indefinite_length_is_read_in_its_order) {
  std::vector<Certificate> all = *parse_certs_only(der_of("rfc7030-a1-cacerts"));
  std::reverse(all.begin(), all.end());
  const auto read = parse_certs_only(certs_only_in_ber(all));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, all);
  const auto beside_nothing = parse_certs_only(certs_only_in_ber(all, Bytes()));
  ASSERT_TRUE(beside_nothing) << "an empty content";
  EXPECT_EQ(*beside_nothing, all);
}

TEST(CertsOnly, in_ber_is_refused_with_content_signers_or_nothing_in_it) {
  const std::vector<Certificate> all = *parse_certs_only(der_of("rfc7030-a1-cacerts"));
  EXPECT_EQ(fault(parse_certs_only(certs_only_in_ber(all, der::item(der::kOctetString, to_bytes("x"))))),
            Fault::malformed);
  EXPECT_EQ(fault(parse_certs_only(certs_only_in_ber({}))), Fault::malformed);
  const std::vector<Certificate> many(33, all.front());
  EXPECT_EQ(fault(parse_certs_only(certs_only_in_ber(many))), Fault::limit);

  const auto message = sign_content("1.2.840.113549.1.7.1", Bytes{'x'}, {key_of(KeyType::p256), {}}, all);
  ASSERT_TRUE(message);
  der::Reader whole(message->expose());
  der::Reader info(whole.next().content);
  info.next(der::kOid);
  der::Reader tagged(info.next().content);
  der::Reader fields(tagged.next().content);
  Bytes signers;
  while (!fields.empty()) {
    signers = to_bytes(fields.next().whole);  // the last field
  }
  EXPECT_EQ(fault(parse_certs_only(certs_only_in_ber(all, std::nullopt, signers))), Fault::malformed);

  const Bytes data = endless(
      der::kSequence, {der::oid("1.2.840.113549.1.7.1"), der::item(der::context(0), der::item(der::kOctetString, {}))});
  EXPECT_EQ(fault(parse_certs_only(data)), Fault::malformed) << "another type";
}

TEST(CertsOnly, in_ber_is_refused_when_cut_or_followed_by_more) {
  const std::vector<Certificate> all{parse_certs_only(der_of("rfc9148-a1-crts-281"))->front()};
  Bytes good = certs_only_in_ber(all);
  ASSERT_TRUE(parse_certs_only(good));
  for (std::size_t n = 0; n < good.size(); ++n) {
    EXPECT_FALSE(parse_certs_only(BytesView(good).first(n))) << n;
  }
  good.push_back(0);
  EXPECT_FALSE(parse_certs_only(good));
}

TEST(Csr, how_a_key_of_the_servers_is_to_travel) {
  RequestTemplate what;
  what.subject = name_of("CN=dev-1");
  what.wrapping = {to_bytes("kek-1"), Bytes(20, 7), {"2.16.840.1.101.3.4.1.2", "1.2.840.113549.1.1.7"}};
  const auto made = make_request(key_of(KeyType::p256), what);
  ASSERT_TRUE(made);
  EXPECT_EQ(CertificateRequest::parse(*made)->wrapping, what.wrapping);
  what.wrapping = {Bytes(65, 1), std::nullopt, {}};
  EXPECT_FALSE(make_request(key_of(KeyType::p256), what)) << "an identifier that is too long";
  what.wrapping = {std::nullopt, Bytes{}, {}};
  EXPECT_FALSE(make_request(key_of(KeyType::p256), what)) << "an empty one";
  what.wrapping = {std::nullopt, std::nullopt, std::vector<std::string>(65, "2.16.840.1.101.3.4.1.2")};
  EXPECT_FALSE(make_request(key_of(KeyType::p256), what)) << "too many algorithms";
}

}  // namespace
}  // namespace imprint
