// The codecs over hostile bytes. The first byte chooses.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "codec/cbor.h"
#include "codec/der.h"
#include "codec/json.h"
#include "codec/link_format.h"
#include "codec/uri.h"

namespace {

using namespace imprint;

void require(bool law) {
  if (!law) {
    std::abort();
  }
}

// Every item, and inside the constructed ones; what was read must be what was written.
void walk(BytesView in, int depth) {
  der::Reader reader(in);
  while (!reader.empty() && depth < 32) {
    const der::Item item = reader.next();
    if (!reader.good()) {
      return;
    }
    require(equal(der::item(item.tag, item.content), item.whole));
    if (item.tag == der::kOid) {
      if (const Result<std::string> dotted = der::parse_oid(item.content)) {
        require(equal(der::oid(*dotted), item.whole));
      }
    }
    if ((item.tag & 0x20U) != 0) {
      walk(item.content, depth + 1);
    }
  }
}

// Every item, written again, is what was read: there is one way to write it.
void rewrite(BytesView in) {
  cbor::Reader wholes(in);
  while (!wholes.empty()) {
    const BytesView whole = wholes.whole();
    require(whole.empty() != wholes.good());
  }
  cbor::Reader reader(in);
  cbor::Writer writer;
  while (!reader.empty()) {
    const cbor::Item item = reader.next();
    switch (item.kind) {
      case cbor::Kind::number:
        writer.number(item.value);
        break;
      case cbor::Kind::bytes:
        writer.bytes(item.content);
        break;
      case cbor::Kind::text:
        writer.text(as_text(item.content));
        break;
      case cbor::Kind::array:
        writer.array(item.value);
        break;
      case cbor::Kind::map:
        writer.map(item.value);
        break;
      case cbor::Kind::tag:
        writer.tag(item.value);
        break;
      case cbor::Kind::boolean:
        writer.boolean(item.value == 1);
        break;
      case cbor::Kind::null:
        writer.null();
        break;
      case cbor::Kind::negative:
        writer.negative(item.value);
        break;
      case cbor::Kind::none:
        return;
    }
  }
  require(equal(std::move(writer).out(), in));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const BytesView in(data + 1, size - 1);
  switch (data[0] % 6) {
    case 0:
      if (const Result<Bytes> bytes = parse_base64(as_text(in))) {
        require(parse_base64(base64(*bytes)) == bytes && parse_base64(base64_lines(*bytes)) == bytes);
        require(parse_base64url(base64url(*bytes)) == bytes);
      }
      if (const Result<Bytes> bytes = parse_base64url(as_text(in))) {
        require(base64url(*bytes) == as_text(in));
      }
      break;
    case 1:
      walk(in, 0);
      break;
    case 2:
      if (const Result<Json> json = parse_json(as_text(in))) {
        require(bool(parse_json(json->dump())));
      }
      break;
    case 3:
      rewrite(in);
      break;
    case 4:
      if (const Result<std::vector<Link>> links = parse_links(as_text(in))) {
        select_links(*links, "rt=ace.est*");
      }
      break;
    default:
      if (const Result<Uri> uri = Uri::parse(as_text(in))) {
        require(Uri::parse(uri->text()) == uri);
      }
      break;
  }
  return 0;
}
