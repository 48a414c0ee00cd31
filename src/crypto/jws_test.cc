// JWS, held against messages that others made.
#include "crypto/jws.h"

#include "crypto/jose_testing.h"

namespace imprint {
namespace {

using namespace imprint::testing;

std::string text_of(const Json& json) { return json.dump(); }

// A message of these protected headers over "x", each with a signature of one octet.
std::string message(const std::vector<std::string>& headers, const Json& payload = "eA") {
  Json out = {{"payload", payload}, {"signatures", Json::array()}};
  for (const std::string& header : headers) {
    out["signatures"].push_back({{"protected", base64url(view(header))}, {"signature", "AQ"}});
  }
  return text_of(out);
}

// What parse_jws() says about a message with this protected header; internal if it takes it.
Fault verdict(const std::string& header) { return fault(parse_jws(message({header}))); }

JwsSignature signed_by(const PrivateKey& key) {
  return parse_jws(*sign_jws(view("what is said"), key))->signatures.front();
}

TEST(Jws, messages_of_others_verify) {
  for (const char* id : {"rfc7515-a3", "rfc7515-a4", "rfc8037-a4"}) {
    const Json vector = vector_in("jose.json", id);
    const auto found = parse_jws(vector["jws"].get<std::string>());
    ASSERT_TRUE(found) << id << found.error().what;
    EXPECT_EQ(as_text(found->payload), vector["payload_text"].get<std::string>());
    ASSERT_EQ(found->signatures.size(), 1U);
    const JwsSignature& one = found->signatures.front();
    EXPECT_TRUE(one.type.empty() && one.key_id.empty() && one.created_on.empty() && one.chain.empty());
    const PublicKey key = key_in(vector);
    EXPECT_TRUE(verify_jws(one, key)) << id;
    EXPECT_EQ(fault(verify_jws(one, key_of(key.type).public_key())), Fault::unauthentic) << id;
    EXPECT_EQ(fault(verify_jws(one, key_of(KeyType::p384).public_key())), Fault::unsupported) << id;
    EXPECT_EQ(fault(verify_jws(one, key_of(KeyType::rsa2048).public_key())), Fault::unsupported) << id;
  }
}

// RFC 8037 appendix A.1 and A.4: Ed25519 signs one way only.
TEST(Jws, ed25519_makes_the_very_message_of_the_rfc) {
  const PrivateKey key = ed25519_from(*from_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
  const Json vector = vector_in("jose.json", "rfc8037-a4");
  EXPECT_EQ(*sign_jws(view(vector["payload_text"].get<std::string>()), key), vector["jws"].get<std::string>());
}

TEST(Jws, vouchers_of_the_drafts_verify_with_their_leaf) {
  for (const auto& [id, signatures, type] :
       {std::tuple("jws-pvr", 1U, "voucher-jws+json"), std::tuple("jws-rvr", 1U, "voucher-jws+json"),
        std::tuple("jws-voucher", 1U, "voucher-jws+json"), std::tuple("prm-pvr", 1U, "voucher-jws+json"),
        std::tuple("prm-rvr", 1U, "voucher-jws+json"), std::tuple("prm-voucher", 1U, ""),
        std::tuple("prm-voucher-countersigned", 2U, "voucher-jws+json")}) {
    const Json vector = vector_in("brski.json", id);
    const auto found = parse_jws(vector["general_json"].get<std::string>());
    ASSERT_TRUE(found) << id << found.error().what;
    EXPECT_EQ(as_text(found->payload), vector["payload_text"].get<std::string>()) << id;
    ASSERT_EQ(found->signatures.size(), signatures) << id;
    for (const JwsSignature& one : found->signatures) {
      EXPECT_EQ(one.type, type) << id;
      EXPECT_EQ(one.algorithm, "ES256") << id;
      ASSERT_FALSE(one.chain.empty()) << id;
      EXPECT_TRUE(verify_jws(one, one.chain.front().key)) << id;
      EXPECT_EQ(fault(verify_jws(one, key_of(KeyType::p256).public_key())), Fault::unauthentic) << id;
    }
  }
}

TEST(Jws, each_of_two_signatures_is_its_signers_own) {
  const auto found = parse_jws(vector_in("brski.json", "prm-voucher-countersigned")["general_json"].get<std::string>());
  ASSERT_TRUE(found);
  const JwsSignature &one = found->signatures[0], &other = found->signatures[1];
  EXPECT_EQ(fault(verify_jws(one, other.chain.front().key)), Fault::unauthentic);
  EXPECT_EQ(fault(verify_jws(other, one.chain.front().key)), Fault::unauthentic);
}

TEST(Jws, signed_by_each_kind_of_key) {
  for (const auto& [type, algorithm, width] :
       {std::tuple(KeyType::p256, "ES256", 64U), std::tuple(KeyType::p384, "ES384", 96U),
        std::tuple(KeyType::p521, "ES512", 132U), std::tuple(KeyType::ed25519, "EdDSA", 64U)}) {
    const auto found = parse_jws(*sign_jws(view("what is said"), key_of(type)));
    ASSERT_TRUE(found) << found.error().what;
    EXPECT_EQ(as_text(found->payload), "what is said");
    ASSERT_EQ(found->signatures.size(), 1U);
    const JwsSignature& one = found->signatures.front();
    EXPECT_EQ(one.algorithm, algorithm);
    EXPECT_EQ(one.signature.size(), width);
    EXPECT_EQ(one.signed_text, base64url(view("{\"alg\":\"" + std::string(algorithm) + "\"}")) + ".d2hhdCBpcyBzYWlk");
    EXPECT_TRUE(verify_jws(one, key_of(type).public_key()));
  }
  EXPECT_EQ(fault(sign_jws(view("x"), key_of(KeyType::rsa2048))), Fault::unsupported);
  EXPECT_FALSE(sign_jws(view("x"), PrivateKey()));
  EXPECT_TRUE(parse_jws(*sign_jws({}, key_of(KeyType::p256)))->payload.empty());
}

TEST(Jws, what_is_not_signed_repeats_nothing_that_is_and_is_never_critical) {
  const auto with_header = [](const Json& header) {
    Json out = Json::parse(message({R"({"alg":"ES256"})"}));
    out["signatures"][0]["header"] = header;
    return fault(parse_jws(out.dump()));
  };
  EXPECT_EQ(with_header({{"kid", "beside"}}), Fault::internal) << "it is passed over";
  EXPECT_EQ(with_header({{"alg", "none"}}), Fault::malformed);
  EXPECT_EQ(with_header({{"crit", {"x"}}}), Fault::malformed);
  EXPECT_EQ(with_header("text"), Fault::malformed);
}

TEST(Jws, what_the_header_says_is_sent_along) {
  const PrivateKey& key = key_of(KeyType::p256);
  const std::vector<Certificate> chain{certificate_for(key), certificate_for(key_of(KeyType::p384))};
  const auto found = parse_jws(*sign_jws(view("x"), key, {"voucher-jws+json", "the \"key\"", chain}));
  ASSERT_TRUE(found) << found.error().what;
  const JwsSignature& one = found->signatures.front();
  EXPECT_EQ(one.type, "voucher-jws+json");
  EXPECT_EQ(one.key_id, "the \"key\"");
  EXPECT_EQ(one.chain, chain);
  EXPECT_TRUE(verify_jws(one, chain.front().key));
}

TEST(Jws, no_more_is_signed_than_is_read) {
  const PrivateKey& key = key_of(KeyType::p256);
  const std::size_t around = sign_jws({}, key)->size();
  const std::size_t most = (65536 - around) * 3 / 4;  // four characters for three octets
  EXPECT_EQ(fault(sign_jws(Bytes(most + 1, 7), key)), Fault::limit);
  EXPECT_TRUE(parse_jws(*sign_jws(Bytes(most, 7), key)));
  EXPECT_EQ(fault(parse_jws(std::string(65537, ' '))), Fault::limit);
  const Certificate one = certificate_for(key);
  EXPECT_EQ(parse_jws(*sign_jws({}, key, {"", "", std::vector(32, one)}))->signatures.front().chain.size(), 32U);
  EXPECT_EQ(fault(sign_jws({}, key, {"", "", std::vector(33, one)})), Fault::limit);
}

TEST(Jws, cut_short_is_malformed) {
  for (const char* id : {"rfc7515-a3", "rfc8037-a4"}) {
    const auto whole = vector_in("jose.json", id)["jws"].get<std::string>();
    for (std::size_t n = 0; n < whole.size(); ++n) {
      EXPECT_EQ(fault(parse_jws(whole.substr(0, n))), Fault::malformed) << n;
    }
    EXPECT_EQ(fault(parse_jws(whole + "}")), Fault::malformed);
  }
}

TEST(Jws, no_bit_can_be_changed) {
  for (const KeyType type : {KeyType::p256, KeyType::ed25519}) {
    const PrivateKey& key = key_of(type);
    const std::string whole = *sign_jws(view("what is said"), key);
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
      std::string changed = whole;
      changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
      const auto found = parse_jws(changed);
      EXPECT_FALSE(found && verify_jws(found->signatures.front(), key.public_key())) << bit;
    }
  }
}

// The payload that counts is the one that is signed, whatever the other signatures say.
TEST(Jws, a_signature_of_another_message_does_not_hold) {
  const PrivateKey& key = key_of(KeyType::p256);
  Json one = *parse_json(*sign_jws(view("one"), key));
  const Json other = *parse_json(*sign_jws(view("other"), key));
  one["signatures"].push_back(other["signatures"][0]);
  const auto found = parse_jws(text_of(one));
  ASSERT_TRUE(found);
  EXPECT_TRUE(verify_jws(found->signatures[0], key.public_key()));
  EXPECT_EQ(fault(verify_jws(found->signatures[1], key.public_key())), Fault::unauthentic);
}

TEST(Jws, algorithms_other_than_the_four_and_none_are_unsupported) {
  EXPECT_EQ(verdict(R"({"alg":"ES256"})"), Fault::internal) << "what the others are changed from is taken";
  for (const char* header : {R"({"alg":"none"})", R"({"alg":"None"})", R"({"alg":""})", R"({"alg":"HS256"})",
                             R"({"alg":"RS256"})", R"({"alg":"PS256"})", R"({"alg":"ES256K"})", R"({"alg":"es256"})",
                             R"({"alg":"ES256 "})", R"({"alg":"ES256\u0000"})", R"({})", R"({"typ":"x"})"}) {
    EXPECT_EQ(verdict(header), Fault::unsupported) << header;
  }
  for (const char* header : {R"({"alg":null})", R"({"alg":-7})", R"({"alg":["ES256"]})"}) {
    EXPECT_EQ(verdict(header), Fault::malformed) << header;
  }
  // Not under the signature.
  Json outside = *parse_json(message({"{}"}));
  outside["signatures"][0]["header"] = {{"alg", "ES256"}};
  EXPECT_EQ(fault(parse_jws(text_of(outside))), Fault::unsupported);
}

// Each signature stands for itself: one that we do not understand takes nothing from another, and lends it nothing.
TEST(Jws, a_signature_that_is_not_understood_stands_beside_a_good_one_and_proves_nothing) {
  const PrivateKey& key = key_of(KeyType::p256);
  const Json good = *parse_json(*sign_jws(view("what is said"), key));
  for (const char* header :
       {R"({"alg":"none"})", R"({"alg":"ML-DSA-44"})", "{}", R"({"alg":"ES256","crit":["exp"],"exp":1})"}) {
    Json both = good;
    const Json other = *parse_json(message({header}));
    both["signatures"].insert(both["signatures"].begin(), other["signatures"][0]);
    const auto found = parse_jws(text_of(both));
    ASSERT_TRUE(found) << header << found.error().what;
    ASSERT_EQ(found->signatures.size(), 2U);
    EXPECT_FALSE(found->signatures[0].understood);
    EXPECT_TRUE(found->signatures[1].understood);
    EXPECT_TRUE(verify_jws(found->signatures[1], key.public_key()));
    JwsSignature lent = found->signatures[1];
    lent.understood = false;
    EXPECT_EQ(fault(verify_jws(lent, key.public_key())), Fault::unsupported);
    EXPECT_EQ(fault(verify_jws(found->signatures[0], key.public_key())), Fault::unsupported);
  }
  EXPECT_EQ(fault(parse_jws(message({R"({"alg":"none"})", R"({"alg":"HS256"})"}))), Fault::unsupported);
}

TEST(Jws, an_algorithm_takes_its_own_kind_of_key_only) {
  JwsSignature one = signed_by(key_of(KeyType::p256));
  for (const char* other : {"ES384", "ES512", "EdDSA", "none", ""}) {
    one.algorithm = other;
    EXPECT_EQ(fault(verify_jws(one, key_of(KeyType::p256).public_key())), Fault::unsupported) << other;
  }
}

TEST(Jws, other_headers_are_malformed) {
  for (const char* header :
       {"", "null", "[]", "\"ES256\"", "{", R"({"alg":"ES256"}x)", R"({"alg":"ES256","alg":"ES256"})",
        R"({"alg":"ES256","alg":"none"})", R"({"alg":"ES256","typ":1})", R"({"alg":"ES256","kid":[]})",
        R"({"alg":"ES256","created-on":1})", R"({"alg":"ES256","x5c":{}})", R"({"alg":"ES256","x5c":[]})",
        R"({"alg":"ES256","x5c":[1]})", R"({"alg":"ES256","x5c":"MAA="})", R"({"alg":"ES256","x5c":["MAA="]})",
        R"({"alg":"ES256","x5c":["A-_="]})"}) {
    EXPECT_EQ(verdict(header), Fault::malformed) << header;
  }
}

TEST(Jws, certificates_are_counted_and_none_is_left_out) {
  const PrivateKey& key = key_of(KeyType::p256);
  const std::string good = base64(certificate_for(key).der);
  Json header = {{"alg", "ES256"}, {"x5c", std::vector(32, good)}};
  EXPECT_EQ(verdict(text_of(header)), Fault::internal);
  header["x5c"][0] = "MAA=";
  EXPECT_EQ(verdict(text_of(header)), Fault::malformed);
  header["x5c"] = std::vector(33, std::string("MAA="));
  EXPECT_EQ(verdict(text_of(header)), Fault::limit);
}

TEST(Jws, what_it_must_not_do_without_is_unsupported) {
  for (const char* header :
       {R"({"alg":"ES256","crit":["exp"],"exp":1})", R"({"alg":"ES256","crit":["b64"],"b64":false})",
        R"({"alg":"ES256","crit":["created-on","exp"],"created-on":"x","exp":1})", R"({"alg":"ES256","crit":[1]})",
        R"({"alg":"ES256","crit":["created-on","created-on"],"created-on":"x"})"}) {
    EXPECT_EQ(verdict(header), Fault::unsupported) << header;
  }
  for (const char* header :
       {R"({"alg":"ES256","crit":[]})", R"({"alg":"ES256","crit":null})",
        R"({"alg":"ES256","crit":"created-on","created-on":"x"})", R"({"alg":"ES256","crit":["created-on"]})"}) {
    EXPECT_EQ(verdict(header), Fault::malformed) << header;
  }
  const auto found =
      parse_jws(message({R"({"alg":"ES256","crit":["created-on"],"created-on":"2026-11-22T10:00:00Z"})"}));
  ASSERT_TRUE(found) << found.error().what;
  EXPECT_EQ(found->signatures.front().created_on, "2026-11-22T10:00:00Z");
}

TEST(Jws, other_structures_are_malformed) {
  const std::string head = base64url(view(R"({"alg":"ES256"})"));
  const std::string one = R"({"protected":")" + head + R"(","signature":"AQ"})";
  const auto whole = [](const std::string& payload, const std::string& signatures) {
    return R"({"payload":)" + payload + R"(,"signatures":)" + signatures + "}";
  };
  ASSERT_TRUE(parse_jws(whole(R"("eA")", "[" + one + "]")));
  for (const std::string& text :
       {std::string(),
        std::string("null"),
        std::string("[]"),
        std::string("{}"),
        head + ".eA.AQ",
        R"({"payload":"eA"})" + std::string(),
        R"({"signatures":[)" + one + "]}",
        whole("null", "[" + one + "]"),
        whole("1", "[" + one + "]"),
        whole("{}", "[" + one + "]"),
        whole(R"("eA")", "[]"),
        whole(R"("eA")", "null"),
        whole(R"("eA")", one),
        whole(R"("eA")", "[null]"),
        whole(R"("eA")", R"([{"protected":")" + head + R"("}])"),
        whole(R"("eA")", R"([{"signature":"AQ"}])"),
        whole(R"("eA")", R"([{"protected":{"alg":"ES256"},"signature":"AQ"}])"),
        whole(R"("eA")", R"([{"protected":")" + head + R"(","signature":null}])"),
        whole(R"("eA")", "[" + one + R"(],"payload":"eA")"),
        whole(R"("eA")", "[" + one + R"(],"signatures":[])"),
        whole(R"("eA")", "[" + one + R"(],"signature":"AQ")"),
        whole(R"("eA")", "[" + one + std::string(R"(],"protected":")").append(head).append("\"")),
        whole(R"("eA")", "[" + one + R"(],"header":{})"),
        R"({"payload":"eA","protected":")" + head + R"(","signature":"AQ"})"}) {
    EXPECT_EQ(fault(parse_jws(text)), Fault::malformed) << text;
  }
  EXPECT_EQ(fault(parse_jws(message(std::vector(5, std::string(R"({"alg":"ES256"})"))))), Fault::limit);
  EXPECT_EQ(parse_jws(message(std::vector(4, std::string(R"({"alg":"ES256"})"))))->signatures.size(), 4U);
  EXPECT_TRUE(parse_jws(whole(R"("eA")", "[" + one + R"(],"other":1)"))) << "what is unknown is passed over";
}

TEST(Jws, base64url_is_strict) {
  const PrivateKey& key = key_of(KeyType::p256);
  const Json whole = *parse_json(*sign_jws(view("x"), key));
  for (const std::string& more : {std::string("="), std::string("=="), std::string("\n"), std::string(" "),
                                  std::string("+"), std::string("/"), std::string("."), std::string("\0", 1)}) {
    Json payload = whole, header = whole, signature = whole;
    payload["payload"] = whole["payload"].get<std::string>() + more;
    header["signatures"][0]["protected"] = whole["signatures"][0]["protected"].get<std::string>() + more;
    signature["signatures"][0]["signature"] = whole["signatures"][0]["signature"].get<std::string>() + more;
    for (const Json& one : {payload, header, signature}) {
      EXPECT_EQ(fault(parse_jws(text_of(one))), Fault::malformed) << text_of(one);
    }
  }
  EXPECT_EQ(fault(parse_jws(message({R"({"alg":"ES256"})"}, "eB"))), Fault::malformed) << "bits left over";
}

TEST(Jws, depth_is_bounded_inside_and_outside) {
  const auto nested = [](int depth) {
    return std::string(std::size_t(depth), '[') + std::string(std::size_t(depth), ']');
  };
  EXPECT_EQ(verdict(R"({"alg":"ES256","x":)" + nested(60) + "}"), Fault::internal);
  EXPECT_EQ(verdict(R"({"alg":"ES256","x":)" + nested(20000) + "}"), Fault::limit);
  EXPECT_EQ(fault(parse_jws(nested(30000))), Fault::limit);
}

// JSON lets every character be written as an escape; x5c of the drafts' samples has "\/".
TEST(Jws, escapes_of_json_change_nothing) {
  const PrivateKey& key = key_of(KeyType::p256);
  std::string text = *sign_jws(view("what is said"), key, {"", "", {certificate_for(key)}});
  const auto at = text.find("d2hhdCBp");
  ASSERT_NE(at, std::string::npos);
  text.replace(at, 1, "\\u0064");
  const auto found = parse_jws(text);
  ASSERT_TRUE(found);
  EXPECT_TRUE(verify_jws(found->signatures.front(), key.public_key()));
  std::string slashes = R"({"alg":"ES256","x5c":[")" + base64(certificate_for(key).der) + "\"]}";
  for (auto slash = slashes.find('/'); slash != std::string::npos; slash = slashes.find('/', slash + 2)) {
    slashes.insert(slash, "\\");
  }
  EXPECT_EQ(verdict(slashes), Fault::internal);
}

TEST(Jws, a_signature_has_its_width_and_no_number_of_zero) {
  for (const KeyType type : {KeyType::p256, KeyType::p384, KeyType::p521, KeyType::ed25519}) {
    const PublicKey key = key_of(type).public_key();
    const JwsSignature good = signed_by(key_of(type));
    ASSERT_TRUE(verify_jws(good, key));
    const std::size_t half = good.signature.size() / 2;
    const BytesView r = BytesView(good.signature).first(half), s = BytesView(good.signature).last(half);
    const Bytes zero(half, 0);
    for (const Bytes& changed :
         {Bytes(), to_bytes(r), der::concat({r, s, s}), der::concat({r, s.first(half - 1)}), der::concat({zero, s}),
          der::concat({r, zero}), der::sequence({der::integer(r), der::integer(s)})}) {
      JwsSignature one = good;
      one.signature = changed;
      EXPECT_EQ(fault(verify_jws(one, key)), Fault::unauthentic) << name(type) << hex(changed);
    }
  }
}

}  // namespace
}  // namespace imprint
