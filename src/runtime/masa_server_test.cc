// A MASA over real TLS on loopback: what registrars ask it, one by one and by the thousand.
#include "runtime/masa_server.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/random.h"
#include "factory/masa_login.h"
#include "factory/masa_testing.h"
#include "io/https_client.h"
#include "role/digest.h"

namespace imprint {
namespace {

using factory::testing::Domain;
using factory::testing::Party;
using factory::testing::World;

class MasaWire : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("imprint-masa-" + hex(random_secret(rng_, 8).expose()));
    std::filesystem::create_directories(folder_);
    store_ = *store::open_maker_sqlite((folder_ / "masa.db").string());
    guard_.allow_loopback();
    site_->config.idevid_anchors = {world_.maker.certificate};
    site_->voucher_signer = factory::testing::signer_of(world_.masa, world_.maker);
    site_->policy.pepper = Secret("pepper");
    site_->name = "Maker";
    ASSERT_TRUE(store_->write([&](store::MakerWriter& w) -> Status {
      TRY(Ok{}, w.put_customer(world_.account("first", {world_.first.ca.certificate}), "test"));
      return w.add_device(world_.record(lamp_, "lamp-1", "first"), "test");
    }));
    restart();
    io::HttpsClientOptions big;
    big.max_response_bytes = std::size_t{8} << 20U;
    client_ = io::HttpsClient::make(
        loop_, guard_, big, [this](const std::string&) -> Result<PrivateKey> { return world_.first.registrar.key; },
        [](std::uint64_t) {});
  }
  void TearDown() override {
    client_.reset();
    server_.reset();
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  void restart(bool plain = false) {
    server_ = std::make_unique<MasaServer>(loop_, *store_, rng_, site_);
    io::TlsServerOptions tls;
    tls.key = tls_.key;
    tls.chain = {tls_.certificate};
    tls.verify_client_certificate = false;
    io::HttpsServerOptions options;
    options.tls = plain ? nullptr : *io::TlsContext::server(tls);
    options.max_body_bytes = kMasaBulkBytes;
    ASSERT_TRUE(server_->listen(loop_, std::move(options)));
  }
  bool until(const std::function<bool()>& condition) {
    for (const Instant end = loop_.now() + Duration(20000); !condition() && loop_.now() < end;) {
      const std::uint64_t tick = loop_.after(Duration(2), [this] { loop_.stop(); });
      loop_.run();
      loop_.cancel(tick);
    }
    return condition();
  }
  SessionRef open(bool with_certificate = false) {
    std::optional<Result<SessionRef>> got;
    Open what;
    what.to = *Uri::parse("https://127.0.0.1:" + std::to_string(server_->port()));
    what.anchors = {world_.maker.certificate};
    if (with_certificate) {
      what.as = Credential{"registrar", {world_.first.registrar.certificate, world_.first.ca.certificate}};
    }
    client_->open(std::move(what), [&](Result<SessionRef> r) { got = std::move(r); });
    until([&] { return got.has_value(); });
    EXPECT_TRUE(got && *got) << (got ? (*got).error().what : "nothing");
    return **got;
  }
  Response ask(const SessionRef& session, std::string path, Bytes body,
               std::string type = "application/voucher-cms+json", Method method = Method::post) {
    std::optional<Result<Response>> got;
    Request what;
    what.method = method;
    what.path = "/.well-known/brski" + path;
    what.body = std::move(body);
    what.content_type = std::move(type);
    client_->request(session->id, std::move(what), [&](Result<Response> r) { got = std::move(r); });
    until([&] { return got.has_value(); });
    EXPECT_TRUE(got && *got) << (got ? (*got).error().what : "nothing");
    return got && *got ? **got : Response{};
  }
  Response ask_as(const SessionRef& session, std::string_view password, Bytes body, std::string path) {
    std::optional<Result<Response>> got;
    Request what;
    what.method = Method::post;
    what.path = "/.well-known/brski" + path;
    what.body = std::move(body);
    what.content_type = "application/voucher-cms+json";
    what.login = Login{"first", Secret(password)};
    client_->request(session->id, std::move(what), [&](Result<Response> r) { got = std::move(r); });
    until([&] { return got.has_value(); });
    EXPECT_TRUE(got && *got) << (got ? (*got).error().what : "nothing");
    return got && *got ? **got : Response{};
  }
  static std::vector<Json> lines_of(const Response& answer) {
    std::vector<Json> out;
    std::string_view text = as_text(answer.body);
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(text.size(), line.size() + 1));
      out.push_back(*parse_json(line));
    }
    return out;
  }

  SystemRng rng_;
  io::Loop loop_;
  io::Guard guard_;
  World world_{io::wall_clock()};
  Party lamp_ = world_.device("lamp-1");
  Party tls_ = factory::testing::make_party(io::wall_clock(), "CN=masa", &world_.maker, false,
                                            {std::string(eku::kServerAuth)}, {"ip:127.0.0.1"});
  std::filesystem::path folder_;
  std::unique_ptr<store::MakerStore> store_;
  std::shared_ptr<MasaSite> site_ = std::make_shared<MasaSite>();
  std::unique_ptr<MasaServer> server_;
  std::unique_ptr<io::HttpsClient> client_;
};

TEST_F(MasaWire, a_voucher_that_the_device_takes_and_the_log_that_shows_it) {
  const SessionRef session = open();
  const Bytes request = World::full_request(world_.first, lamp_, "lamp-1", "bm9uY2Utbm9uY2Ux");
  const Response answer = ask(session, "/requestvoucher", request);
  ASSERT_EQ(answer.status, 200) << as_text(answer.body);
  EXPECT_EQ(answer.content_type, "application/voucher-cms+json");
  brski::Device device;
  device.anchors = {world_.maker.certificate};
  device.serial = "lamp-1";
  device.issuer = brski::issuer_key_id(lamp_.certificate);
  device.nonce = brski::Nonce(std::string("bm9uY2Utbm9uY2Ux"));
  device.now = loop_.now();
  const auto verdict = brski::judge_voucher(*brski::parse_artifact(answer.body), device);
  ASSERT_TRUE(verdict) << verdict.error().what;
  EXPECT_EQ((*verdict)->voucher.assertion, brski::Assertion::verified);
  EXPECT_EQ((*verdict)->voucher.pinned_domain_cert, world_.first.ca.certificate.der);
  EXPECT_FALSE((*verdict)->voucher.expires_on);
  EXPECT_TRUE(brski::verify_pin((*verdict)->pin, world_.first.registrar.certificate, {}, loop_.now()));

  const Response log = ask(session, "/requestauditlog", request);
  ASSERT_EQ(log.status, 200) << as_text(log.body);
  const auto read = brski::parse_audit_log(as_text(log.body));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->events.size(), 1U);
  EXPECT_EQ(read->events[0].nonce, "bm9uY2Utbm9uY2Ux");
  EXPECT_EQ(read->events[0].domain_id, brski::domain_id(world_.first.ca.certificate));
  // Another domain never owned it.
  EXPECT_EQ(
      ask(session, "/requestauditlog", World::full_request(world_.second, lamp_, "lamp-1", "bm9uY2Utbm9uY2Uy")).status,
      404);
}

TEST_F(MasaWire, the_same_request_gets_the_same_voucher_also_after_a_restart) {
  const Bytes request = World::full_request(world_.first, lamp_, "lamp-1", "bm9uY2Utbm9uY2Ux");
  const Response once = ask(open(), "/requestvoucher", request);
  const Response again = ask(open(), "/requestvoucher", request);
  ASSERT_EQ(once.status, 200);
  EXPECT_EQ(once.body, again.body);
  server_.reset();
  restart();
  EXPECT_EQ(ask(open(), "/requestvoucher", request).body, once.body);
  EXPECT_EQ(*(*store_->read())->count("vouchers"), 1);
}

TEST_F(MasaWire, two_at_once_get_one_voucher) {
  const Bytes request = World::full_request(world_.first, lamp_, "lamp-1", "bm9uY2Utbm9uY2Ux");
  std::vector<Bytes> got;
  const std::vector<SessionRef> sessions{open(), open(), open()};
  for (const SessionRef& session : sessions) {
    Request what;
    what.method = Method::post;
    what.path = "/.well-known/brski/requestvoucher";
    what.body = request;
    what.content_type = "application/voucher-cms+json";
    client_->request(session->id, std::move(what), [&](Result<Response> r) {
      ASSERT_TRUE(r && r->status == 200) << (r ? std::string(as_text(r->body)) : std::string(r.error().what));
      got.push_back(r->body);
    });
  }
  ASSERT_TRUE(until([&] { return got.size() == 3; }));
  EXPECT_EQ(got[0], got[1]);
  EXPECT_EQ(got[0], got[2]);
  EXPECT_EQ(*(*store_->read())->count("vouchers"), 1);
}

TEST_F(MasaWire, what_is_refused_is_told_in_words_with_its_status) {
  const SessionRef session = open();
  const Bytes good = World::full_request(world_.first, lamp_, "lamp-1", "bm9uY2Utbm9uY2Uy");
  Bytes broken = good;
  broken[broken.size() - 5] ^= 1U;
  const Party unknown = world_.device("lamp-9");
  const std::vector<std::pair<Response, int>> answers{
      {ask(session, "/requestvoucher", good, "text/plain"), 415},
      {ask(session, "/requestvoucher", to_bytes("nonsense")), 400},
      {ask(session, "/requestvoucher", broken), 403},
      {ask(session, "/requestvoucher", World::full_request(world_.second, lamp_, "lamp-1", "bm9uY2Utbm9uY2Uy")), 403},
      {ask(session, "/requestvoucher", World::full_request(world_.first, unknown, "lamp-9", "bm9uY2Utbm9uY2Uz")), 404},
      {ask(session, "/requestvoucher", {}, "", Method::get), 405},
      {ask(session, "/elsewhere", {}), 404}};
  for (const auto& [answer, status] : answers) {
    EXPECT_EQ(answer.status, status) << as_text(answer.body);
    EXPECT_TRUE(answer.content_type.starts_with("text/plain"));
    EXPECT_NE(as_text(answer.body).find('('), std::string_view::npos);  // the rule
  }
  EXPECT_EQ(*(*store_->read())->count("vouchers"), 0);
  const auto refused = *(*store_->read())->refused(10);
  ASSERT_EQ(refused.size(), 1U);  // unknown devices leave nothing on the disk
  EXPECT_EQ(refused[0].rule, "MASA-OWNER");
}

TEST_F(MasaWire, a_description_says_what_is_here) {
  const Response answer = ask(open(), "", {}, "", Method::get);
  EXPECT_EQ(answer.status, 200);
  const Json json = *parse_json(as_text(answer.body));
  EXPECT_EQ(json["api"], 1);
  EXPECT_EQ(json["endpoints"]["requestvouchers"], "/.well-known/brski/requestvouchers");
  EXPECT_EQ(json["formats"].size(), 3U);
  EXPECT_EQ(json["authentication"], Json({"certificate", "basic"}));
  EXPECT_EQ(json["nonceless"], true);
}

TEST_F(MasaWire, a_description_is_cached_and_follows_the_settings) {
  const auto get = [&](std::string held) {
    std::optional<Result<Response>> got;
    Request what;
    what.path = "/.well-known/brski";
    what.if_none_match = std::move(held);
    client_->request(open()->id, std::move(what), [&](Result<Response> r) { got = std::move(r); });
    until([&] { return got.has_value(); });
    return **got;
  };
  const Response first = get("");
  ASSERT_FALSE(first.etag.empty());
  EXPECT_EQ(get(first.etag).status, 304);
  site_->policy.digest = true;
  site_->policy.basic = false;
  const Response next = get(first.etag);
  ASSERT_EQ(next.status, 200);
  EXPECT_EQ((*parse_json(as_text(next.body)))["authentication"], Json({"certificate", "digest"}));
}

// The account of these tests has a password, and no certificate.
class MasaDigest : public MasaWire {
 protected:
  void SetUp() override {
    MasaWire::SetUp();
    site_->policy.digest = true;
    keep(true, false);
    session_ = open();
  }
  void keep(bool digest, bool base64_bodies) {
    const Secret password("open sesame");
    Customer first = world_.account("first", {});
    first.password = customer_mac(site_->policy.pepper, "first", password);
    first.digest = digest ? *factory::customer_digest(site_->policy.pepper, "first", password) : Bytes();
    first.base64_bodies = base64_bodies;
    ASSERT_TRUE(store_->write([&](store::MakerWriter& w) { return w.put_customer(first, "test"); }));
  }
  Request request(std::string path = "/requestvoucher") {
    Request out;
    out.method = Method::post;
    out.path = "/.well-known/brski" + path;
    out.body = World::full_request(world_.first, lamp_, "lamp-1", "bm9uY2Utbm9uY2Ux");
    out.content_type = "application/voucher-cms+json";
    return out;
  }
  Response send(Request what) {
    std::optional<Result<Response>> got;
    client_->request(session_->id, std::move(what), [&](Result<Response> r) { got = std::move(r); });
    until([&] { return got.has_value(); });
    EXPECT_TRUE(got && *got) << (got ? (*got).error().what : "nothing");
    return got && *got ? **got : Response{};
  }
  static std::string rule_in(const Response& answer) {
    const std::string text(as_text(answer.body));
    const auto at = text.find("(MASA-");
    return at == std::string::npos ? std::string() : text.substr(at + 1, text.find(',', at) - at - 1);
  }
  DigestChallenge challenge() {
    const auto out = find_challenge(send(request()).authenticate);
    EXPECT_TRUE(out);
    return out.value_or(DigestChallenge{});
  }
  Request answered(const DigestChallenge& to, std::uint32_t count, std::string_view password = "open sesame",
                   std::string path = "/requestvoucher") {
    Request out = request(std::move(path));
    out.login = answer_challenge(to, {"first", Secret(password)}, out, count, Bytes{7});
    return out;
  }

  SessionRef session_;
};

TEST_F(MasaDigest, an_owner_who_logs_in_is_asked_to_and_gets_its_voucher) {
  const Response asked = send(request());
  EXPECT_EQ(asked.status, 401);
  EXPECT_EQ(rule_in(asked), "MASA-LOGIN-WANTED");
  ASSERT_EQ(asked.authenticate.size(), 2U) << "both ways";
  EXPECT_TRUE((*store_->read())->refused(10)->empty()) << "nobody was refused anything yet";
  const auto to = find_challenge(asked.authenticate);
  ASSERT_TRUE(to);
  EXPECT_FALSE(to->stale);
  EXPECT_EQ(send(answered(*to, 1)).status, 200);
  site_->policy.basic = false;
  EXPECT_EQ(send(request()).authenticate.size(), 1U);
}

TEST_F(MasaDigest, who_has_said_who_it_is_is_refused_and_not_asked) {
  Request other = request();
  other.body = World::full_request(world_.second, lamp_, "lamp-1", "bm9uY2Utbm9uY2Ux");
  EXPECT_EQ(send(other).status, 401) << "perhaps the owner, from another domain of its own";
  ASSERT_TRUE(store_->write([&](store::MakerWriter& w) {
    return w.put_customer(world_.account("second", {world_.second.ca.certificate}), "test");
  }));
  const Response known = send(other);
  EXPECT_EQ(known.status, 403);
  EXPECT_EQ(rule_in(known), "MASA-OWNER");
}

TEST_F(MasaDigest, an_answer_counts_once) {
  const DigestChallenge to = challenge();
  EXPECT_EQ(send(answered(to, 1)).status, 200);
  const Response again = send(answered(to, 1));
  EXPECT_EQ(again.status, 401);
  EXPECT_EQ(rule_in(again), "MASA-NONCE");
  const auto fresh = find_challenge(again.authenticate);
  ASSERT_TRUE(fresh);
  EXPECT_TRUE(fresh->stale) << "the client need not ask a person";
  EXPECT_EQ(send(answered(to, 2)).status, 200) << "the next count of the same challenge";
  EXPECT_EQ(send(answered(*fresh, 1, "open sesame", "/requestauditlog")).status, 200);
}

TEST_F(MasaDigest, a_challenge_that_nobody_made_counts_for_nothing) {
  const DigestChallenge made = challenge();
  EXPECT_EQ(rule_in(send(answered({made.realm, std::string(48, 'a'), {}, false}, 1))), "MASA-NONCE");
  const Secret other("another server's key");
  EXPECT_EQ(rule_in(send(answered({made.realm, make_nonce(other, loop_.now(), Bytes(8)), {}, false}, 1))),
            "MASA-NONCE");
  EXPECT_EQ(rule_in(send(answered(made, 1, "wrong"))), "MASA-LOGIN");
}

// What comes with a body is looked at before the body, and again with it: it is one answer.
TEST_F(MasaDigest, an_answer_with_a_long_body_counts_as_one) {
  const DigestChallenge to = challenge();
  Request many = answered(to, 1, "open sesame", "/requestvouchers");
  many.content_type = "application/x-ndjson";
  many.body = to_bytes(std::string(60'000, '\n') + "\"" + base64(request().body) + "\"\n");
  const Response answer = send(many);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(lines_of(answer).back()["vouchers"], 1);
  session_ = open();  // an answer of many ends its connection
  EXPECT_EQ(rule_in(send(many)), "MASA-NONCE");
}

TEST_F(MasaDigest, a_challenge_may_be_asked_for_with_nothing) {
  for (const char* const path : {"/requestvoucher", "/requestauditlog", "/requestvouchers"}) {
    Request nothing = request(path);
    nothing.body.clear();
    const Response answer = send(nothing);
    EXPECT_EQ(answer.status, 401) << path;
    EXPECT_TRUE(find_challenge(answer.authenticate));
  }
  site_->policy.digest = false;
  Request nothing = request();
  nothing.body.clear();
  EXPECT_EQ(send(nothing).status, 400);
}

TEST_F(MasaDigest, it_is_not_offered_where_it_is_off) {
  site_->policy.digest = false;
  const Response asked = send(request());
  EXPECT_EQ(asked.status, 401);
  EXPECT_FALSE(find_challenge(asked.authenticate));
  EXPECT_EQ(rule_in(send(answered({"imprint-masa", std::string(48, 'a'), {}, false}, 1))), "MASA-LOGIN");
}

TEST_F(MasaDigest, base64_is_read_from_whom_it_is_known_of) {
  const Bytes bare = request().body;
  const auto in_text = [&](std::string path = "/requestvoucher") {
    Request out = request(std::move(path));
    out.login = Login{"first", Secret("open sesame")};
    out.body = to_bytes(base64(bare));
    return out;
  };
  EXPECT_EQ(send(in_text()).status, 400) << "nobody has said that its registrars do that";
  keep(false, true);
  const Response answer = send(in_text());
  ASSERT_EQ(answer.status, 200) << as_text(answer.body);
  const auto voucher = parse_base64(as_text(answer.body));
  ASSERT_TRUE(voucher);
  EXPECT_TRUE(brski::parse_artifact(*voucher, brski::Form::cms));
  Request plain = request();
  plain.login = Login{"first", Secret("open sesame")};
  plain.body = bare;
  EXPECT_EQ(send(plain).body, *voucher) << "who sends it bare gets it bare, and the same one";
  EXPECT_EQ(send(in_text("/requestauditlog")).status, 200);
  Request stranger = in_text();
  stranger.login.reset();
  EXPECT_EQ(send(stranger).status, 401) << "it may be that customer: it is asked to say so";
  stranger.body = to_bytes(base64(view("no request")));
  EXPECT_EQ(send(stranger).status, 400);
  stranger.body = in_text().body;
  site_->base64_bodies = true;  // of everybody
  EXPECT_EQ(send(stranger).status, 401) << "read, and then judged";
  site_->base64_bodies = site_->policy.basic = site_->policy.digest = false;
  EXPECT_EQ(send(stranger).status, 400) << "nobody logs in here";
}

TEST_F(MasaWire, whoever_has_the_catalogue_is_not_sent_it_again) {
  site_->catalogue = "{}";
  restart();
  const auto get = [&](std::string held) {
    std::optional<Result<Response>> got;
    Request what;
    what.path = std::string(kMasaCataloguePath);
    what.if_none_match = std::move(held);
    client_->request(open()->id, std::move(what), [&](Result<Response> r) { got = std::move(r); });
    until([&] { return got.has_value(); });
    return **got;
  };
  const Response whole = get("");
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(as_text(whole.body), "{}");
  ASSERT_FALSE(whole.etag.empty());
  const Response same = get(whole.etag);
  EXPECT_EQ(same.status, 304);
  EXPECT_TRUE(same.body.empty());
  site_->catalogue = "{ }";
  EXPECT_EQ(get(whole.etag).status, 200);
}

TEST_F(MasaWire, hundreds_of_requests_in_one_call_and_the_same_vouchers_again) {
  constexpr std::size_t kMany = 300;
  ASSERT_TRUE(store_->write([&](store::MakerWriter& w) -> Status {
    for (std::size_t i = 0; i < kMany; ++i) {
      TRY(Ok{}, w.add_device(world_.record(lamp_, "bulk-" + std::to_string(i), i % 10 == 9 ? "" : "first"), "test"));
    }
    return Ok{};
  }));
  std::string body;
  for (std::size_t i = 0; i < kMany; ++i) {
    const std::string serial = "bulk-" + std::to_string(i);
    const auto form = i % 2 == 0 ? brski::Form::cms : brski::Form::cose;
    const Json item{{"id", serial}, {"request", base64(World::request(world_.first, lamp_, serial, "", {}, form))}};
    body += item.dump() + "\n";
  }
  body += "\"%%%\"\n";
  EXPECT_EQ(ask(open(), "/requestvouchers", to_bytes(body), "application/x-ndjson").status, 403);  // who asks?
  const Response answer = ask(open(true), "/requestvouchers", to_bytes(body), "application/x-ndjson");
  ASSERT_EQ(answer.status, 200);
  const std::vector<Json> lines = lines_of(answer);
  ASSERT_EQ(lines.size(), kMany + 2);
  std::size_t good = 0, refused = 0;
  std::map<std::string, std::string> vouchers;
  for (const Json& line : lines) {
    if (line.contains("voucher")) {
      ++good;
      vouchers[line["id"].get<std::string>()] = line["voucher"].get<std::string>();
      const auto artifact = brski::parse_artifact(*parse_base64(line["voucher"].get<std::string>()));
      ASSERT_TRUE(artifact);
      EXPECT_EQ(artifact->voucher.serial_number, line["id"].get<std::string>());
      EXPECT_TRUE(artifact->voucher.expires_on);  // without a nonce
      EXPECT_FALSE(artifact->voucher.nonce);
    } else if (line.contains("status")) {
      refused += line["status"] == 403 ? 1U : 0U;
    }
  }
  EXPECT_EQ(good, kMany * 9 / 10);
  EXPECT_EQ(refused, kMany / 10);
  EXPECT_EQ(lines.back()["vouchers"], kMany * 9 / 10);
  EXPECT_EQ(lines.back()["errors"], kMany / 10 + 1);

  const Response again = ask(open(true), "/requestvouchers", to_bytes(body), "application/x-ndjson");
  for (const Json& line : lines_of(again)) {
    if (line.contains("voucher")) {
      EXPECT_EQ(vouchers.at(line["id"].get<std::string>()), line["voucher"].get<std::string>());
    }
  }
  EXPECT_EQ(*(*store_->read())->count("vouchers"), static_cast<std::int64_t>(kMany * 9 / 10));
}

// What had been given out by then is on record, and what was on record is given again.
TEST_F(MasaWire, a_call_that_was_cut_in_the_middle_is_made_again) {
  constexpr std::size_t kMany = 200;
  ASSERT_TRUE(store_->write([&](store::MakerWriter& w) -> Status {
    for (std::size_t i = 0; i < kMany; ++i) {
      TRY(Ok{}, w.add_device(world_.record(lamp_, "cut-" + std::to_string(i), "first"), "test"));
    }
    return Ok{};
  }));
  std::string body;
  for (std::size_t i = 0; i < kMany; ++i) {
    body += '"' + base64(World::request(world_.first, lamp_, "cut-" + std::to_string(i), "", {})) + "\"\n";
  }
  std::size_t told = 0;
  server_->on_told([&](const MasaServer::Told& one) { told += one.device.empty() ? 0U : 1U; });
  const SessionRef session = open(true);
  std::optional<Result<Response>> got;
  Request what;
  what.method = Method::post;
  what.path = std::string(kMasaBulkPath);
  what.body = to_bytes(body);
  what.content_type = "application/x-ndjson";
  client_->request(session->id, std::move(what), [&](Result<Response> r) { got = std::move(r); });
  ASSERT_TRUE(until([&] { return told > 0; }));
  server_.reset();  // with slices on all of its threads
  EXPECT_TRUE(store_->write([](store::MakerWriter&) -> Status { return Ok{}; }));
  const auto on_record = *(*store_->read())->count("vouchers");
  EXPECT_GE(on_record, static_cast<std::int64_t>(told));
  restart();
  const std::vector<Json> lines = lines_of(ask(open(true), "/requestvouchers", to_bytes(body), "application/x-ndjson"));
  ASSERT_EQ(lines.size(), kMany + 1);
  for (std::size_t n = 0; n < kMany; ++n) {
    EXPECT_EQ(lines[n]["n"], n) << "in their order";
    EXPECT_EQ(lines[n]["status"], 200) << lines[n];
  }
  EXPECT_EQ(*(*store_->read())->count("vouchers"), static_cast<std::int64_t>(kMany));
}

// Sixteen MiB are for those who are known by then.
TEST_F(MasaWire, a_stranger_is_told_before_its_call_for_many_is_taken) {
  const SessionRef session = open();
  std::optional<Result<Response>> got;
  Request what;
  what.method = Method::post;
  what.path = std::string(kMasaBulkPath);
  what.body = Bytes(std::size_t{12} << 20U, ' ');
  what.content_type = "application/x-ndjson";
  client_->request(session->id, std::move(what), [&](Result<Response> r) { got = std::move(r); });
  ASSERT_TRUE(until([&] { return got.has_value(); }));
  if (*got) {  // or it was cut off while it went on sending
    EXPECT_EQ((*got)->status, 403);
    EXPECT_NE(as_text((*got)->body).find("MASA-BULK-CUSTOMER"), std::string_view::npos);
  }
  EXPECT_LT(server_->stats().bytes_in, std::uint64_t{2} << 20U);
  // One that is known may send as much, for what it is worth.
  const Response known =
      ask(open(true), "/requestvouchers", Bytes(std::size_t{12} << 20U, ' '), "application/x-ndjson");
  EXPECT_EQ(known.status, 400) << as_text(known.body);
  EXPECT_GT(server_->stats().bytes_in, std::uint64_t{12} << 20U);
}

// Lines are made faster than anybody reads them: who asked is waited for, and not cut off.
TEST_F(MasaWire, many_answers_wait_for_their_reader) {
  constexpr std::size_t kMany = 20'000;
  site_->most_at_once = kMany;
  restart();
  std::string body;
  for (std::size_t i = 0; i < kMany; ++i) {
    body += "0\n";
  }
  const Response answer = ask(open(true), "/requestvouchers", to_bytes(body), "application/x-ndjson");
  ASSERT_EQ(answer.status, 200);
  EXPECT_GT(answer.body.size(), std::size_t{2} << 20U);
  const std::vector<Json> lines = lines_of(answer);
  ASSERT_EQ(lines.size(), kMany + 1);
  EXPECT_EQ(lines.back()["errors"], kMany);
  EXPECT_EQ(lines.back()["api"], 1);
}

// A client that says what it likes and reads when it likes.
class Raw {
 public:
  explicit Raw(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const int small = 4096, large = 256 * 1024;  // what it says is said at once
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;
  ~Raw() { leave(); }
  void leave() { ::close(std::exchange(fd_, -1)); }

  // The head of a request, and as much of its body as is given.
  void say(std::string_view method, std::string_view password, std::size_t length, std::string_view body = {}) const {
    const std::string login = "first:" + std::string(password);
    std::string text = std::string(method) + " " + std::string(kMasaBulkPath) + " HTTP/1.1\r\nHost: masa\r\n";
    text += "Content-Type: application/x-ndjson\r\nContent-Length: " + std::to_string(length) + "\r\n";
    text += password.empty() ? "\r\n" : "Authorization: Basic " + base64(view(login)) + "\r\n\r\n";
    text += body;
    EXPECT_EQ(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // The status, as soon as it is there.
  std::string status() {
    char some[512];
    const ssize_t got = ::recv(fd_, some, sizeof some, MSG_DONTWAIT);
    text_.append(some, got > 0 ? static_cast<std::size_t>(got) : 0);
    return text_.size() < 12 ? std::string() : text_.substr(9, 3);
  }

 private:
  int fd_;
  std::string text_;
};

class MasaPlaces : public MasaWire {
 protected:
  void SetUp() override {
    MasaWire::SetUp();
    for (const std::string name : {"first", "second", "third", "fourth", "fifth"}) {
      ASSERT_TRUE(store_->write([&](store::MakerWriter& w) -> Status {
        Customer one = world_.account(name, {});
        one.password = customer_mac(site_->policy.pepper, name, Secret("open sesame"));
        return w.put_customer(one, "test");
      }));
    }
    site_->most_at_once = 60'000;
    restart(true);
    server_->on_told([this](const MasaServer::Told& told) { told_.push_back(told.status); });
  }
  std::string status_of(Raw& client) {
    std::string out;
    until([&] { return !(out = client.status()).empty(); });
    return out;
  }

  std::vector<int> told_;
};

TEST_F(MasaPlaces, much_may_come_of_a_call_for_many_alone) {
  constexpr std::size_t kMuch = std::size_t{8} << 20U;
  for (const char* const method : {"PUT", "DELETE", "GET"}) {
    Raw stranger(server_->port());
    stranger.say(method, "", kMuch);
    EXPECT_EQ(status_of(stranger), "413") << method;
  }
  Raw stranger(server_->port()), known(server_->port());
  stranger.say("POST", "", kMuch);
  EXPECT_EQ(status_of(stranger), "403");
  server_->halt();
  known.say("POST", "open sesame", kMuch);
  EXPECT_EQ(status_of(known), "503") << "nobody would read it";
  Raw small(server_->port());
  small.say("POST", "open sesame", 2, "0\n");
  EXPECT_EQ(status_of(small), "503") << "its body came with its head";
}

TEST_F(MasaPlaces, an_account_has_two_and_not_after_it_has_left) {
  constexpr std::size_t kMuch = std::size_t{1} << 20U;
  Raw one(server_->port()), two(server_->port()), three(server_->port());
  one.say("POST", "open sesame", kMuch);
  two.say("POST", "open sesame", kMuch);
  // Both have come before the third: what the server has read says so.
  ASSERT_TRUE(until([&] { return server_->stats().bytes_in > 300; }));
  three.say("POST", "open sesame", kMuch);
  EXPECT_EQ(status_of(three), "503");
  one.leave();
  ASSERT_TRUE(until([&] { return server_->stats().open < 2; }));
  Raw four(server_->port());
  four.say("POST", "open sesame", 2, "0\n");
  EXPECT_EQ(status_of(four), "200");
}

// Whoever asks for much and reads nothing keeps its place for a while alone.
TEST_F(MasaPlaces, who_does_not_read_loses_its_place) {
  std::string body;
  for (std::size_t i = 0; i < site_->most_at_once; ++i) {
    body += "0\n";
  }
  Raw one(server_->port()), two(server_->port()), three(server_->port());
  one.say("POST", "open sesame", body.size(), body);
  two.say("POST", "open sesame", body.size(), body);
  ASSERT_TRUE(until([&] { return told_ == std::vector<int>{200, 200}; })) << testing::PrintToString(told_);
  three.say("POST", "open sesame", 2, "0\n");
  EXPECT_EQ(status_of(three), "503");
  site_->bulk_patience = Duration(100);
  EXPECT_TRUE(until([&] {
    Raw next(server_->port());
    next.say("POST", "open sesame", 2, "0\n");
    return status_of(next) == "200";
  }));
}

TEST(MasaBulk, values_are_counted_before_they_are_read) {
  const auto rule = [](const std::string& body) {
    const auto read = parse_bulk(body, 2);
    return read ? std::string_view() : read.error().rule->id;
  };
  std::string lists = "[";
  for (int i = 0; i < 40; ++i) {
    lists += "[],";
  }
  EXPECT_EQ(rule(lists + "0]"), "MASA-BULK-MANY");
  EXPECT_EQ(rule("{\"request\": [" + lists + "0]]}"), "MASA-BULK-MANY");
  EXPECT_EQ(rule("[\"" + std::string(100, ',') + "\\\"" + std::string(100, '[') + "\"]"), "")
      << "in a text they are none";
  EXPECT_EQ(rule(R"(["AAAA", {"id": "1", "request": "AAAA", "accept": "x", "more": {"a": [1, 2]}}])"), "");
  EXPECT_EQ(rule("\"AAAA\"\n\"broken\n\"AAAA\""), "MASA-BULK-MANY") << "three, by lines";
  EXPECT_EQ(rule(""), "MASA-BULK-BODY");
}

TEST_F(MasaWire, passwords_are_not_tried_for_ever) {
  ASSERT_TRUE(store_->write([&](store::MakerWriter& w) -> Status {
    Customer first = world_.account("first", {world_.first.ca.certificate});
    first.password = customer_mac(site_->policy.pepper, "first", Secret("open sesame"));
    return w.put_customer(first, "test");
  }));
  const Bytes request = World::full_request(world_.first, lamp_, "lamp-1", "bm9uY2Utbm9uY2Ux");
  EXPECT_EQ(ask_as(open(), "open sesame", request, "/requestvoucher").status, 200);
  int tried = 0;
  Response last;
  for (; tried < 50; ++tried) {
    const std::string_view path = tried % 3 == 0   ? "/requestvoucher"
                                  : tried % 3 == 1 ? "/requestauditlog"
                                                   : "/requestvouchers";
    last = ask_as(open(), "sesame " + std::to_string(tried), request, std::string(path));
    if (last.status != 401) {
      break;
    }
    EXPECT_EQ(last.authenticate.size(), 1U);
  }
  EXPECT_EQ(tried, 10);
  EXPECT_EQ(last.status, 429);
  ASSERT_TRUE(last.retry_after_s);
  EXPECT_GE(*last.retry_after_s, 28);
  EXPECT_LE(*last.retry_after_s, 30);
  EXPECT_EQ(ask_as(open(), "open sesame", request, "/requestvoucher").status, 429)
      << "nor does the right one count now";
  EXPECT_EQ(ask(open(), "/requestvoucher", request).status, 200) << "who asks without a password is not kept out";
}

TEST_F(MasaWire, an_empty_body_is_no_request) {
  EXPECT_EQ(ask(open(), "/requestvoucher", {}).status, 400);
  EXPECT_EQ(ask(open(), "/requestauditlog", {}).status, 400);
  EXPECT_EQ(ask(open(true), "/requestvouchers", {}).status, 400);
}

TEST_F(MasaWire, the_log_has_the_voucher_before_it_leaves) {
  const Bytes request = World::full_request(world_.first, lamp_, "lamp-1", "bm9uY2Utbm9uY2Ux");
  // The power is cut after the action before the answer: it is on record by then.
  std::size_t actions = 0;
  std::optional<std::int64_t> logged;
  server_->on_acted([&] {
    ++actions;
    if (actions == 4) {  // identify, judge, sign, note
      logged = *(*store_->read())->count("vouchers");
      server_->halt();
    }
  });
  const SessionRef session = open();
  std::optional<Result<Response>> got;
  Request what;
  what.method = Method::post;
  what.path = "/.well-known/brski/requestvoucher";
  what.body = request;
  what.content_type = "application/voucher-cms+json";
  client_->request(session->id, std::move(what), [&](Result<Response> r) { got = std::move(r); });
  ASSERT_TRUE(until([&] { return logged.has_value(); }));
  EXPECT_EQ(*logged, 1);
  EXPECT_FALSE(got);
  // After the restart the registrar asks again, and gets what is on record.
  client_->close(session->id);
  server_.reset();
  restart();
  const Response again = ask(open(), "/requestvoucher", request);
  EXPECT_EQ(again.status, 200);
  const Sha256 digest = sha256(request);
  EXPECT_EQ(again.body, **(*store_->read())->given(digest, "cms"));
  EXPECT_EQ(*(*store_->read())->count("vouchers"), 1);
}

}  // namespace
}  // namespace imprint
