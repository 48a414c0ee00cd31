// Twins that take liberties with CMS: a signature that covers no attributes, and attributes that no signature covers.
// The one is refused by everybody (RFC 5652 section 5.3 wants them where the content has a type of its own, and OpenSSL
// alone would take it); the other counts for nothing.
#include <gtest/gtest.h>

#include "codec/der.h"
#include "proto/brski/brski_pair.h"
#include "proto/brski/wire.h"

namespace imprint::brski {
namespace {

using testing::Player;
using testing::players;
using testing::Trio;

constexpr std::string_view kUnstructuredName = "1.2.840.113549.1.9.2";  // RFC 2985: any text

void append(Bytes& to, BytesView more) { to.insert(to.end(), more.begin(), more.end()); }

using EditSigner = std::function<Bytes(BytesView signer_info, BytesView content)>;

// The same CMS with another SignerInfo (RFC 5652 section 5.1): everything else stays as it is.
Bytes with_signer(BytesView cms, const EditSigner& edit) {
  der::Reader outer(cms);
  der::Reader info(outer.next(der::kSequence).content);
  const BytesView type = info.next(der::kOid).whole;
  der::Reader wrapped(info.next(der::context(0)).content);
  der::Reader data(wrapped.next(der::kSequence).content);
  Bytes kept;
  BytesView content;
  der::Item last;
  while (!data.empty()) {
    if (!last.whole.empty()) {
      append(kept, last.whole);
    }
    last = data.next();
    if (last.tag == der::kSequence) {  // encapContentInfo
      der::Reader encapsulated(last.content);
      encapsulated.next(der::kOid);
      der::Reader octets(encapsulated.next(der::context(0)).content);
      content = octets.next(der::kOctetString).content;
    }
  }
  der::Reader signers(last.content);
  const Bytes signer = edit(signers.next(der::kSequence).content, content);
  EXPECT_TRUE(data.good() && signers.done());
  append(kept, der::item(der::kSet, signer));
  return der::sequence({type, der::item(der::context(0), der::item(der::kSequence, kept))});
}

// signedAttrs gone, and the content itself signed.
Bytes without_attributes(BytesView cms, const PrivateKey& key) {
  return with_signer(cms, [&key](BytesView signer, BytesView content) {
    der::Reader in(signer);
    Bytes out;
    for (int field = 0; field < 3; ++field) {  // version, sid, digestAlgorithm
      append(out, in.next().whole);
    }
    EXPECT_TRUE(in.maybe(der::context(0)));
    append(out, in.next(der::kSequence).whole);  // signatureAlgorithm
    append(out, der::item(der::kOctetString, *key.sign(content)));
    return der::item(der::kSequence, out);
  });
}

// unsignedAttrs added, which anybody on the way could do.
Bytes with_unsigned_attribute(BytesView cms) {
  return with_signer(cms, [](BytesView signer, BytesView) {
    const Bytes attribute =
        der::sequence({der::oid(kUnstructuredName), der::item(der::kSet, der::text(der::kUtf8, "pins somebody else"))});
    Bytes out = to_bytes(signer);
    append(out, der::item(der::context(1), attribute));
    return der::item(der::kSequence, out);
  });
}

// What is done to the artefact of one player, on its way.
void on_the_way(Trio& t, Player of, const std::function<Bytes(const Bytes&)>& edit) {
  if (of == Player::pledge) {
    t.join.on_request = [edit](Request& q) {
      if (q.path.ends_with(kRequestVoucher)) {
        q.body = edit(q.body);
      }
    };
  } else if (of == Player::registrar) {
    t.upstream.on_request = [edit](Request& q) {
      if (q.path.ends_with(kRequestVoucher)) {
        q.body = edit(q.body);
      }
    };
  } else {
    t.upstream.on_response = [edit](Response& r, const Request& q) {
      if (q.path.ends_with(kRequestVoucher)) {
        r.body = edit(r.body);
      }
    };
  }
}

TEST(MisbehaveCms, a_signature_that_covers_no_attributes_is_refused_and_an_honest_run_follows) {
  struct Case {
    Player of, finds;
    std::string_view rule;
    PrivateKey key;
  };
  for (const Case& one : {Case{Player::pledge, Player::registrar, "BRSKI-ARTIFACT", players().device.key},
                          Case{Player::registrar, Player::masa, "BRSKI-ARTIFACT", players().registrar.key},
                          Case{Player::masa, Player::registrar, "BRSKI-MASA-ANSWER", players().masa.key}}) {
    Trio t;
    on_the_way(t, one.of, [&one](const Bytes& body) { return without_attributes(body, one.key); });
    ASSERT_TRUE(t.run());
    EXPECT_TRUE(t.is<Pledge::Failed>());
    EXPECT_TRUE(t.refused(one.finds, one.rule)) << t.refusals();
    EXPECT_FALSE(t.device.imprinted);
    EXPECT_FALSE(t.device.installed);
    t.behave();
    ASSERT_TRUE(t.run());
    EXPECT_TRUE(t.is<Pledge::Configured>()) << t.refusals();
  }
}

TEST(MisbehaveCms, the_device_refuses_it_by_itself) {
  Trio t;
  t.join.on_response = [](Response& r, const Request& q) {
    if (q.path.ends_with(kRequestVoucher)) {
      r.body = without_attributes(r.body, players().masa.key);
    }
  };
  ASSERT_TRUE(t.run());
  EXPECT_TRUE(t.is<Pledge::Failed>());
  EXPECT_TRUE(t.refused(Player::pledge, "BRSKI-FORM")) << t.refusals();
  EXPECT_FALSE(t.device.imprinted);
  t.behave();
  ASSERT_TRUE(t.run());
  EXPECT_TRUE(t.is<Pledge::Configured>()) << t.refusals();
}

TEST(MisbehaveCms, attributes_that_no_signature_covers_count_for_nothing) {
  for (const Player of : {Player::pledge, Player::registrar, Player::masa}) {
    Trio t;
    bool done = false;
    on_the_way(t, of, [&done](const Bytes& body) {
      done = true;
      return with_unsigned_attribute(body);
    });
    ASSERT_TRUE(t.run());
    EXPECT_TRUE(done);
    ASSERT_TRUE(t.is<Pledge::Configured>()) << static_cast<int>(of) << " " << t.refusals();
    EXPECT_EQ(t.device.imprinted->pinned, est::cast().owner.certificate);
    EXPECT_EQ(t.masa.log.front().assertion, Assertion::proximity);
  }
}

}  // namespace
}  // namespace imprint::brski
