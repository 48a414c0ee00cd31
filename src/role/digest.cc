#include "role/digest.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/reader.h"
#include "crypto/hash.h"

namespace imprint {
namespace {

constexpr std::size_t kMostParameters = 32;
constexpr std::size_t kMacBytes = 16;
constexpr std::string_view kAlgorithm = "SHA-256";

using Parameters = std::map<std::string, std::string, std::less<>>;

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

bool is_token_character(char c) {
  static constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         kOthers.find(c) != std::string_view::npos;
}

std::string_view take_token(std::string_view& text) {
  const auto end = std::ranges::find_if_not(text, is_token_character);
  const std::string_view out = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  text.remove_prefix(out.size());
  return out;
}

void skip(std::string_view& text, std::string_view these) {
  text.remove_prefix(std::min(text.find_first_not_of(these), text.size()));
}

// RFC 9110 section 5.6.4. Nothing if it does not end.
std::optional<std::string> take_quoted(std::string_view& text) {
  std::string out;
  text.remove_prefix(1);
  while (!text.empty() && text.front() != '"') {
    text.remove_prefix(text.front() == '\\' ? 1 : 0);
    if (text.empty()) {
      return std::nullopt;
    }
    out.push_back(text.front());
    text.remove_prefix(1);
  }
  if (text.empty()) {
    return std::nullopt;
  }
  text.remove_prefix(1);
  return out;
}

// One "name=value" (RFC 9110 section 11.2). False: the text begins with something else, and is as it was.
bool take_parameter(std::string_view& text, Parameters& into, bool& broken) {
  std::string_view rest = text;
  const std::string name = lower(take_token(rest));
  skip(rest, " \t");
  if (name.empty() || rest.empty() || rest.front() != '=') {
    return false;
  }
  rest.remove_prefix(1);
  skip(rest, " \t");
  std::optional<std::string> value;
  if (!rest.empty() && rest.front() == '"') {
    value = take_quoted(rest);
  } else if (const std::string_view token = take_token(rest); !token.empty()) {
    value = std::string(token);
  }
  broken = broken || !value || into.size() >= kMostParameters || !into.emplace(name, value.value_or("")).second;
  text = rest;
  return !broken;
}

// The credentials of a scheme that has no parameters (token68, RFC 9110 section 11.2): "Negotiate YWJj==".
void skip_token68(std::string_view& text) {
  skip(text, " \t");
  std::string_view rest = text;
  const auto end = std::ranges::find_if_not(rest, [](char c) { return is_token_character(c) || c == '/'; });
  rest.remove_prefix(static_cast<std::size_t>(end - rest.begin()));
  skip(rest, "=");
  skip(rest, " \t");
  const bool whole = rest.size() < text.size() && (rest.empty() || rest.front() == ',');
  text = whole ? rest : text;
}

// The parameters up to the end or to the next scheme's name.
Parameters take_parameters(std::string_view& text, bool& broken) {
  Parameters out;
  skip_token68(text);
  skip(text, " \t,");
  while (!text.empty() && take_parameter(text, out, broken)) {
    skip(text, " \t,");
  }
  return out;
}

std::string value_of(const Parameters& parameters, std::string_view name) {
  const auto at = parameters.find(name);
  return at == parameters.end() ? std::string() : at->second;
}

// Whether a list of tokens ("auth,auth-int") has this one.
bool has_token(std::string_view list, std::string_view wanted) {
  while (!list.empty()) {
    skip(list, " \t,");
    const std::string_view token = take_token(list);
    if (lower(token) == wanted) {
      return true;
    }
    list.remove_prefix(token.empty() && !list.empty() ? 1 : 0);
  }
  return false;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    out.append(c == '"' || c == '\\' ? "\\" : "").push_back(c);
  }
  return out + '"';
}

std::string hash(std::string_view text) { return hex(sha256(view(text))); }

bool is_hex(std::string_view text, std::size_t size) {
  return text.size() == size && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
         });
}

std::string count_text(std::uint32_t count) {
  Writer w;
  w.u32(count);
  return hex(w.out());
}

Bytes nonce_mac(const Secret& key, BytesView stamp) {
  const Sha256 mac = hmac_sha256(key, stamp);
  return {mac.begin(), mac.begin() + kMacBytes};
}

// Each challenge of a field value with its scheme, in small letters.
template <class Each>
void for_challenges(const std::vector<std::string>& authenticate, Each each) {
  for (std::string_view text : authenticate) {
    bool broken = false;
    while (!text.empty() && !broken) {
      skip(text, " \t,");
      const std::string scheme = lower(take_token(text));
      const Parameters parameters = take_parameters(text, broken);
      if (scheme.empty() || broken) {
        break;
      }
      each(scheme, parameters);
    }
  }
}

}  // namespace

std::string challenge_text(const DigestChallenge& challenge) {
  std::string out = "Digest realm=" + quoted(challenge.realm) + ", qop=\"auth\", algorithm=" + std::string(kAlgorithm) +
                    ", nonce=" + quoted(challenge.nonce) + ", charset=UTF-8";
  out += challenge.opaque.empty() ? "" : ", opaque=" + quoted(challenge.opaque);
  return out + (challenge.stale ? ", stale=true" : "");
}

std::optional<DigestChallenge> find_challenge(const std::vector<std::string>& authenticate) {
  std::optional<DigestChallenge> out;
  for_challenges(authenticate, [&](const std::string& scheme, const Parameters& p) {
    const bool ours = scheme == "digest" && lower(value_of(p, "algorithm")) == lower(kAlgorithm) &&
                      has_token(value_of(p, "qop"), "auth") && lower(value_of(p, "userhash")) != "true" &&
                      p.contains("realm") && !value_of(p, "nonce").empty();
    if (ours && !out) {
      out = DigestChallenge{value_of(p, "realm"), value_of(p, "nonce"), value_of(p, "opaque"),
                            lower(value_of(p, "stale")) == "true"};
    }
  });
  return out;
}

bool offers_basic(const std::vector<std::string>& authenticate) {
  bool out = false;
  for_challenges(authenticate, [&](const std::string& scheme, const Parameters&) { out = out || scheme == "basic"; });
  return out;
}

std::optional<Login> parse_digest(std::string_view parameters, std::string_view method, std::string_view target) {
  bool broken = false;
  const Parameters p = take_parameters(parameters, broken);
  const std::string algorithm = lower(value_of(p, "algorithm"));
  const bool good = !broken && parameters.empty() && algorithm == lower(kAlgorithm) && value_of(p, "qop") == "auth" &&
                    is_hex(value_of(p, "nc"), 8) && is_hex(value_of(p, "response"), 2 * Sha256{}.size()) &&
                    !value_of(p, "cnonce").empty() && p.contains("username") && p.contains("realm") &&
                    lower(value_of(p, "userhash")) != "true";
  if (!good) {
    return std::nullopt;
  }
  DigestAnswer answer{value_of(p, "realm"), value_of(p, "nonce"),           value_of(p, "uri"),  value_of(p, "cnonce"),
                      value_of(p, "nc"),    lower(value_of(p, "response")), std::string(method), std::string(target)};
  return Login{value_of(p, "username"), {}, std::move(answer)};
}

std::string digest_text(const Login& login) {
  const DigestAnswer& a = *login.digest;
  return "Digest username=" + quoted(login.user) + ", realm=" + quoted(a.realm) + ", uri=" + quoted(a.uri) +
         ", algorithm=" + std::string(kAlgorithm) + ", nonce=" + quoted(a.nonce) + ", nc=" + a.nc +
         ", cnonce=" + quoted(a.cnonce) + ", qop=auth, response=\"" + a.response + "\"" +
         (a.opaque.empty() ? "" : ", opaque=" + quoted(a.opaque));
}

Secret digest_secret(std::string_view user, std::string_view realm, const Secret& password) {
  Bytes plain = to_bytes(user);
  plain.push_back(':');
  plain.insert(plain.end(), realm.begin(), realm.end());
  plain.push_back(':');
  plain.insert(plain.end(), password.expose().begin(), password.expose().end());
  Sha256 digest = sha256(plain);
  wipe(plain);
  std::string text = hex(digest);
  Secret out{std::string_view(text)};
  wipe(digest);
  wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  return out;
}

std::string digest_response(const Secret& digest_secret, const DigestAnswer& answer) {
  const std::string what = hash(answer.method + ":" + answer.uri);
  const std::string rest = ":" + answer.nonce + ":" + answer.nc + ":" + answer.cnonce + ":auth:" + what;
  Bytes all = to_bytes(digest_secret.expose());
  all.insert(all.end(), rest.begin(), rest.end());
  std::string out = hex(sha256(all));
  wipe(all);
  return out;
}

Login answer_challenge(const DigestChallenge& challenge, const Login& login, const Request& request,
                       std::uint32_t count, BytesView client_nonce) {
  DigestAnswer answer;
  answer.realm = challenge.realm;
  answer.nonce = challenge.nonce;
  answer.opaque = challenge.opaque;
  answer.method = name(request.method);
  answer.target = request.path + (request.query.empty() ? "" : "?" + request.query);
  answer.uri = answer.target;
  answer.cnonce = hex(client_nonce);
  answer.nc = count_text(count);
  answer.response = digest_response(digest_secret(login.user, challenge.realm, login.password), answer);
  return {login.user, {}, std::move(answer)};
}

std::string make_nonce(const Secret& key, Instant now, BytesView luck) {
  Writer w;
  w.u64(static_cast<std::uint64_t>(now.ms));
  w.bytes(luck.first(std::min<std::size_t>(luck.size(), 8)));
  const Bytes mac = nonce_mac(key, w.out());
  w.bytes(mac);
  return hex(w.out());
}

std::optional<Instant> nonce_made(const Secret& key, std::string_view nonce) {
  constexpr std::size_t kMost = 8 + 8 + kMacBytes;
  const std::optional<Bytes> bytes = nonce.size() <= 2 * kMost ? from_hex(nonce) : std::nullopt;
  if (!bytes || bytes->size() < 8 + kMacBytes) {
    return std::nullopt;
  }
  const BytesView stamp = BytesView(*bytes).first(bytes->size() - kMacBytes);
  if (!same(nonce_mac(key, stamp), BytesView(*bytes).last(kMacBytes))) {
    return std::nullopt;
  }
  Reader r(stamp);
  return Instant{static_cast<std::int64_t>(r.u64())};
}

}  // namespace imprint
