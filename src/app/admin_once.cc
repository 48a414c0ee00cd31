#include "app/admin_once.h"

#include <algorithm>

#include "app/rules.h"
#include "base/reader.h"
#include "crypto/hash.h"

namespace imprint::app::admin {
namespace {

void put(imprint::Writer& to, BytesView text) {
  to.u64(text.size());
  to.bytes(text);
}

Result<Changed> again(const store::KeptAnswer& kept, const OnceKey& once) {
  CHECK_OR(kept.request == once.request, Error{Fault::malformed, kApiKeyReused});
  CHECK_OR(!kept.had_secret, Error{Fault::conflict, kApiKeySecret});
  Changed out;
  out.answer.status = kept.status;
  out.answer.content_type = kept.content_type;
  out.answer.etag = kept.etag;
  out.answer.location = kept.location;
  out.answer.body = kept.body;
  return out;
}

store::KeptAnswer to_keep(const Changed& done, const OnceKey& once, Instant now) {
  store::KeptAnswer out;
  out.key = once.key;
  out.request = once.request;
  out.at = now;
  out.status = done.answer.status;
  out.content_type = done.answer.content_type;
  out.etag = done.answer.etag;
  out.location = done.answer.location;
  out.had_secret = done.has_secret;
  if (!done.has_secret) {
    out.body = done.answer.body;
  }
  return out;
}

}  // namespace

std::optional<std::string> parse_key(std::string_view header) {
  const bool quoted = header.size() >= 2 && header.front() == '"' && header.back() == '"';
  if (!quoted) {
    // What separates list members or begins a string or a parameter cannot be in a key without quotes.
    static constexpr std::string_view kNever = "\"\\,;";
    const bool plain = std::ranges::all_of(
        header, [](char c) { return c > 0x20 && c < 0x7f && kNever.find(c) == std::string_view::npos; });
    return plain && !header.empty() && header.size() <= kMostKeyCharacters ? std::optional(std::string(header))
                                                                           : std::nullopt;
  }
  std::string out;
  const std::string_view inside = header.substr(1, header.size() - 2);
  for (std::size_t i = 0; i < inside.size(); ++i) {
    const bool escaped = inside[i] == '\\';
    i += escaped ? 1 : 0;
    const char c = i < inside.size() ? inside[i] : '\0';
    const bool special = c == '"' || c == '\\';
    if (c < 0x20 || c >= 0x7f || special != escaped || out.size() == kMostKeyCharacters) {
      return std::nullopt;
    }
    out.push_back(c);
  }
  return out.empty() ? std::nullopt : std::optional(std::move(out));
}

OnceKey once_key(const std::string& key, const site::Act& act, const Request& request, const Secret& pepper) {
  imprint::Writer who, what;
  put(who, view(act.by));
  put(who, view(key));
  put(what, view("idempotency"));
  for (const std::string_view part : {imprint::name(request.method), std::string_view(request.path),
                                      std::string_view(request.query), std::string_view(request.if_match)}) {
    put(what, view(part));
  }
  what.bytes(sha256(request.body));
  return {sha256(who.out()), hmac_sha256(pepper, what.out())};
}

Change made_once(Change change, const OnceKey& once, Instant now) {
  Change out;
  out.once = once.key;
  out.refused = std::move(change.refused);
  out.run = [run = std::move(change.run), once, now](store::Writer& writer) -> Result<Changed> {
    TRY(const std::optional<store::KeptAnswer> kept, writer.kept_answer(once.key, now));
    if (kept) {
      return again(*kept, once);
    }
    TRY(Changed done, run(writer));
    TRY([[maybe_unused]] const Ok is_kept, writer.keep_answer(to_keep(done, once, now)));
    return done;
  };
  return out;
}

}  // namespace imprint::app::admin
