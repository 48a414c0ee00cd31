// A registration authority's way to the EST server behind it (RFC 7030 section 3.7): a device's request is handed on as
// the device has signed it, and what comes back is held against what the owner granted. Pure functions; the runtime
// carries the messages.
#pragma once

#include <optional>
#include <vector>

#include "proto/est/http.h"

namespace imprint::est {

// Whether the request can be handed on: PKCS#10, with the very names that were granted, since its signature covers
// them, and with no extensions but those that the owner wishes (`wanted`), since who signs upstream may take over all
// of them. Refused with EST-UPSTREAM-REQUEST, EST-UPSTREAM-NAMES.
Status can_hand_on(const Issue& question, const std::vector<Extension>& wanted);

// Whether the peer is the server that was configured: its path reached our anchors, and its certificate is for this
// host. id-kp-cmcRA is not taken in place of the name (RFC 7030 section 3.6.1 would): a gateway beside us has that,
// too. EST-UPSTREAM-SERVER.
Status check_upstream_server(const Session& tls, std::string_view host);

// simpleenroll with the device's own request. It is never simplereenroll: that is about the certificate which the TLS
// client presents, and ours is not the device's (RFC 7030 section 4.2.2).
Request handed_on(const Uri& server, std::string_view label, BytesView pkcs10, const std::optional<Login>& login);

// What the server says to it: certificates (a certs-only message, or one alone), or when to ask again (202, 1 s to a
// day). Errors have a rule each: refused (4xx: this request), unauthentic (401: our own credentials), unreachable
// (5xx, 408, 425, 429), unsupported (a redirect, 404, 405, 501: not an EST server, or not under this label), malformed.
struct UpstreamAnswer {
  std::vector<Certificate> certificates;
  std::optional<Duration> retry_after;
};
Result<UpstreamAnswer> read_upstream_answer(const Response& answer);

// The certificate that was meant for this device: the only one for the key granted, with a path to our anchors by way
// of `issuers`, no CA's, with the names granted, usages within those granted, good now and for no longer than granted
// (five minutes of difference between clocks apart). The subject is compared as text, since a CA may choose another
// string type; the order of alternative names does not matter. All refusals are Fault::refused.
struct UpstreamTrust {
  std::vector<Certificate> anchors, issuers;
};
Result<Bytes> granted_certificate(const std::vector<Certificate>& answer, const Grant& grant,
                                  const UpstreamTrust& trust, Instant now);

// The CA certificates upstream, as devices are to be given them: first the root, which is one of the anchors or
// continues them, then those that lead to it, and the links that lead from it to roots of before. EST-UPSTREAM-CACERTS.
Result<std::vector<Certificate>> read_upstream_ca(const Response& answer, const std::vector<Certificate>& anchors,
                                                  Instant now);

}  // namespace imprint::est
