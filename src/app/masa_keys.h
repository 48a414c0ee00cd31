// The keys of a maker's file as tables. Private to app/masa_file.cc.
#pragma once

#include <string>
#include <vector>

#include "app/config_keys.h"
#include "site/masa_book.h"

namespace imprint::app {

// A rule while it is read, with what its keys need to know.
struct RuleDraft {
  site::MasaRule rule;
  std::string folder;              // that the file lies in
  std::vector<std::string> files;  // that were named, relative to it
  std::string certificate, key;    // client_certificate, client_key
  std::string user, password_file;
};

// How a MASA is spoken to: at the top of a file for all of its rules, or in a rule.
const std::vector<ConfigKey<RuleDraft>>& manner_keys();
// Which devices a rule is for, and where their MASA is.
const std::vector<ConfigKey<RuleDraft>>& rule_keys();

// Certificates of files beside the maker's. What is wrong, or nothing. With `apart` they may not lie where roots of
// IDevIDs do.
std::optional<std::string> take_certificates(RuleDraft& draft, const std::vector<std::string>& files, bool apart,
                                             std::vector<Certificate>& into);

}  // namespace imprint::app
