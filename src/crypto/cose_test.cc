// COSE_Sign1, held against messages that others made.
#include "crypto/cose.h"

#include "codec/cbor.h"
#include "crypto/jose_testing.h"
#include "crypto/raw_signature.h"

namespace imprint {
namespace {

using namespace imprint::testing;

constexpr std::string_view kEs256 = "a10126";  // the protected header

Bytes vector_cose(std::string_view id) { return hex_in(vector_in("brski.json", id), "cose"); }

Certificate vector_certificate(const std::string& id) {
  return *Certificate::parse(hex_in(vector_in("brski.json", id), "der"));
}

// A message of these parts, the first in hexadecimal without the head of its byte string, the others with theirs.
Bytes message(std::string_view protected_header, std::string_view unprotected, std::string_view payload = "4101",
              std::string_view signature = "4102") {
  cbor::Writer head;
  head.tag(18);
  head.array(4);
  head.bytes(*from_hex(protected_header));
  return der::concat({std::move(head).out(), *from_hex(unprotected), *from_hex(payload), *from_hex(signature)});
}

// What parse_sign1() says about a message of these parts; internal if it takes it.
Fault verdict(std::string_view protected_header, std::string_view unprotected = "a0",
              std::string_view payload = "4101") {
  return fault(parse_sign1(message(protected_header, unprotected, payload)));
}

Sign1 signed_by(const PrivateKey& key) { return *parse_sign1(*sign_sign1(view("what is said"), key)); }

TEST(Cose, messages_of_others_verify) {
  for (const char* id : {"rfc9052-c21", "cose-es384", "cose-es512"}) {
    const Json vector = vector_in("jose.json", id);
    const auto found = parse_sign1(hex_in(vector, "cose"));
    ASSERT_TRUE(found) << id << found.error().what;
    EXPECT_EQ(as_text(found->payload), vector["payload_text"].get<std::string>());
    EXPECT_EQ(found->key_id, hex_in(vector, "kid"));
    EXPECT_TRUE(found->bag.empty());
    const PublicKey key = key_in(vector);
    EXPECT_TRUE(verify_sign1(*found, key)) << id;
    EXPECT_EQ(fault(verify_sign1(*found, key_of(key.type).public_key())), Fault::unauthentic) << id;
    EXPECT_EQ(fault(verify_sign1(*found, key_of(KeyType::ed25519).public_key())), Fault::unsupported) << id;
    EXPECT_EQ(fault(verify_sign1(*found, key_of(KeyType::rsa2048).public_key())), Fault::unsupported) << id;
  }
}

TEST(Cose, vouchers_of_the_drafts_verify_with_their_signers_key_alone) {
  std::size_t seen = 0;
  for (const char* id :
       {"cbrski-pvr", "cbrski-rvr", "cbrski-voucher", "cose-own-voucher-from-masa", "cose-own-voucher-to-pledge",
        "cose-own-voucher-names", "cose-own-voucher-mixed", "cose-own-voucher-rpk", "cose-own-voucher-rpk-sha256",
        "cose-own-voucher-wrong-nonce", "cose-own-voucher-signed-by-registrar"}) {
    const Json vector = vector_in("brski.json", id);
    const auto found = parse_sign1(hex_in(vector, "cose"));
    ASSERT_TRUE(found) << id << found.error().what;
    EXPECT_EQ(found->algorithm, -7);
    if (vector.contains("payload")) {
      EXPECT_EQ(found->payload, hex_in(vector, "payload")) << id;
    }
    for (const char* by :
         {"cbrski-cert-pledge", "cbrski-cert-registrar", "cbrski-cert-masa_ca", "cbrski-cert-domain_ca"}) {
      const bool made = vector["signer"].get<std::string>() == by;
      seen += made ? 1U : 0U;
      EXPECT_EQ(bool(verify_sign1(*found, vector_certificate(by).key)), made) << id << by;
    }
  }
  EXPECT_EQ(seen, 11U);
}

TEST(Cose, ed25519_makes_the_very_message_that_another_library_made) {
  const Json vector = vector_in("brski.json", "cose-own-voucher-eddsa");
  const PrivateKey key = ed25519_from(hex_in(vector, "ed25519_seed"));
  const auto found = parse_sign1(hex_in(vector, "cose"));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->algorithm, -8);
  EXPECT_TRUE(verify_sign1(*found, key.public_key()));
  EXPECT_EQ(*sign_sign1(found->payload, key), hex_in(vector, "cose"));
}

TEST(Cose, what_a_registrar_strips_leaves_the_signature_good) {
  const auto whole = parse_sign1(vector_cose("cose-own-voucher-from-masa"));
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->bag, std::vector{vector_certificate("cbrski-cert-masa_ca")});
  EXPECT_FALSE(whole->bag_is_protected);
  const auto stripped = without_unprotected(vector_cose("cose-own-voucher-from-masa"));
  EXPECT_EQ(*stripped, vector_cose("cose-own-voucher-to-pledge"));
  EXPECT_TRUE(parse_sign1(*stripped)->bag.empty());
  EXPECT_EQ(*without_unprotected(*stripped), *stripped);
  const Bytes bare(stripped->begin() + 1, stripped->end());
  EXPECT_EQ(*without_unprotected(bare), bare) << "a bare one stays bare";
}

TEST(Cose, what_is_no_message_has_nothing_to_strip) {
  EXPECT_EQ(fault(without_unprotected(message(kEs256, "80"))), Fault::malformed);
  EXPECT_EQ(fault(without_unprotected(message(kEs256, "a0", "f6"))), Fault::unsupported);
  EXPECT_EQ(fault(without_unprotected(Bytes(65537, 0))), Fault::limit);
}

TEST(Cose, certificates_of_a_registrar_are_in_its_bag) {
  const auto request = parse_sign1(vector_cose("cbrski-rvr"));
  ASSERT_TRUE(request);
  ASSERT_EQ(request->bag.size(), 2U);
  EXPECT_EQ(request->bag[0].subject.first("CN"), "Custom-ER Commercial Buildings Registrar");
  EXPECT_EQ(request->bag[1].subject.first("CN"), "Custom-ER Global CA");
  EXPECT_TRUE(verify_sign1(*request, request->bag[0].key));
  EXPECT_FALSE(verify_sign1(*request, request->bag[1].key));
  EXPECT_FALSE(request->bag_is_protected);
}

TEST(Cose, signed_by_each_kind_of_key) {
  for (const auto& [type, algorithm, header, width] :
       {std::tuple(KeyType::p256, -7, "a10126", 64U), std::tuple(KeyType::p384, -35, "a1013822", 96U),
        std::tuple(KeyType::p521, -36, "a1013823", 132U), std::tuple(KeyType::ed25519, -8, "a10127", 64U)}) {
    // Often enough that a number of fewer octets, which is padded, is among them.
    for (int i = 0; i < 40; ++i) {
      const Sign1 found = signed_by(key_of(type));
      EXPECT_EQ(found.algorithm, algorithm);
      EXPECT_EQ(hex(found.protected_header), header);
      EXPECT_EQ(found.signature.size(), width);
      EXPECT_EQ(as_text(found.payload), "what is said");
      EXPECT_TRUE(verify_sign1(found, key_of(type).public_key()));
    }
  }
  EXPECT_EQ(fault(sign_sign1(view("x"), key_of(KeyType::rsa2048))), Fault::unsupported);
  EXPECT_FALSE(sign_sign1(view("x"), PrivateKey()));
  EXPECT_TRUE(parse_sign1(*sign_sign1({}, key_of(KeyType::p256)))->payload.empty());
}

TEST(Cose, certificates_and_the_keys_identifier_are_sent_along) {
  const PrivateKey& key = key_of(KeyType::p256);
  const std::vector<Certificate> both{certificate_for(key), certificate_for(key_of(KeyType::p384))};
  for (const bool protect : {false, true}) {
    for (const std::size_t n : {1U, 2U}) {
      const std::vector<Certificate> bag(both.begin(), both.begin() + static_cast<std::ptrdiff_t>(n));
      const auto made = sign_sign1(view("x"), key, {bag, protect, {1, 2, 3}});
      ASSERT_TRUE(made);
      const auto found = parse_sign1(*made);
      ASSERT_TRUE(found) << found.error().what;
      EXPECT_EQ(found->bag, bag);
      EXPECT_EQ(found->bag_is_protected, protect);
      EXPECT_EQ(found->key_id, (Bytes{1, 2, 3}));
      EXPECT_TRUE(verify_sign1(*found, key.public_key()));
      const auto stripped = parse_sign1(*without_unprotected(*made));
      EXPECT_EQ(stripped->bag.size(), protect ? n : 0);
      EXPECT_TRUE(stripped->key_id.empty());
      EXPECT_TRUE(verify_sign1(*stripped, key.public_key()));
    }
  }
}

TEST(Cose, a_chain_under_the_signature_stays_where_the_bag_is_taken_out) {
  const PrivateKey& key = key_of(KeyType::p256);
  const Certificate own = certificate_for(key), above = certificate_for(key_of(KeyType::p384));
  const Bytes made = *sign_sign1(view("x"), key, {{own, above}, false, {}, {own}});
  const auto whole = parse_sign1(made);
  ASSERT_TRUE(whole) << whole.error().what;
  EXPECT_EQ(whole->bag, (std::vector{own, own, above}));
  EXPECT_FALSE(whole->bag_is_protected);
  const auto stripped = parse_sign1(*without_unprotected(made));
  EXPECT_EQ(stripped->bag, std::vector{own});
  EXPECT_TRUE(stripped->bag_is_protected);
  EXPECT_TRUE(verify_sign1(*stripped, key.public_key()));
  EXPECT_EQ(
      sign_sign1(view("x"), key, {std::vector<Certificate>(20, own), false, {}, std::vector(13, own)}).error().fault,
      Fault::limit);
}

TEST(Cose, no_more_is_signed_than_is_read) {
  const PrivateKey& key = key_of(KeyType::p256);
  const std::size_t around = sign_sign1(Bytes(60000, 7), key)->size() - 60000;
  const auto most = sign_sign1(Bytes(65536 - around, 7), key);
  ASSERT_TRUE(most);
  EXPECT_TRUE(parse_sign1(*most));
  EXPECT_EQ(fault(sign_sign1(Bytes(65537 - around, 7), key)), Fault::limit);
  EXPECT_EQ(fault(parse_sign1(Bytes(65537, 0))), Fault::limit);
  const Certificate one = certificate_for(key);
  EXPECT_EQ(parse_sign1(*sign_sign1({}, key, {std::vector(32, one), true, {}}))->bag.size(), 32U);
  EXPECT_EQ(fault(sign_sign1({}, key, {std::vector(33, one), true, {}})), Fault::limit);
}

TEST(Cose, cut_short_is_malformed) {
  for (const char* id : {"cose-own-voucher-rpk-sha256", "cose-own-voucher-from-masa"}) {
    Bytes whole = vector_cose(id);
    for (std::size_t n = 0; n < whole.size(); ++n) {
      EXPECT_EQ(fault(parse_sign1(BytesView(whole).first(n))), Fault::malformed) << n;
      EXPECT_EQ(fault(without_unprotected(BytesView(whole).first(n))), Fault::malformed) << n;
    }
    whole.push_back(0);
    EXPECT_EQ(fault(parse_sign1(whole)), Fault::malformed);
  }
}

TEST(Cose, no_bit_can_be_changed) {
  for (const KeyType type : {KeyType::p256, KeyType::ed25519}) {
    const PrivateKey& key = key_of(type);
    const Bytes whole = *sign_sign1(view("what is said"), key);
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
      Bytes changed = whole;
      changed[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
      const auto found = parse_sign1(changed);
      EXPECT_FALSE(found && verify_sign1(*found, key.public_key())) << bit;
    }
  }
}

TEST(Cose, tagged_or_bare) {
  const Bytes whole = vector_cose("cbrski-pvr");
  const auto tagged = parse_sign1(whole), bare = parse_sign1(BytesView(whole).subspan(1));
  ASSERT_TRUE(tagged && bare);
  EXPECT_EQ(tagged->payload, bare->payload);
  EXPECT_TRUE(verify_sign1(*bare, vector_certificate("cbrski-cert-pledge").key));
  Bytes other = whole;
  other[0] = 0xd1;  // COSE_Mac0
  EXPECT_EQ(fault(parse_sign1(other)), Fault::malformed);
  const Bytes twice = der::concat({Bytes{0xd2}, whole});
  EXPECT_EQ(fault(parse_sign1(twice)), Fault::malformed);
}

TEST(Cose, other_structures_are_malformed) {
  EXPECT_EQ(verdict(kEs256), Fault::internal) << "what the others are changed from is taken";
  for (const char* text : {
           "",                          // nothing
           "f6",                        // no array
           "d28343a10126a04101",        // three parts
           "d28543a10126a04101410200",  // five
           "d284a10126a041014102",      // a protected header that is no byte string
           "d28443a10126f641014102",    // an unprotected one that is no map
           "d28443a101264041014102",
           "d28443a10126a061314102",  // a payload that is text
           "d28443a10126a0014102",
           "d28443a10126a04101f6",  // no signature
           "d28443a10126a041016132",
           "d2845f43a10126ffa041014102",  // a length that is not told beforehand
           "d2845803a10126a041014102",    // a longer head than it takes
           "d2849fff",
       }) {
    EXPECT_EQ(fault(parse_sign1(*from_hex(text))), Fault::malformed) << text;
  }
  for (const char* header : {"80", "00", "a1", "a101", "a20126", "a1012600", "ff", "a1f626", "a1f526", "a201268000",
                             "a201264000", "a20126a000", "a20126c00000"}) {
    EXPECT_EQ(verdict(header), Fault::malformed) << header;
  }
}

TEST(Cose, algorithms_other_than_the_four_and_none_are_unsupported) {
  for (const char* header :
       {"", "a0", "a10100", "a10101", "a10120", "a1013818", "a1012e", "a101390100", "a10105", "a1013bffffffffffffffff",
        "a1011bffffffffffffffff", "a101f6", "a1014126", "a1018126", "a1010a", "a101390100"}) {
    EXPECT_EQ(verdict(header), Fault::unsupported) << header;
  }
  EXPECT_EQ(verdict("a101654553323536"), Fault::unsupported) << "by its name";
  EXPECT_EQ(verdict("", "a10126"), Fault::unsupported) << "not under the signature";
  EXPECT_EQ(verdict("a0", "a10126"), Fault::unsupported);
}

TEST(Cose, an_algorithm_takes_its_own_kind_of_key_only) {
  Sign1 found = signed_by(key_of(KeyType::p256));
  for (const std::int64_t other : {-35, -36, -8, -257, 0}) {
    found.algorithm = other;
    EXPECT_EQ(fault(verify_sign1(found, key_of(KeyType::p256).public_key())), Fault::unsupported) << other;
  }
  found.algorithm = -7;
  EXPECT_TRUE(verify_sign1(found, key_of(KeyType::p256).public_key()));
  for (const KeyType type : {KeyType::p384, KeyType::p521, KeyType::ed25519, KeyType::rsa2048}) {
    EXPECT_EQ(fault(verify_sign1(found, key_of(type).public_key())), Fault::unsupported) << name(type);
  }
}

TEST(Cose, a_label_stands_once) {
  EXPECT_EQ(verdict("a201260126"), Fault::malformed);
  EXPECT_EQ(verdict("a201260127"), Fault::malformed);
  EXPECT_EQ(verdict(kEs256, "a10126"), Fault::malformed) << "in both headers";
  EXPECT_EQ(verdict(kEs256, "a2044101044102"), Fault::malformed);
  EXPECT_EQ(verdict("a30126616101616102"), Fault::malformed) << "names";
  EXPECT_EQ(verdict("a301263901000139010002"), Fault::malformed) << "negative ones";
  EXPECT_EQ(verdict("a20126044101", "a1044101"), Fault::malformed);
  EXPECT_EQ(verdict(kEs256, "a304410118640a616101"), Fault::internal);
}

TEST(Cose, what_it_must_not_do_without_is_unsupported) {
  EXPECT_EQ(verdict("a201260281182a"), Fault::unsupported) << "critical labels";
  EXPECT_EQ(verdict("a20126028104"), Fault::unsupported);
  EXPECT_EQ(verdict(kEs256, "a1028104"), Fault::unsupported);
  EXPECT_EQ(verdict(kEs256, "a0", "f6"), Fault::unsupported) << "a payload that is elsewhere";
}

TEST(Cose, labels_are_counted) {
  const auto header = [](std::uint64_t labels) {
    cbor::Writer w;
    w.map(labels);
    w.number(1);
    w.negative(6);
    for (std::uint64_t i = 1; i < labels; ++i) {
      w.number(1000 + i);
      w.null();
    }
    return hex(std::move(w).out());
  };
  EXPECT_EQ(verdict(header(32)), Fault::internal);
  EXPECT_EQ(verdict(header(33)), Fault::limit);
  EXPECT_EQ(verdict("bbffffffffffffffff"), Fault::limit);
}

TEST(Cose, what_is_unknown_nests_so_deep_and_may_have_any_form) {
  const auto deep = [](int depth) {
    std::string out = "a11864";
    for (int i = 0; i < depth; ++i) {
      out += i % 2 == 0 ? "81" : "c1";
    }
    return out;
  };
  EXPECT_EQ(verdict(kEs256, deep(15) + "00"), Fault::internal);
  EXPECT_EQ(verdict(kEs256, deep(15)), Fault::malformed);
  EXPECT_EQ(verdict(kEs256, deep(30000) + "00"), Fault::malformed);
  for (const char* value : {"f97e00", "f7", "9f01ff", "bf616101ff", "7f6161ff", "1b0000000000000001", "d80100"}) {
    EXPECT_EQ(verdict(kEs256, std::string("a11864") + value), Fault::internal) << value;
    EXPECT_EQ(verdict(std::string("a201261864") + value), Fault::internal) << value;
  }
  EXPECT_EQ(verdict(kEs256, "a1186481"), Fault::malformed);
}

TEST(Cose, certificates_wherever_they_stand) {
  const Certificate one = certificate_for(key_of(KeyType::p256)), other = certificate_for(key_of(KeyType::p384));
  const auto with = [](std::uint64_t label, const std::vector<Bytes>& ders, bool in_array, bool algorithm) {
    cbor::Writer w;
    w.map(algorithm ? 2 : 1);
    if (algorithm) {
      w.number(1);
      w.negative(6);
    }
    w.number(label);
    if (in_array) {
      w.array(ders.size());
    }
    for (const Bytes& der : ders) {
      w.bytes(der);
    }
    return hex(std::move(w).out());
  };
  const auto read = [](std::string_view protected_header, std::string_view unprotected) {
    return *parse_sign1(message(protected_header, unprotected));
  };
  for (const std::uint64_t label : {32U, 33U}) {
    const Sign1 outside = read(kEs256, with(label, {one.der, other.der}, true, false));
    EXPECT_EQ(outside.bag, (std::vector{one, other}));
    EXPECT_FALSE(outside.bag_is_protected);
    const Sign1 inside = read(with(label, {one.der}, false, true), "a0");
    EXPECT_EQ(inside.bag, std::vector{one});
    EXPECT_TRUE(inside.bag_is_protected);
    EXPECT_EQ(read(with(label, {one.der}, true, true), "a0").bag, std::vector{one}) << "an array of one";
  }
  const Sign1 both = read(with(33, {one.der}, false, true), with(32, {other.der}, false, false));
  EXPECT_EQ(both.bag, (std::vector{one, other}));
  EXPECT_FALSE(both.bag_is_protected);
  // One that cannot be read.
  const Sign1 some = read(with(32, {{0x30, 0x00}, one.der}, true, true), "a0");
  EXPECT_EQ(some.bag, std::vector{one});
  EXPECT_TRUE(some.bag_is_protected);
  EXPECT_FALSE(read(with(32, {{0x30, 0x00}}, false, true), "a0").bag_is_protected) << "there is none";
  EXPECT_FALSE(read(with(33, {one.der}, false, true), with(32, {{1}}, false, false)).bag_is_protected);
  EXPECT_EQ(verdict(kEs256, with(32, std::vector(32, Bytes{1}), true, false)), Fault::internal);
  EXPECT_EQ(verdict(kEs256, with(32, std::vector(33, Bytes{1}), true, false)), Fault::limit);
  EXPECT_EQ(verdict(with(33, std::vector(20, Bytes{1}), true, true), with(32, std::vector(20, Bytes{1}), true, false)),
            Fault::limit)
      << "of both";
}

TEST(Cose, a_bag_and_an_identifier_of_another_type_are_malformed) {
  for (const char* header :
       {"a1182000", "a1182060", "a11820a0", "a118208100", "a1182082410100", "a1182081814101", "a11820f6", "a10401",
        "a104613100", "a1046131", "a104814131", "a118219bffffffffffffffff"}) {
    EXPECT_EQ(verdict(kEs256, header), Fault::malformed) << header;
  }
  EXPECT_EQ(verdict(kEs256, "a1182080"), Fault::internal) << "an empty one";
  EXPECT_EQ(verdict(kEs256, "a10440"), Fault::internal);
}

// ---- the two numbers of ECDSA ----

// The order of P-256's group.
Bytes order() { return *from_hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"); }

TEST(Cose, a_signature_has_its_width) {
  for (const KeyType type : {KeyType::p256, KeyType::p384, KeyType::p521, KeyType::ed25519}) {
    const PublicKey key = key_of(type).public_key();
    const Sign1 good = signed_by(key_of(type));
    ASSERT_TRUE(verify_sign1(good, key));
    const auto with = [&](const Bytes& signature) {
      Sign1 changed = good;
      changed.signature = signature;
      return fault(verify_sign1(changed, key));
    };
    EXPECT_EQ(with({}), Fault::unauthentic);
    EXPECT_EQ(with(Bytes(good.signature.begin() + 1, good.signature.end())), Fault::unauthentic);
    EXPECT_EQ(with(Bytes(good.signature.begin(), good.signature.end() - 1)), Fault::unauthentic);
    EXPECT_EQ(with(der::concat({good.signature, Bytes{0}})), Fault::unauthentic);
    EXPECT_EQ(with(der::concat({Bytes{0}, good.signature})), Fault::unauthentic);
    EXPECT_EQ(with(Bytes(good.signature.size(), 0)), Fault::unauthentic);
    // Each number with a zero in front.
    const BytesView r = BytesView(good.signature).first(good.signature.size() / 2);
    const BytesView s = BytesView(good.signature).subspan(r.size());
    EXPECT_EQ(with(der::concat({Bytes{0}, r, Bytes{0}, s})), Fault::unauthentic);
    EXPECT_EQ(with(der::sequence({der::integer(r), der::integer(s)})), Fault::unauthentic) << "as X.509 has it";
  }
}

TEST(Cose, numbers_of_a_signature_are_neither_zero_nor_the_order) {
  const PublicKey key = key_of(KeyType::p256).public_key();
  const Sign1 good = signed_by(key_of(KeyType::p256));
  for (const std::ptrdiff_t at : {0, 32}) {
    for (const Bytes& number : {Bytes(32, 0), order(), Bytes(32, 0xff)}) {
      Sign1 changed = good;
      std::ranges::copy(number, changed.signature.begin() + at);
      EXPECT_EQ(fault(verify_sign1(changed, key)), Fault::unauthentic) << at << hex(number);
    }
  }
}

TEST(Cose, a_signature_of_a_token_is_two_positive_numbers_that_fit) {
  const Bytes one = *from_hex("020101"), two = *from_hex("02020102"), high = *from_hex("020300ff00");
  const auto of = [](std::initializer_list<BytesView> numbers) { return raw::side_by_side(der::sequence(numbers), 2); };
  EXPECT_EQ(hex(*of({one, two})), "00010102");
  EXPECT_EQ(hex(*of({high, one})), "ff000001");
  const Bytes zero = *from_hex("020100"), negative = *from_hex("0201ff"), padded = *from_hex("02020001"),
              long_one = *from_hex("0203010000"), none = *from_hex("0200"), octets = *from_hex("040101");
  for (const Bytes& bad : {zero, negative, padded, long_one, none, octets, Bytes()}) {
    EXPECT_FALSE(of({bad, two})) << hex(bad);
    EXPECT_FALSE(of({two, bad})) << hex(bad);
  }
  EXPECT_FALSE(of({one, two, one}));
  EXPECT_FALSE(raw::side_by_side(der::concat({der::sequence({one, two}), Bytes{0}}), 2));
  EXPECT_FALSE(raw::side_by_side({}, 2));
}

// n - s makes as good a signature as s: nothing of ours takes a signature for the name of a message.
TEST(Cose, either_s_is_taken) {
  const Sign1 good = signed_by(key_of(KeyType::p256));
  const Bytes n = order();
  Sign1 other = good;
  int borrow = 0;
  for (std::size_t i = 32; i-- > 0;) {
    const int difference = n[i] - good.signature[32 + i] - borrow;
    borrow = difference < 0 ? 1 : 0;
    other.signature[32 + i] = static_cast<std::uint8_t>(difference);
  }
  EXPECT_NE(other.signature, good.signature);
  EXPECT_TRUE(verify_sign1(other, key_of(KeyType::p256).public_key()));
}

}  // namespace
}  // namespace imprint
