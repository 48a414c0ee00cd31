// The owner's CA certificates after changes of roots: one key has several certificates, and the first that fits may
// lead nowhere.
#include "proto/est/anchors.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "proto/est/pair.h"

namespace imprint::est {
namespace {

Edit until(int days) {
  return [days](CertificateTemplate& what) {
    as_ca(what);
    what.not_after = kStart + days * kDay;
  };
}

// G1 gave way to G2, that to G3, and G3's key went below another root, which gave way to a third.
struct Generations {
  Party g1 = make_root("CN=G1", until(400)), g2 = make_root("CN=G2", until(500)), g3 = make_root("CN=G3", until(600)),
        away = make_root("CN=Away", until(700)), far = make_root("CN=Far", until(800));

  static Certificate link(const Party& of, const Party& by) {
    return certify(by, of.certificate.subject.text, of.key.public_key(), as_ca);
  }
  // In the order in which our server gives them.
  std::vector<Certificate> bag() const {
    return {link(g3, far), far.certificate, link(far, away), link(away, g3), link(g3, g2), link(g2, g1)};
  }
};

TEST(CaCertificates, each_generation_of_devices_follows_to_the_newest_root) {
  const Generations g;
  const std::vector<Certificate> bag = g.bag();
  const auto sorted = sort_ca_certificates(bag, kStart);
  ASSERT_TRUE(sorted);
  EXPECT_EQ(sorted->root, g.far.certificate);
  for (const Party* const held : {&g.g1, &g.g2, &g.g3, &g.away, &g.far}) {
    EXPECT_TRUE(continues({held->certificate}, *sorted, bag, kStart)) << held->certificate.subject.text;
  }
  EXPECT_FALSE(continues({make_root("CN=G2").certificate}, *sorted, bag, kStart));
}

TEST(CaCertificates, without_its_link_a_generation_is_left_behind) {
  const Generations g;
  std::vector<Certificate> bag = g.bag();
  bag.erase(bag.begin() + 4);  // G3 by G2
  const auto sorted = sort_ca_certificates(bag, kStart);
  ASSERT_TRUE(sorted);
  EXPECT_FALSE(continues({g.g2.certificate}, *sorted, bag, kStart));
  EXPECT_TRUE(continues({g.g3.certificate}, *sorted, bag, kStart));
}

TEST(CaCertificates, a_link_behind_a_dead_end_still_leads_under_the_root) {
  const Generations g;
  // G3 is the root; G2's self-signed certificate stands before the link that leads from it to G3.
  const std::vector<Certificate> bag{g.g3.certificate, g.g2.certificate, Generations::link(g.g3, g.g2),
                                     Generations::link(g.g2, g.g1), Generations::link(g.g2, g.g3)};
  const auto sorted = sort_ca_certificates(bag, kStart);
  ASSERT_TRUE(sorted);
  EXPECT_EQ(sorted->root, g.g3.certificate);
  EXPECT_NE(std::ranges::find(sorted->issuers, Generations::link(g.g3, g.g2).key, &Certificate::key),
            sorted->issuers.end());
}

// A server that we take, but that is no CA, has a certificate by the owner's CA and the key to it.
struct Impostor {
  Generations g;
  Party server = make_below(g.g2, "CN=Self");
  Certificate root(int days) const {
    return certify({server.key, server.certificate}, "CN=Self", server.key.public_key(), until(days));
  }
};

TEST(CaCertificates, a_servers_own_certificate_makes_its_key_no_root) {
  const Impostor i;
  const std::vector<Certificate> bag{i.root(900), i.server.certificate};
  const auto sorted = sort_ca_certificates(bag, kStart);
  ASSERT_TRUE(sorted);
  ASSERT_EQ(sorted->root, bag.front());
  EXPECT_FALSE(continues({i.g.g2.certificate}, *sorted, bag, kStart));
}

TEST(CaCertificates, a_servers_own_certificate_makes_its_key_no_older_root_either) {
  const Impostor i;
  const std::vector<Certificate> bag{i.g.g2.certificate, i.root(450), i.server.certificate};
  const auto sorted = sort_ca_certificates(bag, kStart);
  ASSERT_TRUE(sorted);
  EXPECT_EQ(sorted->anchors, std::vector<Certificate>{i.g.g2.certificate});
}

TEST(CaCertificates, whoever_signs_the_key_above_an_anchor_stands_not_above_it) {
  const Generations g;
  const Party issuing = make_below(g.g2, "CN=Issuing", as_ca);
  const std::vector<Certificate> bag{g.far.certificate, Generations::link(g.g2, g.far)};
  const auto sorted = sort_ca_certificates(bag, kStart);
  ASSERT_TRUE(sorted);
  EXPECT_FALSE(continues({issuing.certificate}, *sorted, bag, kStart));
  const std::vector<Certificate> own{g.g2.certificate};
  EXPECT_TRUE(continues({issuing.certificate}, *sort_ca_certificates(own, kStart), own, kStart)) << "its own root does";
}

// As when the CA upstream of a gateway changed its root: who holds the old one gets an answer by the new one.
TEST(CaCertificates, an_answer_by_the_new_root_reaches_the_old_one) {
  const Generations g;
  const Party device = make_below(g.g2, "CN=dev-1");
  const std::vector<Certificate> issuers{g.g2.certificate, g.g1.certificate, Generations::link(g.g2, g.g1)};
  EXPECT_TRUE(verify_answer(device.key.public_key(), {device.certificate}, issuers, {g.g1.certificate}, kStart));
  EXPECT_FALSE(verify_answer(device.key.public_key(), {device.certificate}, issuers, {g.g3.certificate}, kStart));
}

}  // namespace
}  // namespace imprint::est
