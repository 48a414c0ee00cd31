// The keys of a profile: what a label gives.
#include <algorithm>
#include <array>

#include "app/config_kinds.h"

namespace imprint::app {
namespace {

Wrong set_key_types(std::vector<KeyType>& out, const Texts& names) {
  std::vector<KeyType> types;
  for (const std::string& text : names) {
    const auto type = key_type_named(text);
    if (!type) {
      return "\"" + text + "\": " + kKeyTypes;
    }
    types.push_back(*type);
  }
  if (types.empty()) {
    return "must name at least one type of key";
  }
  out = std::move(types);
  return std::nullopt;
}

struct UsageName {
  std::string_view name;
  std::uint16_t bit;
};
// Names of RFC 5280 section 4.2.1.3; the two bits of a CA are not for devices.
constexpr std::array<UsageName, 5> kUsages{{{"digitalSignature", key_usage::kDigitalSignature},
                                            {"nonRepudiation", key_usage::kNonRepudiation},
                                            {"keyEncipherment", key_usage::kKeyEncipherment},
                                            {"dataEncipherment", key_usage::kDataEncipherment},
                                            {"keyAgreement", key_usage::kKeyAgreement}}};

Wrong set_usage(std::uint16_t& out, const Texts& names) {
  std::uint16_t bits = 0;
  for (const std::string& text : names) {
    const auto* const found = std::ranges::find(kUsages, text, &UsageName::name);
    if (found == kUsages.end()) {
      return "\"" + text +
             "\": must be digitalSignature, nonRepudiation, keyEncipherment, dataEncipherment or keyAgreement";
    }
    bits = static_cast<std::uint16_t>(bits | found->bit);
  }
  if (bits == 0) {
    return "must name at least one usage";
  }
  out = bits;
  return std::nullopt;
}

Texts usage_names(std::uint16_t bits) {
  Texts out;
  for (const UsageName& usage : kUsages) {
    if ((bits & usage.bit) != 0) {
      out.emplace_back(usage.name);
    }
  }
  return out;
}

bool is_oid(std::string_view text) {
  const bool chars = std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
  return chars && text.find('.') != std::string_view::npos && text.front() != '.' && text.back() != '.' &&
         text.find("..") == std::string_view::npos;
}

Wrong set_oids(Texts& out, const Texts& oids) {
  const auto bad = std::ranges::find_if_not(oids, [](const std::string& o) { return is_oid(o); });
  if (bad != oids.end()) {
    return "\"" + *bad + "\": must be an OID in dotted form";
  }
  out = oids;
  return std::nullopt;
}

constexpr std::string_view kCritical = "critical,";

// "OID=HEX" or "critical,OID=HEX", HEX being the DER of the extension's value.
Wrong set_extensions(std::vector<Extension>& out, const Texts& texts) {
  std::vector<Extension> extensions;
  for (const std::string& whole : texts) {
    std::string_view rest = whole;
    Extension extension;
    extension.critical = rest.starts_with(kCritical);
    rest.remove_prefix(extension.critical ? kCritical.size() : 0);
    const std::size_t equals = rest.find('=');
    extension.oid = rest.substr(0, equals);
    const auto value = equals == std::string_view::npos ? std::optional<Bytes>() : from_hex(rest.substr(equals + 1));
    if (!is_oid(extension.oid) || !value || value->empty()) {
      return "\"" + whole + "\": must be OID=HEX or critical,OID=HEX";
    }
    extension.value = *value;
    extensions.push_back(std::move(extension));
  }
  out = std::move(extensions);
  return std::nullopt;
}

Texts extension_texts(const std::vector<Extension>& extensions) {
  Texts out;
  for (const Extension& e : extensions) {
    out.push_back((e.critical ? std::string(kCritical) : "") + e.oid + "=" + hex(e.value));
  }
  return out;
}

struct ServerKeysName {
  std::string_view name;
  site::ServerKeys value;
};
constexpr std::array kServerKeys{ServerKeysName{"no", site::ServerKeys::no},
                                 ServerKeysName{"wrapped", site::ServerKeys::wrapped},
                                 ServerKeysName{"clear", site::ServerKeys::clear}};

std::vector<ConfigKey<ProfileConfig>> make_profile_keys() {
  using P = ProfileConfig;
  return {
      number<P>(
          "lifetime_hours", "How long certificates are good for.", {1, kMaxDays * 24},
          [](P& p, std::int64_t v) { p.profile.lifetime = std::chrono::hours(v); },
          [](const P& p) -> std::int64_t { return std::max<std::int64_t>(1, p.profile.lifetime / kHour); }),
      number<P>(
          "lifetime_s", "The same in seconds, over lifetime_hours; 0: lifetime_hours counts.",
          {0, kMaxDays * 24 * 3600},
          [](P& p, std::int64_t v) { p.profile.lifetime = v == 0 ? p.profile.lifetime : std::chrono::seconds(v); },
          [](const P& p) -> std::int64_t {
            const bool whole = p.profile.lifetime % kHour == Duration(0) && p.profile.lifetime >= kHour;
            return whole ? 0 : std::chrono::duration_cast<std::chrono::seconds>(p.profile.lifetime).count();
          }),
      list<P>(
          "keys", "Types of keys that are certified.",
          [](P& p, const Texts& v) { return set_key_types(p.profile.keys, v); },
          [](const P& p) {
            Texts out;
            for (const KeyType type : p.profile.keys) {
              out.emplace_back(name(type));
            }
            return out;
          }),
      list<P>(
          "key_usage", "Key usages of the certificates (RFC 5280 section 4.2.1.3).",
          [](P& p, const Texts& v) { return set_usage(p.profile.usage, v); },
          [](const P& p) { return usage_names(p.profile.usage); }),
      list<P>(
          "extended_key_usage", "Extended key usages, as OIDs; 1.3.6.1.5.5.7.3.2 is a TLS client.",
          [](P& p, const Texts& v) { return set_oids(p.profile.extended, v); },
          [](const P& p) { return p.profile.extended; }),
      list<P>(
          "common_names",
          "Common names that a device may ask for; {id} and {serial} are the inventory's, * any run of letters, "
          "digits, - and "
          "_. {serial} is for sites whose makers' serial numbers all differ.",
          [](P& p, const Texts& v) -> Wrong {
            p.profile.common_names = v;
            return std::nullopt;
          },
          [](const P& p) { return p.profile.common_names; }),
      list<P>(
          "alt_names", "Other names that a device may ask for: dns:…, ip:…, uri:…, email:… with the same patterns.",
          [](P& p, const Texts& v) -> Wrong {
            p.profile.alt_names = v;
            return std::nullopt;
          },
          [](const P& p) { return p.profile.alt_names; }),
      flag<P>("change_names", "Whether a renewal may change names (RFC 6402 section 2.8), within the patterns.",
              [](P& p) -> bool& { return p.profile.change_names; }),
      text<P>(
          "server_keys",
          "Whether the server makes keys for devices that ask (serverkeygen): no, wrapped or clear. A key in clear is "
          "protected by TLS alone.",
          [](P& p, const std::string& v) -> Wrong {
            const auto* const at = std::ranges::find(kServerKeys, std::string_view(v), &ServerKeysName::name);
            if (at == kServerKeys.end()) {
              return "must be no, wrapped or clear";
            }
            p.profile.server_keys = at->value;
            return std::nullopt;
          },
          [](const P& p) {
            return std::string(std::ranges::find(kServerKeys, p.profile.server_keys, &ServerKeysName::value)->name);
          }),
      text<P>(
          "wanted_key", "Type of key that csrattrs asks for; empty: none.",
          [](P& p, const std::string& v) -> Wrong {
            p.wanted_key = key_type_named(v);
            return v.empty() || p.wanted_key ? std::nullopt : Wrong(kKeyTypes);
          },
          [](const P& p) { return std::string(p.wanted_key ? name(*p.wanted_key) : ""); }),
      list<P>(
          "wanted_extensions",
          "Extensions that csrattrs asks for: OID=HEX or critical,OID=HEX, HEX being the value's DER.",
          [](P& p, const Texts& v) { return set_extensions(p.wanted_extensions, v); },
          [](const P& p) { return extension_texts(p.wanted_extensions); }),
      flag<P>("require_linking", "Whether requests must be linked to their TLS session (RFC 7030 section 3.5).",
              [](P& p) -> bool& { return p.require_linking; }),
      flag<P>("ignore_linking", "Whether a wrong link is let pass: for clients behind a proxy that ends TLS.",
              [](P& p) -> bool& { return p.ignore_linking; }),
      flag<P>("handed_on",
              "Whether registration authorities of the owner's (id-kp-cmcRA) may hand on their devices' requests under "
              "this label, as gateways do.",
              [](P& p) -> bool& { return p.profile.handed_on; }),
      flag<P>("use_template", "Whether csrattrs carries a template as well (RFC 9908).",
              [](P& p) -> bool& { return p.use_template; }),
  };
}

}  // namespace

const std::vector<ConfigKey<ProfileConfig>>& profile_keys() {
  static const auto* const keys = new std::vector(make_profile_keys());
  return *keys;
}

std::optional<std::string> check_profile_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_' ||
           c == '.';
  };
  constexpr std::array<std::string_view, 6> kTaken{"cacerts",        "csrattrs",     "simpleenroll",
                                                   "simplereenroll", "serverkeygen", "fullcmc"};
  if (name.empty() || name.size() > 64 || name.front() == '.' || !std::ranges::all_of(name, allowed)) {
    return "the name must be [A-Za-z0-9_-][A-Za-z0-9._-]{0,63}";
  }
  if (std::ranges::find(kTaken, name) != kTaken.end()) {
    return "the name is an EST operation's (RFC 7030 section 3.2.2)";
  }
  return std::nullopt;
}

}  // namespace imprint::app
