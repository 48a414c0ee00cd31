#include "crypto/cose.h"

#include <algorithm>

#include "codec/cbor.h"
#include "crypto/raw_signature.h"

namespace imprint {
namespace {

constexpr std::size_t kMaxMessage = std::size_t{64} << 10U;
constexpr std::size_t kMaxCertificates = 32;
constexpr std::uint64_t kMaxLabels = 32;
constexpr std::uint64_t kSign1 = 18;

// RFC 9052 section 3.1, RFC 9360 section 2.
constexpr std::uint64_t kAlgorithm = 1, kCritical = 2, kKeyId = 4, kBag = 32, kChain = 33;

const Error kMalformed{Fault::malformed, "cose: structure"};
const Error kHeader{Fault::malformed, "cose: header"};

// The four parts of the message.
struct Frame {
  bool tagged = false;
  BytesView protected_header, unprotected, payload, signature;
};

Result<Frame> split(BytesView message) {
  CHECK_OR(message.size() <= kMaxMessage, Error{Fault::limit, "cose: size"});
  cbor::Reader in(message);
  Frame out;
  out.tagged = in.peek() == cbor::Kind::tag;
  if (out.tagged) {
    CHECK_OR(in.next(cbor::Kind::tag).value == kSign1, kMalformed);
  }
  CHECK_OR(in.next(cbor::Kind::array).value == 4, kMalformed);
  out.protected_header = in.next(cbor::Kind::bytes).content;
  CHECK_OR(in.peek() == cbor::Kind::map, kMalformed);
  out.unprotected = in.anything();  // values of labels that we do not know may have any form
  CHECK_OR(in.peek() != cbor::Kind::null, Error{Fault::unsupported, "cose: payload is elsewhere"});
  out.payload = in.next(cbor::Kind::bytes).content;
  out.signature = in.next(cbor::Kind::bytes).content;
  CHECK_OR(in.done(), kMalformed);
  return out;
}

Status add_certificate(BytesView der, Sign1& out, std::size_t& count) {
  CHECK_OR(++count <= kMaxCertificates, Error{Fault::limit, "cose: certificates"});
  if (Result<Certificate> one = Certificate::parse(der)) {
    out.bag.push_back(*std::move(one));
  }
  return Ok{};
}

// Reads both headers, one after the other.
class Headers {
 public:
  explicit Headers(Sign1& out) : out_(out) {}

  Status read(BytesView header, bool is_protected) {
    cbor::Reader in(header);
    const std::uint64_t labels = in.next(cbor::Kind::map).value;
    CHECK_OR(labels <= kMaxLabels, Error{Fault::limit, "cose: labels"});
    for (std::uint64_t i = 0; i < labels; ++i) {
      const cbor::Kind kind = in.peek();
      const BytesView label = in.whole();
      const bool known_kind = kind == cbor::Kind::number || kind == cbor::Kind::negative || kind == cbor::Kind::text;
      CHECK_OR(in.good() && known_kind, kHeader);
      const bool seen = std::ranges::any_of(seen_, [&](BytesView one) { return equal(one, label); });
      CHECK_OR(!seen, Error{Fault::malformed, "cose: label twice"});
      seen_.push_back(label);
      const cbor::Item number = cbor::Reader(label).next();
      const BytesView value = in.anything();
      CHECK_OR(in.good(), kHeader);
      if (number.kind == cbor::Kind::number) {
        TRY([[maybe_unused]] const Ok taken, take(number.value, value, is_protected));
      }
    }
    CHECK_OR(in.done(), kHeader);
    return Ok{};
  }

 private:
  Status take(std::uint64_t label, BytesView value, bool is_protected) {
    switch (label) {
      case kAlgorithm:
        CHECK_OR(is_protected, Error{Fault::unsupported, "cose: algorithm that is not protected"});
        return take_algorithm(value);
      case kCritical:
        return Error{Fault::unsupported, "cose: critical labels"};
      case kKeyId: {
        cbor::Reader in(value);
        out_.key_id = to_bytes(in.next(cbor::Kind::bytes).content);
        CHECK_OR(in.done(), kHeader);
        return Ok{};
      }
      case kBag:
      case kChain:
        return take_bag(value, is_protected);
      default:
        return Ok{};
    }
  }

  Status take_algorithm(BytesView value) {
    const cbor::Item item = cbor::Reader(value).next();
    // The four are all negative, and small.
    const std::int64_t id =
        item.kind == cbor::Kind::negative && item.value < 0xff ? -1 - static_cast<std::int64_t>(item.value) : 0;
    CHECK_OR(raw::algorithm(id) != nullptr, Error{Fault::unsupported, "cose: algorithm"});
    out_.algorithm = id;
    return Ok{};
  }

  // One certificate, or an array of them.
  Status take_bag(BytesView value, bool is_protected) {
    cbor::Reader in(value);
    const std::uint64_t count = in.peek() == cbor::Kind::array ? in.next().value : 1;
    for (std::uint64_t i = 0; i < count && in.good(); ++i) {
      const BytesView der = in.next(cbor::Kind::bytes).content;
      TRY([[maybe_unused]] const Ok added, add_certificate(der, out_, certificates_));
    }
    CHECK_OR(in.done(), kHeader);
    outside_ = outside_ || (!is_protected && count > 0);
    out_.bag_is_protected = !outside_ && !out_.bag.empty();
    return Ok{};
  }

  Sign1& out_;
  std::vector<BytesView> seen_;  // labels of both headers (RFC 9052 section 3)
  std::size_t certificates_ = 0;
  bool outside_ = false;
};

// RFC 9052 section 4.4, with nothing from outside.
Bytes signed_bytes(BytesView protected_header, BytesView payload) {
  cbor::Writer w;
  w.array(4);
  w.text("Signature1");
  w.bytes(protected_header);
  w.bytes({});
  w.bytes(payload);
  return std::move(w).out();
}

void write_certificates(cbor::Writer& w, std::uint64_t label, const std::vector<Certificate>& bag) {
  w.number(label);
  if (bag.size() > 1) {
    w.array(bag.size());
  }
  for (const Certificate& one : bag) {
    w.bytes(one.der);
  }
}

Bytes protected_header(const raw::Algorithm& by, const Sign1Options& options) {
  const bool with_bag = options.protect_bag && !options.bag.empty();
  cbor::Writer w;
  w.map(1U + (with_bag ? 1U : 0U) + (options.chain.empty() ? 0U : 1U));
  w.number(kAlgorithm);
  w.negative(static_cast<std::uint64_t>(-1 - by.cose));
  if (with_bag) {
    write_certificates(w, kBag, options.bag);
  }
  if (!options.chain.empty()) {
    write_certificates(w, kChain, options.chain);
  }
  return std::move(w).out();
}

void write_unprotected(cbor::Writer& w, const Sign1Options& options) {
  const bool with_bag = !options.protect_bag && !options.bag.empty();
  const bool with_key_id = !options.key_id.empty();
  w.map((with_bag ? 1U : 0U) + (with_key_id ? 1U : 0U));
  if (with_key_id) {
    w.number(kKeyId);
    w.bytes(options.key_id);
  }
  if (with_bag) {
    write_certificates(w, kBag, options.bag);
  }
}

}  // namespace

Result<Sign1> parse_sign1(BytesView message) {
  TRY(const Frame frame, split(message));
  Sign1 out;
  Headers headers(out);
  if (!frame.protected_header.empty()) {  // none at all may be written as no octets (RFC 9052 section 3)
    TRY([[maybe_unused]] const Ok first, headers.read(frame.protected_header, true));
  }
  TRY([[maybe_unused]] const Ok second, headers.read(frame.unprotected, false));
  CHECK_OR(out.algorithm != 0, Error{Fault::unsupported, "cose: no algorithm"});
  out.protected_header = to_bytes(frame.protected_header);
  out.payload = to_bytes(frame.payload);
  out.signature = to_bytes(frame.signature);
  return out;
}

Status verify_sign1(const Sign1& message, const PublicKey& key) {
  const raw::Algorithm* const by = raw::algorithm(message.algorithm);
  CHECK_OR(by != nullptr, Error{Fault::unsupported, "cose: algorithm"});
  return raw::verify(*by, key, signed_bytes(message.protected_header, message.payload), message.signature);
}

Result<Bytes> sign_sign1(BytesView payload, const PrivateKey& key, const Sign1Options& options) {
  TRY(const raw::Algorithm by, raw::algorithm_of(key));
  CHECK_OR(options.bag.size() + options.chain.size() <= kMaxCertificates, Error{Fault::limit, "cose: certificates"});
  const Bytes header = protected_header(by, options);
  TRY(const Bytes signature, raw::sign(key, signed_bytes(header, payload)));
  cbor::Writer w;
  w.tag(kSign1);
  w.array(4);
  w.bytes(header);
  write_unprotected(w, options);
  w.bytes(payload);
  w.bytes(signature);
  Bytes out = std::move(w).out();
  CHECK_OR(out.size() <= kMaxMessage, Error{Fault::limit, "cose: size"});
  return out;
}

Result<Bytes> without_unprotected(BytesView message) {
  TRY(const Frame frame, split(message));
  cbor::Writer w;
  if (frame.tagged) {
    w.tag(kSign1);
  }
  w.array(4);
  w.bytes(frame.protected_header);
  w.map(0);
  w.bytes(frame.payload);
  w.bytes(frame.signature);
  return std::move(w).out();
}

}  // namespace imprint
