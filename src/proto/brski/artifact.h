// A voucher or a voucher request as it travels: signed, in one of three forms.
#pragma once

#include "crypto/cose.h"
#include "crypto/jws.h"
#include "crypto/signed_data.h"
#include "proto/brski/voucher.h"

namespace imprint::brski {

enum class Form : std::uint8_t {
  cms,   // RFC 8366 section 5.4: CMS around JSON
  cose,  // draft-ietf-anima-constrained-voucher: COSE_Sign1 around CBOR
  jws,   // draft-ietf-anima-jws-voucher: JWS in JSON around JSON
};
std::string_view name(Form form);        // "cms"
std::string_view media_type(Form form);  // "application/voucher-cms+json"
// By the media type without its parameters, also those of older drafts.
std::optional<Form> form_of_media_type(std::string_view type);
// By how the octets begin.
std::optional<Form> form_of(BytesView in);

inline constexpr std::string_view kJsonVoucherType = "1.2.840.113549.1.9.16.1.40";  // id-ct-animaJSONVoucher
inline constexpr std::string_view kDataType = "1.2.840.113549.1.7.1";  // id-data, as the examples of RFC 8995 have it
inline constexpr std::string_view kJwsType = "voucher-jws+json";

struct Artifact {
  Form form = Form::cms;
  Voucher voucher;
  Bytes received;                  // the whole, as it came: requests are sent on as they are
  Bytes content;                   // what is signed: JSON or CBOR, as it came
  std::string content_type;        // CMS: dotted OID; JWS: typ, if given
  std::vector<Certificate> along;  // every certificate that came along and can be read
  std::variant<SignedContent, Sign1, Jws> wrapping;
};

// The form is that of the octets. Nothing is verified. Faults: limit, malformed, unsupported (a form, an algorithm, a
// CMS without signed attributes or with a contentType that is not the content's, another type of content), unauthentic
// (CMS: not exactly one signer).
Result<Artifact> parse_artifact(BytesView in);
// Of this form or malformed: what was announced by its media type.
Result<Artifact> parse_artifact(BytesView in, Form form);

// Whether the key made a signature of it; a JWS may have several. unauthentic, or unsupported (a key of a type that
// signs no such form).
Status signed_by(const Artifact& artifact, const PublicKey& key);
Status signed_by(const Artifact& artifact, const Certificate& by);  // its key

// The certificates among those that came along, or among `more`, whose key made a signature: the first signature's
// first. Each once. Whether they are to be believed is another matter.
std::vector<Certificate> signers_of(const Artifact& artifact, const std::vector<Certificate>& more = {});

// Signs. CMS: id-ct-animaJSONVoucher unless `type` says otherwise; signed on created-on, if that is there. COSE: the
// chain goes into an unprotected x5bag; that of a voucher, without the anchor at its end, into an x5chain under the
// signature as well: the bag is for the registrar, which takes it out, and a device that knows but the anchor has to
// see who signed (RFC 9360 section 2). Faults: those of the encoder and of the signature.
// `named_voucher`: in JSON a request's container is called ietf-voucher:voucher, as some peers want it.
Result<Bytes> sign_voucher(const Voucher& voucher, Form form, const Signer& by,
                           std::string_view type = kJsonVoucherType, bool named_voucher = false);

}  // namespace imprint::brski
