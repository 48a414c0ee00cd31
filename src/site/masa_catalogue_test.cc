// Makers' catalogues: what they say, who may sign them, and that time goes forward.
#include "site/masa_catalogue.h"

#include <nlohmann/json.hpp>

#include "site/masa_testing.h"

namespace imprint::site {
namespace {

using namespace testing;

const Party& acme() {
  static const Party out = make_root(KeyType::p256, "O=Acme,CN=Acme Root");
  return out;
}

Party signer_below(const Party& ca, std::string_view name, std::vector<std::string> extended = {}) {
  Party out{*PrivateKey::generate(KeyType::p256), {}};
  CertificateTemplate what = ca.below(out.key.public_key(), name);
  what.extended = std::move(extended);
  out.certificate = ca.issue(what);
  return out;
}

MasaCatalogue sample() {
  MasaCatalogue out;
  out.maker = "acme";
  out.version = 7;
  out.issued = kNow - kDay;
  out.expires = kNow + kDay * 90;
  MasaRule rule = rule_to("lamps", "masa.acme.example");
  rule.match.serials = {glob("LAMP-*"), range("X1", "X99")};
  rule.match.key_ids = {Bytes(20, 7)};
  rule.match.issuers = {"CN=Acme Root,O=Acme"};
  rule.match.issuer_ders = {acme().certificate.subject.der};
  rule.match.issuer_keys = {Bytes(32, 1)};
  rule.match.module_types = {"1.2.3"};
  rule.match.organisations = {"Acme"};
  rule.match.units = {"yard"};
  rule.over_own = true;
  rule.anchors = rule.voucher_anchors = {acme().certificate};
  rule.quirks.serial = brski::SerialSource::common_name;
  rule.quirks.issuer = brski::IssuerForm::key_id;
  rule.quirks.content_type = "1.2.840.113549.1.7.1";
  rule.quirks.base64_bodies = rule.quirks.requests_named_voucher = rule.quirks.old_paths = true;
  rule.quirks.old_media_types = rule.quirks.any_voucher_type = true;
  rule.deprecated = kNow + kDay;
  rule.ends = kNow + kDay * 2;
  out.rules = {rule};
  out.pools = {{key_identifier(acme().key.public_key()), range("L-100", "L-199"), *brski::masa_url("new.example")}};
  return out;
}

std::string signed_by(const Party& signer, const MasaCatalogue& catalogue) {
  return *make_catalogue(catalogue, signer.key, {signer.certificate});
}

CatalogueTrust trust(std::optional<Instant> now = kNow) { return {"acme", {acme().certificate}, now}; }

template <class T>
std::string_view broken(const Result<T>& result) {
  return result || result.error().rule == nullptr ? "" : result.error().rule->id;
}

TEST(MasaCatalogue, says_again_what_it_was_made_of) {
  const Party signer = signer_below(acme(), "CN=Acme MASA");
  const auto read = verify_catalogue(signed_by(signer, sample()), trust());
  ASSERT_TRUE(read);
  const MasaCatalogue wanted = sample();
  const MasaCatalogue& got = **read;
  EXPECT_EQ(got.version, 7U);
  EXPECT_EQ(got.issued, wanted.issued);
  EXPECT_EQ(got.expires, wanted.expires);
  EXPECT_EQ(got.pools, wanted.pools);
  ASSERT_EQ(got.rules.size(), 1U);
  EXPECT_EQ(got.rules[0].match, wanted.rules[0].match);
  EXPECT_EQ(got.rules[0].url, wanted.rules[0].url);
  EXPECT_EQ(got.rules[0].quirks, wanted.rules[0].quirks);
  EXPECT_EQ(got.rules[0].over_own, true);
  EXPECT_EQ(got.rules[0].anchors, wanted.rules[0].anchors);
  EXPECT_EQ(got.rules[0].voucher_anchors, wanted.rules[0].voucher_anchors);
  EXPECT_EQ(got.rules[0].deprecated, wanted.rules[0].deprecated);
  EXPECT_EQ(got.rules[0].ends, wanted.rules[0].ends);
  EXPECT_EQ(encode_catalogue(got), got.payload);
}

TEST(MasaCatalogue, its_rules_are_for_the_makers_own_devices_alone) {
  const Party signer = signer_below(acme(), "CN=Acme MASA"), other = make_root(KeyType::p256, "CN=Other Root");
  MasaCatalogue all = sample();
  all.rules = {rule_to("all", "masa.acme.example")};
  all.rules[0].match.serials = {glob("*")};
  const auto read = verify_catalogue(signed_by(signer, all), trust());
  ASSERT_TRUE(read);
  const MasaBook book{rules_of(*read, {acme().certificate}), {}, kNow};
  const auto ours = book.look_up(make_device(acme()), {acme().certificate}, kNow);
  ASSERT_TRUE(ours);
  EXPECT_EQ(ours->contact.url.host, "new.example");  // its pool has moved
  EXPECT_EQ(ours->contact.because, "rule acme/pool 1 (catalogue of acme, version 7): the IDevID names no MASA");
  EXPECT_FALSE(ours->configured);
  EXPECT_EQ(ours->contact.anchors, std::vector{acme().certificate});
  EXPECT_TRUE(book.configured().empty());
  EXPECT_EQ(
      book.find(make_device(acme(), {"CN=x,serialNumber=L-200", "own.example", ""}), {acme().certificate})->url.host,
      "own.example");
  EXPECT_EQ(
      book.find(make_device(acme(), {"CN=x,serialNumber=L-100", "own.example", ""}), {acme().certificate})->url.host,
      "new.example");
  EXPECT_FALSE(book.find(make_device(other), {other.certificate}));
  EXPECT_TRUE(rules_of(*read, {}).empty());
}

TEST(MasaCatalogue, a_pool_is_that_of_its_issuer) {
  const Party signer = signer_below(acme(), "CN=Acme MASA"), lamps = make_ca_below(acme(), "CN=Acme Lamps CA");
  const auto read = verify_catalogue(signed_by(signer, sample()), trust());
  ASSERT_TRUE(read);
  const MasaBook book{rules_of(*read, {acme().certificate}), {}, kNow};
  // The same serial number, below the same root, of another CA.
  EXPECT_FALSE(book.find(make_device(lamps), {lamps.certificate, acme().certificate}));
}

TEST(MasaCatalogue, who_may_sign) {
  const Party other = make_root(KeyType::p256, "CN=Other Root");
  EXPECT_EQ(broken(verify_catalogue(signed_by(signer_below(other, "CN=MASA"), sample()), trust())), "CATALOGUE-SIGNER");
  EXPECT_EQ(broken(verify_catalogue(signed_by(signer_below(acme(), "CN=x,serialNumber=1"), sample()), trust())),
            "CATALOGUE-SIGNER");
  for (const std::string_view usage : {eku::kCmcRa, eku::kServerAuth, eku::kClientAuth, eku::kOcspSigning}) {
    const Party by = signer_below(acme(), "CN=x", {std::string(usage)});
    EXPECT_EQ(broken(verify_catalogue(signed_by(by, sample()), trust())), "CATALOGUE-SIGNER") << usage;
  }
  // A certificate that was named for it is meant; one without anchors is nobody's.
  const Party named = signer_below(acme(), "CN=x,serialNumber=1");
  CatalogueTrust pinned = trust();
  pinned.signers = {named.certificate};
  EXPECT_TRUE(verify_catalogue(signed_by(named, sample()), pinned));
  pinned.signers.clear();
  EXPECT_EQ(broken(verify_catalogue(signed_by(named, sample()), pinned)), "CATALOGUE-SIGNER");
  // The certificate of the one and the signature of the other.
  const std::string mixed = *make_catalogue(sample(), other.key, {signer_below(acme(), "CN=MASA").certificate});
  EXPECT_EQ(broken(verify_catalogue(mixed, trust())), "CATALOGUE-SIGNER");
}

TEST(MasaCatalogue, without_certificates_along_the_given_ones_are_tried) {
  const Party signer = signer_below(acme(), "CN=Acme MASA");
  CatalogueTrust pinned = trust();
  pinned.signers = {acme().certificate, signer.certificate};
  EXPECT_TRUE(verify_catalogue(*make_catalogue(sample(), signer.key, {}), pinned));
}

// Devices whose serial number is their common name look like signers: these have to be given by themselves.
TEST(MasaCatalogue, of_a_maker_whose_devices_look_like_signers_only_pinned_ones_sign) {
  const Party signer = signer_below(acme(), "CN=lamp-7");
  CatalogueTrust plain = trust();
  EXPECT_TRUE(verify_catalogue(signed_by(signer, sample()), plain));
  plain.unmarked = true;
  EXPECT_EQ(broken(verify_catalogue(signed_by(signer, sample()), plain)), "CATALOGUE-SIGNER");
  plain.signers.push_back(signer.certificate);
  EXPECT_TRUE(verify_catalogue(signed_by(signer, sample()), plain));
}

TEST(MasaCatalogue, a_signer_that_is_over_signs_no_more) {
  const Party signer = signer_below(acme(), "CN=Acme MASA");
  const std::string text = signed_by(signer, sample());
  EXPECT_EQ(broken(verify_catalogue(text, trust(kNow + kDay * 2))), "CATALOGUE-SIGNER");
  EXPECT_TRUE(verify_catalogue(text, trust(std::nullopt)));
}

TEST(MasaCatalogue, of_another_maker) {
  const Party signer = signer_below(acme(), "CN=Acme MASA");
  MasaCatalogue other = sample();
  other.maker = "other";
  EXPECT_EQ(broken(verify_catalogue(signed_by(signer, other), trust())), "CATALOGUE-MAKER");
}

TEST(MasaCatalogue, time) {
  const Party signer = signer_below(acme(), "CN=Acme MASA");
  MasaCatalogue one = sample();
  one.expires = kNow;
  EXPECT_EQ(broken(verify_catalogue(signed_by(signer, one), trust())), "CATALOGUE-EXPIRED");
  EXPECT_TRUE(verify_catalogue(signed_by(signer, one), trust(std::nullopt)));
  one = sample();
  one.issued = kNow + std::chrono::seconds(1);
  EXPECT_EQ(broken(verify_catalogue(signed_by(signer, one), trust())), "CATALOGUE-EARLY");
}

TEST(MasaCatalogue, versions_never_go_back) {
  const auto version = [](std::uint64_t number, std::string_view payload) {
    MasaCatalogue out;
    out.version = number;
    out.payload = to_bytes(payload);
    return out;
  };
  EXPECT_TRUE(may_replace(version(8, "b"), version(7, "a")));
  EXPECT_TRUE(may_replace(version(7, "a"), version(7, "a")));
  EXPECT_EQ(broken(may_replace(version(6, "b"), version(7, "a"))), "CATALOGUE-OLD");
  EXPECT_EQ(broken(may_replace(version(6, "a"), version(7, "a"))), "CATALOGUE-OLD");
  EXPECT_EQ(broken(may_replace(version(7, "b"), version(7, "a"))), "CATALOGUE-OLD");
}

TEST(MasaCatalogue, another_signed_message_is_none) {
  const Party signer = signer_below(acme(), "CN=Acme MASA");
  JwsOptions voucher;
  voucher.type = "voucher-jws+json";
  voucher.chain = {signer.certificate};
  const std::string text = *sign_jws(encode_catalogue(sample()), signer.key, voucher);
  EXPECT_EQ(broken(verify_catalogue(text, trust())), "CATALOGUE-SYNTAX");
  EXPECT_EQ(broken(verify_catalogue("{}", trust())), "CATALOGUE-SYNTAX");
  EXPECT_EQ(broken(verify_catalogue(std::string(70'000, ' '), trust())), "CATALOGUE-SYNTAX");
  Json twice = *parse_json(signed_by(signer, sample()));
  twice["signatures"].push_back(twice["signatures"][0]);
  EXPECT_EQ(broken(verify_catalogue(twice.dump(), trust())), "CATALOGUE-SYNTAX");
}

TEST(MasaCatalogue, changed_after_it_was_signed) {
  const Party signer = signer_below(acme(), "CN=Acme MASA");
  Json text = *parse_json(signed_by(signer, sample()));
  MasaCatalogue newer = sample();
  newer.version = 8;
  text["payload"] = (*parse_json(signed_by(signer, newer)))["payload"];
  EXPECT_EQ(broken(verify_catalogue(text.dump(), trust())), "CATALOGUE-SIGNER");
}

// One member is put in or replaced at a place of the sample.
std::string what_of(const std::function<void(Json&)>& edit) {
  Json json = *parse_json(as_text(encode_catalogue(sample())));
  edit(json);
  const auto read = parse_catalogue(to_bytes(json.dump()));
  EXPECT_TRUE(read || broken(read) == "CATALOGUE-SYNTAX");
  return read ? "good" : std::string(read.error().what);
}

TEST(MasaCatalogue, wrong_members_are_named) {
  EXPECT_EQ(what_of([](Json&) {}), "good");
  EXPECT_EQ(what_of([](Json& j) { j["later"] = 1; }), "good");
  EXPECT_EQ(what_of([](Json& j) { j["rules"][0]["later"] = 1; }), "good");
  EXPECT_EQ(what_of([](Json& j) { j["rules"][0]["match"]["later"] = 1; }),
            "catalogue: match has a condition that is not known");
  EXPECT_EQ(what_of([](Json& j) { j["rules"][0]["match"] = Json::object(); }), "catalogue: match");
  EXPECT_EQ(what_of([](Json& j) { j["rules"][0].erase("match"); }), "catalogue: match");
  EXPECT_EQ(what_of([](Json& j) { j["rules"][0]["match"]["serials"] = Json::array(); }), "catalogue: serials");
  EXPECT_EQ(what_of([](Json& j) { j["rules"][0]["match"]["serials"] = {{"b", "a"}}; }), "catalogue: serials");
  EXPECT_EQ(what_of([](Json& j) { j["rules"][0]["match"]["module-type"] = {"x"}; }), "catalogue: module-type");
  EXPECT_EQ(what_of([](Json& j) { j["rules"][0]["match"]["issuer-spki-sha256"] = {"00"}; }),
            "catalogue: issuer-spki-sha256");
  EXPECT_EQ(what_of([](Json& j) { j["rules"][0]["masa-url"] = "a@b"; }), "catalogue: masa-url");
  EXPECT_EQ(what_of([](Json& j) { j["rules"][0]["override"] = 1; }), "catalogue: override");
  EXPECT_EQ(what_of([](Json& j) { j["rules"][0]["masa-anchors"] = {"AAAA"}; }), "catalogue: masa-anchors");
  EXPECT_EQ(what_of([](Json& j) { j["rules"][0]["serial-source"] = "x"; }), "catalogue: serial-source");
  EXPECT_EQ(what_of([](Json& j) { j["rules"][0]["ends"] = "tomorrow"; }), "catalogue: ends");
  EXPECT_EQ(what_of([](Json& j) { j["rules"][0]["name"] = std::string(257, 'a'); }), "catalogue: name of a rule");
  EXPECT_EQ(what_of([](Json& j) { j["pools"][0].erase("issuer"); }),
            "catalogue: a pool wants issuer, serials and moved-to");
  EXPECT_EQ(what_of([](Json& j) { j["pools"][0].erase("moved-to"); }), "catalogue: moved-to");
  EXPECT_EQ(what_of([](Json& j) { j["version"] = 0; }), "catalogue: version");
  EXPECT_EQ(what_of([](Json& j) { j["version"] = -1; }), "catalogue: version");
  EXPECT_EQ(what_of([](Json& j) { j["version"] = std::uint64_t{1} << 60U; }), "catalogue: version");
  EXPECT_EQ(what_of([](Json& j) { j["expires"] = j["issued"]; }), "catalogue: expires before it is issued");
  EXPECT_EQ(what_of([](Json& j) { j["imprint-masa-map"] = 2; }), "catalogue: a format that is not known");
  EXPECT_EQ(what_of([](Json& j) { j.erase("imprint-masa-map"); }), "catalogue: imprint-masa-map");
  EXPECT_EQ(what_of([](Json& j) { j["rules"] = 1; }), "catalogue: rules and pools are lists");
  EXPECT_EQ(what_of([](Json& j) { j = Json::array(); }), "catalogue: no JSON object");
}

// What a check is worth to the site, the maker does not say.
TEST(MasaCatalogue, it_switches_no_check_off) {
  Json json = *parse_json(as_text(encode_catalogue(sample())));
  for (const char* const name :
       {"expired-idevids", "proximity-optional", "est-before-status", "no-audit-log", "orphan"}) {
    json["rules"][0][name] = true;
  }
  const auto read = parse_catalogue(to_bytes(json.dump()));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->rules[0].quirks, sample().rules[0].quirks);
  EXPECT_FALSE(read->rules[0].orphan);
}

TEST(MasaCatalogue, too_much_is_refused) {
  MasaCatalogue many = sample();
  many.rules.assign(257, many.rules[0]);
  EXPECT_EQ(fault(parse_catalogue(encode_catalogue(many))), Fault::limit);
  many = sample();
  many.pools.assign(1025, many.pools[0]);
  EXPECT_EQ(fault(parse_catalogue(encode_catalogue(many))), Fault::limit);
  many = sample();
  many.rules[0].match.units.assign(65, "u");
  EXPECT_EQ(fault(parse_catalogue(encode_catalogue(many))), Fault::limit);
  EXPECT_FALSE(make_catalogue(many, acme().key, {acme().certificate}));
}

// Cut or turned anywhere, it is refused or is what it was.
TEST(MasaCatalogue, damage) {
  const Bytes whole = encode_catalogue(sample());
  for (std::size_t at = 0; at < whole.size(); at += 11) {
    EXPECT_FALSE(parse_catalogue(BytesView(whole).first(at)));
    Bytes turned = whole;
    turned[at] ^= 0x20;
    (void)parse_catalogue(turned);
  }
}

}  // namespace
}  // namespace imprint::site
