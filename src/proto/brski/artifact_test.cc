// Artefacts in all three forms, those of others above all.
#include "proto/brski/artifact.h"

#include "codec/base64.h"
#include "proto/brski/brski_testing.h"
#include "proto/brski/leaves.h"

namespace imprint::brski {
namespace {

using namespace testing;

// What OpenSSL alone would let pass (RFC 5652 section 5.3).
bool closes_a_hole(std::string_view id) {
  return id == "own-voucher-no-signed-attrs" || id == "own-voucher-ctype-mismatch";
}

TEST(Artifact, every_known_one_is_read) {
  std::size_t read = 0;
  for (const std::string& id : all_artifacts()) {
    if (closes_a_hole(id)) {
      continue;
    }
    const Bytes bytes = bytes_of(id);
    const auto artifact = parse_artifact(bytes);
    ASSERT_TRUE(artifact) << id << ": " << artifact.error().what;
    const bool request = id.find("vr") != std::string::npos || id.find("request") != std::string::npos;
    EXPECT_EQ(artifact->voucher.kind, request ? Voucher::Kind::request : Voucher::Kind::voucher) << id;
    EXPECT_TRUE(artifact->voucher.serial_number) << id;
    EXPECT_TRUE(artifact->voucher.nonce || id == "own-voucher-nonceless") << id;
    EXPECT_EQ(artifact->received, bytes);
    EXPECT_TRUE(artifact->voucher.unknown.empty()) << id << " " << artifact->voucher.unknown.front();
    EXPECT_EQ(parse_artifact(bytes, artifact->form)->voucher, artifact->voucher);
    ++read;
  }
  EXPECT_EQ(read, 35U);
}

TEST(Artifact, what_it_says_can_be_said_again) {
  for (const std::string& id : all_artifacts()) {
    if (closes_a_hole(id) || id == "own-voucher-bad-digest") {
      continue;
    }
    const Artifact artifact = artifact_of(id);
    if (artifact.form == Form::cose) {
      EXPECT_EQ(*parse_cbor_voucher(*encode_cbor_voucher(artifact.voucher)), artifact.voucher) << id;
    } else {
      EXPECT_EQ(*parse_json_voucher(*encode_json_voucher(artifact.voucher)), artifact.voucher) << id;
    }
  }
}

TEST(Artifact, one_with_numbers_alone_is_written_as_it_was) {
  for (const char* id : {"cbrski-pvr", "cbrski-rvr", "cbrski-voucher", "cose-own-voucher-rpk-sha256"}) {
    const Artifact artifact = artifact_of(id);
    EXPECT_EQ(*encode_cbor_voucher(artifact.voucher), artifact.content) << id;
  }
}

TEST(Artifact, the_signer_is_whom_the_source_names) {
  for (const auto& [id, signer] :
       {std::pair("rfc8995-voucher", "rfc8995-c1-masa"), std::pair("rfc8366bis-voucher", "rfc8995-c1-masa"),
        std::pair("rfc8995-registrar-voucher-request", "rfc8995-c1-jrc_prime256v1"),
        std::pair("rfc8366bis-pledge-voucher-request", "rfc8995-c1-idevid_00-D0-E5-F2-00-02"),
        std::pair("cbrski-rvr", "cbrski-cert-registrar"), std::pair("own-voucher-conforming", "rfc8995-c1-masa"),
        std::pair("cose-own-voucher-from-masa", "cbrski-cert-masa_ca"),
        std::pair("own-voucher-signed-by-registrar", "rfc8995-c1-jrc_prime256v1")}) {
    const std::vector<Certificate> signers = signers_of(artifact_of(id));
    ASSERT_FALSE(signers.empty()) << id;
    EXPECT_EQ(signers.front().key, certificate_of(signer).key) << id;  // of the registrar another one came along
    EXPECT_TRUE(signed_by(artifact_of(id), certificate_of(signer).key));
    EXPECT_EQ(fault(signed_by(artifact_of(id), key_of(KeyType::p256).public_key())), Fault::unauthentic) << id;
  }
}

TEST(Artifact, without_certificates_a_key_from_elsewhere_is_the_signer) {
  for (const auto& [id, signer] :
       {std::pair("cbrski-pvr", "cbrski-cert-pledge"), std::pair("cbrski-voucher", "cbrski-cert-masa_ca"),
        std::pair("cose-own-voucher-to-pledge", "cbrski-cert-masa_ca")}) {
    const Artifact artifact = artifact_of(id);
    EXPECT_TRUE(artifact.along.empty()) << id;
    EXPECT_TRUE(signers_of(artifact).empty()) << id;
    EXPECT_EQ(signers_of(artifact, {certificate_of(signer)}), std::vector{certificate_of(signer)}) << id;
  }
}

TEST(Artifact, every_jws_is_signed_by_the_certificate_in_it) {
  for (const char* id : {"jws-pvr", "jws-rvr", "jws-voucher", "prm-pvr", "prm-rvr", "prm-voucher"}) {
    EXPECT_EQ(signers_of(artifact_of(id)).size(), 1U) << id;
  }
  EXPECT_EQ(signers_of(artifact_of("prm-voucher-countersigned")).size(), 2U);  // the MASA's, then the registrar's
}

TEST(Artifact, stripping_leaves_the_signature_good) {
  const auto stripped = without_unprotected(bytes_of("cose-own-voucher-from-masa"));
  EXPECT_EQ(*stripped, bytes_of("cose-own-voucher-to-pledge"));
}

TEST(Artifact, eddsa_is_one_of_its_signatures) {
  Bytes spki = *from_hex("302a300506032b6570032100");
  const Bytes key = *from_hex(vector_of("cose-own-voucher-eddsa")["ed25519_public"].get<std::string>());
  spki.insert(spki.end(), key.begin(), key.end());
  const Artifact artifact = artifact_of("cose-own-voucher-eddsa");
  EXPECT_TRUE(signed_by(artifact, *PublicKey::parse(spki)));
  EXPECT_FALSE(signed_by(artifact, key_of(KeyType::ed25519).public_key()));
}

TEST(Artifact, a_cms_that_openssl_alone_would_take_is_refused) {
  for (const char* id : {"own-voucher-no-signed-attrs", "own-voucher-ctype-mismatch"}) {
    EXPECT_EQ(fault(parse_artifact(bytes_of(id))), Fault::unsupported) << id;
  }
}

TEST(Artifact, what_was_changed_is_signed_by_nobody) {
  EXPECT_TRUE(signers_of(artifact_of("own-voucher-bad-digest"), {certificate_of("rfc8995-c1-masa")}).empty());
}

TEST(Artifact, cut_short_is_none) {
  for (const char* id : {"own-voucher-conforming", "cose-own-voucher-from-masa", "jws-voucher"}) {
    const Bytes whole = bytes_of(id);
    for (std::size_t n = 0; n < whole.size(); ++n) {
      EXPECT_FALSE(parse_artifact(BytesView(whole).first(n))) << id << " " << n;
    }
  }
}

TEST(Artifact, a_flipped_bit_is_refused_or_signed_by_nobody) {
  for (const auto& [id, by] : {std::pair("own-voucher-conforming", certificate_of("rfc8995-c1-masa")),
                               std::pair("cose-own-voucher-to-pledge", certificate_of("cbrski-cert-masa_ca")),
                               std::pair("jws-voucher", signers_of(artifact_of("jws-voucher")).front())}) {
    const Artifact good = artifact_of(id);
    for (std::size_t bit = 0; bit < good.received.size() * 8; bit += 23) {
      Bytes changed = good.received;
      changed[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      const auto read = parse_artifact(changed);
      // What is not under the signature may differ, and says nothing: the content has to be the same.
      EXPECT_TRUE(!read || !signed_by(*read, by.key) || read->content == good.content) << id << " " << bit;
    }
  }
}

TEST(Artifact, forms_are_told_apart_by_octets_and_by_media_type) {
  for (const Form form : {Form::cms, Form::cose, Form::jws}) {
    EXPECT_EQ(form_of_media_type(media_type(form)), form);
  }
  EXPECT_EQ(form_of_media_type("application/voucher-cose+cbor"), Form::cose);
  EXPECT_EQ(form_of_media_type("application/json"), std::nullopt);
  EXPECT_EQ(form_of(view(" \n{")), Form::jws);
  for (const std::string_view none : {"", " ", "x", "[", "MIIB"}) {
    EXPECT_EQ(form_of(view(none)), std::nullopt) << none;
    EXPECT_EQ(fault(parse_artifact(view(none))), Fault::unsupported) << none;
  }
  EXPECT_EQ(fault(parse_artifact(bytes_of("jws-voucher"), Form::cms)), Fault::malformed);
  EXPECT_FALSE(parse_artifact(bytes_of("jws-voucher"), Form::cose));
  for (const int first : {0x30, 0x84, 0xd2, 0x7b}) {
    EXPECT_EQ(fault(parse_artifact(Bytes(kMaxArtifact + 1, static_cast<std::uint8_t>(first)))), Fault::limit) << first;
  }
}

struct Made {
  Voucher voucher;
  Signer by;
};

Made made(KeyType type, Form form) {
  const Party root = make_root(type, "CN=MASA");
  Made out;
  out.by = {root.key, {root.certificate}};
  out.voucher.serial_number = "dev-1";
  out.voucher.assertion = Assertion::verified;
  out.voucher.nonce = form == Form::cose ? Nonce(Bytes(16, 1)) : Nonce("AAECAwQFBgcICQoLDA0ODw==");
  out.voucher.pinned_domain_cert = root.certificate.der;
  return out;
}

TEST(Artifact, ours_read_as_they_were_made) {
  for (const Form form : {Form::cms, Form::cose, Form::jws}) {
    for (const KeyType type : {KeyType::p256, KeyType::p384, KeyType::ed25519}) {
      const Made what = made(type, form);
      const auto bytes = sign_voucher(what.voucher, form, what.by);
      if (form == Form::cms && type == KeyType::ed25519) {
        EXPECT_EQ(fault(bytes), Fault::unsupported);
        continue;
      }
      ASSERT_TRUE(bytes) << name(form) << bytes.error().what;
      const auto read = parse_artifact(*bytes);
      ASSERT_TRUE(read) << name(form) << read.error().what;
      EXPECT_EQ(read->form, form);
      EXPECT_EQ(read->voucher, what.voucher);
      EXPECT_EQ(signers_of(*read), what.by.chain) << name(form);
    }
  }
}

TEST(Artifact, cms_is_signed_when_it_was_created) {
  Made what = made(KeyType::p256, Form::cms);
  const auto when = [&what] {
    return std::get<SignedContent>(parse_artifact(*sign_voucher(what.voucher, Form::cms, what.by))->wrapping)
        .signing_time;
  };
  EXPECT_TRUE(when());
  what.voucher.created_on = DateTime::of(kNow);
  EXPECT_EQ(when(), kNow);
  what.by.at = kNow + kDay;
  EXPECT_EQ(when(), kNow + kDay);
}

TEST(Artifact, another_type_of_content_is_none) {
  const Made what = made(KeyType::p256, Form::cms);
  EXPECT_EQ(parse_artifact(*sign_voucher(what.voucher, Form::cms, what.by, kDataType))->content_type, kDataType);
  EXPECT_EQ(fault(parse_artifact(*sign_voucher(what.voucher, Form::cms, what.by, "1.2.3"))), Fault::unsupported);
  const auto other_type = sign_jws(view(*encode_json_voucher(what.voucher)), what.by.key, {"jwt", {}, what.by.chain});
  EXPECT_EQ(fault(parse_artifact(view(*other_type))), Fault::unsupported);
  const auto no_type = sign_jws(view(*encode_json_voucher(what.voucher)), what.by.key, {{}, {}, what.by.chain});
  EXPECT_TRUE(parse_artifact(view(*no_type)));
}

TEST(Artifact, a_signature_nobody_understands_stands_beside_the_makers) {
  const Made what = made(KeyType::p256, Form::jws);
  Json message = *parse_json(as_text(*sign_voucher(what.voucher, Form::jws, what.by)));
  const Json good = message["signatures"][0];
  const std::string header = base64url(view(R"({"alg":"ML-DSA-44","typ":"x"})"));
  message["signatures"] = {{{"protected", header}, {"signature", "AQ"}}, good};
  const auto read = parse_artifact(view(message.dump()));
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(signers_of(*read), what.by.chain);
  EXPECT_EQ(read->content_type, kJwsType);
  message["signatures"] = {{{"protected", header}, {"signature", good["signature"]}}};
  EXPECT_EQ(fault(parse_artifact(view(message.dump()))), Fault::unsupported);
}

}  // namespace
}  // namespace imprint::brski
