// What an IDevID says of its MASA and of itself, in good and in hostile certificates.
#include "proto/brski/masa_url.h"

#include "codec/der.h"
#include "proto/brski/brski_testing.h"

namespace imprint::brski {
namespace {

using namespace testing;

Party maker() { return make_root(KeyType::p256, "O=Acme,CN=Acme Root"); }

Certificate device_with(std::vector<Extension> extensions, std::vector<GeneralName> names = {}) {
  static const Party root = maker();
  CertificateTemplate what = root.below(key_of(KeyType::p256).public_key(), "CN=lamp,serialNumber=L-1");
  what.other_extensions = std::move(extensions);
  what.alt_names = std::move(names);
  return root.issue(what);
}

Extension masa_extension(BytesView value) { return {"1.3.6.1.5.5.7.1.32", false, to_bytes(value)}; }
Certificate device_naming(std::string_view text) { return device_with({masa_extension(der::text(der::kIa5, text))}); }

std::string url_text(std::string_view text) {
  const auto url = masa_url(text);
  return url ? url->text() : "refused: " + std::string(url.error().rule->id);
}

GeneralName module_name(std::string_view type, BytesView serial) {
  const Bytes value = der::sequence({der::oid(type), der::item(der::kOctetString, serial)});
  return {GeneralName::Kind::other, der::concat({der::oid("1.3.6.1.5.5.7.8.4"), der::item(der::context(0), value)})};
}

TEST(MasaUrl, published_idevids_say_where_their_masa_is) {
  EXPECT_EQ(masa_authority(certificate_of("rfc8995-c1-idevid_00-D0-E5-F2-00-02")), "highway-test.example.com:9443");
  EXPECT_EQ(masa_authority(certificate_of("cbrski-cert-pledge")), "masa.stok.nl");
  EXPECT_EQ(masa_authority(certificate_of("rfc8995-c1-vendor")), std::nullopt);
}

TEST(MasaUrl, without_a_slash_it_is_an_authority) {
  EXPECT_EQ(url_text("highway-test.example.com:9443"), "https://highway-test.example.com:9443/.well-known/brski");
  EXPECT_EQ(url_text("MASA.example"), "https://masa.example/.well-known/brski");
  EXPECT_EQ(url_text("192.0.2.1"), "https://192.0.2.1/.well-known/brski");
  EXPECT_EQ(url_text("[2001:db8::1]:9443"), "https://[2001:db8::1]:9443/.well-known/brski");
  EXPECT_EQ(masa_url("[2001:db8::1]")->port, 443);
}

TEST(MasaUrl, with_a_slash_it_is_a_uri_and_always_https) {
  EXPECT_EQ(url_text("https://masa.example/acme"), "https://masa.example/acme");
  EXPECT_EQ(url_text("http://masa.example/acme/"), "https://masa.example/acme");
  EXPECT_EQ(url_text("coaps://masa.example:5684/b"), "https://masa.example:5684/b");
  EXPECT_EQ(url_text("https://masa.example/"), "https://masa.example/.well-known/brski");
  EXPECT_EQ(url_text("masa.example/acme"), "https://masa.example/acme");
}

TEST(MasaUrl, what_leads_elsewhere_is_refused) {
  for (const char* const text : {"",
                                 "masa.example@evil.example",
                                 "https://masa.example@evil.example/a",
                                 "https://a:b@evil.example/",
                                 "masa.example?x",
                                 "https://masa.example/a?b=c",
                                 "https://masa.example/a#b",
                                 "masa.example#x",
                                 "https://masa.example/../x",
                                 "https://masa.example/a/./b",
                                 "https://masa.example//a",
                                 "//masa.example/a",
                                 "/a",
                                 "://masa.example/a",
                                 "https:///a",
                                 "masa.example:0",
                                 "masa.example:65536",
                                 "masa.example:",
                                 "masa.example:9443x",
                                 "[::1",
                                 "[fe80::1%eth0]",
                                 "[::ffff:1.2.3.4.5]",
                                 "masa example",
                                 "masa\\example",
                                 "ht tp://masa.example/",
                                 "https://masa.example/%zz",
                                 "h\xc3\xa4st.example",
                                 "masa.example\n"}) {
    EXPECT_EQ(url_text(text), "refused: BRSKI-MASA-ADDRESS") << text;
  }
  EXPECT_EQ(fault(masa_url(std::string(1025, 'a'))), Fault::limit);
  EXPECT_EQ(fault(masa_url("masa.example?x")), Fault::refused);
  EXPECT_EQ(fault(masa_url("masa.example@evil.example")), Fault::refused);
  EXPECT_EQ(fault(masa_url("https://masa.example/../x")), Fault::refused);
  EXPECT_EQ(fault(masa_url("masa .example")), Fault::malformed);
}

TEST(MasaUrl, hostile_extension_values_name_nobody) {
  EXPECT_EQ(masa_authority(device_naming("masa.example")), "masa.example");
  EXPECT_EQ(masa_authority(device_naming("")), std::nullopt);
  EXPECT_EQ(masa_authority(device_naming("masa.example\n")), std::nullopt);
  EXPECT_EQ(masa_authority(device_naming(std::string_view("masa\0.example", 13))), std::nullopt);
  EXPECT_EQ(masa_authority(device_naming("h\xc3\xa4st")), std::nullopt);
  EXPECT_EQ(masa_authority(device_naming(std::string(1024, 'a')))->size(), 1024U);
  EXPECT_EQ(masa_authority(device_naming(std::string(1025, 'a'))), std::nullopt);
  const Bytes good = der::text(der::kIa5, "masa.example");
  const Bytes zero{0};
  EXPECT_EQ(masa_authority(device_with({masa_extension(der::text(der::kUtf8, "masa.example"))})), std::nullopt);
  EXPECT_EQ(masa_authority(device_with({masa_extension(der::concat({good, zero}))})), std::nullopt);
  EXPECT_EQ(masa_authority(device_with({masa_extension(BytesView(good).first(5))})), std::nullopt);
  EXPECT_EQ(masa_authority(device_with({masa_extension({})})), std::nullopt);
}

// The serial number of a certificate that cannot be parsed may still be cut anywhere: nothing is read beyond it.
TEST(MasaUrl, damaged_certificates_are_read_safely) {
  const Certificate whole = certificate_of("rfc8995-c1-idevid_00-D0-E5-F2-00-02");
  for (std::size_t at = 0; at < whole.der.size(); at += 3) {
    Certificate cut = whole;
    cut.der.resize(at);
    (void)masa_authority(cut);
    (void)idevid_issuer(cut, IssuerForm::octet_string);
    Certificate turned = whole;
    turned.der[at] ^= 0xff;
    (void)masa_authority(turned);
    (void)idevid_issuer(turned, IssuerForm::octet_string);
  }
}

TEST(SerialOf, each_source) {
  const Bytes text = to_bytes("HW-77"), octets{0x00, 0xff};
  const Certificate named = device_with({}, {module_name("1.3.6.1.4.1.99999.1", text)});
  EXPECT_EQ(serial_of(named, SerialSource::subject), "L-1");
  EXPECT_EQ(serial_of(named, SerialSource::common_name), "lamp");
  EXPECT_EQ(serial_of(named, SerialSource::hardware_module_name), "HW-77");
  EXPECT_EQ(hardware_module_type(named), "1.3.6.1.4.1.99999.1");
  const Certificate numbered = device_with({}, {module_name("1.2.3", octets)});
  EXPECT_EQ(serial_of(numbered, SerialSource::hardware_module_name), "00ff");
  const Certificate plain = device_with({});
  EXPECT_EQ(serial_of(plain, SerialSource::hardware_module_name), "");
  EXPECT_EQ(hardware_module_type(plain), "");
  const Certificate huge = device_with({}, {module_name("1.2.3", Bytes(257, 'a'))});
  EXPECT_EQ(serial_of(huge, SerialSource::hardware_module_name), "");
}

TEST(SerialOf, other_names_are_not_hardware_modules) {
  const Bytes value = der::item(der::context(0), der::text(der::kUtf8, "x"));
  const GeneralName other{GeneralName::Kind::other, der::concat({der::oid("1.3.6.1.5.5.7.8.10"), value})};
  const Certificate both = device_with({}, {other, module_name("1.2.3", to_bytes("Z"))});
  EXPECT_EQ(serial_of(both, SerialSource::hardware_module_name), "Z");
  const GeneralName wrong{GeneralName::Kind::other, der::concat({der::oid("1.3.6.1.5.5.7.8.4"), value})};
  EXPECT_EQ(serial_of(device_with({}, {wrong}), SerialSource::hardware_module_name), "");
}

TEST(IdevidIssuer, each_form_reduces_to_the_same_key_identifier) {
  const Certificate pledge = certificate_of("cbrski-cert-pledge");
  const std::string id = "cb8d98ca74c51b58dde7acef869a9443a8d666a6";
  EXPECT_EQ(hex(idevid_issuer(pledge, IssuerForm::octet_string)), "041830168014" + id);
  EXPECT_EQ(hex(idevid_issuer(pledge, IssuerForm::authority_key_id)), "30168014" + id);
  EXPECT_EQ(hex(idevid_issuer(pledge, IssuerForm::key_id)), id);
  EXPECT_EQ(as_text(idevid_issuer(pledge, IssuerForm::printed_name)), pledge.issuer.text);
  EXPECT_TRUE(idevid_issuer(pledge, IssuerForm::left_out).empty());
  for (const IssuerForm form : {IssuerForm::octet_string, IssuerForm::authority_key_id, IssuerForm::key_id}) {
    EXPECT_EQ(hex(issuer_key_id(BytesView(idevid_issuer(pledge, form)))), id);
  }
}

TEST(IdevidIssuer, without_an_authority_key_identifier_it_is_made_from_the_devices_key) {
  const Certificate pledge = certificate_of("rfc8995-c1-idevid_00-D0-E5-F2-00-02");
  EXPECT_EQ(hex(idevid_issuer(pledge, IssuerForm::octet_string)),
            "041830168014"
            "4588cc9696006437b0ba236564645408066c56ad");
}

}  // namespace
}  // namespace imprint::brski
