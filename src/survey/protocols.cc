#include "survey/protocols.h"

#include <algorithm>
#include <array>

#include "proto/brski/survey.h"
#include "proto/est/survey.h"

namespace imprint::survey {

std::span<const Protocol> protocols() {
  static constexpr std::array<Protocol, 2> kProtocols{
      {{"est", "client", est::survey_facts}, {"brski", "pledge", brski::survey_facts}}};
  return kProtocols;
}

bool told_by_device(const Run& run) {
  const auto at = std::ranges::find(protocols(), std::string_view(run.protocol), &Protocol::name);
  return at == protocols().end() || run.role == at->device_role;
}

}  // namespace imprint::survey
