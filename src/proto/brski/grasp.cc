#include "proto/brski/grasp.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "codec/cbor.h"
#include "proto/brski/discovery_rules.h"

namespace imprint::brski {
namespace {

using cbor::Kind;

constexpr std::size_t kMaxOffers = 16;
constexpr std::size_t kMaxName = 128;  // of an objective or a host
constexpr std::string_view kJoinRegistrarOfDrafts = "AN_Join_Registrar";

const Error kUnreadable{Fault::malformed, kGraspMessage};

template <class T>
constexpr bool fits(std::uint64_t value) {
  return value <= std::numeric_limits<T>::max();
}

// A number of this size, or failure of the reader.
template <class T>
T number(cbor::Reader& r) {
  const cbor::Item item = r.next(Kind::number);
  if (!fits<T>(item.value)) {
    r.fail();
    return 0;
  }
  return static_cast<T>(item.value);
}

template <class T>
std::optional<T> number_or_null(cbor::Reader& r) {
  if (r.peek() == Kind::null) {
    r.next();
    return std::nullopt;
  }
  return number<T>(r);
}

std::string text(cbor::Reader& r, std::size_t most) {
  const cbor::Item item = r.next(Kind::text);
  if (item.content.size() > most) {
    r.fail();
    return {};
  }
  return std::string(as_text(item.content));
}

// Section 2.10.1: [objective-name, objective-flags, loop-count, ?objective-value].
Objective read_objective(cbor::Reader& r) {
  Objective out;
  const std::uint64_t items = r.next(Kind::array).value;
  if (items != 3 && items != 4) {
    r.fail();
  }
  out.name = text(r, kMaxName);
  out.flags = number<std::uint32_t>(r);
  out.loop_count = number<std::uint8_t>(r);
  if (items == 4) {
    out.value = to_bytes(r.whole());
  }
  if (out.name.empty()) {
    r.fail();
  }
  return out;
}

bool is_known(std::uint64_t kind) {
  return kind >= static_cast<std::uint64_t>(Locator::Kind::ipv6) &&
         kind <= static_cast<std::uint64_t>(Locator::Kind::uri);
}

bool is_address(Locator::Kind kind) { return kind == Locator::Kind::ipv6 || kind == Locator::Kind::ipv4; }

// Section 2.9.5. Protocol and port may be null in all kinds: figure "locator3" of RFC 8995 section 4.3 has it so.
Locator read_locator(cbor::Reader& r, std::uint64_t kind) {
  Locator out;
  out.kind = static_cast<Locator::Kind>(kind);
  if (is_address(out.kind)) {
    out.address = to_bytes(r.next(Kind::bytes).content);
    if (out.address.size() != (out.kind == Locator::Kind::ipv6 ? 16U : 4U)) {
      r.fail();
    }
  } else {
    out.text = text(r, kMaxFloodBytes);
    if (out.text.empty()) {
      r.fail();
    }
  }
  out.protocol = number_or_null<std::uint8_t>(r);
  out.port = number_or_null<std::uint16_t>(r);
  return out;
}

// Steps over what is left of an option that we do not know.
void pass_over(cbor::Reader& r, std::uint64_t items) {
  for (std::uint64_t i = 0; i < items && r.good(); ++i) {
    if (r.whole().empty()) {
      r.fail();
    }
  }
}

// [objective, locator or []]. None: the locator is of a kind that we do not know.
std::optional<Offer> read_offer(cbor::Reader& r) {
  if (r.next(Kind::array).value != 2) {
    r.fail();
  }
  Offer out{read_objective(r), std::nullopt};
  const std::uint64_t items = r.next(Kind::array).value;
  if (items == 0) {
    return out;
  }
  const std::uint64_t kind = r.next(Kind::number).value;
  if (!is_known(kind)) {
    pass_over(r, items - 1);
    return std::nullopt;
  }
  if (items != 4) {
    r.fail();
  }
  out.locator = read_locator(r, kind);
  return out;
}

template <class T>
void write_or_null(cbor::Writer& w, const std::optional<T>& value) {
  value ? w.number(*value) : w.null();
}

void write_offer(Bytes& out, const Offer& offer) {
  cbor::Writer head;
  head.array(2);
  head.array(offer.objective.value.empty() ? 3 : 4);
  head.text(offer.objective.name);
  head.number(offer.objective.flags);
  head.number(offer.objective.loop_count);
  const Bytes first = std::move(head).out();
  out.insert(out.end(), first.begin(), first.end());
  out.insert(out.end(), offer.objective.value.begin(), offer.objective.value.end());
  cbor::Writer tail;
  tail.array(offer.locator ? 4 : 0);
  if (offer.locator) {
    const Locator& l = *offer.locator;
    tail.number(static_cast<std::uint64_t>(l.kind));
    is_address(l.kind) ? tail.bytes(l.address) : tail.text(l.text);
    write_or_null(tail, l.protocol);
    write_or_null(tail, l.port);
  }
  const Bytes last = std::move(tail).out();
  out.insert(out.end(), last.begin(), last.end());
}

Bytes cbor_text(std::string_view value) {
  cbor::Writer w;
  w.text(value);
  return std::move(w).out();
}

std::string ipv6_text(BytesView address) {
  std::string out;
  // The longest run of zeros becomes "::" (RFC 5952 section 4.2.3).
  std::array<unsigned, 8> groups{};
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i] = (unsigned{address[2 * i]} << 8U) | address[2 * i + 1];
  }
  std::size_t from = 8;
  std::size_t length = 1;
  for (std::size_t i = 0; i < 8; ++i) {
    std::size_t end = i;
    while (end < 8 && groups[end] == 0) {
      ++end;
    }
    if (end - i > length) {
      from = i;
      length = end - i;
    }
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (std::size_t i = 0; i < 8; ++i) {
    if (i == from) {
      out += "::";
      i += length - 1;
      continue;
    }
    out += out.empty() || out.back() == ':' ? "" : ":";
    bool begun = false;
    for (int shift = 12; shift >= 0; shift -= 4) {
      const unsigned digit = (groups[i] >> static_cast<unsigned>(shift)) & 15U;
      begun = begun || digit != 0 || shift == 0;
      out += begun ? std::string(1, kDigits[digit]) : "";
    }
  }
  return out;
}

std::string address_text(BytesView address) {
  if (address.size() == 16) {
    return "[" + ipv6_text(address) + "]";
  }
  std::string out;
  for (const std::uint8_t one : address) {
    out += (out.empty() ? "" : ".") + std::to_string(one);
  }
  return out;
}

}  // namespace

Result<Flood> Flood::parse(BytesView in) {
  CHECK_OR(in.size() <= kMaxGraspBytes, kUnreadable);
  cbor::Reader r(in);
  const std::uint64_t items = r.next(Kind::array).value;
  const std::uint64_t type = r.next(Kind::number).value;
  CHECK_OR(r.good(), kUnreadable);
  CHECK_OR(type == kType, Error{Fault::unsupported, kGraspType});
  CHECK_OR(items > 4 && items - 4 <= kMaxOffers, kUnreadable);
  Flood out;
  out.session = number<std::uint32_t>(r);
  out.initiator = to_bytes(r.next(Kind::bytes).content);
  out.ttl_ms = number<std::uint32_t>(r);
  CHECK_OR(out.initiator.size() == 16 || out.initiator.size() == 4, kUnreadable);
  for (std::uint64_t i = 4; i < items && r.good(); ++i) {
    if (auto offer = read_offer(r)) {
      out.offers.push_back(*std::move(offer));
    }
  }
  CHECK_OR(r.done(), kUnreadable);
  return out;
}

Bytes Flood::encode() const {
  cbor::Writer head;
  head.array(4 + offers.size());
  head.number(kType);
  head.number(session);
  head.bytes(initiator);
  head.number(ttl_ms);
  Bytes out = std::move(head).out();
  for (const Offer& offer : offers) {
    write_offer(out, offer);
  }
  return out;
}

bool same_objective(std::string_view a, std::string_view b) {
  const auto ours = [](std::string_view name) { return name == kJoinRegistrarOfDrafts ? kAnJoinRegistrar : name; };
  return ours(a) == ours(b);
}

Objective proxy_objective() { return {std::string(kAnProxy), kSynchronization, 1, cbor_text("")}; }

Objective registrar_objective(std::string_view methods) {
  return {std::string(kAnJoinRegistrar), kSynchronization, 255, cbor_text(methods)};
}

Objective est_objective() { return {std::string(kSrvEst), kSynchronization, 255, {}}; }

std::optional<std::string> text_value(const Objective& objective) {
  cbor::Reader r(objective.value);
  const cbor::Item item = r.next(Kind::text);
  return r.done() && item.kind == Kind::text ? std::optional(std::string(as_text(item.content))) : std::nullopt;
}

bool is_link_local(BytesView address) {
  return (address.size() == 16 && address[0] == 0xfe && (address[1] & 0xc0U) == 0x80) ||
         (address.size() == 4 && address[0] == 169 && address[1] == 254);
}

bool is_loopback_address(BytesView address) {
  if (address.size() == 16) {
    return address[15] == 1 && std::ranges::all_of(address.first(15), [](std::uint8_t one) { return one == 0; });
  }
  return address.size() == 4 && address[0] == 127;
}

std::string text_of(const Locator& locator) {
  if (locator.kind == Locator::Kind::uri) {
    return locator.text;
  }
  const std::string host = is_address(locator.kind) ? address_text(locator.address) : locator.text;
  return locator.port ? host + ":" + std::to_string(*locator.port) : host;
}

}  // namespace imprint::brski
