// The status server over plain HTTP: what it answers, what it keeps, and what it turns away.
#include "app/status_server.h"

#include "app/admin_testing.h"
#include "codec/base64.h"
#include "crypto/ocsp_testing.h"

namespace imprint::app {
namespace {

constexpr Duration kYear = std::chrono::hours(24 * 365);
constexpr std::string_view kAskType = "application/ocsp-request";

class StatusServerTest : public store::StoreTest {
 protected:
  StatusServerTest() {
    auto site = std::make_shared<EstSite>();
    site->ca = *site::make_root(KeyType::p256, *Name::from_text("CN=Owner"), io::wall_clock(), kYear, rng_);
    site->ca.crl_uri = "http://status.example/crl";
    site->list_signed = io::wall_clock();
    site->list_ends = site->list_signed + kYear;
    const site::ListTimes times{1, site->list_signed, kYear};
    site->revocation_list = *site::sign_list(site->ca, {}, times, false);
    site->distributed_list = *site::sign_list(site->ca, {}, times, true);
    site_ = site;
    server_ = std::make_unique<StatusServer>(*store_, site_);
    EXPECT_TRUE(server_->listen("127.0.0.1", 0));
    server_->start();
    EXPECT_TRUE(add(store::device_named("dev-1")));
  }

  Bytes issued() { return issued_by(site_->ca); }
  Bytes issued_by(const site::Ca& ca) {
    Grant grant;
    grant.device = "dev-1";
    grant.names.subject = *Name::from_text("CN=dev-1");
    grant.spki = PrivateKey::generate(KeyType::p256)->public_key().spki;
    grant.lifetime = kYear;
    Issued fact;
    fact.grant = grant;
    fact.certificate = *site::issue(ca, grant, io::wall_clock(), rng_);
    Bytes serial = Certificate::parse(fact.certificate)->serial;
    fact.request_key = serial;
    EXPECT_TRUE(issue(fact, io::wall_clock()));
    return serial;
  }

  Bytes about(const std::vector<Bytes>& serials, BytesView nonce = {}) const {
    return ocsp_question(site_->ca.certificate, serials, nonce);
  }

  Answer send(const std::string& text) const {
    Socket socket(server_->port());
    socket.send(text);
    const std::string& got = socket.read_until("");
    const std::size_t end = got.find("\r\n\r\n");
    if (end == std::string::npos) {
      ADD_FAILURE() << "no answer to " << text.substr(0, 60);
      return {};
    }
    return {std::stoi(got.substr(9, 3)), got.substr(0, end + 2), got.substr(end + 4)};
  }
  Answer get(const std::string& path, const std::string& header = {}) const {
    return send("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + header + "\r\n");
  }
  Answer post(BytesView body, std::string_view type = kAskType, const std::string& path = "/ocsp") const {
    return send("POST " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: " + std::string(type) +
                "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(as_text(body)));
  }

  SystemRng rng_;
  std::shared_ptr<const EstSite> site_;
  std::unique_ptr<StatusServer> server_;
};

std::string value_of(const Answer& answer, const std::string& name) {
  const std::size_t at = answer.head.find("\r\n" + name + ": ");
  return at == std::string::npos
             ? std::string()
             : answer.head.substr(at + name.size() + 4, answer.head.find("\r\n", at + 2) - at - name.size() - 4);
}

TEST_F(StatusServerTest, a_question_by_post_and_by_get_has_one_answer) {
  const Bytes question = about({issued()});
  const Answer posted = post(question);
  EXPECT_EQ(posted.status, 200);
  EXPECT_TRUE(posted.has("Content-Type: application/ocsp-response")) << posted.head;
  EXPECT_EQ(ocsp_status(view(posted.body)), 0);
  std::string escaped;
  for (const char c : base64(question)) {
    escaped += c == '+' ? "%2B" : c == '/' ? "%2f" : c == '=' ? "%3D" : std::string(1, c);
  }
  for (const std::string& path : {"/ocsp/" + escaped, "/ocsp/" + base64(question)}) {
    const Answer got = get(path);
    EXPECT_EQ(got.body, posted.body) << path;
    EXPECT_FALSE(value_of(got, "ETag").empty());
    EXPECT_NE(value_of(got, "Cache-Control").find("max-age="), std::string::npos);
    EXPECT_FALSE(value_of(got, "Expires").empty());
    EXPECT_FALSE(value_of(got, "Last-Modified").empty());
    const Answer again = get(path, "If-None-Match: " + value_of(got, "ETag") + "\r\n");
    EXPECT_EQ(again.status, 304);
    EXPECT_TRUE(again.body.empty());
  }
  const StatusStats stats = server_->stats();
  EXPECT_EQ(stats.signed_anew, 1U);
  EXPECT_EQ(stats.kept, 4U);
}

TEST_F(StatusServerTest, a_uri_that_ends_with_a_slash_and_a_type_with_parameters_will_do) {
  const Bytes question = about({issued()});
  EXPECT_EQ(ocsp_status(view(post(question, kAskType, "/ocsp/").body)), 0);
  EXPECT_EQ(ocsp_status(view(get("/ocsp//" + base64(question)).body)), 0);
  EXPECT_EQ(ocsp_status(view(post(question, "Application/OCSP-Request; x=y").body)), 0);
}

TEST_F(StatusServerTest, a_list_that_nobody_reads_takes_only_so_much_memory) {
  auto site = std::make_shared<EstSite>(*site_);
  site->distributed_list.assign(std::size_t{100} << 20U, 1);
  server_->take(site);
  EXPECT_EQ(get("/crl").status, 200);
  EXPECT_EQ(get("/crl").status, 200);
  const Answer third = get("/crl");
  EXPECT_EQ(third.status, 503);
  EXPECT_FALSE(value_of(third, "Retry-After").empty());
}

TEST_F(StatusServerTest, a_list_that_was_too_long_is_not_there) {
  auto site = std::make_shared<EstSite>(*site_);
  site->distributed_list.clear();
  site->revocation_list.clear();
  server_->take(site);
  EXPECT_EQ(get("/crl").status, 503);
}

TEST_F(StatusServerTest, no_kept_answer_outlives_a_revocation) {
  const Bytes serial = issued();
  const Answer before = post(about({serial}));
  EXPECT_EQ(post(about({serial})).body, before.body);
  ASSERT_TRUE(write(
      [&](store::Writer& w) { return w.revoke(serial, RevocationReason::key_compromise, "cli", io::wall_clock()); }));
  const Answer after = post(about({serial}));
  EXPECT_EQ(ocsp_status(view(after.body)), 0);
  EXPECT_NE(after.body, before.body);
  EXPECT_EQ(server_->stats().signed_anew, 2U);
}

TEST_F(StatusServerTest, answers_for_one_asker_are_not_for_caches) {
  const Bytes serial = issued();
  for (const Bytes& question : {about({serial}, Bytes(16, 5)), about({serial, serial}), about({Bytes{9, 9}})}) {
    const Answer first = post(question);
    EXPECT_EQ(ocsp_status(view(first.body)), 0);
    EXPECT_EQ(value_of(first, "Cache-Control"), "");
    post(question);
  }
  EXPECT_EQ(server_->stats().kept, 0U);
  EXPECT_EQ(server_->stats().signed_anew, 6U);
}

TEST_F(StatusServerTest, what_is_no_question_is_told_so) {
  EXPECT_EQ(ocsp_status(view(post(Bytes{0x30, 0x03, 1, 2, 3}).body)), 1);
  EXPECT_EQ(ocsp_status(view(post({}).body)), 1);
  EXPECT_EQ(ocsp_status(view(get("/ocsp/!!!!").body)), 1);
  EXPECT_EQ(ocsp_status(view(get("/ocsp/%4").body)), 1);
  EXPECT_EQ(ocsp_status(view(get("/ocsp/").body)), 1);
  EXPECT_EQ(ocsp_status(view(post(about(std::vector<Bytes>(33, Bytes{1}))).body)), 1);
  EXPECT_EQ(ocsp_status(view(post(about({Bytes{1}}, Bytes(33, 1))).body)), 1);
  EXPECT_EQ(post(Bytes(OcspRequest::kMaxBytes + 1, 'a')).status, 413);
  EXPECT_EQ(post(about({Bytes{1}}), "text/plain").status, 415);
  EXPECT_EQ(post(about({Bytes{1}}), kAskType, "/elsewhere").status, 404);
  EXPECT_EQ(get("/ocsp").status, 405);
  EXPECT_EQ(server_->stats().signed_anew, 0U);
}

TEST_F(StatusServerTest, another_cas_certificates_are_not_ours_to_answer_for) {
  const site::Ca other = *site::make_root(KeyType::p256, *Name::from_text("CN=Owner"), io::wall_clock(), kYear, rng_);
  EXPECT_EQ(ocsp_status(view(post(ocsp_question(other.certificate, {issued()})).body)), 6);
  EXPECT_EQ(*read()->count("certificates"), 1) << "nobody had to sign";
}

TEST_F(StatusServerTest, the_list_names_its_place_and_may_be_kept_for_a_while) {
  const Answer list = get("/crl");
  EXPECT_EQ(list.status, 200);
  EXPECT_TRUE(list.has("Content-Type: application/pkix-crl"));
  EXPECT_EQ(list.body, as_text(site_->distributed_list));
  EXPECT_EQ(value_of(list, "Cache-Control"), "max-age=600, public, no-transform, must-revalidate");
  EXPECT_EQ(get("/crl", "If-None-Match: " + value_of(list, "ETag") + "\r\n").status, 304);
  EXPECT_EQ(post({}, kAskType, "/crl").status, 405);
}

TEST_F(StatusServerTest, another_list_and_another_ca_are_taken_while_it_runs) {
  const Bytes serial = issued();
  EXPECT_EQ(ocsp_status(view(post(about({serial})).body)), 0);
  auto next = std::make_shared<EstSite>(*site_);
  next->ca = *site::make_root(KeyType::p256, *Name::from_text("CN=Next"), io::wall_clock(), kYear, rng_);
  next->distributed_list.clear();
  server_->take(next);
  EXPECT_EQ(ocsp_status(view(post(about({serial})).body)), 6) << "the CA of before is not ours any more";
  EXPECT_EQ(get("/crl").body, as_text(next->revocation_list)) << "without a place of its own";
  EXPECT_EQ(ocsp_status(view(post(ocsp_question(next->ca.certificate, {Bytes{1, 1}})).body)), 0);
}

// The one of before has a key, a list and answers of its own; a question about both is the one's of now to answer.
TEST_F(StatusServerTest, a_CA_of_before_goes_on_to_answer) {
  const Bytes serial = issued();
  const site::Ca first = site_->ca;
  auto next = std::make_shared<EstSite>(*site_);
  next->ca = *site::make_root(KeyType::p384, *Name::from_text("CN=Next"), io::wall_clock(), kYear, rng_);
  const site::ListTimes times{2, site_->list_signed, kYear};
  next->revocation_list = *site::sign_list(next->ca, {}, times, false);
  next->distributed_list.clear();
  next->former.push_back({first, site_->revocation_list, site_->distributed_list, site_->list_ends});
  server_->take(next);
  const Bytes second = issued_by(next->ca);

  EXPECT_EQ(ocsp_status(view(post(about({serial})).body)), 0);
  EXPECT_EQ(ocsp_status(view(post(ocsp_question(next->ca.certificate, {second})).body)), 0);
  EXPECT_EQ(server_->stats().signed_anew, 2U);
  EXPECT_EQ(*read()->count("certificates"), 4) << "each has a delegate";
  EXPECT_EQ(ocsp_status(view(post(about({serial})).body)), 0);
  EXPECT_EQ(server_->stats().signed_anew, 2U) << "the answer is kept";

  EXPECT_EQ(get("/crl/" + site::issuer_id(first.certificate)).body, as_text(site_->distributed_list));
  EXPECT_EQ(get("/crl/" + site::issuer_id(next->ca.certificate)).body, as_text(next->revocation_list));
  EXPECT_EQ(get("/crl").body, as_text(next->revocation_list));
  EXPECT_EQ(get("/crl/0123456789abcdef").status, 404);
  EXPECT_EQ(get("/crl/").status, 404);
  EXPECT_EQ(get("/crlx").status, 404);
  const std::string etag = value_of(get("/crl/" + site::issuer_id(first.certificate)), "ETag");
  EXPECT_NE(etag, value_of(get("/crl"), "ETag"));

  auto gone = std::make_shared<EstSite>(*next);
  gone->former.front().revocation_list.clear();
  gone->former.front().distributed_list.clear();
  server_->take(gone);
  EXPECT_EQ(get("/crl/" + site::issuer_id(first.certificate)).status, 503) << "its key cannot be had";
  gone = std::make_shared<EstSite>(*gone);
  gone->former.clear();
  server_->take(gone);
  EXPECT_EQ(ocsp_status(view(post(about({serial})).body)), 6);
  EXPECT_EQ(get("/crl/" + site::issuer_id(first.certificate)).status, 404);
}

TEST_F(StatusServerTest, a_ca_that_is_over_answers_nothing) {
  auto next = std::make_shared<EstSite>(*site_);
  next->ca = *site::make_root(KeyType::p256, *Name::from_text("CN=Old"), io::wall_clock() - kYear, kYear / 2, rng_);
  server_->take(next);
  EXPECT_EQ(ocsp_status(view(post(ocsp_question(next->ca.certificate, {Bytes{1, 1}})).body)), 2);
}

TEST(StatusServerListen, a_port_that_is_taken_is_a_conflict) {
  const store::TestFolder folder;
  const auto store = store::open_store(folder.file());
  StatusServer first(*store, std::make_shared<EstSite>());
  ASSERT_TRUE(first.listen("127.0.0.1", 0));
  StatusServer second(*store, std::make_shared<EstSite>());
  const Status done = second.listen("127.0.0.1", first.port());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().fault, Fault::conflict);
}

}  // namespace
}  // namespace imprint::app
