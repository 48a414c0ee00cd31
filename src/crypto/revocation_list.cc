#include "crypto/revocation_list.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>

#include "crypto/openssl.h"

namespace imprint {
namespace {

using ListPtr = std::unique_ptr<X509_CRL, Free<X509_CRL_free>>;
using PlacePtr = std::unique_ptr<ISSUING_DIST_POINT, Free<ISSUING_DIST_POINT_free>>;

ListPtr parse(BytesView file) {
  const ossl::BioPtr bio(BIO_new_mem_buf(file.data(), static_cast<int>(file.size())));
  ListPtr out(bio ? PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr) : nullptr);
  if (!out) {
    const std::uint8_t* in = file.data();
    out.reset(d2i_X509_CRL(nullptr, &in, static_cast<long>(file.size())));
  }
  ERR_clear_error();
  return out;
}

std::optional<Instant> instant_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) {
    return std::nullopt;
  }
  return Instant{static_cast<std::int64_t>(timegm(&parts)) * 1000};
}

// Whether the list speaks of all certificates of its issuer, and for all reasons.
bool is_complete(const X509_CRL* list) {
  for (int i = 0; i < X509_CRL_get_ext_count(list); ++i) {
    X509_EXTENSION* const extension = X509_CRL_get_ext(list, i);
    const int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
    if (X509_EXTENSION_get_critical(extension) == 1 && nid != NID_issuing_distribution_point) {
      return false;  // a delta is critical, too
    }
  }
  int there = 0;
  const PlacePtr place(
      static_cast<ISSUING_DIST_POINT*>(X509_CRL_get_ext_d2i(list, NID_issuing_distribution_point, &there, nullptr)));
  if (!place) {
    return there == -1;  // absent; else it came twice or cannot be read
  }
  return place->onlyuser == 0 && place->onlyCA == 0 && place->onlyattr == 0 && place->indirectCRL == 0 &&
         place->onlysomereasons == nullptr;
}

Result<Bytes> serial_of(const X509_REVOKED* entry) {
  const ASN1_INTEGER* const number = X509_REVOKED_get0_serialNumber(entry);
  CHECK_OR(ASN1_STRING_type(number) == V_ASN1_INTEGER, Error{Fault::malformed, "revocation list: serial number"});
  const std::uint8_t* const at = ASN1_STRING_get0_data(number);
  return Bytes(at, at + ASN1_STRING_length(number));
}

}  // namespace

bool RevocationList::has(BytesView serial) const {
  return std::ranges::binary_search(serials, Bytes(serial.begin(), serial.end()));
}

Result<RevocationList> read_revocation_list(BytesView file, const std::vector<Certificate>& issuers) {
  const ListPtr list = parse(file);
  CHECK_OR(list != nullptr, Error{Fault::malformed, "revocation list: neither DER nor PEM of one"});
  const auto signer = std::ranges::find_if(issuers, [&](const Certificate& each) {
    const X509Ptr raw = openssl_certificate(each);
    const bool named = raw && X509_NAME_cmp(X509_get_subject_name(raw.get()), X509_CRL_get_issuer(list.get())) == 0;
    return named && X509_CRL_verify(list.get(), X509_get0_pubkey(raw.get())) == 1;
  });
  ERR_clear_error();
  CHECK_OR(signer != issuers.end(), Error{Fault::unauthentic, "revocation list: none of the CAs signed it"});
  CHECK_OR(!signer->usage || (*signer->usage & key_usage::kCrlSign) != 0,
           Error{Fault::unauthentic, "revocation list: its issuer's key is not for lists"});
  CHECK_OR(is_complete(list.get()), Error{Fault::unsupported, "revocation list: not one of all certificates"});
  RevocationList out;
  out.issuer = signer->subject;
  out.signer = signer->key.spki;
  const auto since = instant_of(X509_CRL_get0_lastUpdate(list.get()));
  CHECK_OR(since.has_value(), Error{Fault::malformed, "revocation list: time"});
  out.this_update = *since;
  if (X509_CRL_get0_nextUpdate(list.get()) != nullptr) {
    out.next_update = instant_of(X509_CRL_get0_nextUpdate(list.get()));
    CHECK_OR(out.next_update.has_value(), Error{Fault::malformed, "revocation list: time"});
  }
  const STACK_OF(X509_REVOKED)* entries = X509_CRL_get_REVOKED(list.get());
  for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
    TRY(Bytes serial, serial_of(sk_X509_REVOKED_value(entries, i)));
    out.serials.push_back(std::move(serial));
  }
  std::ranges::sort(out.serials);
  return out;
}

}  // namespace imprint
