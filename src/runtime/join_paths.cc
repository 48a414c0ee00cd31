#include "runtime/join_paths.h"

#include "proto/brski/jpy.h"

namespace imprint {
namespace {

brski::PledgePlace place_of(const io::Address& a) { return {a.v6, a.ip, a.port, a.scope}; }

io::Address address_of(const brski::PledgePlace& p) { return {p.v6, p.ip, p.port, p.interface}; }

}  // namespace

io::Envelope jpy_envelope() {
  io::Envelope out;
  out.open = [](BytesView datagram) -> Result<io::Enclosed> {
    TRY(const brski::Jpy message, brski::Jpy::parse(datagram));
    return io::Enclosed{message.header, message.content};
  };
  out.wrap = [](BytesView header, BytesView content) { return brski::Jpy{header, content}.encode(); };
  return out;
}

io::ReturnEnvelope jpy_return_envelope(Rng& rng) {
  const auto keys = std::make_shared<brski::HeaderKeys>(rng);
  io::ReturnEnvelope out;
  out.wrap = [keys](const io::Address& pledge, BytesView datagram, Instant now) {
    const Bytes header = keys->seal(place_of(pledge), now);
    return brski::Jpy{header, datagram}.encode();
  };
  out.open = [keys](BytesView datagram, Instant now) -> Result<io::ReturnEnvelope::Returned> {
    TRY(const brski::Jpy message, brski::Jpy::parse(datagram));
    TRY(const brski::PledgePlace place, keys->open(message.header, now));
    return io::ReturnEnvelope::Returned{address_of(place), message.content};
  };
  return out;
}

}  // namespace imprint
