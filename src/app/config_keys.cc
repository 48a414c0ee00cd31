#include "app/config_keys.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include "app/config_kinds.h"
#include "codec/base64.h"
#include "codec/uri.h"
#include "site/ca.h"

namespace imprint::app {
namespace {

constexpr std::int64_t kMaxThreads = 256, kMaxRetryAfter_s = 24 * 60 * 60;

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

// Names as the system has them: at most 15 octets, each once.
Wrong set_interfaces(Texts& out, const Texts& names) {
  constexpr std::size_t kLongest = 15;
  for (auto one = names.begin(); one != names.end(); ++one) {
    const bool good = !one->empty() && one->size() <= kLongest && one->find_first_of("/ \t\n") == std::string::npos;
    if (!good || std::find(names.begin(), one, *one) != one) {
      return "\"" + *one + "\": must be the name of an interface, named once";
    }
  }
  out = names;
  return std::nullopt;
}

// domainIDs as audit logs have them, in base64.
Wrong set_domains(std::vector<Bytes>& out, const Texts& domains) {
  std::vector<Bytes> read;
  for (const std::string& text : domains) {
    const auto one = parse_base64(text);
    if (!one || one->empty() || one->size() > 64) {
      return "\"" + text + "\": must be a domainID of 1 to 64 octets in base64";
    }
    read.push_back(*one);
  }
  out = std::move(read);
  return std::nullopt;
}

Texts domain_texts(const std::vector<Bytes>& domains) {
  Texts out;
  std::ranges::transform(domains, std::back_inserter(out), [](const Bytes& one) { return base64(one); });
  return out;
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

// A domain name as RFC 1034 section 3.5 has it, or nothing; the two are looked at together in config_check.cc.
Wrong set_acp_part(std::string& out, const std::string& value) {
  if (!value.empty() && !valid_acp_domain({value, ""})) {
    return "must be a domain name of letters, digits and hyphens, each part beginning with a letter (RFC 8994 "
           "section 6.2.2), or empty";
  }
  out = value;
  return std::nullopt;
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

// As a CA will write it.
Wrong set_list_uri(std::string& out, const std::string& value) {
  std::string written;
  Wrong wrong = set_uri(written, site::uri_of_issuer(value, Certificate{}));
  if (!wrong) {
    out = value;
  }
  return wrong;
}

// A text that means whatever is found there: a file name, a user.
ConfigKey<Config> path_key(std::string_view name, std::string_view comment,
                           const std::function<std::string&(Config&)>& at) {
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
      text<C>(
          "est.coaps_join",
          "Address and port (UDP) for stateless join proxies of BRSKI, which bring the datagrams of many devices "
          "(JPY); empty: none. The address is that of est.coaps.",
          [](C& c, const std::string& v) -> Wrong {
            c.coaps_join.reset();
            return v.empty() ? std::nullopt : set_listen(c.coaps_join.emplace(), v);
          },
          [](const C& c) { return c.coaps_join ? listen_text(*c.coaps_join) : std::string(); }),
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
          "Address and port of certificate status over plain HTTP: OCSP at /ocsp, the revocation list at /crl, and by "
          "issuer at /crl/ID; empty: "
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
          "Where relying parties fetch the revocation list, written into certificates and the list: "
          "http://…/crl/{issuer}, so that a CA of before goes on to have a list of its own; empty: nothing.",
          [](C& c, const std::string& v) { return set_list_uri(c.crl_uri, v); }, [](const C& c) { return c.crl_uri; }),
      flag<C>("brski.registrar",
              "Whether devices are taken by vouchers of their makers (BRSKI), on est.listen and est.coaps.",
              [](C& c) -> bool& { return c.registrar; }),
      flag<C>("brski.voucher_first", "Whether a device with a MASA has to bring a voucher before it may enrol.",
              [](C& c) -> bool& { return c.voucher_first; }),
      list<C>(
          "brski.announce",
          "Interfaces on which the registrar announces itself to devices and join proxies: GRASP, DNS-SD and, with "
          "est.coaps, CoAP. Empty: none.",
          [](C& c, const Texts& v) { return set_interfaces(c.announce, v); }, [](const C& c) { return c.announce; }),
      text<C>(
          "brski.announce_as", "The registrar's name on DNS-SD; empty: after the host.",
          [](C& c, const std::string& v) -> Wrong {
            c.announce_as = v;
            return v.size() <= 63 ? std::nullopt : Wrong("must have at most 63 octets");
          },
          [](const C& c) { return c.announce_as; }),
      text<C>(
          "brski.acp_domain",
          "Domain of the site's Autonomic Control Plane, as in acp.example.com: devices with a MASA get an address in "
          "it "
          "with their certificates (RFC 8994); empty: there is none.",
          [](C& c, const std::string& v) { return set_acp_part(c.acp.name, v); },
          [](const C& c) { return c.acp.name; }),
      text<C>(
          "brski.acp_rsub", "Part of that domain for the devices that come here, as in area51.research; empty: none.",
          [](C& c, const std::string& v) { return set_acp_part(c.acp.rsub, v); },
          [](const C& c) { return c.acp.rsub; }),
      path_key("brski.web_anchors", "CA certificates of MASAs for which makers/NAME.toml names none.",
               [](C& c) -> std::string& { return c.web_anchors; }),
      flag<C>("brski.log_needed", "Whether a device without the MASA's audit log is held for a person.",
              [](C& c) -> bool& { return c.log_policy.log_needed; }),
      flag<C>("brski.log_strangers", "Whether unknown domains in that log do not matter.",
              [](C& c) -> bool& { return c.log_policy.strangers; }),
      list<C>(
          "brski.log_known",
          "domainIDs in that log that do not matter, in base64 as it has them: of our other sites and of resellers, "
          "and "
          "our own if other registrars have our domain.",
          [](C& c, const Texts& v) { return set_domains(c.log_policy.known, v); },
          [](const C& c) { return domain_texts(c.log_policy.known); }),
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

}  // namespace

const std::vector<ConfigKey<Config>>& config_keys() {
  static const auto* const keys = new std::vector(make_config_keys());  // never ended: used until the process ends
  return *keys;
}

}  // namespace imprint::app
