// Who signed a message: the same for both crypto libraries.
#include <algorithm>

#include "crypto/signed_data.h"

namespace imprint {

Result<Certificate> verified_signer(BytesView message, const SignedContent& content,
                                    const std::optional<Certificate>& preferred) {
  if (preferred && std::ranges::find(content.signers, *preferred) != content.signers.end() &&
      verify_signed(message, *preferred)) {
    return *preferred;
  }
  for (const Certificate& one : content.signers) {
    if (verify_signed(message, one)) {
      return one;
    }
  }
  return Error{Fault::unauthentic, "signed data: signature"};
}

}  // namespace imprint
