// The data model in both encodings.
#include "codec/base64.h"
#include "codec/cbor.h"
#include "codec/der.h"
#include "proto/brski/brski_testing.h"
#include "proto/brski/leaves.h"

namespace imprint::brski {
namespace {

using namespace testing;

std::string json_with(const std::string& leaves) { return R"({"ietf-voucher:voucher":{)" + leaves + "}}"; }
std::string request_with(const std::string& leaves) { return R"({"ietf-voucher-request:voucher":{)" + leaves + "}}"; }

// Every leaf that this kind has, filled as CBOR or JSON would.
Voucher full(Voucher::Kind kind, bool json) {
  Voucher out;
  out.kind = kind;
  out.assertion = Assertion::agent_proximity;
  out.created_on = *DateTime::parse("2026-11-21T19:00:00Z");
  out.domain_cert_revocation_checks = true;
  out.expires_on = *DateTime::parse("2027-11-21T19:00:00.5+01:00");
  out.idevid_issuer = encode_idevid_issuer(Bytes(20, 7));
  out.last_renewal_date = *DateTime::parse("2028-01-01T00:00:00Z");
  out.nonce = json ? Nonce("AAECAwQFBgcICQoLDA0ODw==") : Nonce(Bytes(16, 1));
  out.pinned_domain_cert = Bytes{0x30, 0};
  out.pinned_domain_pubk = Bytes{0x30, 1, 2};
  out.pinned_domain_pubk_sha256 = Bytes(32, 3);
  out.serial_number = "dev-1/\"\xc3\xa9\"";
  out.additional_configuration_url = "https://a.example/";
  out.est_domain = "https://b.example/";
  out.manufacturer_proprietary = Bytes{0xfb, 0xff, 0xfe};
  out.extensions = json ? Extensions{std::string("a"), std::string("b")} : Extensions{std::uint64_t{2600}};
  if (kind == Voucher::Kind::request) {
    out.prior_signed_voucher_request = Bytes{1, 2};
    out.proximity_registrar_cert = Bytes{3};
    out.proximity_registrar_pubk_sha256 = Bytes(32, 4);
    out.proximity_registrar_pubk = Bytes{5};
    out.agent_provided_proximity_registrar_cert = Bytes{6};
    out.agent_sign_cert = std::vector<Bytes>{{7}, {8}};
    out.agent_signed_data = Bytes{9};
  }
  return out;
}

TEST(Voucher, what_is_encoded_reads_the_same) {
  for (const auto kind : {Voucher::Kind::voucher, Voucher::Kind::request}) {
    const Voucher json = full(kind, true), cbor = full(kind, false);
    EXPECT_EQ(*parse_json_voucher(*encode_json_voucher(json)), json);
    EXPECT_EQ(*parse_cbor_voucher(*encode_cbor_voucher(cbor)), cbor);
    for (const Leaf& leaf : kLeaves) {
      EXPECT_EQ(has(json, leaf), leaf.number(kind) != 0) << leaf.name();
    }
  }
}

TEST(Voucher, every_number_names_one_leaf) {
  for (const auto kind : {Voucher::Kind::voucher, Voucher::Kind::request}) {
    const std::uint64_t count = kind == Voucher::Kind::voucher ? 15 : 22;
    for (std::uint64_t n = 1; n <= count; ++n) {
      const Leaf* const leaf = leaf_numbered(kind, n);
      ASSERT_NE(leaf, nullptr) << n;
      EXPECT_EQ(leaf_named(kind, leaf->name()), leaf);
    }
    EXPECT_EQ(leaf_numbered(kind, 0), nullptr);
    EXPECT_EQ(leaf_numbered(kind, count + 1), nullptr);
  }
  EXPECT_EQ(leaf_named(Voucher::Kind::voucher, "proximity-registrar-cert"), nullptr);
}

TEST(Voucher, a_nonce_in_json_is_text_of_any_kind) {
  for (const char* nonce : {"-_XE9zK9q8Ll1qylMtLKeg", "0123456789abcdef0123456789ABCDEF", "AAECAwQFBgcICQoLDA0ODw=="}) {
    const auto read = parse_json_voucher(json_with("\"nonce\":\"" + std::string(nonce) + "\""));
    ASSERT_TRUE(read) << nonce;
    EXPECT_EQ(*read->nonce, Nonce(std::string(nonce)));
    EXPECT_NE(encode_json_voucher(*read)->find(nonce), std::string::npos);
    EXPECT_EQ(encode_cbor_voucher(*read).error().fault, Fault::unsupported);  // what it would be in octets nobody knows
  }
  for (const std::string& bad : {std::string(), std::string("short"), std::string(65, 'a')}) {
    EXPECT_EQ(fault(parse_json_voucher(json_with("\"nonce\":\"" + bad + "\""))), Fault::malformed) << bad;
  }
  EXPECT_EQ(fault(parse_json_voucher(json_with("\"nonce\":7"))), Fault::malformed);
}

TEST(Voucher, a_nonce_in_cbor_is_eight_to_thirty_two_octets) {
  const auto with = [](BytesView nonce) {
    cbor::Writer w;
    w.map(1);
    w.number(kVoucherSid);
    w.map(1);
    w.number(7);
    w.bytes(nonce);
    return std::move(w).out();
  };
  for (const std::size_t size : {8U, 16U, 32U}) {
    EXPECT_EQ(*parse_cbor_voucher(with(Bytes(size, 1)))->nonce, Nonce(Bytes(size, 1)));
  }
  for (const std::size_t size : {0U, 7U, 33U}) {
    EXPECT_EQ(fault(parse_cbor_voucher(with(Bytes(size, 1)))), Fault::malformed) << size;
  }
}

TEST(Voucher, booleans_come_as_text_as_well) {
  for (const auto& [text, value] : {std::pair("true", true), std::pair("\"true\"", true), std::pair("false", false),
                                    std::pair("\"false\"", false)}) {
    const auto read = parse_json_voucher(json_with(R"("domain-cert-revocation-checks":)" + std::string(text)));
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(read->domain_cert_revocation_checks, value);
    EXPECT_NE(encode_json_voucher(*read)->find(value ? ":true" : ":false"), std::string::npos);
  }
  for (const char* text : {"\"True\"", "1", "null", "\"\"", "[]"}) {
    EXPECT_EQ(fault(parse_json_voucher(json_with(R"("domain-cert-revocation-checks":)" + std::string(text)))),
              Fault::malformed)
        << text;
  }
}

TEST(Voucher, unknown_leaves_are_passed_over_and_named) {
  const auto read =
      parse_json_voucher(json_with(R"("serial-number":"a","extension:x":{"y":[1,2.5]},"proximity-registrar-cert":7)"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->unknown, (std::vector<std::string>{"extension:x", "proximity-registrar-cert"}));
  EXPECT_EQ(read->serial_number, "a");
}

// A nonce that is passed over makes a voucher nonceless.
TEST(Voucher, leaves_with_the_name_of_their_module_are_the_same_leaves) {
  cbor::Writer out;
  out.map(1);
  out.text("ietf-voucher:voucher");
  out.map(2);
  out.text("ietf-voucher:nonce");
  out.bytes(Bytes(8, 1));
  out.text("serial-number");
  out.text("dev-1");
  const auto voucher = parse_cbor_voucher(std::move(out).out());
  ASSERT_TRUE(voucher) << voucher.error().what;
  EXPECT_TRUE(voucher->nonce.has_value());
  EXPECT_TRUE(voucher->unknown.empty());
}

TEST(Voucher, json_that_is_not_one_voucher) {
  for (const std::string& text : {std::string(),
                                  std::string("[]"),
                                  std::string("{}"),
                                  std::string(R"({"ietf-voucher:voucher":[]})"),
                                  std::string(R"({"ietf-voucher:vouchers":{}})"),
                                  json_with("") + " x",
                                  json_with("") + std::string(1, '\0') + "x",
                                  std::string(R"({"ietf-voucher:voucher":{},"ietf-voucher-request:voucher":{}})"),
                                  json_with(R"("nonce":"12345678","nonce":"12345678")"),
                                  json_with(R"("nonce":"12345678","ietf-voucher:nonce":"12345678")"),
                                  json_with(R"("serial-number":7)"),
                                  json_with(R"("serial-number":"")"),
                                  json_with(R"("serial-number":")" + std::string(257, 'a') + "\""),
                                  json_with(R"("assertion":2)"),
                                  json_with(R"("created-on":"2026-02-30T00:00:00Z")"),
                                  json_with(R"("created-on":7)"),
                                  json_with(R"("pinned-domain-cert":"?")"),
                                  json_with(R"("pinned-domain-cert":"")"),
                                  json_with(R"("pinned-domain-pubk-sha256":"AAAA")"),
                                  json_with(R"("extensions":"a")"),
                                  json_with(R"("extensions":[7])"),
                                  request_with(R"("agent-sign-cert":[])"),
                                  request_with(R"("agent-sign-cert":["?"])")}) {
    EXPECT_EQ(fault(parse_json_voucher(text)), Fault::malformed) << text;
  }
  std::string many;
  for (int i = 0; i < 65; ++i) {
    many += (i == 0 ? "\"x" : ",\"x") + std::to_string(i) + "\":0";
  }
  EXPECT_EQ(fault(parse_json_voucher(json_with(many))), Fault::limit);
  EXPECT_EQ(fault(parse_json_voucher(json_with("\"x\":\"" + std::string(kMaxArtifact, 'a') + "\""))), Fault::limit);
}

TEST(Voucher, a_value_that_no_specification_has_is_read_and_never_written) {
  const auto read = parse_json_voucher(json_with(R"("assertion":"Proximity")"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->assertion, Assertion::other);
  EXPECT_EQ(fault(encode_json_voucher(*read)), Fault::unsupported);
  EXPECT_EQ(fault(encode_cbor_voucher(*read)), Fault::unsupported);
}

TEST(Voucher, agent_sign_cert_is_one_or_several) {
  for (const char* text : {R"("agent-sign-cert":"AQ==")", R"("agent-sign-cert":["AQ=="])"}) {
    EXPECT_EQ(parse_json_voucher(request_with(text))->agent_sign_cert, (std::vector<Bytes>{{1}})) << text;
  }
}

// A container of this number with pairs that the caller writes.
template <class Write>
Bytes cbor_with(std::uint64_t container, std::size_t pairs, Write write) {
  cbor::Writer w;
  w.map(1);
  w.number(container);
  w.map(pairs);
  write(w);
  return std::move(w).out();
}

TEST(Voucher, cbor_keys_are_numbers_absolute_numbers_and_names) {
  const Bytes mixed = cbor_with(kRequestSid, 6, [](cbor::Writer& w) {
    w.number(13);
    w.text("JADA123456789");
    w.text("assertion");
    w.text("proximity");
    w.tag(kAbsoluteSidTag);
    w.number(kRequestSid + 7);
    w.bytes(Bytes(8, 1));
    w.tag(kAbsoluteSidTag);
    w.number(9999);
    w.array(2);
    w.map(1);
    w.number(1);
    w.tag(5);
    w.text("x");
    w.null();
    w.text("domain-cert-revocation-checks");
    w.text("false");
    w.number(99);
    w.boolean(true);
  });
  const auto read = parse_cbor_voucher(mixed);
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(read->serial_number, "JADA123456789");
  EXPECT_EQ(read->assertion, Assertion::proximity);
  EXPECT_EQ(read->nonce, Nonce(Bytes(8, 1)));
  EXPECT_EQ(read->domain_cert_revocation_checks, false);
  EXPECT_EQ(read->unknown, (std::vector<std::string>{"9999", "99"}));
}

TEST(Voucher, cbor_has_one_container_that_is_a_map_and_is_bounded) {
  for (const char* text : {"a2190993a10b6161", "a0190993a10b6161", "a119099300", "a1190993810b", "a1190993"}) {
    const auto read = parse_cbor_voucher(*from_hex(text));
    EXPECT_EQ(read ? Fault::internal : read.error().fault, Fault::malformed) << text;
  }
  const Bytes large = cbor_with(kVoucherSid, 1, [](cbor::Writer& w) {
    w.number(99);
    w.bytes(Bytes(kMaxArtifact, 0));
  });
  const auto read = parse_cbor_voucher(large);
  EXPECT_EQ(read ? Fault::internal : read.error().fault, Fault::limit);
}

TEST(Voucher, extensions_are_numbers_in_cbor_and_names_in_json) {
  Voucher named, numbered;
  named.extensions = Extensions{std::string("x")};
  numbered.extensions = Extensions{std::uint64_t{7}};
  const auto fault_of = [](const auto& made) { return made ? Fault::internal : made.error().fault; };
  EXPECT_EQ(fault_of(encode_cbor_voucher(named)), Fault::unsupported);
  EXPECT_EQ(fault_of(encode_json_voucher(numbered)), Fault::unsupported);
  EXPECT_TRUE(encode_cbor_voucher(numbered) && encode_json_voucher(named));
}

// RFC 8995 section 5.6.1: what is unknown is ignored, in whatever form it is.
TEST(Voucher, unknown_leaves_may_have_any_form_of_cbor) {
  for (const char* value : {"f93c00", "fb3ff199999999999a", "f7", "f0", "9f01820203ff", "bf6161f5ff", "5f41014102ff",
                            "7f6161ff", "1b0000000000000007", "590001aa", "d9d9f7c0fa47c35000"}) {
    // {2451: {99: value, 11: "a"}}
    const auto read = parse_cbor_voucher(*from_hex("a1190993a21863" + std::string(value) + "0b6161"));
    ASSERT_TRUE(read) << value << ": " << read.error().what;
    EXPECT_EQ(read->serial_number, "a");
    EXPECT_EQ(read->unknown, std::vector<std::string>{"99"});
    // What is known has one form.
    EXPECT_FALSE(parse_cbor_voucher(*from_hex("a1190993a10b" + std::string(value)))) << value;
  }
  for (const char* key : {"61ff", "d82e19099e", "41aa", "f93c00"}) {  // no UTF-8, another tag, and no keys of RFC 9254
    EXPECT_FALSE(parse_cbor_voucher(*from_hex("a1190993a1" + std::string(key) + "6161"))) << key;
  }
  for (const char* value : {"ff", "9f01", "5f6100ff", "1c", "818181818181818181818181818181818100"}) {
    EXPECT_FALSE(parse_cbor_voucher(*from_hex("a1190993a21863" + std::string(value) + "0b6161"))) << value;
  }
}

TEST(Voucher, cbor_that_is_not_one_voucher) {
  const auto serial_twice = [](cbor::Writer& w) {
    w.number(11);
    w.text("a");
    w.text("serial-number");
    w.text("a");
  };
  const auto unknown_twice = [](cbor::Writer& w) {
    w.number(99);
    w.null();
    w.number(99);
    w.null();
  };
  const auto no_text = [](cbor::Writer& w) {
    w.number(11);
    w.bytes(view("a"));
  };
  const auto no_utf8 = [](cbor::Writer& w) {
    w.number(11);
    w.text("\xc0\x80");
  };
  const auto key_of_bytes = [](cbor::Writer& w) {
    w.bytes(view("a"));
    w.null();
  };
  Bytes longer = cbor_with(kVoucherSid, 0, [](cbor::Writer&) {});
  longer.push_back(0);
  for (const Bytes& bad : {Bytes(), Bytes{0xa0}, Bytes{0xa1, 1, 0xa0}, longer, cbor_with(2452, 0, [](cbor::Writer&) {}),
                           cbor_with(kVoucherSid, 2, serial_twice), cbor_with(kVoucherSid, 2, unknown_twice),
                           cbor_with(kVoucherSid, 1, no_text), cbor_with(kVoucherSid, 1, no_utf8),
                           cbor_with(kVoucherSid, 1, key_of_bytes), cbor_with(kVoucherSid, 2, no_text)}) {
    EXPECT_EQ(fault(parse_cbor_voucher(bad)), Fault::malformed) << hex(bad);
  }
  EXPECT_EQ(fault(parse_cbor_voucher(cbor_with(kVoucherSid, 65, [](cbor::Writer&) {}))), Fault::limit);
  EXPECT_EQ(fault(parse_cbor_voucher(cbor_with(kVoucherSid, SIZE_MAX, [](cbor::Writer&) {}))), Fault::limit);
}

TEST(DateTime, is_rfc_3339) {
  const auto ms = [](std::string_view text) { return DateTime::parse(text)->at.ms; };
  EXPECT_EQ(ms("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(ms("2021-04-13T17:43:23.747-04:00"), 1618350203747);
  EXPECT_EQ(ms("2021-04-13t21:43:23.7479z"), 1618350203747);
  EXPECT_EQ(ms("2021-04-13T21:43:23-00:00"), 1618350203000);
  EXPECT_EQ(ms("1969-12-31T23:59:59Z"), -1000);
  EXPECT_EQ(ms("2016-12-31T23:59:60Z"), ms("2017-01-01T00:00:00Z"));
  EXPECT_EQ(ms("9999-12-31T23:59:59Z"), kNoEnd.ms);
  for (const char* bad :
       {"", "2021", "2021-04-13", "2021-04-13 21:43:23Z", "2021-04-13T21:43:23", "2021-04-13T21:43Z",
        "2021-13-13T21:43:23Z", "2021-02-29T21:43:23Z", "2021-04-00T21:43:23Z", "2021-04-13T24:00:00Z",
        "2021-04-13T21:60:23Z", "2021-04-13T21:43:61Z", "2021-04-13T21:43:23.Z", "2021-04-13T21:43:23+24:00",
        "2021-04-13T21:43:23+01:60", "2021-04-13T21:43:23+0100", "2021-04-13T21:43:23Zx", "+021-04-13T21:43:23Z"}) {
    EXPECT_EQ(fault(DateTime::parse(bad)), Fault::malformed) << bad;
  }
  EXPECT_EQ(fault(DateTime::parse("2021-04-13T21:43:23." + std::string(60, '0') + "Z")), Fault::malformed);
  EXPECT_EQ(DateTime::of(Instant{1618350203747}).text, "2021-04-13T21:43:23Z");
  EXPECT_EQ(DateTime::of(Instant{-1}), *DateTime::parse("1969-12-31T23:59:59Z"));
}

TEST(IdevidIssuer, every_form_is_the_same_key_identifier) {
  const Bytes id = *from_hex("cb8d98ca74c51b58dde7acef869a9443a8d666a6");
  const Bytes authority = *from_hex("30168014cb8d98ca74c51b58dde7acef869a9443a8d666a6");
  const Bytes whole = *from_hex("041830168014cb8d98ca74c51b58dde7acef869a9443a8d666a6");
  for (const Bytes& form : {id, authority, whole}) {
    EXPECT_EQ(issuer_key_id(BytesView(form)), id);
  }
  EXPECT_EQ(encode_idevid_issuer(id), whole);
  // A bare key identifier may look like the beginning of something else.
  const Bytes trap = *from_hex("0412000102030405060708090a0b0c0d0e0f1011");
  EXPECT_EQ(issuer_key_id(BytesView(trap)), *from_hex("0412000102030405060708090a0b0c0d0e0f1011"));
  const Bytes name = to_bytes("CN=printed");
  EXPECT_EQ(issuer_key_id(BytesView(name)), name);
  const Certificate with = certificate_of("cbrski-cert-pledge");
  EXPECT_EQ(issuer_key_id(with), id);
  const Certificate without = certificate_of("rfc8995-c1-idevid_00-D0-E5-F2-00-02");
  EXPECT_EQ(issuer_key_id(without), key_identifier(without.key));
  EXPECT_EQ(serial_of(without), "00-D0-E5-F2-00-02");
  EXPECT_TRUE(names_masa(with) && names_masa(without));
  EXPECT_FALSE(names_masa(certificate_of("rfc8995-c1-masa")) || names_masa(certificate_of("rfc8995-c1-vendor")));
}

TEST(Identifiers, certificates_of_devices_are_told_apart_from_a_masas) {
  for (const char* id : {"rfc8995-c1-idevid_00-D0-E5-F2-00-02", "cbrski-cert-pledge"}) {
    EXPECT_TRUE(names_device(certificate_of(id))) << id;
  }
  for (const char* id : {"rfc8995-c1-masa", "rfc8995-c1-vendor", "cbrski-cert-masa_ca"}) {
    EXPECT_FALSE(names_device(certificate_of(id))) << id;
  }
  const Party root = make_root(KeyType::p256);
  CertificateTemplate what = root.below(key_of(KeyType::p256).public_key(), "CN=x");
  EXPECT_FALSE(names_device(root.issue(what)) || names_status(root.issue(what)));
  // hardwareModuleName: type 1.2.3, serial number 07; and another name of that kind.
  const Bytes module = der::concat({der::oid("1.3.6.1.5.5.7.8.4"), *from_hex("a00930070602"
                                                                             "2a03040107")});
  const Bytes other = der::concat({der::oid("1.3.6.1.5.5.7.8.9"), *from_hex("a0020500")});
  what.alt_names = {{GeneralName::Kind::other, other}};
  EXPECT_FALSE(names_device(root.issue(what)));
  what.alt_names = {{GeneralName::Kind::other, other}, {GeneralName::Kind::other, module}};
  EXPECT_TRUE(names_device(root.issue(what)));
  what.alt_names.clear();
  what.subject = name_of("CN=x,serialNumber=1");
  EXPECT_TRUE(names_device(root.issue(what)));
  what.other_extensions = {list_distribution("http://a/crl")};
  EXPECT_TRUE(names_status(root.issue(what)));
  what.other_extensions = {ocsp_access("http://a/ocsp")};
  EXPECT_TRUE(names_status(root.issue(what)));
}

}  // namespace
}  // namespace imprint::brski
