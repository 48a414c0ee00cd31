// Parsers of what strangers send: certificates, requests, certs-only messages, keys and names. The first byte chooses.
#include <cstdlib>

#include "crypto/cms.h"
#include "crypto/csr.h"
#include "crypto/enveloped.h"
#include "crypto/ocsp.h"

namespace {

void require(bool law) {
  if (!law) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace imprint;
  if (size == 0) {
    return 0;
  }
  const BytesView in(data + 1, size - 1);
  switch (data[0] % 9) {
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
    default:
      if (const Result<GeneralName> name = GeneralName::from_text(as_text(in))) {
        require(!name->text().empty());
      }
      break;
  }
  return 0;
}
