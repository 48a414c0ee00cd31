// Makers' catalogues from where their makers give them out: fetched by HTTPS, held against the maker's file, and taken
// if they are newer than what is there (docs/brown-field.md, catalogues).
#pragma once

#include <thread>

#include "app/makers.h"
#include "io/https_client.h"
#include "store/store.h"

namespace imprint::app {

struct CatalogueSource {
  Uri url;
  std::vector<Certificate> anchors;  // of the server's TLS certificate
};

// Where the maker gives its catalogue out, if its file says so. Who answers there has to lead to masa_anchors of the
// file; without any to `web`, or to the roots of the maker's own devices.
std::optional<CatalogueSource> catalogue_source(const MakerFile& maker, const std::vector<Certificate>& web);

struct FetchedCatalogue {
  std::string text;        // nothing in it is verified; at most 64 KiB
  std::string etag;        // empty: the server gives none
  bool unchanged = false;  // it is still what has the ETag that was held; then there is no text
};

// One GET. CATALOGUE-AWAY: not there, too large, another answer than 200 or 304 (no redirect is followed), or who
// answers is not who it should be.
class CatalogueFetch {
 public:
  using Done = std::function<void(Result<FetchedCatalogue>)>;
  // `held`: an ETag, or empty. `done` is called once, later, on the loop's thread; not after this is destroyed, which
  // `done` may do.
  CatalogueFetch(io::Loop& loop, CatalogueSource from, std::string held, Done done);
  CatalogueFetch(const CatalogueFetch&) = delete;
  CatalogueFetch& operator=(const CatalogueFetch&) = delete;
  ~CatalogueFetch();

 private:
  void opened(const Result<SessionRef>& session);
  void answered(Result<Response> answer);
  void end(Result<FetchedCatalogue> what);

  io::Loop& loop_;
  CatalogueSource from_;
  std::string held_;
  Done done_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  io::Guard guard_;
  std::unique_ptr<io::HttpsClient> client_;
};

// The same, waiting for it.
Result<FetchedCatalogue> fetch_catalogue(const CatalogueSource& from);

// Facts of a catalogue, as JSON, for people and for the audit log.
std::string catalogue_facts(const site::MasaCatalogue& catalogue);
// The audit entry of a catalogue that was taken.
Status note_catalogue(store::Store& store, const site::MasaCatalogue& catalogue, Instant at, std::string_view actor);

// For a server: looks for the catalogues of all makers whose files name an address, on a thread of its own. What is
// taken lies in the data folder, where the server finds it like one that was imported.
class CatalogueKeeper {
 public:
  struct Times {
    Duration every = std::chrono::hours(6);
    Duration again = std::chrono::minutes(15);  // if something went wrong
  };
  CatalogueKeeper(std::string data, std::string web_anchors, store::Store& store);
  CatalogueKeeper(std::string data, std::string web_anchors, store::Store& store, const Times& times);
  CatalogueKeeper(const CatalogueKeeper&) = delete;
  CatalogueKeeper& operator=(const CatalogueKeeper&) = delete;
  ~CatalogueKeeper();  // at once, whatever is under way

 private:
  struct Held {
    std::string etag;
    Sha256 digest{};  // of the file that it is of
  };
  void look();
  void next();
  void take(const MakerFile& maker, const Result<FetchedCatalogue>& fetched);
  Status keep(const MakerFile& maker, const FetchedCatalogue& fetched);
  std::string etag_held(const std::string& maker) const;

  std::string data_, web_file_;
  store::Store& store_;
  Times times_;
  io::Loop loop_;
  std::vector<Certificate> web_;
  std::vector<MakerFile> open_;  // still to be asked for in this round
  bool well_ = true;             // in this round
  std::map<std::string, Held> held_;
  std::unique_ptr<CatalogueFetch> fetch_;
  std::thread thread_;
};

}  // namespace imprint::app
