// Lists that others have read: the toy reads none.
#include "crypto/revocation_list.h"

#include <algorithm>

namespace imprint {

bool RevocationList::has(BytesView serial) const {
  return std::ranges::binary_search(serials, Bytes(serial.begin(), serial.end()));
}

}  // namespace imprint
