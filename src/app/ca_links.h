// The links between the owner's roots (site/rollover.h) that the data folder keeps, in ca/links.pem.
#pragma once

#include <string>
#include <vector>

#include "site/rollover.h"

namespace imprint::app {

// How many roots a device may have slept through. TLS sends the links above the server's certificate, and peers take
// no more than ten certificates, and paths of no more than eight.
inline constexpr std::size_t kMostLinks = 6;

// Those of `all` that lead from this root back to the roots of before it, one after the other, at most kMostLinks: by
// name and signature, since a root may have the name of the one before it.
std::vector<Certificate> links_back(const Certificate& root, const std::vector<Certificate>& all);

// Adds them to the folder's, durably.
Status add_links(const std::string& data, const std::vector<Certificate>& links);

// Those that lead from this CA's root back to the roots of before it, the latest kMostLinks: what
// TLS sends.
std::vector<Certificate> ca_links(const std::string& data, const site::Ca& ca,
                                  const std::vector<Certificate>& more = {});  // that are to come behind the folder's

// What else the list of CA certificates shows: the roots of before that the new one vouches for, and OldWithNew.
std::vector<Certificate> ca_history(const std::string& data, const site::Ca& ca);

}  // namespace imprint::app
