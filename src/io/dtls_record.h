// What can be read of DTLS 1.2 datagrams without any key (RFC 6347 section 4.1).
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "base/bytes.h"

namespace imprint::io {

enum class DtlsType : std::uint8_t { change_cipher_spec = 20, alert = 21, handshake = 22, application_data = 23 };

struct DtlsRecord {
  DtlsType type{};  // may be an unknown one
  std::uint16_t epoch = 0;
  BytesView payload;
};

// The records of a datagram, up to the first that is not whole; at most 64.
std::vector<DtlsRecord> dtls_records(BytesView datagram);

// The beginning of a ClientHello that a datagram starts with, in the clear.
struct HelloHead {
  std::array<std::uint8_t, 32> random{};
  bool has_cookie = false;
};
std::optional<HelloHead> client_hello(BytesView datagram);

// A datagram with a fatal alert in the clear.
Bytes plain_alert(std::uint8_t description);

}  // namespace imprint::io
