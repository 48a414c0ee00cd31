// The toy writes DER alone, and so do those who explore with it.
#include "crypto/certs_only_ber.h"

namespace imprint {

Result<Bytes> certs_only_in_der(BytesView /*ber*/) { return Error{Fault::unsupported, "toy: BER"}; }

}  // namespace imprint
