#include "proto/brski/jpy.h"

#include <algorithm>

#include "base/reader.h"
#include "codec/cbor.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "proto/brski/coap_rules.h"

namespace imprint::brski {
namespace {

constexpr std::size_t kMaxMessage = 16 * 1024, kMaxItems = 16;
constexpr std::size_t kTag = 8, kKey = 32;
constexpr std::array<std::uint8_t, 8> kLinkLocal{0xfe, 0x80, 0, 0, 0, 0, 0, 0};

// The first byte of a place.
enum class Kind : std::uint8_t { v4 = 4, v6 = 6, link_local = 7 };

Kind kind_of(const PledgePlace& place) {
  if (!place.v6) {
    return Kind::v4;
  }
  return std::ranges::equal(BytesView(place.ip).first(kLinkLocal.size()), kLinkLocal) ? Kind::link_local : Kind::v6;
}

// Which bytes of the address are written: the rest is known from the kind.
std::span<std::uint8_t> written(std::array<std::uint8_t, 16>& ip, Kind kind) {
  const std::span<std::uint8_t> all(ip);
  return kind == Kind::v4 ? all.first(4) : kind == Kind::link_local ? all.last(8) : all;
}

Bytes encode(PledgePlace place) {
  const Kind kind = kind_of(place);
  Writer w;
  w.u8(static_cast<std::uint8_t>(kind));
  w.u16(place.port);
  w.u32(place.interface);
  w.bytes(written(place.ip, kind));
  return std::move(w).out();
}

Result<PledgePlace> parse_place(BytesView in) {
  Reader r(in);
  PledgePlace out;
  const auto kind = static_cast<Kind>(r.u8());
  if (kind != Kind::v4 && kind != Kind::v6 && kind != Kind::link_local) {
    r.fail();
  }
  out.v6 = kind != Kind::v4;
  out.port = r.u16();
  out.interface = r.u32();
  if (kind == Kind::link_local) {
    std::ranges::copy(kLinkLocal, out.ip.begin());
  }
  const std::span<std::uint8_t> to = written(out.ip, kind);
  const BytesView ip = r.take(to.size());
  std::ranges::copy(ip, to.begin());
  return r.finish(PledgePlace(out), kJpyHeader.what);
}

Bytes tag_of(const Secret& key, std::uint8_t generation, BytesView place) {
  Bytes all{generation};
  all.insert(all.end(), place.begin(), place.end());
  const Sha256 mac = hmac_sha256(key, all);
  return to_bytes(BytesView(mac).first(kTag));
}

// Hides what is in the open and shows what is hidden. A place is shorter than a block of the stream.
Bytes masked(const Secret& key, BytesView tag, BytesView place) {
  const Sha256 stream = hmac_sha256(key, tag);
  Bytes out = to_bytes(place);
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] ^= stream[i];
  }
  return out;
}

Error no_jpy(Fault fault) { return {fault, kJpyUnreadable}; }

}  // namespace

Result<Jpy> Jpy::parse(BytesView in) {
  CHECK_OR(in.size() <= kMaxMessage, no_jpy(Fault::limit));
  cbor::Reader r(in);
  const cbor::Item array = r.next(cbor::Kind::array);
  CHECK_OR(r.good() && array.value >= 2, no_jpy(Fault::malformed));
  CHECK_OR(array.value <= kMaxItems, no_jpy(Fault::limit));
  Jpy out;
  out.header = r.next(cbor::Kind::bytes).content;
  out.content = r.next(cbor::Kind::bytes).content;
  for (std::uint64_t i = 2; i < array.value; ++i) {
    r.whole();
  }
  CHECK_OR(r.done(), no_jpy(Fault::malformed));
  CHECK_OR(!out.content.empty(), no_jpy(Fault::malformed));
  CHECK_OR(out.header.size() <= kMaxJpyHeader, no_jpy(Fault::limit));
  return out;
}

Bytes Jpy::encode() const {
  cbor::Writer w;
  w.array(2);
  w.bytes(header);
  w.bytes(content);
  return std::move(w).out();
}

Bytes HeaderKeys::seal(const PledgePlace& place, Instant now) {
  change(now);
  const Bytes plain = encode(place);
  const Bytes tag = tag_of(current_->for_tag, current_->generation, plain);
  const Bytes hidden = masked(current_->for_place, tag, plain);
  Bytes out{current_->generation};
  out.insert(out.end(), tag.begin(), tag.end());
  out.insert(out.end(), hidden.begin(), hidden.end());
  return out;
}

Result<PledgePlace> HeaderKeys::open(BytesView header, Instant now) {
  const Error not_ours{Fault::unauthentic, kJpyHeader};
  change(now);
  CHECK_OR(header.size() > 1 + kTag && header.size() <= kMaxJpyHeader, not_ours);
  const bool by_former = former_ && header[0] == former_->generation;
  const Keys& keys = by_former ? *former_ : *current_;
  const BytesView tag = header.subspan(1, kTag);
  const Bytes plain = masked(keys.for_place, tag, header.subspan(1 + kTag));
  // With the generation that is written there: one that is neither of the two has no tag under these keys.
  CHECK_OR(same(tag_of(keys.for_tag, header[0], plain), tag), not_ours);
  return parse_place(plain);
}

void HeaderKeys::change(Instant now) {
  if (!current_) {
    current_ = fresh(0, now);
  }
  if (const Duration age = now - current_->since; age >= kLife) {
    const auto next = static_cast<std::uint8_t>(current_->generation + 1);
    former_ = age < 2 * kLife ? std::move(current_) : std::nullopt;
    current_ = fresh(next, now);
  }
}

HeaderKeys::Keys HeaderKeys::fresh(std::uint8_t generation, Instant now) {
  return {generation, random_secret(rng_, kKey), random_secret(rng_, kKey), now};
}

}  // namespace imprint::brski
