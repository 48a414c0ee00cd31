// The links between the owner's roots (site/rollover.h) that the data folder keeps, in ca/links.pem.
#pragma once

#include <string>
#include <vector>

#include "site/rollover.h"

namespace imprint::app {

// Adds them to the folder's, durably.
Status add_links(const std::string& data, const std::vector<Certificate>& links);

// Those that lead from this CA's root back to the roots of before it, one after the other: what TLS sends.
std::vector<Certificate> ca_links(const std::string& data, const site::Ca& ca);

// What else the list of CA certificates shows: the roots of before that the new one vouches for, and OldWithNew.
std::vector<Certificate> ca_history(const std::string& data, const site::Ca& ca);

}  // namespace imprint::app
