// Parsers of what strangers send, and of what operators name: certificates, requests, certs-only messages, revocation
// lists, signed messages, keys, their places, and names. The first byte chooses.
#include <algorithm>
#include <cstdlib>

#include "codec/base64.h"
#include "crypto/cms.h"
#include "crypto/cose.h"
#include "crypto/csr.h"
#include "crypto/enveloped.h"
#include "crypto/issue.h"
#include "crypto/jws.h"
#include "crypto/key_uri.h"
#include "crypto/ocsp.h"
#include "crypto/openssl.h"
#include "crypto/revocation_list.h"

namespace {

using namespace imprint;

void require(bool law) {
  if (!law) {
    std::abort();
  }
}

struct Issuer {
  PrivateKey key = *PrivateKey::generate(KeyType::p256);
  Certificate certificate;
};

const Issuer& issuer() {
  static const Issuer kIssuer = [] {
    Issuer out;
    CertificateTemplate what;
    what.serial = {1};
    what.issuer = what.subject = *Name::from_text("CN=issuer");
    what.not_after = kNoEnd;
    what.spki = out.key.public_key().spki;
    what.usage = key_usage::kCrlSign;
    what.is_ca = true;
    out.certificate = *Certificate::parse(*sign_certificate(out.key, what));
    return out;
  }();
  return kIssuer;
}

// A list with everything in it as it came, but from our issuer: what comes after the signature is read, too.
Bytes reissued(BytesView list) {
  const std::uint8_t* at = list.data();
  const std::unique_ptr<X509_CRL, Free<X509_CRL_free>> crl(d2i_X509_CRL(nullptr, &at, static_cast<long>(list.size())));
  const X509Ptr by = openssl_certificate(issuer().certificate);
  const EvpKey key = openssl_key(issuer().key);
  if (!crl || X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(by.get())) != 1 ||
      X509_CRL_sign(crl.get(), key.get(), EVP_sha256()) <= 0) {
    return {};
  }
  std::uint8_t* der = nullptr;
  const int size = i2d_X509_CRL(crl.get(), &der);
  Bytes out(der, der + std::max(size, 0));
  OPENSSL_free(der);
  return out;
}

void read_list(BytesView in) {
  (void)read_revocation_list(in, {issuer().certificate});
  const Bytes again = reissued(in);
  const auto list = read_revocation_list(again, {issuer().certificate});
  if (list) {
    require(list->issuer == issuer().certificate.subject && std::ranges::is_sorted(list->serials));
    require(std::ranges::all_of(list->serials, [&](const Bytes& serial) { return list->has(serial); }));
  }
}

void read_sign1(BytesView in) {
  const Result<Sign1> message = parse_sign1(in);
  if (!message) {
    return;
  }
  require(!verify_sign1(*message, issuer().key.public_key()));
  const Result<Bytes> stripped = without_unprotected(in);
  const Result<Sign1> left = parse_sign1(*stripped);
  require(left && left->payload == message->payload && left->protected_header == message->protected_header &&
          left->signature == message->signature && left->key_id.size() <= message->key_id.size());
  require(without_unprotected(*stripped) == stripped);
}

void read_jws(std::string_view in) {
  const Result<Jws> message = parse_jws(in);
  if (!message) {
    return;
  }
  require(!message->signatures.empty() && message->signatures.size() <= 4);
  for (const JwsSignature& one : message->signatures) {
    require(!verify_jws(one, issuer().key.public_key()));
    require(one.signed_text.ends_with("." + base64url(message->payload)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const BytesView in(data + 1, size - 1);
  switch (data[0] % 14) {
    case 0:
      if (const Result<Certificate> certificate = Certificate::parse(in)) {
        require(equal(certificate->der, in));
        speaks_for_host(*certificate, "a.example");
        (void)verify_chain(*certificate, {}, {*certificate}, {});
      }
      break;
    case 1:
      if (const Result<CertificateRequest> request = CertificateRequest::parse(in)) {
        (void)verify_possession(*request);
      }
      break;
    case 2:
      if (const Result<std::vector<Certificate>> all = parse_certs_only(in)) {
        std::vector<Bytes> ders;
        for (const Certificate& one : *all) {
          ders.push_back(one.der);
        }
        const Result<std::vector<Certificate>> again = parse_certs_only(encode_certs_only(ders));
        require(again && *again == *all);
      }
      break;
    case 3:
      if (const Result<Name> name = Name::from_text(as_text(in))) {
        require(bool(Name::parse(name->der)));
      }
      break;
    case 4:
      if (const Result<SignedKey> found = open_signed_key(Secret(in))) {
        require(bool(encode_key_package(found->key)));
      }
      if (const Result<PrivateKey> key = parse_key_package(Secret(in))) {
        require(parse_pkcs8(*encode_pkcs8(*key))->public_key() == key->public_key());
      }
      break;
    case 5:
      (void)open_envelope(in, SharedKey{{1}, Secret("sixteen octets..")});
      break;
    case 6:
      if (const Result<CertificateRequest> request = CertificateRequest::parse_crmf(in)) {
        (void)verify_possession(*request);
      }
      if (const Result<SignedContent> found = parse_signed(in); found) {
        (void)verified_signer(in, *found);
      }
      break;
    case 7:
      if (const Result<OcspRequest> request = OcspRequest::parse(in)) {
        require(!request->asked.empty() && request->asked.size() <= OcspRequest::kMaxAsked);
        require(request->nonce.size() <= OcspRequest::kMaxNonce);
      }
      break;
    case 8:
      read_list(in);
      break;
    case 9:
      if (const Result<KeyUri> uri = KeyUri::parse(as_text(in))) {
        require(KeyUri::parse(uri->text) == uri);
      }
      break;
    case 10:
      if (const Result<std::vector<Certificate>> all = parse_pem_certificates(as_text(in))) {
        std::string text;
        for (const Certificate& one : *all) {
          text += to_pem(one);
        }
        const Result<std::vector<Certificate>> again = parse_pem_certificates(text);
        require(again ? *again == *all : again.error().fault == Fault::limit);
      }
      break;
    case 11:
      read_sign1(in);
      break;
    case 12:
      read_jws(as_text(in));
      break;
    default:
      if (const Result<GeneralName> name = GeneralName::from_text(as_text(in))) {
        require(!name->text().empty());
      }
      break;
  }
  return 0;
}
