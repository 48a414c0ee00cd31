// The makers' files and catalogues of a data folder, as one book.
//   makers/NAME.toml  makers/NAME.catalogue  makers/NAME.pem  makers/NAME/*
#pragma once

#include "app/masa_file.h"
#include "site/masa_catalogue.h"

namespace imprint::app {

// A catalogue on record.
struct CatalogueFacts {
  std::string maker, file;
  std::uint64_t version = 0;
  Instant issued, expires;
  std::size_t rules = 0, pools = 0;
};

struct Makers {
  site::MasaBook book;  // the files' rules in order of their names, then those of catalogues
  std::vector<MakerFile> files;
  std::vector<CatalogueFacts> catalogues;  // that count
  struct Unread {
    std::string file, why;
  };
  // What could not be taken, and why: it names no MASA. Until it is mended devices wait rather than go by EST without
  // a voucher: of a catalogue its maker's, of a file all that name no MASA and for which no other rule is.
  std::vector<Unread> unread;

  const MakerFile* find(std::string_view name) const;  // null if there is none
};

// Reads data/makers. `now` says which catalogues and rules are over. `anchors`: of the TLS certificates of MASAs for
// which no rule names any (the web's, as a rule); the maker's own root counts beside them.
Makers read_makers(const std::string& data, Instant now, std::vector<Certificate> anchors = {});

// Why the folder of makers cannot be listed; nothing: it can, or is not there. What cannot be listed is not the same as
// no makers: with it their devices would enrol without a voucher.
std::optional<std::string> makers_unlisted(const std::string& data);

std::string maker_path(const std::string& data, std::string_view name);      // of its file
std::string catalogue_path(const std::string& data, std::string_view name);  // of its catalogue

// What a catalogue has to hold against, beside the file of its maker.
site::CatalogueTrust trust_in(const MakerFile& maker, std::optional<Instant> now);
// Takes a catalogue into the folder, if it is good now and no older than the one that is there. CATALOGUE-…;
// CATALOGUE-MAKER as well if the maker's file has no anchors. Fault::unreachable of files.
Result<site::MasaCatalogue> take_catalogue(const std::string& data, const MakerFile& maker, std::string_view text,
                                           Instant now);

}  // namespace imprint::app
