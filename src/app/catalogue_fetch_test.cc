// Makers' catalogues over real TLS on loopback: what is taken, what is not, and how often the server is asked.
#include "app/catalogue_fetch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "crypto/hash.h"
#include "crypto/random.h"
#include "factory/masa_testing.h"
#include "io/file.h"
#include "io/https_server.h"
#include "site/masa_rules.h"

namespace imprint::app {
namespace {

using factory::testing::make_party;
using factory::testing::Party;

// A store whose disk is full for a while.
class FullStore final : public store::Store {
 public:
  explicit FullStore(store::Store& within) : within_(within) {}
  void submit(Change change, std::function<void(Status)> done) override {
    if (full) {
      done(Error{Fault::unreachable, "the disk is full"});
    } else {
      within_.submit(std::move(change), std::move(done));
    }
  }
  void submit_along(Change change, std::function<void(Status)> done) override {
    submit(std::move(change), std::move(done));
  }
  Result<std::unique_ptr<store::Reader>> read() override { return within_.read(); }

  std::atomic<bool> full = true;

 private:
  store::Store& within_;
};

class CatalogueFetching : public ::testing::Test {
 protected:
  void SetUp() override {
    data_ =
        (std::filesystem::temp_directory_path() / ("imprint-fetch-" + hex(random_secret(rng_, 8).expose()))).string();
    std::filesystem::create_directories(data_ + "/makers/acme");
    put("acme.pem", to_pem(maker_.certificate));
    put("acme/web.pem", to_pem(web_.certificate));
    put("acme/signer.pem", to_pem(signer_.certificate));
    store_ = *store::open_sqlite(data_ + "/imprint.db");
    serve(web_, "ip:127.0.0.1");
    say(7);
  }
  void TearDown() override {
    server_.reset();
    store_.reset();
    std::filesystem::remove_all(data_);
  }

  void put(const std::string& name, std::string_view text) {
    std::ofstream(data_ + "/makers/" + name, std::ios::trunc) << text;
  }
  void serve(const Party& above, const std::string& name) {
    const Party own = make_party(now_, "CN=masa", &above, false, {std::string(eku::kServerAuth)}, {name});
    io::TlsServerOptions tls;
    tls.key = own.key;
    tls.chain = {own.certificate};
    tls.verify_client_certificate = false;
    io::HttpsServerOptions options;
    options.tls = *io::TlsContext::server(tls);
    io::HttpsServer::Handlers handlers;
    handlers.request = [this](Exchange from, const Request& request) {
      paths_.push_back(request.path + (request.if_none_match.empty() ? "" : " held"));
      Response out = answer_;
      out.etag = '"' + hex(sha256(answer_.body)) + '"';
      if (out.status == 200 && request.if_none_match == out.etag) {
        out = {304, {}, {}, {}, {}, {}, out.etag};
      }
      server_->reply(from, out);
    };
    server_.reset();
    server_ = *io::HttpsServer::listen(loop_, std::move(options), std::move(handlers));
    put("acme.toml",
        "catalogue_anchors = [\"acme/signer.pem\"]\nmasa_anchors = [\"acme/web.pem\"]\ncatalogue_url = \"" + url() +
            "\"\n");
  }
  std::string url() const { return "https://127.0.0.1:" + std::to_string(server_->port()) + "/acme.catalogue"; }
  std::string catalogue(std::uint64_t version, const Party& by, const std::string& name = "acme") const {
    site::MasaCatalogue out;
    out.maker = name;
    out.version = version;
    out.issued = now_ - std::chrono::hours(1);
    out.expires = now_ + std::chrono::hours(24);
    site::MasaRule rule;
    rule.name = "all";
    rule.match.serials = {*site::SerialPattern::glob("*")};
    rule.url = *Uri::parse("https://masa.acme.example");
    out.rules = {rule};
    return *site::make_catalogue(out, by.key, {by.certificate});
  }
  void say(std::uint64_t version) { answer_ = {200, "application/jose+json", to_bytes(catalogue(version, signer_))}; }

  bool until(const std::function<bool()>& condition) {
    for (const Instant end = loop_.now() + Duration(20000); !condition() && loop_.now() < end;) {
      const std::uint64_t tick = loop_.after(Duration(2), [this] { loop_.stop(); });
      loop_.run();
      loop_.cancel(tick);
    }
    return condition();
  }
  MakerFile maker() const { return *read_makers(data_, now_).find("acme"); }
  Result<FetchedCatalogue> fetch(const std::string& held = {}) {
    std::optional<Result<FetchedCatalogue>> got;
    const CatalogueFetch one(loop_, *catalogue_source(maker(), {}), held,
                             [&](Result<FetchedCatalogue> r) { got = std::move(r); });
    EXPECT_TRUE(until([&] { return got.has_value(); }));
    return got ? *std::move(got) : Result<FetchedCatalogue>(Error{Fault::internal, "nothing"});
  }
  std::string there() const {
    const auto file = io::read_file(catalogue_path(data_, "acme"));
    return file ? std::string(as_text(*file)) : std::string();
  }
  // One round of a keeper with the server as it is now: how many requests came.
  std::vector<std::string> round() {
    paths_.clear();
    CatalogueKeeper keeper(data_, {}, *store_, {Duration(1), std::chrono::hours(1)});
    until([this] { return paths_.size() >= 2; });
    return paths_;
  }

  SystemRng rng_;
  io::Loop loop_;
  Instant now_ = io::wall_clock();
  Party maker_ = make_party(now_, "CN=Acme Root", nullptr, true), web_ = make_party(now_, "CN=Web", nullptr, true);
  Party signer_ = make_party(now_, "CN=Acme catalogue", &maker_, false);
  std::string data_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<io::HttpsServer> server_;
  Response answer_;
  std::vector<std::string> paths_;
};

TEST_F(CatalogueFetching, what_is_there_and_what_one_has_already) {
  const auto once = fetch();
  ASSERT_TRUE(once) << once.error().what;
  EXPECT_EQ(to_bytes(once->text), answer_.body);
  EXPECT_FALSE(once->unchanged);
  ASSERT_FALSE(once->etag.empty());
  const auto again = fetch(once->etag);
  ASSERT_TRUE(again) << again.error().what;
  EXPECT_TRUE(again->unchanged);
  EXPECT_EQ(again->etag, once->etag);
  say(8);
  EXPECT_FALSE(fetch(once->etag)->unchanged);
  EXPECT_EQ(paths_, (std::vector<std::string>{"/acme.catalogue", "/acme.catalogue held", "/acme.catalogue held"}));
}

TEST_F(CatalogueFetching, other_answers_are_no_catalogue) {
  for (const int status : {404, 307, 304, 500}) {
    answer_.status = status;
    const auto got = fetch();
    ASSERT_FALSE(got) << status;
    EXPECT_EQ(got.error().rule, &site::kCatalogueAway);
  }
  answer_ = {200, "application/jose+json", Bytes((std::size_t{64} << 10U) + 1, 'x')};
  EXPECT_FALSE(fetch()) << "too large";
}

TEST_F(CatalogueFetching, whoever_answers_has_to_be_whom_the_makers_file_means) {
  serve(web_, "ip:127.0.0.2");
  EXPECT_FALSE(fetch()) << "another host";
  serve(make_party(now_, "CN=Web", nullptr, true), "ip:127.0.0.1");
  EXPECT_FALSE(fetch()) << "another root";
  EXPECT_TRUE(paths_.empty());
  serve(web_, "ip:127.0.0.1");
  EXPECT_TRUE(fetch());
  server_.reset();
  EXPECT_FALSE(fetch()) << "nobody";
}

TEST_F(CatalogueFetching, a_server_takes_what_is_new_and_asks_for_nothing_twice) {
  EXPECT_EQ(round(), (std::vector<std::string>{"/acme.catalogue", "/acme.catalogue held"}));
  EXPECT_EQ(to_bytes(there()), answer_.body);
  const auto entries = *(*store_->read())->audit(0, 100);
  ASSERT_FALSE(entries.empty());
  EXPECT_EQ(entries.back().action, "maker.catalogue");
  EXPECT_EQ(entries.back().subject, "acme");
  // After a restart it is fetched once more, and is no news.
  round();
  EXPECT_EQ((*(*store_->read())->audit(0, 100)).size(), entries.size());
  say(8);
  round();
  EXPECT_EQ(to_bytes(there()), answer_.body);
  EXPECT_EQ((*(*store_->read())->audit(0, 100)).size(), entries.size() + 1);
}

TEST_F(CatalogueFetching, a_server_takes_nothing_old_nothing_unsigned_and_nobody_elses) {
  round();
  const std::string good = there();
  const std::size_t noted = (*(*store_->read())->audit(0, 100)).size();
  const Party stranger = make_party(now_, "CN=Acme catalogue", nullptr, true);
  for (const std::string& text :
       {catalogue(6, signer_), catalogue(9, stranger), catalogue(9, signer_, "other"), std::string("nonsense")}) {
    answer_.body = to_bytes(text);
    paths_.clear();
    {
      CatalogueKeeper keeper(data_, {}, *store_, {std::chrono::hours(1), Duration(1)});
      EXPECT_TRUE(until([this] { return paths_.size() >= 2; })) << "it tries again";
    }
    EXPECT_EQ(there(), good) << text.substr(0, 40);
    EXPECT_EQ(paths_.back(), "/acme.catalogue") << "and holds nothing";
    EXPECT_EQ((*(*store_->read())->audit(0, 100)).size(), noted) << "nor notes it";
  }
}

TEST_F(CatalogueFetching, what_cannot_be_noted_is_not_taken_yet) {
  FullStore store(*store_);
  CatalogueKeeper keeper(data_, {}, store, {std::chrono::hours(1), Duration(1)});
  ASSERT_TRUE(until([this] { return paths_.size() >= 2; })) << "it tries again";
  EXPECT_EQ(there(), "");
  EXPECT_TRUE((*(*store_->read())->audit(0, 100)).empty());
  store.full = false;
  ASSERT_TRUE(until([this] { return !there().empty(); }));
  EXPECT_EQ((*(*store_->read())->audit(0, 100)).size(), 1U);
}

TEST_F(CatalogueFetching, a_keeper_ends_at_once) {
  answer_.status = 0;
  server_.reset();
  const Instant before = loop_.now();
  { CatalogueKeeper keeper(data_, {}, *store_); }
  EXPECT_LT(loop_.now() - before, std::chrono::seconds(5));
}

}  // namespace
}  // namespace imprint::app
