// The way up from who signed, and what it may cost whoever looks for it.
#include "proto/brski/way_up.h"

#include "proto/brski/judge_testing.h"

namespace imprint::brski {
namespace {

using namespace testing;

// A CA below another, both in time unless the template says otherwise.
Party ca_below(const Party& by, std::string_view name) {
  const PrivateKey key = *PrivateKey::generate(KeyType::p256);
  return {key, by.issue(as_ca(by.below(key.public_key(), name)))};
}

// Certificates of one CA's key and name by a stranger: nobody else is above them. They end days from now.
std::vector<Certificate> look_alikes(const Party& of, int from, int count) {
  const Party stranger = make_root(KeyType::p256, "CN=Stranger");
  std::vector<Certificate> out;
  for (int i = from; i < from + count; ++i) {
    CertificateTemplate what = as_ca(stranger.below(of.key.public_key(), of.certificate.subject.text));
    what.not_before = kNow - 90 * kDay;
    what.not_after = kNow + i * kDay;
    out.push_back(stranger.issue(what));
  }
  return out;
}

class WayUp : public ::testing::Test {
 protected:
  Result<CertificateChain> climb(const std::vector<Certificate>& along, const std::vector<Certificate>& anchors = {}) {
    return way_up(leaf_, {along, anchors, now_, left_});
  }
  CertificateTemplate leaf_template() { return below(office_, key_, "CN=Registrar", {std::string(eku::kCmcRa)}); }

  Party root_ = make_root(KeyType::p256, "CN=Domain"), office_ = ca_below(root_, "CN=Office");
  PrivateKey key_ = *PrivateKey::generate(KeyType::p256);
  Certificate leaf_ = office_.issue(leaf_template());
  std::optional<Instant> now_ = kNow;
  std::size_t left_ = kMostSignatures;
};

TEST_F(WayUp, an_honest_one_costs_little) {
  const auto path = climb({leaf_, office_.certificate, root_.certificate});
  ASSERT_TRUE(path);
  EXPECT_EQ(path->anchor, root_.certificate);
  EXPECT_EQ(path->via, std::vector{office_.certificate});
  EXPECT_EQ(left_, kMostSignatures - 4) << "two links, and both once more as one path";
  EXPECT_EQ(climb({leaf_})->anchor, leaf_) << "nothing came along";
}

TEST_F(WayUp, it_ends_at_the_anchor_that_is_known) {
  const std::vector<Certificate> along{leaf_, office_.certificate};
  EXPECT_EQ(climb(along, {root_.certificate})->anchor, root_.certificate);
  EXPECT_EQ(climb(along, {office_.certificate})->anchor, office_.certificate);
  EXPECT_EQ(climb(along, {leaf_})->anchor, leaf_);
  EXPECT_EQ(climb(along, {make_root(KeyType::p256, "CN=Domain").certificate}).error().fault, Fault::unauthentic);
  EXPECT_EQ(climb({}, {root_.certificate}).error().fault, Fault::unauthentic) << "there is a gap";
}

TEST_F(WayUp, look_alikes_have_an_end) {
  std::vector<Certificate> along = look_alikes(office_, 1, 40);
  along.push_back(leaf_);
  EXPECT_EQ(climb(along).error().fault, Fault::limit);
  EXPECT_EQ(left_, 0U);
  left_ = 3;
  EXPECT_EQ(climb({office_.certificate, root_.certificate}).error().fault, Fault::limit) << "the path costs as well";
}

TEST_F(WayUp, times_are_looked_at_before_signatures) {
  std::vector<Certificate> over = look_alikes(office_, -30, 21);
  EXPECT_EQ(climb(over).error().fault, Fault::expired);
  EXPECT_EQ(left_, kMostSignatures - 1) << "one tells that there was a way";
  over.push_back(office_.certificate);
  EXPECT_EQ(climb(over)->anchor, office_.certificate) << "the renewed one";
  CertificateTemplate late = leaf_template();
  late.not_after = kNow - kDay / 2;
  leaf_ = office_.issue(late);
  left_ = kMostSignatures;
  EXPECT_EQ(climb({office_.certificate, root_.certificate}).error().fault, Fault::expired);
  EXPECT_EQ(left_, kMostSignatures) << "nothing was looked for";
  now_.reset();
  EXPECT_EQ(climb({office_.certificate, root_.certificate})->anchor, root_.certificate);
}

// A small request from nowhere: the same key under several certificates that are over, a line of CAs, and many of the
// last one's name.
TEST_F(WayUp, a_stranger_s_request_is_cheap_to_refuse) {
  std::vector<Party> line{office_};
  for (int i = 0; i < 6; ++i) {
    line.insert(line.begin(), ca_below(line.front(), "CN=Line " + std::to_string(i)));
  }
  const auto request = [&](Instant until) {
    std::vector<Certificate> chain;
    for (std::uint8_t i = 0; i < 4; ++i) {
      CertificateTemplate what = below(line.front(), key_, "CN=Registrar", {std::string(eku::kCmcRa)});
      what.not_after = until - i * std::chrono::hours(1);
      chain.push_back(line.front().issue(what));
    }
    for (std::size_t i = 0; i + 1 < line.size(); ++i) {
      chain.push_back(line[i].certificate);
    }
    const std::vector<Certificate> tops = look_alikes(line.back(), 1, 21);
    chain.insert(chain.end(), tops.begin(), tops.end());
    Voucher v;
    v.kind = Voucher::Kind::request;
    v.serial_number = "dev-1";
    v.nonce = Nonce(std::string(22, 'B'));
    const Maker maker{{root_.certificate}, {}, {}, false, kNow};
    const auto bytes = sign_voucher(v, Form::cms, {key_, chain});
    EXPECT_TRUE(bytes);
    return check_registrar_request(*parse_artifact(*bytes), maker);
  };
  const Check over = *find(request(kNow - kDay / 2), kRegistrarChain);
  EXPECT_EQ(over.outcome, Outcome::failed);
  EXPECT_EQ(over.fault, Fault::expired);
  const Check many = *find(request(kNow + kDay), kRegistrarChain);
  EXPECT_EQ(many.outcome, Outcome::failed);
  EXPECT_EQ(many.fault, Fault::refused) << many.detail;
}

TEST_F(WayUp, nobody_climbs_for_who_is_no_registrar) {
  World w;
  const Signer plain = World::signer(w.domain, "CN=Device", {std::string(eku::kClientAuth)});
  const auto checks = check_registrar_request(w.signed_as(w.registrar_request(w.pledge_request()), plain), w.makers());
  EXPECT_EQ(find(checks, kRegistrarRole)->outcome, Outcome::failed);
  EXPECT_EQ(find(checks, kRegistrarChain)->outcome, Outcome::unknown);
}

}  // namespace
}  // namespace imprint::brski
