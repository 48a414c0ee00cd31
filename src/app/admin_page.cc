#include "app/admin_page.h"

#include <algorithm>

#include "app/rules.h"
#include "base/reader.h"
#include "codec/base64.h"
#include "crypto/hash.h"

namespace imprint::app::admin {
namespace {

constexpr std::size_t kTag = 8, kMaxCursor = 512;

// RFC 4648 section 5, without padding: nothing in it has to be escaped in a query.
std::string for_url(std::string text) {
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  text.erase(std::min(text.find('='), text.size()));
  return text;
}

std::optional<Bytes> from_url(std::string text) {
  const bool clean = std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
  });
  std::ranges::replace(text, '-', '+');
  std::ranges::replace(text, '_', '/');
  auto out = clean && text.size() <= kMaxCursor ? parse_base64(text) : Result<Bytes>(Error{Fault::malformed, "cursor"});
  return out ? std::optional(*std::move(out)) : std::nullopt;
}

// Ties a place to its list. It keeps mistakes apart, not people: who may read the list may begin anywhere in it.
Bytes tag_of(const std::string& list, BytesView place) {
  Writer w;
  w.text("cursor 1\n" + list);
  w.bytes(place);
  const Sha256 digest = sha256(w.out());
  return {digest.begin(), digest.begin() + kTag};
}

}  // namespace

std::string list_of(const Call& call) {
  std::string out = call.request.path + "\n";
  for (const auto& [name, value] : call.query) {
    if (name != kCursor.name && name != kLimit.name) {
      out.append(name).append("=").append(value).append("\n");
    }
  }
  return out;
}

Result<std::optional<Bytes>> place_of(const Call& call) {
  const auto at = call.query.find(std::string(kCursor.name));
  if (at == call.query.end()) {
    return std::optional<Bytes>();
  }
  const std::optional<Bytes> bytes = from_url(at->second);
  CHECK_OR(bytes && bytes->size() > kTag, Error{Fault::malformed, kApiCursor});
  const Bytes place(bytes->begin() + kTag, bytes->end());
  CHECK_OR(std::ranges::equal(tag_of(list_of(call), place), BytesView(*bytes).first(kTag)),
           Error{Fault::malformed, kApiCursor});
  return std::optional(place);
}

std::string cursor_after(const std::string& list, BytesView place) {
  Bytes out = tag_of(list, place);
  out.insert(out.end(), place.begin(), place.end());
  return for_url(base64(out));
}

Bytes encode(const TimedPlace& place) {
  Writer w;
  w.u64(static_cast<std::uint64_t>(place.at.ms));
  w.bytes(place.id);
  return std::move(w).out();
}

Result<TimedPlace> parse_timed_place(BytesView place) {
  Reader r(place);
  TimedPlace out;
  out.at.ms = static_cast<std::int64_t>(r.u64());
  const BytesView id = r.take_rest();
  out.id.assign(id.begin(), id.end());
  CHECK_OR(r.good(), Error{Fault::malformed, kApiCursor});
  return out;
}

Result<store::RunFilter> run_filter(const Call& call, std::int64_t limit) {
  store::RunFilter out;
  out.limit = limit + 1;
  TRY(const std::optional<Bytes> place, place_of(call));
  if (place) {
    TRY(const TimedPlace last, parse_timed_place(*place));
    out.before = last.at;
    out.before_id = as_text(last.id);
  }
  return out;
}

Bytes place_of_run(const Run& run) { return encode(TimedPlace{run.started, to_bytes(run.id)}); }

}  // namespace imprint::app::admin
