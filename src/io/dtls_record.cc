#include "io/dtls_record.h"

#include <algorithm>

#include "base/reader.h"

namespace imprint::io {
namespace {

constexpr std::size_t kMaxRecords = 64;
constexpr std::uint16_t kDtls12 = 0xfefd;
constexpr std::uint8_t kClientHello = 1;
constexpr std::uint8_t kFatal = 2;
// Above all that was sent before in the first epoch, so that it is no replay.
constexpr std::uint64_t kLateSequence = 0xffffffffff00;

std::optional<DtlsRecord> next_record(Reader& r) {
  DtlsRecord out;
  out.type = static_cast<DtlsType>(r.u8());
  r.u16();  // version
  out.epoch = r.u16();
  r.take(6);  // sequence number
  const std::uint16_t size = r.u16();
  out.payload = r.take(size);
  return r.good() ? std::optional(out) : std::nullopt;
}

}  // namespace

std::vector<DtlsRecord> dtls_records(BytesView datagram) {
  std::vector<DtlsRecord> out;
  Reader r(datagram);
  while (!r.empty() && out.size() < kMaxRecords) {
    const auto record = next_record(r);
    if (!record) {
      break;
    }
    out.push_back(*record);
  }
  return out;
}

std::optional<HelloHead> client_hello(BytesView datagram) {
  Reader outer(datagram);
  const auto record = next_record(outer);
  if (!record || record->type != DtlsType::handshake || record->epoch != 0) {
    return std::nullopt;
  }
  Reader r(record->payload);
  const bool hello = r.u8() == kClientHello;
  r.take(3 + 2);  // length, message sequence
  const bool from_start = r.u24() == 0;
  r.take(3 + 2);  // length of the fragment, version
  HelloHead out;
  const BytesView random = r.take(out.random.size());
  std::ranges::copy(random, out.random.begin());
  r.take(r.u8());  // session id
  out.has_cookie = r.u8() != 0;
  return hello && from_start && r.good() ? std::optional(out) : std::nullopt;
}

Bytes plain_alert(std::uint8_t description) {
  Writer w;
  w.u8(static_cast<std::uint8_t>(DtlsType::alert));
  w.u16(kDtls12);
  w.u64(kLateSequence);  // the epoch, 0, in its first two bytes
  w.u16(2);
  w.u8(kFatal);
  w.u8(description);
  return std::move(w).out();
}

}  // namespace imprint::io
