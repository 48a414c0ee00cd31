// The CAs of before, in ca/former/ of the data folder.
#pragma once

#include <string>
#include <vector>

#include "site/ca.h"

namespace imprint::app {

// Each with those above it, in order of the file names; also the CA of now, if it was one before. What cannot be read
// is left out.
std::vector<std::vector<Certificate>> former_chains(const std::string& data);

// Their own certificates, without the CA of now.
std::vector<Certificate> former_cas(const std::string& data);

// Those that go on to say what their certificates are worth: their keys are here, or are there and cannot be read now,
// and then the Ca has none. Once for each name and key, by the certificate that lasts longest, and not one with those
// of the CA of now, whose list speaks for both.
std::vector<site::Ca> former_issuers(const std::string& data, const site::Ca& ca);

}  // namespace imprint::app
