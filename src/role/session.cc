#include "role/session.h"

#include <array>

namespace imprint {

std::string_view name(Method method) {
  static constexpr std::array<std::string_view, 5> kNames{"GET", "POST", "PUT", "DELETE", "OTHER"};
  return kNames.at(static_cast<std::size_t>(method));
}

}  // namespace imprint
