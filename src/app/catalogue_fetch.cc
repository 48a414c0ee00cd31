#include "app/catalogue_fetch.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "crypto/hash.h"
#include "io/file.h"
#include "io/log.h"
#include "site/masa_rules.h"

namespace imprint::app {
namespace {

constexpr std::size_t kMaxCatalogue = std::size_t{64} << 10U, kMaxEtag = 256;
constexpr Duration kPatience = std::chrono::seconds(30);

Error away(std::string_view what) {
  Error out{Fault::unreachable, site::kCatalogueAway};
  out.what = what;
  return out;
}

// What take_catalogue() would take; nothing is written.
Result<site::MasaCatalogue> wanted_of(const MakerFile& maker, std::string_view text, const Result<Bytes>& before,
                                      Instant now) {
  TRY(const Verified<site::MasaCatalogue> fresh, site::verify_catalogue(text, trust_in(maker, now)));
  CHECK_OR(!maker.anchors.empty(), Error{Fault::refused, site::kCatalogueMaker});
  const auto held = before ? site::verify_catalogue(as_text(*before), trust_in(maker, std::nullopt))
                           : Result<Verified<site::MasaCatalogue>>(before.error());
  if (held) {
    TRY(Ok{}, site::may_replace(*fresh, **held));
  }
  return *fresh;
}

}  // namespace

std::optional<CatalogueSource> catalogue_source(const MakerFile& maker, const std::vector<Certificate>& web) {
  if (!maker.catalogue_url) {
    return std::nullopt;
  }
  CatalogueSource out{*maker.catalogue_url, {}};
  const auto add = [&out](const std::vector<Certificate>& some) {
    for (const Certificate& one : some) {
      if (std::ranges::find(out.anchors, one) == out.anchors.end()) {
        out.anchors.push_back(one);
      }
    }
  };
  for (const site::MasaRule& rule : maker.rules) {
    add(rule.anchors);
  }
  if (out.anchors.empty()) {
    add(maker.anchors);
    add(web);
  }
  return out;
}

CatalogueFetch::CatalogueFetch(io::Loop& loop, CatalogueSource from, std::string held, Done done)
    : loop_(loop), from_(std::move(from)), held_(std::move(held)), done_(std::move(done)) {
  guard_.allow(from_.url);  // the operator has written it, or the maker's file that the operator took
  io::HttpsClientOptions options;
  options.request_timeout = kPatience;
  options.max_response_bytes = kMaxCatalogue;
  client_ = io::HttpsClient::make(
      loop_, guard_, options,
      [](const std::string&) -> Result<PrivateKey> {
        return Error{Fault::refused, "catalogue: no key is shown"};
      },
      [](std::uint64_t) {});
  Open what;
  what.to = from_.url;
  what.trust = Trust::anchors;
  what.anchors = from_.anchors;
  client_->open(std::move(what), [this](const Result<SessionRef>& session) { opened(session); });
}

CatalogueFetch::~CatalogueFetch() { *alive_ = false; }

void CatalogueFetch::opened(const Result<SessionRef>& session) {
  if (!session) {
    end(away(session.error().what));
    return;
  }
  const Session& there = **session;
  if (!holds(there.proven && speaks_for_host((*there.proven)->leaf, from_.url.host))) {
    end(away("the server's certificate is not for this host"));
    return;
  }
  Request what;
  what.path = from_.url.path;
  what.query = from_.url.query;
  what.accept = "application/jose+json";
  what.if_none_match = held_;
  client_->request(there.id, std::move(what), [this](Result<Response> answer) { answered(std::move(answer)); });
}

void CatalogueFetch::answered(Result<Response> answer) {
  if (!answer) {
    end(away(answer.error().what));
  } else if (answer->status == 304 && !held_.empty()) {
    end(FetchedCatalogue{{}, held_, true});
  } else if (answer->status != 200) {
    end(away("the server has another answer than a catalogue"));
  } else {
    const bool usable = answer->etag.size() <= kMaxEtag;
    end(FetchedCatalogue{std::string(as_text(answer->body)), usable ? answer->etag : std::string(), false});
  }
}

// Not from inside the client, which `done` may destroy.
void CatalogueFetch::end(Result<FetchedCatalogue> what) {
  loop_.post([alive = alive_, done = done_, what = std::move(what)] {
    if (*alive) {
      done(what);
    }
  });
}

Result<FetchedCatalogue> fetch_catalogue(const CatalogueSource& from) {
  io::Loop loop;
  Result<FetchedCatalogue> out = away("no answer");
  const CatalogueFetch fetch(loop, from, {}, [&](Result<FetchedCatalogue> fetched) {
    out = std::move(fetched);
    loop.stop();
  });
  loop.run();
  return out;
}

std::string catalogue_facts(const site::MasaCatalogue& catalogue) {
  const Json out{{"maker", catalogue.maker},
                 {"version", catalogue.version},
                 {"issued", utc_text(catalogue.issued)},
                 {"expires", utc_text(catalogue.expires)},
                 {"rules", catalogue.rules.size()},
                 {"pools", catalogue.pools.size()}};
  return out.dump();
}

Status note_catalogue(store::Store& store, const site::MasaCatalogue& catalogue, Instant at, std::string_view actor) {
  return store.write([&](store::Writer& w) {
    AuditEntry entry;
    entry.at = at;
    entry.actor = actor;
    entry.action = "maker.catalogue";
    entry.subject = catalogue.maker;
    entry.detail = catalogue_facts(catalogue);
    return w.append_audit(std::move(entry));
  });
}

CatalogueKeeper::CatalogueKeeper(std::string data, std::string web_anchors, store::Store& store)
    : CatalogueKeeper(std::move(data), std::move(web_anchors), store, Times()) {}

CatalogueKeeper::CatalogueKeeper(std::string data, std::string web_anchors, store::Store& store, const Times& times)
    : data_(std::move(data)), web_file_(std::move(web_anchors)), store_(store), times_(times) {
  loop_.post([this] { look(); });
  thread_ = std::thread([this] { loop_.run(); });
}

CatalogueKeeper::~CatalogueKeeper() {
  loop_.stop();
  thread_.join();
}

// The files are read anew each time: a maker may have come, or moved.
void CatalogueKeeper::look() {
  const auto pem = io::read_file(web_file_);
  const auto web = pem ? parse_pem_certificates(as_text(*pem)) : Result<std::vector<Certificate>>(pem.error());
  web_ = web ? *web : std::vector<Certificate>();
  open_ = read_makers(data_, io::wall_clock()).files;
  std::erase_if(open_, [](const MakerFile& maker) { return !maker.catalogue_url; });
  well_ = true;
  next();
}

void CatalogueKeeper::next() {
  fetch_.reset();
  if (open_.empty()) {
    loop_.after(well_ ? times_.every : times_.again, [this] { look(); });
    return;
  }
  const auto maker = std::make_shared<const MakerFile>(std::move(open_.back()));
  open_.pop_back();
  fetch_ = std::make_unique<CatalogueFetch>(loop_, *catalogue_source(*maker, web_), etag_held(maker->name),
                                            [this, maker](const Result<FetchedCatalogue>& fetched) {
                                              take(*maker, fetched);
                                              next();
                                            });
}

// Of the file that is there: one that was removed, or replaced by hand, is asked for whole.
std::string CatalogueKeeper::etag_held(const std::string& maker) const {
  const auto at = held_.find(maker);
  const auto file = io::read_file(catalogue_path(data_, maker), kMaxCatalogue);
  return at != held_.end() && file && sha256(*file) == at->second.digest ? at->second.etag : std::string();
}

void CatalogueKeeper::take(const MakerFile& maker, const Result<FetchedCatalogue>& fetched) {
  const Status done = !fetched ? Status(fetched.error()) : fetched->unchanged ? Status(Ok{}) : keep(maker, *fetched);
  if (!done) {
    well_ = false;
    const Error& error = done.error();
    io::log(io::LogLevel::warning, "maker.catalogue",
            {{"maker", maker.name},
             {"url", maker.catalogue_url->text()},
             {"rule", error.rule != nullptr ? error.rule->id : std::string_view()},
             {"why", error.what}});
  }
}

Status CatalogueKeeper::keep(const MakerFile& maker, const FetchedCatalogue& fetched) {
  const auto before = io::read_file(catalogue_path(data_, maker.name), kMaxCatalogue);
  const bool same_text = before && as_text(*before) == fetched.text;
  if (!same_text) {
    const Instant now = io::wall_clock();
    TRY(const site::MasaCatalogue wanted, wanted_of(maker, fetched.text, before, now));
    TRY(Ok{}, note_catalogue(store_, wanted, now, "server"));  // first: what is there already is not noted any more
    TRY(const site::MasaCatalogue taken, take_catalogue(data_, maker, fetched.text, now));
    io::log(io::LogLevel::info, "maker.catalogue", {{"maker", maker.name}, {"version", std::to_string(taken.version)}});
  }
  held_[maker.name] = {fetched.etag, sha256(view(fetched.text))};
  return Ok{};
}

}  // namespace imprint::app
