#include "app/config_keys.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "codec/uri.h"

namespace imprint::app {
namespace {

using Wrong = std::optional<std::string>;

constexpr std::int64_t kMaxThreads = 256, kMaxDays = 36500, kMaxRetryAfter_s = 24 * 60 * 60;
constexpr Duration kHour = std::chrono::hours(1);

// ---- kinds of values ----

template <class T>
ConfigKey<T> flag(std::string_view name, std::string_view comment, std::function<bool&(T&)> at) {
  return {name, ConfigType::boolean, comment,
          [at](T& c, const ConfigValue& v) -> Wrong {
            at(c) = std::get<bool>(v);
            return std::nullopt;
          },
          [at](const T& c) -> ConfigValue {
            T copy = c;
            return at(copy);
          }};
}

struct Range {
  std::int64_t least, most;
};

template <class T>
ConfigKey<T> number(std::string_view name, std::string_view comment, Range range,
                    std::function<void(T&, std::int64_t)> set, std::function<std::int64_t(const T&)> get) {
  return {name, ConfigType::number, comment,
          [set, range](T& c, const ConfigValue& v) -> Wrong {
            const std::int64_t n = std::get<std::int64_t>(v);
            if (n < range.least || n > range.most) {
              return "must be " + std::to_string(range.least) + " to " + std::to_string(range.most);
            }
            set(c, n);
            return std::nullopt;
          },
          [get](const T& c) -> ConfigValue { return get(c); }};
}

template <class T>
ConfigKey<T> text(std::string_view name, std::string_view comment, std::function<Wrong(T&, const std::string&)> set,
                  std::function<std::string(const T&)> get) {
  return {name, ConfigType::text, comment,
          [set](T& c, const ConfigValue& v) { return set(c, std::get<std::string>(v)); },
          [get](const T& c) -> ConfigValue { return get(c); }};
}

using Texts = std::vector<std::string>;

template <class T>
ConfigKey<T> list(std::string_view name, std::string_view comment, std::function<Wrong(T&, const Texts&)> set,
                  std::function<Texts(const T&)> get) {
  return {name, ConfigType::list, comment, [set](T& c, const ConfigValue& v) { return set(c, std::get<Texts>(v)); },
          [get](const T& c) -> ConfigValue { return get(c); }};
}

// ---- texts with a meaning ----

Wrong set_listen(Listen& listen, const std::string& value) {
  const std::size_t colon = value.rfind(':');
  const std::string_view port_text = colon == std::string::npos ? "" : std::string_view(value).substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  std::string address = value.substr(0, std::min(colon, value.size()));
  if (address.size() > 2 && address.front() == '[' && address.back() == ']') {
    address = address.substr(1, address.size() - 2);
  }
  if (error != std::errc{} || end != port_text.data() + port_text.size() || !GeneralName::from_text("ip:" + address)) {
    return "must be ADDRESS:PORT with a numeric address, as in 127.0.0.1:8443 or [::1]:8443";
  }
  listen = {address, port};
  return std::nullopt;
}

std::string listen_text(const Listen& listen) {
  const bool ipv6 = listen.address.find(':') != std::string::npos;
  return (ipv6 ? "[" + listen.address + "]" : listen.address) + ":" + std::to_string(listen.port);
}

const char* const kKeyTypes = "must be one of p256, p384, p521, ed25519, rsa2048, rsa3072, rsa4096";

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

Wrong set_server_names(Texts& out, const Texts& names) {
  for (const std::string& name : names) {
    if (!GeneralName::from_text("ip:" + name) && !GeneralName::from_text("dns:" + name)) {
      return "\"" + name + "\": must be a host name or an IP address";
    }
  }
  if (names.empty()) {
    return "must have at least one name";
  }
  out = names;
  return std::nullopt;
}

// SHA-256 as tools print it: hexadecimal, with or without colons.
Wrong set_pins(Texts& out, const Texts& pins) {
  Texts plain;
  for (std::string pin : pins) {
    std::erase(pin, ':');
    const std::optional<Bytes> digest = from_hex(pin);
    if (!digest || digest->size() != 32) {
      return "\"" + pin + "\": must be a SHA-256 fingerprint, 64 hexadecimal digits";
    }
    plain.push_back(hex(*digest));
  }
  out = std::move(plain);
  return std::nullopt;
}

Wrong set_choice(std::string& out, const std::string& value, std::initializer_list<std::string_view> choices) {
  if (std::ranges::find(choices, value) != choices.end()) {
    out = value;
    return std::nullopt;
  }
  std::string wrong = "must be one of";
  for (const std::string_view choice : choices) {
    wrong.append(" \"").append(choice).append("\"");
  }
  return wrong;
}

// An http URI, as a certificate may name it (RFC 5280 section 4.2.1.13): who checks a certificate cannot begin with
// TLS.
Wrong set_uri(std::string& out, const std::string& value) {
  const auto uri = Uri::parse(value);
  if (!value.empty() && (!uri || uri->scheme != "http" || value.size() > 255)) {
    return "must be an http:// URI of at most 255 characters, or empty";
  }
  out = value;
  return std::nullopt;
}

// A text that means whatever is found there: a file name, a user.
ConfigKey<Config> path_key(std::string_view name, std::string_view comment, const std::function<std::string&(Config&)>& at) {
  return text<Config>(
      name, comment,
      [at](Config& c, const std::string& v) -> Wrong {
        at(c) = v;
        return std::nullopt;
      },
      [at](const Config& c) {
        Config copy = c;
        return at(copy);
      });
}

// ---- the tables ----

std::vector<ConfigKey<Config>> make_config_keys() {
  using C = Config;
  using Int = std::int64_t;
  return {
      text<C>(
          "data", "Folder of database, keys and token.",
          [](C& c, const std::string& v) -> Wrong {
            c.data = v;
            return v.empty() ? Wrong("must not be empty") : std::nullopt;
          },
          [](const C& c) { return c.data; }),
      text<C>(
          "est.listen", "Address and port of EST over HTTPS; port 0 takes any that is free.",
          [](C& c, const std::string& v) { return set_listen(c.est, v); },
          [](const C& c) { return listen_text(c.est); }),
      list<C>(
          "est.names", "Names and addresses in the server's certificate.",
          [](C& c, const Texts& v) { return set_server_names(c.names, v); }, [](const C& c) { return c.names; }),
      number<C>(
          "est.threads", "Threads that serve EST; 0: one a core.", {0, kMaxThreads},
          [](C& c, Int v) { c.threads = static_cast<std::uint32_t>(v); }, [](const C& c) { return Int{c.threads}; }),
      flag<C>("est.basic", "Whether passwords and tokens are taken in clear inside TLS (HTTP Basic).",
              [](C& c) -> bool& { return c.basic; }),
      flag<C>("est.digest",
              "Whether passwords and tokens are taken by HTTP Digest (SHA-256), which does not send them.",
              [](C& c) -> bool& { return c.digest; }),
      flag<C>("est.tls12", "Whether TLS 1.2 is spoken besides TLS 1.3.", [](C& c) -> bool& { return c.tls12; }),
      flag<C>("est.srp",
              "Whether a token may be proven in the handshake of TLS 1.2, by both sides and without certificates "
              "(TLS-SRP).",
              [](C& c) -> bool& { return c.srp; }),
      flag<C>("est.accept_expired_idevid", "Whether a maker's certificate still counts after its end.",
              [](C& c) -> bool& { return c.accept_expired_idevid; }),
      number<C>(
          "est.max_body_bytes", "Largest request body.", {1024, 65536},
          [](C& c, Int v) { c.max_body_bytes = static_cast<std::size_t>(v); },
          [](const C& c) { return static_cast<Int>(c.max_body_bytes); }),
      number<C>(
          "est.max_connections",
          "Connections at the same time, for each thread; then idle strangers make room, or more are turned away.",
          {1, 1000000}, [](C& c, Int v) { c.max_connections = static_cast<std::size_t>(v); },
          [](const C& c) { return static_cast<Int>(c.max_connections); }),
      text<C>(
          "est.coaps",
          "Address and port of EST over CoAPS (UDP, as in 127.0.0.1:5684); empty: not served. Clients need "
          "certificates.",
          [](C& c, const std::string& v) -> Wrong {
            c.coaps.reset();
            return v.empty() ? std::nullopt : set_listen(c.coaps.emplace(), v);
          },
          [](const C& c) { return c.coaps ? listen_text(*c.coaps) : std::string(); }),
      number<C>(
          "est.max_associations", "Most DTLS associations at the same time, for each thread.", {1, 1'000'000},
          [](C& c, Int v) { c.max_associations = static_cast<std::size_t>(v); },
          [](const C& c) { return static_cast<Int>(c.max_associations); }),
      number<C>(
          "est.associations_per_certificate",
          "Most DTLS associations of one client certificate at the same time, for each thread.", {1, 1'000'000},
          [](C& c, Int v) { c.associations_per_certificate = static_cast<std::size_t>(v); },
          [](const C& c) { return static_cast<Int>(c.associations_per_certificate); }),
      text<C>(
          "api.listen",
          "Address and port of the admin API. Beyond loopback it wants api.tls and administrators, and takes no token.",
          [](C& c, const std::string& v) { return set_listen(c.api, v); },
          [](const C& c) { return listen_text(c.api); }),
      flag<C>("api.tls", "Whether the admin API is HTTPS, with the certificate of EST.",
              [](C& c) -> bool& { return c.api_tls; }),
      list<C>(
          "api.administrators",
          "PEM files of CAs: who holds a client certificate below one is an administrator. Not the CA of devices.",
          [](C& c, const Texts& v) -> Wrong {
            c.administrators = v;
            return std::nullopt;
          },
          [](const C& c) { return c.administrators; }),
      list<C>(
          "api.pins", "SHA-256 fingerprints of client certificates of administrators, 64 hexadecimal digits each.",
          [](C& c, const Texts& v) { return set_pins(c.administrator_pins, v); },
          [](const C& c) { return c.administrator_pins; }),
      list<C>(
          "api.revocation_lists",
          "Files of the revocation lists of these CAs, PEM or DER. A CA whose list is too old has no administrators.",
          [](C& c, const Texts& v) -> Wrong {
            c.administrator_lists = v;
            return std::nullopt;
          },
          [](const C& c) { return c.administrator_lists; }),
      text<C>(
          "ca.key", "Type of a new CA's key: p256, p384, p521, ed25519, rsa2048, rsa3072 or rsa4096.",
          [](C& c, const std::string& v) -> Wrong {
            const auto type = key_type_named(v);
            c.ca_key = type.value_or(c.ca_key);
            return type ? std::nullopt : Wrong(kKeyTypes);
          },
          [](const C& c) { return std::string(name(c.ca_key)); }),
      text<C>(
          "ca.name", "Name of a new CA.",
          [](C& c, const std::string& v) -> Wrong {
            c.ca_name = v;
            const auto parsed = Name::from_text(v);
            return parsed && !parsed->empty() ? std::nullopt : Wrong("must be a name such as \"CN=My CA,O=Example\"");
          },
          [](const C& c) { return c.ca_name; }),
      number<C>(
          "ca.days", "How long a new CA is good for.", {1, kMaxDays},
          [](C& c, Int v) { c.ca_days = static_cast<std::uint32_t>(v); }, [](const C& c) { return Int{c.ca_days}; }),
      text<C>(
          "ca.listen",
          "Address and port of certificate status over plain HTTP: OCSP at /ocsp, the revocation list at /crl; empty: "
          "not served.",
          [](C& c, const std::string& v) -> Wrong {
            c.status.reset();
            return v.empty() ? std::nullopt : set_listen(c.status.emplace(), v);
          },
          [](const C& c) { return c.status ? listen_text(*c.status) : std::string(); }),
      text<C>(
          "ca.ocsp_uri", "Where relying parties reach OCSP, written into certificates: http://…/ocsp; empty: nothing.",
          [](C& c, const std::string& v) { return set_uri(c.ocsp_uri, v); }, [](const C& c) { return c.ocsp_uri; }),
      text<C>(
          "ca.crl_uri",
          "Where relying parties fetch the revocation list, written into certificates and the list: http://…/crl; "
          "empty: nothing.",
          [](C& c, const std::string& v) { return set_uri(c.crl_uri, v); }, [](const C& c) { return c.crl_uri; }),
      text<C>(
          "upstream.uri",
          "EST server that signs in place of this CA, as in https://est.example/.well-known/est: this server is a "
          "gateway to it then; empty: it is none.",
          [](C& c, const std::string& v) -> Wrong {
            const auto uri = Uri::parse(v);
            c.upstream.uri = v;
            return v.empty() || (uri && uri->scheme == "https") ? std::nullopt : Wrong("must be an https:// URI");
          },
          [](const C& c) { return c.upstream.uri; }),
      text<C>(
          "upstream.label", "Label under which it is asked; empty: none.",
          [](C& c, const std::string& v) -> Wrong {
            c.upstream.label = v;
            return v.empty() ? std::nullopt : check_profile_name(v);
          },
          [](const C& c) { return c.upstream.label; }),
      path_key("upstream.anchors",
               "PEM file with the roots of its CA: its TLS certificate and what it signs have to lead there.",
               [](C& c) -> std::string& { return c.upstream.anchors; }),
      path_key("upstream.certificate",
               "PEM file with the gateway's certificate there, and those above it: a registration authority's.",
               [](C& c) -> std::string& { return c.upstream.certificate; }),
      path_key("upstream.key", "Its key: a PEM file, or the URI of a key in a token.",
               [](C& c) -> std::string& { return c.upstream.key; }),
      path_key("upstream.user", "User name there (HTTP Basic), beside a certificate or in its place.",
               [](C& c) -> std::string& { return c.upstream.user; }),
      path_key("upstream.password_file", "File with the password.",
               [](C& c) -> std::string& { return c.upstream.password_file; }),
      number<C>(
          "upstream.timeout_s", "How long a device's request waits for its answer, in seconds.", {1, 120},
          [](C& c, Int v) { c.upstream.patience = std::chrono::seconds(v); },
          [](const C& c) -> Int {
            return std::chrono::duration_cast<std::chrono::seconds>(c.upstream.patience).count();
          }),
      number<C>(
          "upstream.connections", "Requests that are with it at the same time, each on a connection of its own.",
          {1, 1024}, [](C& c, Int v) { c.upstream.connections = static_cast<std::size_t>(v); },
          [](const C& c) { return static_cast<Int>(c.upstream.connections); }),
      text<C>(
          "policy.unknown",
          "A device with a maker's certificate that is not in the inventory: \"queue\" (waits for a person) or "
          "\"refuse\".",
          [](C& c, const std::string& v) -> Wrong {
            std::string choice;
            Wrong wrong = set_choice(choice, v, {"queue", "refuse"});
            c.unknown = choice == "refuse" ? site::Unknown::refuse : site::Unknown::queue;
            return wrong;
          },
          [](const C& c) { return std::string(c.unknown == site::Unknown::refuse ? "refuse" : "queue"); }),
      number<C>(
          "policy.retry_after_s", "When a device that waits for a person is told to come again, in seconds.",
          {1, kMaxRetryAfter_s}, [](C& c, Int v) { c.retry_after = std::chrono::seconds(v); },
          [](const C& c) -> Int { return std::chrono::duration_cast<std::chrono::seconds>(c.retry_after).count(); }),
      number<C>(
          "policy.certificates_per_device", "Most certificates of one device that are good at the same time.",
          {1, 1'000'000}, [](C& c, Int v) { c.certificates_per_device = v; },
          [](const C& c) -> Int { return c.certificates_per_device; }),
      number<C>(
          "policy.renewed_grace_s",
          "How long a certificate that was renewed renews once more, since the answer may have been lost, in seconds.",
          {0, kMaxRetryAfter_s}, [](C& c, Int v) { c.renewed_grace = std::chrono::seconds(v); },
          [](const C& c) -> Int { return std::chrono::duration_cast<std::chrono::seconds>(c.renewed_grace).count(); }),
      list<C>(
          "policy.makers", "PEM files with roots of makers whose device certificates (IDevIDs) count.",
          [](C& c, const Texts& v) -> Wrong {
            c.maker_anchors = v;
            return std::nullopt;
          },
          [](const C& c) { return c.maker_anchors; }),
      number<C>(
          "runs.keep", "How many runs stay on record; the oldest beyond are removed now and then.", {1, 10'000'000},
          [](C& c, Int v) { c.runs_keep = static_cast<std::size_t>(v); },
          [](const C& c) { return static_cast<Int>(c.runs_keep); }),
      text<C>(
          "log.level", "Least level that is logged: \"debug\", \"info\", \"warning\", \"error\" or \"off\".",
          [](C& c, const std::string& v) {
            return set_choice(c.log_level, v, {"debug", "info", "warning", "error", "off"});
          },
          [](const C& c) { return c.log_level; }),
      flag<C>("log.json", "Whether log lines are JSON, or plain text for people.",
              [](C& c) -> bool& { return c.log_json; }),
  };
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

const std::vector<ConfigKey<Config>>& config_keys() {
  static const auto* const keys = new std::vector(make_config_keys());  // never ended: used until the process ends
  return *keys;
}

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
