#include "model/device.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cmath>
#include <iterator>

namespace imprint {
namespace {

constexpr std::array<std::string_view, 8> kLifecycles{"manufactured", "installed",      "commissioned", "operational",
                                                      "maintenance",  "decommissioned", "replaced",     "re-owned"};
constexpr std::array<std::string_view, 4> kAdmissions{"waiting", "approved", "refused", "retired"};

template <class E, std::size_t N>
std::optional<E> named(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto at = std::ranges::find(names, name);
  if (at == names.end()) {
    return std::nullopt;
  }
  return static_cast<E>(at - names.begin());
}

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
// What people group the characters of a secret with. In base64url '-' and '_' are characters like any other.
constexpr bool is_separator(char c) { return c == ':' || c == ' ' || c == '.' || c == '-' || c == '_'; }
constexpr char lower(char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }

// ---- strength of secrets ----

constexpr double kLeastBits = 128;
constexpr std::size_t kLongestSecret = 1024;  // bounds the search for repeats, which is quadratic
constexpr std::size_t kPattern = 8;           // shorter runs and repeats happen in good random secrets, too
constexpr double kBase64 = 64;
constexpr double kLeastDistinct = 8;  // of 16 or more possible ones

// What guessers try first: words of default passwords, and the rows of a keyboard. Lower case.
constexpr std::array<std::string_view, 24> kKnown{
    "password", "passw0rd",   "passwort",   "secret",    "changeme", "default",   "admin",   "letmein",
    "welcome",  "qwerty",     "qwertz",     "azerty",    "imprint",  "bootstrap", "token",   "estuser",
    "estpwd",   "qwertyuiop", "qwertzuiop", "asdfghjkl", "zxcvbnm",  "deadbeef",  "example", "device"};

// How many different characters the secret's author seems to have chosen from.
double alphabet_of(std::string_view text) {
  const auto any = [&](auto is) { return std::ranges::any_of(text, is); };
  const auto all = [&](auto is) { return std::ranges::all_of(text, [&](char c) { return is_separator(c) || is(c); }); };
  if (any([](char c) { return c < ' ' || c > '~'; })) {
    return 256;
  }
  if (!all([](char c) { return is_digit(c) || is_lower(c) || is_upper(c); })) {
    return 95;
  }
  if (any(is_lower) && any(is_upper)) {
    return kBase64;  // although a short one may by chance lack a digit
  }
  if (all(is_digit)) {
    return 10;
  }
  if (all([](char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f'); })) {
    return 16;
  }
  return any(is_digit) ? 36 : 26;
}

std::size_t known_word_at(std::string_view rest) {
  std::size_t longest = 0;
  for (const std::string_view word : kKnown) {
    const std::string_view head = rest.substr(0, word.size());
    if (std::ranges::equal(head, word, {}, lower)) {
      longest = std::max(longest, word.size());
    }
  }
  return longest;
}

// The length of a run like "abcdefgh", "87654321" or "aaaaaaaa" at the start.
std::size_t run_at(std::string_view rest) {
  std::size_t n = std::min<std::size_t>(rest.size(), 2);
  if (n < 2 || std::abs(rest[1] - rest[0]) > 1) {
    return 1;
  }
  while (n < rest.size() && rest[n] - rest[n - 1] == rest[1] - rest[0]) {
    ++n;
  }
  return n;
}

// The length of the longest piece at `at` that begins somewhere before it, too; the two may overlap.
std::size_t repeat_at(std::string_view text, std::size_t at) {
  std::size_t longest = 0;
  for (std::size_t from = 0; from < at; ++from) {
    std::size_t n = 0;
    while (at + n < text.size() && text[from + n] == text[at + n]) {
      ++n;
    }
    longest = std::max(longest, n);
  }
  return longest;
}

// Characters that a guesser has to find: a known word, a run or a repeat counts as one.
std::size_t characters_to_guess(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); ++count) {
    const std::size_t pattern = std::max(run_at(text.substr(at)), repeat_at(text, at));
    at += std::max({std::size_t{1}, known_word_at(text.substr(at)), pattern >= kPattern ? pattern : 1});
  }
  return count;
}

Secret without_separators(std::string_view text) {
  Bytes rest;
  rest.reserve(text.size());  // growing would leave copies behind
  std::ranges::copy_if(view(text), std::back_inserter(rest),
                       [](std::uint8_t b) { return !is_separator(static_cast<char>(b)); });
  Secret out{BytesView(rest)};
  wipe(rest);
  return out;
}

std::size_t distinct_characters(std::string_view text) {
  std::bitset<256> seen;
  for (const char c : text) {
    seen.set(static_cast<std::uint8_t>(c));
  }
  return seen.count();
}

}  // namespace

std::string_view name(Lifecycle state) { return kLifecycles.at(static_cast<std::size_t>(state)); }
std::optional<Lifecycle> lifecycle_named(std::string_view name) { return named<Lifecycle>(kLifecycles, name); }
std::string_view name(Admission admission) { return kAdmissions.at(static_cast<std::size_t>(admission)); }
std::optional<Admission> admission_named(std::string_view name) { return named<Admission>(kAdmissions, name); }

bool valid_device_id(std::string_view id) {
  const auto alnum = [](char c) { return is_digit(c) || is_lower(c) || is_upper(c); };
  const auto allowed = [&](char c) { return alnum(c) || c == '.' || c == '_' || c == ':' || c == '-'; };
  return !id.empty() && id.size() <= 64 && alnum(id.front()) && std::ranges::all_of(id, allowed);
}

std::string identity_of(const Certificate& certificate) {
  Bytes all = certificate.issuer.der;  // DER carries its own length: the parts cannot run into each other
  all.insert(all.end(), certificate.subject.der.begin(), certificate.subject.der.end());
  all.insert(all.end(), certificate.key.spki.begin(), certificate.key.spki.end());
  return "x509:" + hex(sha256(all));
}

Status check_secret_strength(const Secret& secret) {
  CHECK_OR(secret.size() <= kLongestSecret, Error{Fault::limit, "secret: over 1,024 bytes"});
  const double alphabet = alphabet_of(as_text(secret.expose()));
  const Secret chosen = alphabet < kBase64 ? without_separators(as_text(secret.expose())) : secret;
  const std::string_view text = as_text(chosen.expose());
  CHECK_OR(static_cast<double>(characters_to_guess(text)) * std::log2(alphabet) >= kLeastBits,
           Error{Fault::refused, "secret: under 128 bits, known words, runs and repeats not counted"});
  const double wanted = std::min(kLeastDistinct, alphabet / 2);
  CHECK_OR(static_cast<double>(distinct_characters(text)) >= wanted,
           Error{Fault::refused, "secret: too few different characters"});
  return Ok{};
}

}  // namespace imprint
