// Keys that the owner makes: whom the policy gives them, how they travel, and what becomes of an answer that was lost.
#include "site/key_delivery.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "crypto/enveloped.h"
#include "crypto/random.h"
#include "site/ca.h"
#include "site/operations.h"
#include "site/rules.h"
#include "site/wrap_keys.h"

namespace imprint::site {
namespace {

constexpr Duration kYear = std::chrono::hours(24 * 365);
constexpr Instant kNow{1'790'000'000'000};

// A site that knows one device, by its IDevID and by a token.
class ServerKeyPolicy : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("imprint-keys-" + hex(random_secret(rng_, 8).expose()));
    std::filesystem::create_directories(folder_);
    store_ = *store::open_sqlite((folder_ / "db").string());
    maker_ = *make_root(KeyType::p256, *Name::from_text("CN=Maker"), kNow, kYear * 30, rng_);
    owner_ = *make_root(KeyType::p256, *Name::from_text("CN=Owner"), kNow, kYear * 30, rng_);
    policy_.profiles[""] = Profile{};
    policy_.profiles[""].server_keys = ServerKeys::clear;
    policy_.owner_anchors = {owner_.certificate};
    policy_.pepper = random_secret(rng_, 32);
    set_idevid({});
    const Sha256 mac = secret_mac(policy_.pepper, "dev-1", token_.password);
    EXPECT_TRUE(store_->write([&](store::Writer& w) { return w.add_secret({"dev-1", "dev-1", true, mac, false}); }));
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  // The device's certificate of its maker, of this usage.
  void set_idevid(std::optional<std::uint16_t> usage) {
    Grant grant;
    grant.names.subject = *Name::from_text("CN=dev-1");
    grant.spki = key_.public_key().spki;
    grant.usage = usage;
    grant.lifetime = kYear;
    const Certificate idevid = *Certificate::parse(*issue(maker_, grant, kNow, rng_));
    Session session;
    session.proven = *verify_chain(idevid, {}, {maker_.certificate}, {Purpose::any, kNow, true});
    session_ = std::make_shared<const Session>(std::move(session));
    Device device;
    device.id = "dev-1";
    device.identities = {identity_of(idevid)};
    EXPECT_TRUE(store_->write([&](store::Writer& w) -> Status {
      TRY(const auto there, w.device("dev-1"));
      return there ? Status(Ok{}) : w.add_device(device, "test");
    }));
  }

  Decision decide(const KeyWrapping& wrapping, bool by_token = false, Instant at = kNow) {
    RequestTemplate what;
    what.subject = *Name::from_text("CN=dev-1");
    what.wrapping = wrapping;
    const auto request = CertificateRequest::parse(*make_request(key_, what));
    auto reader = *store_->read();
    const SessionRef nobody = std::make_shared<const Session>();
    return *admit(policy_, *reader,
                  Admit{by_token ? nobody : session_, by_token ? std::optional(token_) : std::nullopt, "", false,
                        KeylessRequest{*request}, Bytes{1, 2, 3}},
                  at);
  }

  // Makes key and certificate as decided, and puts them on record.
  Bytes record(const Decision& d, Instant at = kNow) {
    Grant grant = d.grant;
    grant.spki = PrivateKey::generate(KeyType::p256)->public_key().spki;
    const Bytes certificate = *issue(owner_, grant, at, rng_);
    const Issued fact{grant,   certificate, Bytes{1, 2, 3}, d.identity,  d.reason,
                      d.spent, d.renews,    d.newcomer,     d.supersedes};
    const Status kept = store_->write([&](store::Writer& w) { return w.issued(fact, at, "test"); });
    EXPECT_TRUE(kept) << kept.error().what;
    return Certificate::parse(certificate)->serial;
  }
  bool revoked(const Bytes& serial) { return (*(*(*store_->read())->certificate(serial))).revoked.has_value(); }
  WrapMeans means_of(std::vector<imprint::Signer> signers) const { return {std::move(signers), policy_.pepper}; }
  WrapMeans means() const { return means_of({{owner_.key, owner_.chain()}}); }

  // A shared key of this device's, on record.
  SharedKey give_shared(const std::string& device, Bytes id, std::size_t octets) {
    SharedKey key{std::move(id), random_secret(rng_, octets)};
    EXPECT_TRUE(store_->write([&](store::Writer& w) -> Status {
      TRY(const auto there, w.device(device));
      if (!there) {
        Device other;
        other.id = device;
        TRY(Ok{}, w.add_device(other, "test"));
      }
      TRY(const store::WrapKeyRow row, sealed_wrap_key(policy_.pepper, device, key));
      return w.add_wrap_key(row);
    }));
    return key;
  }
  static KeyWrapping shared(const Bytes& id) { return {id, std::nullopt, cms_capabilities()}; }

  KeyWrapping own_key() const { return {std::nullopt, key_identifier(key_.public_key()), cms_capabilities()}; }

  SystemRng rng_;
  std::filesystem::path folder_;
  std::unique_ptr<store::Store> store_;
  Ca owner_, maker_;
  Policy policy_;
  PrivateKey key_ = *PrivateKey::generate(KeyType::p256);
  SessionRef session_;
  Login token_{"dev-1", Secret("vQ4v8b0kJmHq2w7xTzLr5cYpN9sGdEfU3aXo6iKjBtM")};
};

TEST_F(ServerKeyPolicy, in_clear_where_the_profile_says_so) {
  const Decision d = decide({});
  ASSERT_EQ(d.verdict, Verdict::issue) << d.reason;
  ASSERT_TRUE(d.delivery.has_value());
  EXPECT_FALSE(d.delivery->wrapped());
  EXPECT_TRUE(d.grant.spki.empty());
}

TEST_F(ServerKeyPolicy, off_and_only_wrapped) {
  policy_.profiles[""].server_keys = ServerKeys::no;
  EXPECT_EQ(decide({}).rule, &kNoServerKeys);
  policy_.profiles[""].server_keys = ServerKeys::wrapped;
  EXPECT_EQ(decide({}).rule, &kMustWrap);
  EXPECT_EQ(decide(own_key()).verdict, Verdict::issue);
}

TEST_F(ServerKeyPolicy, a_type_of_key_that_the_profile_has_not) {
  policy_.profiles[""].keys = {KeyType::p384};
  EXPECT_EQ(decide({}).rule, &kKeyType);
}

TEST_F(ServerKeyPolicy, the_key_of_the_certificate_presented_may_unwrap) {
  const Decision d = decide(own_key());
  ASSERT_EQ(d.verdict, Verdict::issue) << d.reason;
  ASSERT_TRUE(d.delivery.has_value());
  const auto* const recipient = std::get_if<Certificate>(&d.delivery->form);
  ASSERT_NE(recipient, nullptr);
  EXPECT_EQ(recipient->key, key_.public_key());
}

// What the server makes of a decision: never a key in clear unless the decision says so.
TEST_F(ServerKeyPolicy, a_shared_key_that_is_not_held_gets_no_key) {
  for (const Bytes& id : {Bytes{}, Bytes{1, 2, 3}}) {
    const auto made = make_key_for({KeyType::p256, KeyDelivery::SharedKeyId{id}, cms_capabilities()}, means());
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().rule, &kNoWrapKey);
  }
  EXPECT_FALSE(make_key_for(KeyDelivery{}, means())) << "a delivery that nobody has filled in";
}

TEST_F(ServerKeyPolicy, the_devices_shared_key_unwraps_and_no_other) {
  policy_.profiles[""].server_keys = ServerKeys::wrapped;
  for (const std::uint8_t octets : Bytes{16, 24, 32}) {
    const SharedKey key = give_shared("dev-1", {octets}, octets);
    const Decision d = decide(shared(key.id));
    ASSERT_EQ(d.verdict, Verdict::issue) << d.reason;
    const auto made = make_key_for(*d.delivery, means());
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_TRUE(made->wrapped);
    const auto inside = open_signed_key(*open_envelope(made->body.expose(), key));
    ASSERT_TRUE(inside);
    EXPECT_EQ(inside->key.public_key(), made->key);
    EXPECT_FALSE(open_envelope(made->body.expose(), SharedKey{key.id, random_secret(rng_, octets)}));
    EXPECT_FALSE(open_envelope(made->body.expose(), SharedKey{{0xee}, key.key})) << "an identifier that was replaced";
    for (std::size_t length = 0; length < made->body.size(); length += 23) {
      EXPECT_FALSE(open_envelope(made->body.expose().first(length), key)) << length;
    }
  }
}

TEST_F(ServerKeyPolicy, a_shared_key_of_another_device_is_nobodys) {
  give_shared("dev-2", {1, 2, 3}, 32);
  const Decision foreign = decide(shared({1, 2, 3}));
  EXPECT_EQ(foreign.verdict, Verdict::refused);
  EXPECT_EQ(foreign.rule, &kNoWrapKey);
  const SharedKey own = give_shared("dev-1", {1, 2, 3}, 32);
  const auto made = make_key_for(*decide(shared({1, 2, 3})).delivery, means());
  ASSERT_TRUE(made);
  EXPECT_TRUE(open_envelope(made->body.expose(), own)) << "the same identifier, each device's own key";
  EXPECT_EQ(decide(shared({1, 2})).rule, &kNoWrapKey);
}

TEST_F(ServerKeyPolicy, a_retired_device_gets_no_key_wrapped) {
  const SharedKey key = give_shared("dev-1", {1}, 32);
  EXPECT_TRUE(store_->write([&](store::Writer& w) { return retire_device(w, {"dev-1", {}}, {"test", kNow}); }));
  EXPECT_EQ(decide(shared(key.id)).rule, &kRetired);
}

TEST_F(ServerKeyPolicy, a_shared_key_that_cannot_be_opened_gets_none) {
  give_shared("dev-1", {1}, 32);
  KeyDelivery delivery = *decide(shared({1})).delivery;
  const WrapMeans other{means().signers, random_secret(rng_, 32)};
  EXPECT_EQ(make_key_for(delivery, other).error().rule, &kWrapKeyUnreadable) << "another pepper";
  std::get<KeyDelivery::SharedKeyId>(delivery.form).id = {2};
  EXPECT_EQ(make_key_for(delivery, means()).error().rule, &kWrapKeyUnreadable) << "another identifier";
  delivery = *decide(shared({1})).delivery;
  std::get<KeyDelivery::SharedKeyId>(delivery.form).device = "dev-2";
  EXPECT_EQ(make_key_for(delivery, means()).error().rule, &kWrapKeyUnreadable) << "another device";
}

TEST_F(ServerKeyPolicy, a_shared_key_wraps_none_that_is_stronger_nor_by_what_is_not_listed) {
  give_shared("dev-1", {1}, 16);
  KeyDelivery delivery = *decide(shared({1})).delivery;
  delivery.type = KeyType::p384;
  EXPECT_EQ(make_key_for(delivery, means()).error().rule, &kNoCommonCipher);
  delivery = *decide(shared({1})).delivery;
  delivery.capabilities = {std::string(cms_algorithm::kAes256Cbc), std::string(cms_algorithm::kAes256Wrap)};
  EXPECT_EQ(make_key_for(delivery, means()).error().rule, &kNoCommonCipher) << "no wrap of 128 bits";
  delivery.capabilities = {"1.2.840.113549.3.7"};
  EXPECT_EQ(make_key_for(delivery, means()).error().rule, &kNoCommonCipher);
}

TEST_F(ServerKeyPolicy, a_key_is_made_as_decided) {
  const auto clear = make_key_for(*decide({}).delivery, means());
  ASSERT_TRUE(clear);
  EXPECT_FALSE(clear->wrapped);
  EXPECT_EQ(parse_pkcs8(clear->body)->public_key(), clear->key);
  const auto wrapped = make_key_for(*decide(own_key()).delivery, means());
  ASSERT_TRUE(wrapped);
  EXPECT_TRUE(wrapped->wrapped);
  EXPECT_FALSE(parse_pkcs8(wrapped->body));
  const auto inside = open_signed_key(*open_envelope(wrapped->body.expose(), key_));
  ASSERT_TRUE(inside);
  EXPECT_EQ(inside->key.public_key(), wrapped->key);
  EXPECT_EQ(inside->signer, owner_.certificate);
}

TEST_F(ServerKeyPolicy, a_key_that_signs_no_cms_leaves_it_to_the_ca) {
  const Ca quiet = *make_root(KeyType::ed25519, *Name::from_text("CN=Quiet"), kNow, kYear, rng_);
  const imprint::Signer ed25519{quiet.key, quiet.chain()};
  const KeyDelivery wrapped = *decide(own_key()).delivery;
  const auto by_ca = make_key_for(wrapped, means_of({ed25519, {owner_.key, owner_.chain()}}));
  ASSERT_TRUE(by_ca);
  EXPECT_EQ(open_signed_key(*open_envelope(by_ca->body.expose(), key_))->signer, owner_.certificate);
  const auto by_none = make_key_for(wrapped, means_of({{}, ed25519}));
  ASSERT_FALSE(by_none);
  EXPECT_EQ(by_none.error().rule, &kKeySigner);
  EXPECT_TRUE(make_key_for(*decide({}).delivery, means_of({ed25519}))) << "nothing to sign in clear";
}

TEST_F(ServerKeyPolicy, what_cannot_be_wrapped_is_not_sent_in_clear) {
  KeyDelivery delivery = *decide(own_key()).delivery;
  delivery.capabilities = {"1.2.840.113549.3.7"};
  const auto made = make_key_for(delivery, means());
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().rule, &kNoCommonCipher);
}

TEST_F(ServerKeyPolicy, a_certificate_on_record_may_unwrap) {
  const Bytes serial = record(decide({}));
  auto reader = *store_->read();
  const Certificate given = *Certificate::parse((*(*reader->certificate(serial))).der);
  const Decision d = decide({std::nullopt, given.key_id, cms_capabilities()});
  EXPECT_EQ(d.rule, &kWrapUsage) << "the profile gives digitalSignature alone";
}

TEST_F(ServerKeyPolicy, usage_identifier_and_algorithms_have_to_fit) {
  KeyWrapping other = own_key();
  other.own_key_id = Bytes{1, 2, 3};
  EXPECT_EQ(decide(other).rule, &kNoWrapKey);
  EXPECT_EQ(decide({Bytes{1}, std::nullopt, cms_capabilities()}).rule, &kNoWrapKey);
  other = own_key();
  other.capabilities = {"1.2.840.113549.3.7"};
  EXPECT_EQ(decide(other).rule, &kNoCommonCipher);
}

TEST_F(ServerKeyPolicy, a_lost_answer_is_revoked_with_the_next_one) {
  const Bytes first = record(decide({}));
  const Decision again = decide({});
  ASSERT_EQ(again.verdict, Verdict::issue) << again.reason;
  EXPECT_EQ(again.supersedes, first);
  const Bytes second = record(again);
  EXPECT_TRUE(revoked(first));
  EXPECT_FALSE(revoked(second));
}

TEST_F(ServerKeyPolicy, a_used_token_gets_another_key_for_a_while_only) {
  const Decision first = decide({}, true);
  ASSERT_EQ(first.verdict, Verdict::issue) << first.reason;
  EXPECT_FALSE(first.spent.empty());
  record(first);
  const Instant soon = kNow + std::chrono::minutes(9);
  const Decision retry = decide({}, true, soon);
  ASSERT_EQ(retry.verdict, Verdict::issue) << retry.reason;
  EXPECT_TRUE(retry.spent.empty());
  record(retry, soon);
  EXPECT_EQ(decide({}, true, kNow + std::chrono::minutes(11)).rule, &kSpent) << "a retry gives no more time";
}

TEST_F(ServerKeyPolicy, retries_have_an_end) {
  for (std::size_t i = 0; i <= kMostRetries; ++i) {
    const Decision d = decide({});
    ASSERT_EQ(d.verdict, Verdict::issue) << i << d.reason;
    record(d);
  }
  EXPECT_EQ(decide({}).rule, &kTooManyCertificates);
}

}  // namespace
}  // namespace imprint::site
