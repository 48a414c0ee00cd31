// EST's message bodies (RFC 7030 section 4, RFC 8951 section 3).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/csr.h"

namespace imprint::est {

inline constexpr std::size_t kMaxBody = 64 * 1024;  // decoded bytes of any body that we read

// The DER in a body: base64 of any line length and white space (RFC 8951 section 3.1), a PEM block, or DER itself
// (libest's users send both). Content-Transfer-Encoding plays no part.
Result<Bytes> decode_body(BytesView body);

// The body that we send: base64 in lines of 64.
Bytes encode_body(BytesView der);

// What a server wishes to find in a request (RFC 7030 section 4.5, RFC 9908): the legacy list and the template, in one.
struct CsrAttributes {
  // One attribute of a subject that is asked for: with its value, or for the client to fill in.
  struct Wish {
    std::string oid;
    std::optional<Bytes> value;  // DER of the value, tag included
    bool operator==(const Wish&) const = default;
  };

  bool link = false;                     // challengePassword or estIdentityLinking is asked for
  bool link_7894 = false;                // estIdentityLinking is (RFC 7894)
  std::optional<KeyType> key;            // KeyType::other: a key type that we do not know
  std::optional<std::string> signature;  // OID of the wanted signature algorithm
  std::vector<Extension> extensions;     // with their values
  std::vector<std::string> others;       // bare OIDs: supply a value if known
  bool from_template = false;            // a template was there: all else was ignored (RFC 9908 section 3.4)
  std::vector<Wish> subject;             // of the template, in order
  bool operator==(const CsrAttributes&) const = default;

  // Tolerant as RFC 9908 demands: unknown elements are ignored. Bounded: 64 elements.
  static Result<CsrAttributes> parse(BytesView der);
  // The legacy list, followed by the template if `from_template`. An EC key is written with its curve.
  Bytes encode() const;
};

}  // namespace imprint::est
