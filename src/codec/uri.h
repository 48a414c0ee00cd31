// The few URI forms that onboarding needs: https://HOST[:PORT][/PATH], and the same with coaps.
#pragma once

#include <string>

#include "base/result.h"

namespace imprint {

struct Uri {
  std::string scheme;      // lower case
  std::string host;        // lower case; an IPv6 literal without its brackets
  std::uint16_t port = 0;  // the scheme's default if none was written (https 443, http 80, coaps 5684, coap 5683)
  std::string path;        // "/" if none was written; percent encoding left as it is
  std::string query;       // without '?'
  bool operator==(const Uri&) const = default;

  // Strict (RFC 3986): no user info, no fragment, no control characters or spaces, at most 2,048 characters.
  static Result<Uri> parse(std::string_view text);
  // "HOST:PORT" with brackets around an IPv6 literal; the port is always written.
  std::string authority() const;
  std::string text() const;
};

}  // namespace imprint
