#include "app/exit_code.h"

#include <algorithm>
#include <array>

#include "app/cli_rules.h"
#include "app/rules.h"
#include "proto/brski/discovery_rules.h"
#include "proto/est/rules.h"
#include "site/operation_rules.h"

namespace imprint::app {
namespace {

// Rules that say more than their fault does.
ExitCode by_rule(const Rule& rule, ExitCode otherwise) {
  constexpr std::array kNotFound{
      &site::kDeviceUnknown, &site::kRequestUnknown, &site::kCertificateUnknown, &kRunUnknown, &kNoData,
      &kWordUnknown,         &kProfileUnknown,       &brski::kSearchNobody};
  constexpr std::array kUsage{
      &kOption, &kConfig, &kProtocol, &est::kNoAnchors, &site::kDeviceId, &site::kDeviceField, &kProfileOptions};
  if (std::ranges::find(kNotFound, &rule) != kNotFound.end()) {
    return ExitCode::not_found;
  }
  if (std::ranges::find(kUsage, &rule) != kUsage.end()) {
    return ExitCode::usage;
  }
  if (&rule == &est::kUnauthorized || &rule == &est::kNoDigest) {
    return ExitCode::refused;  // a 401 is the owner's decision, not a broken peer
  }
  if (&rule == &est::kNotConfirmed) {
    return ExitCode::misbehaved;  // the CA is not the one that was expected
  }
  return &rule == &est::kGaveUp || &rule == &kTimeout ? ExitCode::timeout : otherwise;
}

ExitCode by_fault(Fault fault) {
  switch (fault) {
    case Fault::refused:
      return ExitCode::refused;
    case Fault::malformed:
    case Fault::unexpected:
    case Fault::unauthentic:
    case Fault::expired:
      return ExitCode::misbehaved;
    case Fault::conflict:
    case Fault::stale:
      return ExitCode::conflict;
    case Fault::unsupported:
    case Fault::unreachable:
    case Fault::limit:
    case Fault::internal:
      return ExitCode::failed;
  }
  return ExitCode::failed;
}

}  // namespace

ExitCode exit_code(const Error& error) {
  const ExitCode otherwise = by_fault(error.fault);
  return error.rule != nullptr ? by_rule(*error.rule, otherwise) : otherwise;
}

}  // namespace imprint::app
