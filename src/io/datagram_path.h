// The way to a peer whose datagrams may come wrapped, in those of somebody between: a stateless join proxy.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <utility>

#include "io/address.h"

namespace imprint::io {

// Whom to send to, and what to put before the content, as it came. Many peers share the address of one proxy: address
// and header together are the key of an association (draft-ietf-anima-constrained-join-proxy).
struct DatagramPath {
  Address address;
  std::optional<Bytes> header = {};  // none: datagrams travel as they are

  DatagramPath() = default;
  DatagramPath(const Address& direct) : address(direct) {}  // NOLINT(google-explicit-constructor): most have no header
  DatagramPath(const Address& proxy, BytesView h) : address(proxy), header(to_bytes(h)) {}

  // Distinct bytes for distinct paths, for cookies.
  Bytes bytes() const {
    Bytes out = address.bytes();
    if (header) {
      out.push_back(1);
      out.insert(out.end(), header->begin(), header->end());
    }
    return out;
  }
  bool operator==(const DatagramPath&) const = default;
};

// One datagram in another.
struct Enclosed {
  BytesView header;   // opaque: it goes back as it came
  BytesView content;  // views into the datagram around
};

// The form in which somebody between wraps datagrams, as two pure functions; which form, is not the business of
// sockets.
struct Envelope {
  std::function<Result<Enclosed>(BytesView datagram)> open;  // an Error: dropped without a word
  std::function<Bytes(BytesView header, BytesView content)> wrap;
};

}  // namespace imprint::io

template <>
struct std::hash<imprint::io::DatagramPath> {
  std::size_t operator()(const imprint::io::DatagramPath& p) const noexcept {
    const std::size_t address = std::hash<imprint::io::Address>()(p.address);
    return p.header ? address * 31 + std::hash<std::string_view>()(imprint::as_text(*p.header)) : address;
  }
};
