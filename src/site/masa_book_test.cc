// Which MASA speaks for which device: every kind of condition, order, override, and pools that look alike.
#include "site/masa_book.h"

#include <nlohmann/json.hpp>

#include "site/masa_testing.h"
#include "site/masa_words.h"

namespace imprint::site {
namespace {

using namespace testing;

const Party& acme() {
  static const Party out = make_root(KeyType::p256, "O=Acme,CN=Acme Root");
  return out;
}
const Party& other() {
  static const Party out = make_root(KeyType::p256, "O=Other,CN=Other Root");
  return out;
}

Bytes key_sha256(const Certificate& of) {
  const Sha256 out = sha256(of.key.spki);
  return {out.begin(), out.end()};
}

// Whom the book names for a device of this CA, or the rule that it breaks.
std::string masa_of(const MasaBook& book, const Party& ca, const Made& made = {}) {
  const auto found = book.find(make_device(ca, made), {ca.certificate});
  return found ? found->url.host : std::string(found.error().rule->id);
}

MasaBook book_of(std::vector<MasaRule> rules) { return {std::move(rules), {}, kNow}; }

// A rule with this condition is for Acme's device, and not for the other maker's, whose device differs in it.
void expect_tells_apart(MasaMatch match, const Made& ours, const Made& theirs) {
  const MasaBook book = book_of({rule_to("a", "masa.acme.example", std::move(match))});
  EXPECT_EQ(masa_of(book, acme(), ours), "masa.acme.example");
  EXPECT_EQ(masa_of(book, other(), theirs), "BRSKI-MASA-UNKNOWN");
}

TEST(MasaBook, conditions_on_who_issued) {
  MasaMatch match;
  match.issuers = {"CN=nobody", acme().certificate.subject.text};
  expect_tells_apart(match, {}, {});
  match = {};
  match.issuer_ders = {acme().certificate.subject.der};
  expect_tells_apart(match, {}, {});
  match = {};
  match.key_ids = {key_identifier(acme().key.public_key())};
  expect_tells_apart(match, {}, {});
  match = {};
  match.issuer_keys = {key_sha256(acme().certificate)};
  expect_tells_apart(match, {}, {});
  match = {};
  match.anchors = {acme().certificate};
  expect_tells_apart(match, {}, {});
  match = {};
  match.makers = {"Acme"};
  expect_tells_apart(match, {}, {});
  match.makers = {"Acme Root"};
  expect_tells_apart(match, {}, {});
}

TEST(MasaBook, conditions_on_the_device) {
  MasaMatch match;
  match.serials = {glob("X-*"), glob("L-1*")};
  expect_tells_apart(match, {}, {"CN=lamp,serialNumber=L-200", "", ""});
  expect_tells_apart(match, {}, {"CN=lamp", "", ""});
  match = {};
  match.module_types = {"1.3.6.1.4.1.99999.1"};
  expect_tells_apart(match, {"CN=lamp", "", "HW-1"}, {});
  match = {};
  match.organisations = {"Acme Lamps"};
  expect_tells_apart(match, {"O=Acme Lamps,CN=x", "", ""}, {"O=Acme Meters,CN=x", "", ""});
  match = {};
  match.units = {"hall", "yard"};
  expect_tells_apart(match, {"OU=attic,OU=yard,CN=x", "", ""}, {"OU=attic,CN=x", "", ""});
}

TEST(MasaBook, all_conditions_of_a_rule_have_to_hold) {
  MasaMatch match;
  match.anchors = {acme().certificate};
  match.serials = {glob("L-*")};
  const MasaBook book = book_of({rule_to("a", "masa.acme.example", match)});
  EXPECT_EQ(masa_of(book, acme()), "masa.acme.example");
  EXPECT_EQ(masa_of(book, acme(), {"CN=x,serialNumber=M-1", "", ""}), "BRSKI-MASA-UNKNOWN");
  EXPECT_EQ(masa_of(book, other()), "BRSKI-MASA-UNKNOWN");
}

TEST(MasaBook, the_issuers_key_is_taken_from_its_own_certificate_alone) {
  MasaMatch match;
  match.issuer_keys = {key_sha256(acme().certificate)};
  const MasaBook book = book_of({rule_to("a", "masa.acme.example", match)});
  // Acme's certificate stands in the chain, but it did not issue this device.
  EXPECT_FALSE(book.find(make_device(other()), {acme().certificate, other().certificate}));
  EXPECT_FALSE(book.find(make_device(acme()), {}));
}

TEST(MasaBook, the_first_rule_that_fits_answers) {
  MasaMatch few, many;
  few.serials = {range("L-100", "L-199")};
  many.serials = {glob("L-*")};
  const MasaRule narrow = rule_to("narrow", "narrow.example", few), wide = rule_to("wide", "wide.example", many);
  EXPECT_EQ(masa_of(book_of({narrow, wide}), acme()), "narrow.example");
  EXPECT_EQ(masa_of(book_of({wide, narrow}), acme()), "wide.example");
  EXPECT_EQ(masa_of(book_of({narrow, wide}), acme(), {"CN=x,serialNumber=L-200", "", ""}), "wide.example");
}

TEST(MasaBook, pools_of_several_issuers_with_the_same_serial_numbers) {
  MasaMatch ours, theirs;
  ours.key_ids = {key_identifier(acme().key.public_key())};
  theirs.key_ids = {key_identifier(other().key.public_key())};
  ours.serials = theirs.serials = {range("L-100", "L-199")};
  const MasaBook book = book_of({rule_to("a", "masa.acme.example", ours), rule_to("o", "masa.other.example", theirs)});
  EXPECT_EQ(masa_of(book, acme()), "masa.acme.example");
  EXPECT_EQ(masa_of(book, other()), "masa.other.example");
}

TEST(MasaBook, the_serial_number_is_sought_where_the_rule_says) {
  MasaMatch match;
  match.serials = {glob("HW-*")};
  MasaRule rule = rule_to("a", "masa.acme.example", match);
  const Made made{"CN=CN-1,serialNumber=L-100", "", "HW-1"};
  EXPECT_EQ(masa_of(book_of({rule}), acme(), made), "BRSKI-MASA-UNKNOWN");
  rule.quirks.serial = brski::SerialSource::hardware_module_name;
  EXPECT_EQ(masa_of(book_of({rule}), acme(), made), "masa.acme.example");
  rule.quirks.serial = brski::SerialSource::common_name;
  rule.match.serials = {glob("CN-?")};
  EXPECT_EQ(masa_of(book_of({rule}), acme(), made), "masa.acme.example");
}

TEST(MasaBook, a_rule_fills_in_and_overrides_only_if_it_says_so) {
  const Made named{"CN=x,serialNumber=1", "own.example", ""};
  MasaRule rule = rule_to("a", "rule.example:9443");
  rule.quirks.base64_bodies = true;
  const Certificate device = make_device(acme(), named);
  const auto kept = book_of({rule}).look_up(device, {acme().certificate}, kNow);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->contact.url.text(), "https://own.example/.well-known/brski");
  EXPECT_TRUE(kept->contact.quirks.base64_bodies);  // what it says besides counts
  EXPECT_TRUE(kept->own_address);
  EXPECT_FALSE(kept->configured);
  EXPECT_EQ(kept->contact.because, "the IDevID's own address; rule a (test) says how it is spoken to");
  rule.over_own = true;
  rule.anchors = {other().certificate};
  const MasaBook over = book_of({rule});
  const auto replaced = over.look_up(device, {acme().certificate}, kNow);
  ASSERT_TRUE(replaced);
  EXPECT_EQ(replaced->contact.url.text(), "https://rule.example:9443/.well-known/brski");
  EXPECT_FALSE(replaced->own_address);
  EXPECT_TRUE(replaced->configured);
  EXPECT_EQ(replaced->contact.because, "rule a (test), over the IDevID's own address own.example");
  EXPECT_EQ(over.configured(), std::vector<Uri>{*rule.url});
  EXPECT_EQ(masa_of(over, acme()), "rule.example");
}

TEST(MasaBook, an_orphans_masa_is_the_sites_own) {
  MasaRule rule = rule_to("gone", "https://localhost:9443");
  rule.orphan = true;
  rule.anchors = {other().certificate};
  const auto found =
      book_of({rule}).look_up(make_device(acme(), {"CN=x", "gone.example", ""}), {acme().certificate}, kNow);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->contact.url.host, "localhost");
  EXPECT_EQ(found->contact.anchors, std::vector{other().certificate});
  EXPECT_EQ(found->contact.because,
            "rule gone (test): the maker is gone, and a MASA of the site's own answers in its place");
}

TEST(MasaBook, without_a_rule_the_idevid_says_it) {
  const auto found = MasaBook{}.look_up(make_device(acme(), {"CN=x", "own.example", ""}), {acme().certificate}, kNow);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->contact.url.text(), "https://own.example/.well-known/brski");
  EXPECT_EQ(found->contact.because, "the IDevID's own address");
  EXPECT_EQ(found->contact.anchors, std::vector{acme().certificate});  // the maker speaks for its own MASA
  EXPECT_EQ(found->contact.quirks, brski::Quirks{});
  EXPECT_EQ(found->rule, nullptr);
  EXPECT_EQ(masa_of(MasaBook{}, acme()), "BRSKI-MASA-UNKNOWN");
}

TEST(MasaBook, an_address_that_cannot_be_used_is_refused_or_filled_in) {
  const Made hostile{"CN=x,serialNumber=1", "https://masa.example@evil.example/", ""};
  EXPECT_EQ(masa_of(MasaBook{}, acme(), hostile), "BRSKI-MASA-ADDRESS");
  EXPECT_EQ(masa_of(book_of({rule_to("quirks", "")}), acme(), hostile), "BRSKI-MASA-ADDRESS");
  const MasaBook book = book_of({rule_to("a", "rule.example")});
  const auto found = book.find(make_device(acme(), hostile), {acme().certificate});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->url.host, "rule.example");
  EXPECT_EQ(found->because, "rule a (test): what the IDevID names cannot be used");
}

TEST(MasaBook, a_rule_without_an_address_is_for_devices_that_name_one) {
  MasaRule quirks = rule_to("quirks", "");
  quirks.quirks.no_audit_log = true;
  const MasaBook book = book_of({quirks, rule_to("a", "rule.example")});
  EXPECT_EQ(masa_of(book, acme()), "rule.example");
  const auto found = book.find(make_device(acme(), {"CN=x", "own.example", ""}), {acme().certificate});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->url.host, "own.example");
  EXPECT_TRUE(found->quirks.no_audit_log);
}

TEST(MasaBook, what_the_rule_says_reaches_the_registrar) {
  MasaRule rule = rule_to("a", "https://masa.example/base");
  rule.anchors = {other().certificate};
  rule.voucher_anchors = {acme().certificate};
  rule.as = Credential{"key", {other().certificate}};
  rule.login = Login{"site", Secret(std::string_view("password"))};
  rule.quirks.issuer = brski::IssuerForm::key_id;
  const auto found = book_of({rule}).find(make_device(acme()), {acme().certificate});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->url.path, "/base");
  EXPECT_EQ(found->anchors, rule.anchors);
  EXPECT_EQ(found->voucher_anchors, rule.voucher_anchors);
  EXPECT_EQ(found->as, rule.as);
  EXPECT_EQ(found->login->user, "site");
  EXPECT_EQ(found->quirks, rule.quirks);
  EXPECT_EQ(found->because, "rule a (test): the IDevID names no MASA");
}

TEST(MasaBook, a_password_goes_to_whom_the_operator_means) {
  MasaRule rule = rule_to("a", "masa.example");
  rule.login = Login{"site", Secret(std::string_view("password"))};
  const auto sent = [&](const char* named) {
    Made made;
    made.masa = named;
    const auto found = book_of({rule}).find(make_device(acme(), made), {acme().certificate});
    EXPECT_TRUE(found) << named;
    return found && found->login.has_value();
  };
  EXPECT_TRUE(sent(""));
  EXPECT_TRUE(sent("masa.example"));
  EXPECT_FALSE(sent("evil.example")) << "the device names it";
  EXPECT_FALSE(sent("masa.example:444"));
  rule.over_own = true;
  rule.anchors = {other().certificate};
  EXPECT_TRUE(sent("evil.example")) << "over the device's own word";
  rule.url.reset();
  rule.over_own = false;
  EXPECT_TRUE(sent("own.example")) << "below the rule's own anchors";
  rule.anchors.clear();
  EXPECT_FALSE(sent("own.example"));
}

TEST(MasaBook, drafts_have_another_base) {
  MasaRule rule = rule_to("a", "masa.example");
  rule.quirks.old_paths = true;
  EXPECT_EQ(book_of({rule}).find(make_device(acme()), {acme().certificate})->url.path, "/.well-known/est");
  rule.url = *brski::masa_url("https://masa.example/own");
  EXPECT_EQ(book_of({rule}).find(make_device(acme()), {acme().certificate})->url.path, "/own");
}

TEST(MasaBook, anchors_of_tls) {
  const Party web = make_root(KeyType::p256, "CN=Web Root");
  MasaBook book = book_of({rule_to("a", "masa.example")});
  book.anchors = {web.certificate};
  const Certificate device = make_device(acme());
  EXPECT_EQ(book.find(device, {acme().certificate})->anchors, (std::vector{web.certificate, acme().certificate}));
  // Another one than the maker answers: the maker's root has no say.
  book.rules[0].over_own = true;
  EXPECT_EQ(book.find(device, {acme().certificate})->anchors, std::vector{web.certificate});
  book.anchors.clear();
  const auto none = book.find(device, {acme().certificate});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().rule->id, "BRSKI-MASA-ANCHORS");
}

TEST(MasaBook, rules_end_and_are_deprecated_before) {
  MasaRule rule = rule_to("a", "masa.example");
  rule.deprecated = kNow;
  rule.ends = kNow + kDay;
  const MasaBook book = book_of({rule});
  const Certificate device = make_device(acme());
  EXPECT_EQ(book.look_up(device, {acme().certificate}, kNow - kDay)->contact.because,
            "rule a (test): the IDevID names no MASA");
  EXPECT_EQ(book.look_up(device, {acme().certificate}, kNow)->contact.because,
            "rule a (test): the IDevID names no MASA; deprecated since " + utc_text(kNow) + ", it ends at " +
                utc_text(kNow + kDay));
  EXPECT_FALSE(book.look_up(device, {acme().certificate}, kNow + kDay));
  const CertificateChain proven{device, acme().certificate, {}};
  EXPECT_TRUE(book.find(proven, kNow));
  EXPECT_FALSE(book.find(proven, kNow + kDay));
}

TEST(MasaBook, a_rule_that_has_ended_leaves_its_devices_to_nobody) {
  MasaRule rule = rule_to("a", "masa.example");
  rule.match.serials = {glob("L-*")};
  rule.ends = kNow;
  const MasaBook book = book_of({rule});
  const auto why = [&](const Made& made) {
    const auto found = book.look_up(make_device(acme(), made), {acme().certificate}, kNow);
    return found ? nullptr : found.error().rule;
  };
  EXPECT_EQ(why({}), &kMasaEnded);
  EXPECT_EQ(why({"CN=x,serialNumber=M-1", "", ""}), &kMasaUnknown) << "it was never for this one";
  EXPECT_EQ(why({"CN=lamp,serialNumber=L-100", "own.example", ""}), nullptr) << "its own MASA speaks for it";
  EXPECT_TRUE(book_of({rule, rule_to("b", "b.example")}).look_up(make_device(acme()), {acme().certificate}, kNow));
}

TEST(MasaBook, devices_of_a_maker_whose_rules_cannot_be_read_wait) {
  MasaBook book = book_of({});
  EXPECT_EQ(book.look_up(make_device(acme()), {acme().certificate}, kNow).error().rule, &kMasaUnknown);
  book.unread = {acme().certificate};
  EXPECT_EQ(book.look_up(make_device(acme()), {acme().certificate}, kNow).error().rule, &kMakerFile);
  EXPECT_EQ(book.look_up(make_device(other()), {other().certificate}, kNow).error().rule, &kMasaUnknown);
}

TEST(MasaBook, rules_that_cannot_be_read_may_be_for_any_device) {
  MasaMatch match;
  match.anchors = {other().certificate};
  MasaBook book = book_of({rule_to("b", "b.example", match)});
  book.rules_missing = true;
  EXPECT_EQ(book.look_up(make_device(acme()), {acme().certificate}, kNow).error().rule, &kMakerFile);
  EXPECT_TRUE(book.look_up(make_device(other()), {other().certificate}, kNow)) << "a rule is for it";
  const Certificate names_its_own = make_device(acme(), {"CN=x,serialNumber=L-1", "own.example", ""});
  EXPECT_TRUE(book.look_up(names_its_own, {acme().certificate}, kNow));
}

TEST(MasaBook, a_chain_begins_with_who_issued_the_device) {
  const Party below = make_ca_below(acme(), "CN=Acme Lamps CA");
  const CertificateChain proven{make_device(below), acme().certificate, {below.certificate}};
  MasaMatch match;
  match.issuer_keys = {key_sha256(below.certificate)};
  match.anchors = {acme().certificate};
  EXPECT_TRUE(book_of({rule_to("a", "masa.example", match)}).find(proven, kNow));
}

TEST(MasaBook, each_rule_says_why_it_does_not_answer) {
  MasaMatch serial, root;
  serial.serials = {glob("X-*")};
  root.anchors = {other().certificate};
  MasaRule over = rule_to("over", "a.example");
  over.ends = kNow;
  const MasaBook book = book_of({rule_to("serial", "a.example", serial), rule_to("root", "a.example", root), over,
                                 rule_to("address", ""), rule_to("good", "a.example")});
  std::vector<std::string> why;
  for (const MasaTrial& trial : book.try_all(make_device(acme()), {acme().certificate}, kNow)) {
    why.push_back(trial.why_not);
  }
  EXPECT_EQ(why, (std::vector<std::string>{
                     "the serial number is L-100", "the chain does not lead to the anchors of this file",
                     "it counted until " + utc_text(kNow), "it names no MASA, and neither does the IDevID", ""}));
}

TEST(SerialPattern, globs) {
  EXPECT_TRUE(glob("*").fits("x"));
  EXPECT_FALSE(glob("*").fits(""));  // a device without a serial number is in no pool
  EXPECT_TRUE(glob("A-?0*9").fits("A-10009"));
  EXPECT_FALSE(glob("A-?0*9").fits("A-10008"));
  EXPECT_FALSE(glob("A").fits("AB"));
  EXPECT_FALSE(glob("A?").fits("A"));
  EXPECT_TRUE(glob("[A]").fits("[A]"));
  EXPECT_FALSE(glob("a").fits("A"));
  EXPECT_FALSE(glob("*").fits(std::string(257, 'a')));
  EXPECT_FALSE(SerialPattern::glob(""));
  EXPECT_FALSE(SerialPattern::glob(std::string(129, 'a')));
  EXPECT_FALSE(SerialPattern::glob("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a"));
  // The worst that there is takes no time.
  EXPECT_FALSE(glob("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b").fits(std::string(256, 'a')));
}

TEST(SerialPattern, ranges_of_one_length) {
  EXPECT_TRUE(range("A-0100", "A-0199").fits("A-0100"));
  EXPECT_TRUE(range("A-0100", "A-0199").fits("A-0199"));
  EXPECT_FALSE(range("A-0100", "A-0199").fits("A-0200"));
  EXPECT_FALSE(range("A-0100", "A-0199").fits("A-0099"));
  EXPECT_FALSE(range("A-0100", "A-0199").fits("A-01500"));
  EXPECT_FALSE(range("A-0100", "A-0199").fits("A-01A0"));
  EXPECT_FALSE(range("A-0100", "A-0199").fits("B-0150"));
  EXPECT_TRUE(range("00D0E50000", "00D0E5FFFF").fits("00D0E5A1B2"));
  EXPECT_FALSE(range("00D0E50000", "00D0E5FFFF").fits("00D0E5a1b2"));
  EXPECT_FALSE(range("00D0E50000", "00D0E5FFFF").fits("00D0E5G000"));
  EXPECT_TRUE(range("00-D0-00-00", "00-D0-FF-FF").fits("00-D0-0A-FE"));
  EXPECT_FALSE(range("00-D0-00-00", "00-D0-FF-FF").fits("00-D0-0A0FE"));
  EXPECT_TRUE(range("A1", "A1").fits("A1"));
}

TEST(SerialPattern, ranges_of_several_lengths) {
  EXPECT_TRUE(range("A9", "A120").fits("A10"));
  EXPECT_TRUE(range("A9", "A120").fits("A120"));
  EXPECT_FALSE(range("A9", "A120").fits("A8"));
  EXPECT_FALSE(range("A9", "A120").fits("A121"));
  EXPECT_FALSE(range("A9", "A120").fits("A010"));
  EXPECT_FALSE(range("A9", "A120").fits("A"));
  EXPECT_FALSE(range("A9", "A120").fits("B10"));
  EXPECT_FALSE(range("A9", "A120").fits("A99999999999999999999999"));
}

TEST(SerialPattern, ranges_that_nothing_is_in) {
  for (const auto& [first, last] : std::vector<std::pair<std::string, std::string>>{
           {"A2", "A1"}, {"A120", "A9"}, {"A9", "B120"}, {"A09", "A120"}, {"", "A"}, {"A", ""}, {"A", "A1"}}) {
    EXPECT_FALSE(SerialPattern::range(first, last)) << first << " " << last;
  }
}

TEST(MasaWords, every_quirk_has_a_word) {
  brski::Quirks all{
      "1.2.3", true, true, true, brski::IssuerForm::left_out, brski::SerialSource::common_name, true, true, true,
      true,    true, true, true};
  EXPECT_EQ(in_words(all).size(), 13U);
  EXPECT_TRUE(in_words({}).empty());
  for (const auto form : {brski::IssuerForm::octet_string, brski::IssuerForm::left_out}) {
    EXPECT_EQ(issuer_form_named(name(form)), form);
  }
  EXPECT_EQ(serial_source_named("subjects"), std::nullopt);
  EXPECT_EQ(content_type_named("data"), "1.2.840.113549.1.7.1");
}

TEST(MasaMatch, says_what_it_is_for) {
  MasaMatch match;
  EXPECT_EQ(match.text(), "every device");
  match.serials = {glob("A*"), range("1", "9")};
  match.units = {"yard"};
  EXPECT_EQ(match.text(), "serial number A* or 1..9; OU yard");
}

}  // namespace
}  // namespace imprint::site
