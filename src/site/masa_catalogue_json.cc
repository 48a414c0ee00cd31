// The JSON of a maker's catalogue.
#include <algorithm>
#include <array>
#include <functional>
#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "codec/der.h"
#include "codec/json.h"
#include "codec/uri.h"
#include "proto/brski/voucher.h"
#include "site/masa_catalogue.h"
#include "site/masa_words.h"

namespace imprint::site {
namespace {

constexpr std::size_t kMaxRules = 256, kMaxPools = 1024, kMaxList = 64, kMaxText = 256;
constexpr std::uint64_t kFormat = 1, kMaxVersion = std::uint64_t{1} << 53U;  // what every JSON reader can hold

Error wrong(std::string_view what, Fault fault = Fault::malformed) {
  Error out{fault, kCatalogueSyntax};
  out.what = what;
  return out;
}

// ---- members; `what` names one in the error ----

const Json* member(const Json& object, const char* name) {
  const auto at = object.find(name);
  return at == object.end() ? nullptr : &*at;
}

Result<std::string> text_of(const Json* json, std::string_view what) {
  CHECK_OR(json != nullptr && json->is_string(), wrong(what));
  std::string out = json->get<std::string>();
  CHECK_OR(!out.empty() && out.size() <= kMaxText, wrong(what, Fault::limit));
  return out;
}

Result<std::uint64_t> number_of(const Json* json, std::string_view what) {
  CHECK_OR(json != nullptr && json->is_number_unsigned(), wrong(what));
  const auto out = json->get<std::uint64_t>();
  CHECK_OR(out > 0 && out <= kMaxVersion, wrong(what, Fault::limit));
  return out;
}

Result<bool> flag_of(const Json& object, const char* name, std::string_view what) {
  const Json* const json = member(object, name);
  CHECK_OR(json == nullptr || json->is_boolean(), wrong(what));
  return json != nullptr && json->get<bool>();
}

Result<Instant> time_of(const Json* json, std::string_view what) {
  TRY(const std::string text, text_of(json, what));
  const auto at = brski::DateTime::parse(text);
  CHECK_OR(at, wrong(what));
  return at->at;
}

Result<std::optional<Instant>> time_if(const Json& object, const char* name, std::string_view what) {
  const Json* const json = member(object, name);
  if (json == nullptr) {
    return std::optional<Instant>();
  }
  TRY(const Instant at, time_of(json, what));
  return std::optional(at);
}

Result<Uri> url_of(const Json* json, std::string_view what) {
  CHECK_OR(json != nullptr && json->is_string(), wrong(what));
  const auto out = brski::masa_url(json->get_ref<const std::string&>());
  CHECK_OR(out, wrong(what));
  return *out;
}

Result<Bytes> hex_of(const Json& json, std::string_view what) {
  TRY(const std::string text, text_of(&json, what));
  const auto out = from_hex(text);
  CHECK_OR(out && !out->empty(), wrong(what));
  return *out;
}

Result<Bytes> base64_of(const Json& json, std::string_view what) {
  CHECK_OR(json.is_string(), wrong(what));
  const auto out = parse_base64(json.get_ref<const std::string&>());
  CHECK_OR(out && !out->empty(), wrong(what));
  return *out;
}

// Every element of a list that may be missing.
template <class T>
Status read_list(const Json& object, const char* name, std::vector<T>& into, std::string_view what,
                 const std::function<Result<T>(const Json&, std::string_view)>& read) {
  const Json* const json = member(object, name);
  if (json == nullptr) {
    return Ok{};
  }
  // An empty one would be no condition at all.
  CHECK_OR(json->is_array() && !json->empty(), wrong(what));
  CHECK_OR(json->size() <= kMaxList, wrong(what, Fault::limit));
  for (const Json& one : *json) {
    TRY(T value, read(one, what));
    into.push_back(std::move(value));
  }
  return Ok{};
}

Result<std::string> one_text(const Json& json, std::string_view what) { return text_of(&json, what); }

Result<std::string> one_oid(const Json& json, std::string_view what) {
  TRY(std::string text, text_of(&json, what));
  CHECK_OR(der::valid_oid(text), wrong(what));
  return text;
}

Result<Bytes> one_sha256(const Json& json, std::string_view what) {
  TRY(Bytes out, hex_of(json, what));
  CHECK_OR(out.size() == 32, wrong(what));
  return out;
}

Result<Bytes> one_name(const Json& json, std::string_view what) {
  TRY(Bytes out, base64_of(json, what));
  CHECK_OR(Name::parse(out), wrong(what));
  return out;
}

Result<Certificate> one_certificate(const Json& json, std::string_view what) {
  TRY(const Bytes der, base64_of(json, what));
  auto out = Certificate::parse(der);
  CHECK_OR(out, wrong(what));
  return *std::move(out);
}

// "ACME-*", or ["ACME-100", "ACME-199"].
Result<SerialPattern> one_serial(const Json& json, std::string_view what) {
  if (json.is_string()) {
    const auto out = SerialPattern::glob(json.get_ref<const std::string&>());
    CHECK_OR(out, wrong(what));
    return *out;
  }
  CHECK_OR(json.is_array() && json.size() == 2 && json[0].is_string() && json[1].is_string(), wrong(what));
  const auto out = SerialPattern::range(json[0].get_ref<const std::string&>(), json[1].get_ref<const std::string&>());
  CHECK_OR(out, wrong(what));
  return *out;
}

// ---- rules ----

constexpr std::array<std::string_view, 8> kConditions{
    "issuer", "issuer-der", "authority-key-id", "issuer-spki-sha256", "serials", "module-type", "organisation", "unit"};

Result<MasaMatch> read_match(const Json& in) {
  CHECK_OR(in.is_object() && !in.empty(), wrong("catalogue: match"));
  for (const auto& [name, ignored] : in.items()) {
    CHECK_OR(std::ranges::find(kConditions, name) != kConditions.end(),
             wrong("catalogue: match has a condition that is not known", Fault::unsupported));
  }
  MasaMatch out;
  TRY(Ok{}, read_list<std::string>(in, "issuer", out.issuers, "catalogue: issuer", one_text));
  TRY(Ok{}, read_list<Bytes>(in, "issuer-der", out.issuer_ders, "catalogue: issuer-der", one_name));
  TRY(Ok{}, read_list<Bytes>(in, "authority-key-id", out.key_ids, "catalogue: authority-key-id", hex_of));
  TRY(Ok{}, read_list<Bytes>(in, "issuer-spki-sha256", out.issuer_keys, "catalogue: issuer-spki-sha256", one_sha256));
  TRY(Ok{}, read_list<SerialPattern>(in, "serials", out.serials, "catalogue: serials", one_serial));
  TRY(Ok{}, read_list<std::string>(in, "module-type", out.module_types, "catalogue: module-type", one_oid));
  TRY(Ok{}, read_list<std::string>(in, "organisation", out.organisations, "catalogue: organisation", one_text));
  TRY(Ok{}, read_list<std::string>(in, "unit", out.units, "catalogue: unit", one_text));
  return out;
}

// How things are written. Whether a check is left out is the site's to say, never the maker's.
Status read_quirks(const Json& in, brski::Quirks& out) {
  if (const Json* const json = member(in, "serial-source")) {
    TRY(const std::string text, text_of(json, "catalogue: serial-source"));
    const auto source = serial_source_named(text);
    CHECK_OR(source, wrong("catalogue: serial-source"));
    out.serial = *source;
  }
  if (const Json* const json = member(in, "idevid-issuer")) {
    TRY(const std::string text, text_of(json, "catalogue: idevid-issuer"));
    const auto form = issuer_form_named(text);
    CHECK_OR(form, wrong("catalogue: idevid-issuer"));
    out.issuer = *form;
  }
  if (const Json* const json = member(in, "content-type")) {
    TRY(const std::string text, text_of(json, "catalogue: content-type"));
    const auto oid = content_type_named(text);
    CHECK_OR(oid, wrong("catalogue: content-type"));
    out.content_type = *oid;
  }
  TRY(out.base64_bodies, flag_of(in, "base64-bodies", "catalogue: base64-bodies"));
  TRY(out.requests_named_voucher, flag_of(in, "requests-named-voucher", "catalogue: requests-named-voucher"));
  TRY(out.old_paths, flag_of(in, "old-paths", "catalogue: old-paths"));
  TRY(out.old_media_types, flag_of(in, "old-media-types", "catalogue: old-media-types"));
  TRY(out.any_voucher_type, flag_of(in, "any-voucher-type", "catalogue: any-voucher-type"));
  return Ok{};
}

Result<MasaRule> read_rule(const Json& in) {
  CHECK_OR(in.is_object(), wrong("catalogue: rules"));
  MasaRule out;
  TRY(out.name, text_of(member(in, "name"), "catalogue: name of a rule"));
  const Json* const match = member(in, "match");
  CHECK_OR(match != nullptr, wrong("catalogue: match"));
  TRY(out.match, read_match(*match));
  if (const Json* const url = member(in, "masa-url")) {
    TRY(out.url, url_of(url, "catalogue: masa-url"));
  }
  TRY(out.over_own, flag_of(in, "override", "catalogue: override"));
  TRY(Ok{}, read_list<Certificate>(in, "masa-anchors", out.anchors, "catalogue: masa-anchors", one_certificate));
  TRY(Ok{}, read_list<Certificate>(in, "voucher-anchors", out.voucher_anchors, "catalogue: voucher-anchors",
                                   one_certificate));
  TRY(Ok{}, read_quirks(in, out.quirks));
  TRY(out.deprecated, time_if(in, "deprecated", "catalogue: deprecated"));
  TRY(out.ends, time_if(in, "ends", "catalogue: ends"));
  return out;
}

Result<MovedPool> read_pool(const Json& in) {
  CHECK_OR(in.is_object(), wrong("catalogue: pools"));
  const Json* const issuer = member(in, "issuer");
  const Json* const serials = member(in, "serials");
  CHECK_OR(issuer != nullptr && serials != nullptr, wrong("catalogue: a pool wants issuer, serials and moved-to"));
  MovedPool out;
  TRY(out.issuer, hex_of(*issuer, "catalogue: issuer of a pool"));
  TRY(out.serials, one_serial(*serials, "catalogue: serials of a pool"));
  TRY(out.moved_to, url_of(member(in, "moved-to"), "catalogue: moved-to"));
  return out;
}

// The lists at the top, which may be missing.
template <class T>
Status read_all(const Json& in, const char* name, std::vector<T>& into, std::size_t most,
                Result<T> (*read)(const Json&)) {
  const Json* const list = member(in, name);
  if (list == nullptr) {
    return Ok{};
  }
  CHECK_OR(list->is_array(), wrong("catalogue: rules and pools are lists"));
  CHECK_OR(list->size() <= most, wrong("catalogue: too many rules or pools", Fault::limit));
  for (const Json& one : *list) {
    TRY(T value, read(one));
    into.push_back(std::move(value));
  }
  return Ok{};
}

// ---- writing ----

template <class T, class Write>
void put_list(Json& into, const char* name, const std::vector<T>& list, Write write) {
  for (const T& one : list) {
    into[name].push_back(write(one));
  }
}

Json serial_json(const SerialPattern& one) {
  return one.is_range() ? Json::array({one.first(), one.last()}) : Json(one.first());
}

Json match_json(const MasaMatch& match) {
  const auto as_is = [](const std::string& text) { return text; };
  const auto as_hex = [](const Bytes& octets) { return hex(octets); };
  Json out = Json::object();
  put_list(out, "issuer", match.issuers, as_is);
  put_list(out, "issuer-der", match.issuer_ders, [](const Bytes& der) { return base64(der); });
  put_list(out, "authority-key-id", match.key_ids, as_hex);
  put_list(out, "issuer-spki-sha256", match.issuer_keys, as_hex);
  put_list(out, "serials", match.serials, serial_json);
  put_list(out, "module-type", match.module_types, as_is);
  put_list(out, "organisation", match.organisations, as_is);
  put_list(out, "unit", match.units, as_is);
  return out;
}

void put_quirks(Json& out, const brski::Quirks& quirks) {
  const brski::Quirks usual;
  const auto put = [&out](const char* name, const Json& value, bool differs) {
    if (differs) {
      out[name] = value;
    }
  };
  put("serial-source", std::string(name(quirks.serial)), quirks.serial != usual.serial);
  put("idevid-issuer", std::string(name(quirks.issuer)), quirks.issuer != usual.issuer);
  put("content-type", std::string(content_type_name(quirks.content_type)), quirks.content_type != usual.content_type);
  put("base64-bodies", true, quirks.base64_bodies);
  put("requests-named-voucher", true, quirks.requests_named_voucher);
  put("old-paths", true, quirks.old_paths);
  put("old-media-types", true, quirks.old_media_types);
  put("any-voucher-type", true, quirks.any_voucher_type);
}

Json rule_json(const MasaRule& rule) {
  const auto as_base64 = [](const Certificate& one) { return base64(one.der); };
  Json out{{"name", rule.name}, {"match", match_json(rule.match)}};
  if (rule.url) {
    out["masa-url"] = rule.url->text();
  }
  if (rule.over_own) {
    out["override"] = true;
  }
  put_list(out, "masa-anchors", rule.anchors, as_base64);
  put_list(out, "voucher-anchors", rule.voucher_anchors, as_base64);
  put_quirks(out, rule.quirks);
  if (rule.deprecated) {
    out["deprecated"] = utc_text(*rule.deprecated);
  }
  if (rule.ends) {
    out["ends"] = utc_text(*rule.ends);
  }
  return out;
}

}  // namespace

Result<MasaCatalogue> parse_catalogue(BytesView payload) {
  const auto json = parse_json(as_text(payload));
  CHECK_OR(json && json->is_object(), wrong("catalogue: no JSON object"));
  const Json* const format = member(*json, "imprint-masa-map");
  CHECK_OR(format != nullptr && format->is_number_unsigned(), wrong("catalogue: imprint-masa-map"));
  CHECK_OR(*format == kFormat, wrong("catalogue: a format that is not known", Fault::unsupported));
  MasaCatalogue out;
  out.payload = to_bytes(payload);
  TRY(out.maker, text_of(member(*json, "maker"), "catalogue: maker"));
  TRY(out.version, number_of(member(*json, "version"), "catalogue: version"));
  TRY(out.issued, time_of(member(*json, "issued"), "catalogue: issued"));
  TRY(out.expires, time_of(member(*json, "expires"), "catalogue: expires"));
  CHECK_OR(out.issued < out.expires, wrong("catalogue: expires before it is issued"));
  TRY(Ok{}, read_all<MasaRule>(*json, "rules", out.rules, kMaxRules, read_rule));
  TRY(Ok{}, read_all<MovedPool>(*json, "pools", out.pools, kMaxPools, read_pool));
  return out;
}

Bytes encode_catalogue(const MasaCatalogue& catalogue) {
  Json out{{"imprint-masa-map", kFormat},
           {"maker", catalogue.maker},
           {"version", catalogue.version},
           {"issued", utc_text(catalogue.issued)},
           {"expires", utc_text(catalogue.expires)},
           {"rules", Json::array()},
           {"pools", Json::array()}};
  for (const MasaRule& rule : catalogue.rules) {
    out["rules"].push_back(rule_json(rule));
  }
  for (const MovedPool& pool : catalogue.pools) {
    out["pools"].push_back(
        {{"issuer", hex(pool.issuer)}, {"serials", serial_json(pool.serials)}, {"moved-to", pool.moved_to.text()}});
  }
  return to_bytes(out.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace imprint::site
