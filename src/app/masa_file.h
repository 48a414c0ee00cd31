// A maker's file, makers/NAME.toml of the data folder: whose devices it is for, which MASA speaks for them, and what
// they do otherwise than RFC 8995. See docs/brown-field.md.
#pragma once

#include "app/config.h"
#include "site/masa_book.h"

namespace imprint::app {

struct MakerFile {
  std::string name;                            // "acme"
  std::vector<Certificate> anchors;            // of the IDevIDs that it is for; empty: rules stand on their conditions
  std::vector<Certificate> catalogue_anchors;  // who may sign the maker's catalogue, or a CA above; empty: nobody
  std::vector<site::MasaRule> rules;           // in the order of the file
  std::vector<std::string> files;              // that it names, relative to the folder that it lies in
  std::string text;                            // of the file
  std::optional<Uri> catalogue_url = {};       // where the maker gives its catalogue out, by HTTPS
};

// Reads the text of a file, and the certificates and the password that it names; a private key is only named. `roots`:
// makers/ of the data folder, where roots that are named by their fingerprints are looked for as well; empty: nowhere.
std::variant<MakerFile, std::vector<ConfigProblem>> parse_maker_file(const std::string& path, std::string_view text,
                                                                     const std::string& roots = {});
std::variant<MakerFile, std::vector<ConfigProblem>> read_maker_file(const std::string& path,
                                                                    const std::string& roots = {});
// A commented example with every key.
std::string example_maker_file();

}  // namespace imprint::app
