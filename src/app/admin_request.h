// Inside the admin API: from a request of HTTP to a checked Call.
#pragma once

#include "app/admin_routes.h"

namespace imprint::app::admin {

// Which route a request is for.
struct Match {
  const Route* route = nullptr;  // none: nothing is at this path, or `allow` names the methods that are
  std::string id;                // decoded
  std::string allow;
};
Match match(std::span<const Route> routes, const Request& request);

// Whether the Host is our port on this machine's loopback or under one of our names, so that a page of another origin
// whose name was made to point here (DNS rebinding) gets nothing. The port of https may be left out.
bool is_own_host(std::string_view host, std::uint16_t port, const std::vector<std::string>& names = {});

// The call, or the problem to be answered: query parameters and members that the route does not name are refused.
std::variant<Call, Response> read_call(const Route& route, const Request& request, std::string id);

}  // namespace imprint::app::admin
