#include "proto/brski/extensions.h"

#include "codec/der.h"

namespace imprint::brski {
namespace {

// Behind [3] in a certificate's first part (RFC 5280 section 4.1).
der::Reader extensions_of(const Certificate& certificate) {
  der::Reader whole(certificate.der);
  der::Reader parts(whole.next(der::kSequence).content);
  der::Reader fields(parts.next(der::kSequence).content);
  while (fields.good() && !fields.empty() && !fields.has(der::context(3))) {
    fields.next();
  }
  der::Reader tagged(fields.next(der::context(3)).content);
  return der::Reader(tagged.next(der::kSequence).content);
}

}  // namespace

std::optional<BytesView> extension_in(const Certificate& certificate, std::string_view oid) {
  der::Reader extensions = extensions_of(certificate);
  while (extensions.good() && !extensions.empty()) {
    der::Reader one(extensions.next(der::kSequence).content);
    const auto id = der::parse_oid(one.next(der::kOid).content);
    one.maybe(der::kBoolean);
    const BytesView value = one.next(der::kOctetString).content;
    if (id && *id == oid && one.done()) {
      return value;
    }
  }
  return std::nullopt;
}

}  // namespace imprint::brski
