#include "proto/brski/maker_signer.h"

#include <algorithm>

#include "proto/brski/judge.h"

namespace imprint::brski {

namespace {

// It says what it is for, and that is another thing: the key of a maker's web server lies where many can reach it.
bool serves_connections(const Certificate& signer) {
  return std::ranges::any_of(signer.extended, [](const std::string& usage) {
    return usage == eku::kServerAuth || usage == eku::kClientAuth || usage == eku::kOcspSigning;
  });
}

}  // namespace

bool may_sign_for_maker(const Certificate& signer, bool named, bool unmarked) {
  // A line each: each can be switched off alone.
  const bool signs = holds(!signer.usage || (*signer.usage & key_usage::kDigitalSignature) != 0);
  const bool no_registrar = holds(std::ranges::find(signer.extended, eku::kCmcRa) == signer.extended.end());
  const bool no_device = holds(!names_device(signer)) && holds(!unmarked);
  const bool no_server = holds(named || !serves_connections(signer));
  return signs && no_registrar && no_server && holds(named || no_device);
}

}  // namespace imprint::brski
