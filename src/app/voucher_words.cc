#include "app/voucher_words.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "codec/printable.h"
#include "crypto/issue.h"

namespace imprint::app {
namespace {

using brski::Artifact;
using brski::Leaf;
using brski::Voucher;

std::string to_text(brski::Assertion value) { return std::string(brski::name(value)); }
std::string to_text(const brski::DateTime& value) { return value.text; }
std::string to_text(bool value) { return value ? "true" : "false"; }
std::string to_text(const Bytes& value) { return base64(value); }
std::string to_text(const std::string& value) { return value; }
std::string to_text(const brski::Nonce& value) {
  const auto* const text = std::get_if<std::string>(&value);
  return text != nullptr ? *text : base64(std::get<Bytes>(value));
}
std::string to_text(const brski::Extensions& value) {
  std::string out;
  for (const auto& one : value) {
    const auto* const text = std::get_if<std::string>(&one);
    out += (out.empty() ? "" : ", ") + (text != nullptr ? *text : std::to_string(std::get<std::uint64_t>(one)));
  }
  return out;
}
std::string to_text(const std::vector<Bytes>& value) {
  std::string out;
  for (const Bytes& one : value) {
    out += (out.empty() ? "" : ", ") + base64(one);
  }
  return out;
}

std::string certificate_words(const Certificate& one) {
  return "certificate of " + one.subject.text + " by " + one.issuer.text + ", until " + utc_text(one.not_after);
}

std::string octets_words(const Leaf& leaf, const Bytes& value) {
  const std::string_view name = leaf.name();
  if (name == "idevid-issuer") {
    return "key identifier " + hex(brski::issuer_key_id(BytesView(value)));
  }
  if (name.ends_with("-cert")) {
    const auto certificate = Certificate::parse(value);
    return certificate ? certificate_words(*certificate) : "no certificate that can be read";
  }
  if (name.ends_with("-pubk")) {
    const auto key = PublicKey::parse(value);
    return key ? std::string(imprint::name(key->type)) + " key with SHA-256 " + hex(sha256(value))
               : "no key that can be read";
  }
  if (name.ends_with("-sha256")) {
    return hex(value);
  }
  return std::to_string(value.size()) + " octets";
}

std::string nonce_words(const brski::Nonce& nonce) {
  const auto* const text = std::get_if<std::string>(&nonce);
  if (text == nullptr) {
    return std::to_string(std::get<Bytes>(nonce).size()) + " octets " + hex(std::get<Bytes>(nonce));
  }
  const auto octets = parse_base64(*text);
  const auto for_urls = parse_base64url(*text);
  return !octets && for_urls ? std::to_string(for_urls->size()) + " octets of base64url; compared as text"
         : octets            ? std::to_string(octets->size()) + " octets of base64; compared as text"
                             : "compared as text";
}

std::string words_of(const Leaf& /*leaf*/, brski::Assertion value) { return std::string(brski::meaning(value)); }
std::string words_of(const Leaf& /*leaf*/, const brski::DateTime& value) { return utc_text(value.at); }
std::string words_of(const Leaf& leaf, const Bytes& value) { return octets_words(leaf, value); }
std::string words_of(const Leaf& /*leaf*/, const brski::Nonce& value) { return nonce_words(value); }
std::string words_of(const Leaf& leaf, const std::vector<Bytes>& value) {
  std::string out;
  for (const Bytes& one : value) {
    out += (out.empty() ? "" : "; ") + octets_words(leaf, one);
  }
  return out;
}
template <class T>
std::string words_of(const Leaf& /*leaf*/, const T& /*value*/) {
  return {};
}

std::string form_words(const Artifact& artifact) {
  switch (artifact.form) {
    case brski::Form::cms:
      return "CMS around JSON";
    case brski::Form::cose:
      return "COSE_Sign1 around CBOR";
    case brski::Form::jws:
      break;
  }
  return "JWS around JSON";
}

std::string algorithm_name(std::int64_t cose) {
  return cose == -7 ? "ES256" : cose == -35 ? "ES384" : cose == -36 ? "ES512" : cose == -8 ? "EdDSA" : "unknown";
}

std::string algorithms_of(const Artifact& artifact) {
  if (const auto* const cose = std::get_if<Sign1>(&artifact.wrapping)) {
    return algorithm_name(cose->algorithm);
  }
  std::string out;
  if (const auto* const jws = std::get_if<Jws>(&artifact.wrapping)) {
    for (const JwsSignature& one : jws->signatures) {
      out += (out.empty() ? "" : ", ") + one.algorithm;
    }
  }
  return out;
}

// What a reader should know, and may not expect.
std::vector<std::string> notes_on(const Artifact& artifact) {
  const Voucher& voucher = artifact.voucher;
  const bool request = voucher.kind == Voucher::Kind::request;
  std::vector<std::string> out;
  const auto note = [&out](bool so, std::string text) {
    if (so) {
      out.push_back(std::move(text));
    }
  };
  note(artifact.content_type == brski::kDataType,
       "the content is marked as id-data, as in the examples of RFC 8995; RFC 8366 section 5.4 wants "
       "id-ct-animaJSONVoucher");
  note(!voucher.serial_number, "it names no device: serial-number is mandatory (RFC 8366 section 5.3)");
  note(!request && voucher.nonce && voucher.expires_on,
       "nonce and expires-on exclude each other (RFC 8366 section 5.3); both are to be checked");
  note(!request && !voucher.nonce,
       "without a nonce it may be used again, also after a reset of the device (RFC 8995 section 7.2)");
  note(!request && !voucher.pinned_domain_cert && !voucher.pinned_domain_pubk && !voucher.pinned_domain_pubk_sha256,
       "it pins nobody: the device is refused in this domain (RFC 8995 section 5.6.1)");
  note(request && (voucher.pinned_domain_cert || voucher.last_renewal_date || voucher.domain_cert_revocation_checks),
       "pinned-domain-cert, last-renewal-date and domain-cert-revocation-checks mean nothing in a request (RFC 8995 "
       "section 3.4)");
  note(request && voucher.prior_signed_voucher_request && voucher.proximity_registrar_cert,
       "a registrar's request must not have proximity-registrar-cert (RFC 8995 section 5.5)");
  for (const std::string& name : voucher.unknown) {
    note(true, "passed over, as RFC 8995 section 5.6.1 wants: " + name);
  }
  return out;
}

Json certificate_json(const Certificate& one, bool signer) {
  return {{"subject", one.subject.text},
          {"issuer", one.issuer.text},
          {"serial", hex(one.serial)},
          {"not_before", utc_text(one.not_before)},
          {"not_after", utc_text(one.not_after)},
          {"sha256", fingerprint_text(one.fingerprint())},
          {"signed", signer},
          {"registrar", std::ranges::find(one.extended, eku::kCmcRa) != one.extended.end()}};
}

Json one_json(const Artifact& artifact) {
  const std::vector<Certificate> signers = brski::signers_of(artifact);
  Json leaves = Json::array(), along = Json::array();
  for (const Leaf& leaf : brski::kLeaves) {
    if (has(artifact.voucher, leaf)) {
      leaves.push_back({{"name", leaf.name()},
                        {"value", value_text(artifact.voucher, leaf)},
                        {"words", value_words(artifact.voucher, leaf)},
                        {"meaning", leaf.meaning}});
    }
  }
  for (const Certificate& one : artifact.along) {
    along.push_back(certificate_json(one, std::ranges::find(signers, one) != signers.end()));
  }
  return {{"kind", brski::name(artifact.voucher.kind)},
          {"form", brski::name(artifact.form)},
          {"media_type", brski::media_type(artifact.form)},
          {"content_type", artifact.content_type},
          {"algorithm", algorithms_of(artifact)},
          {"octets", artifact.received.size()},
          {"signer", signers.empty() ? Json() : Json(signers.front().subject.text)},
          {"leaves", std::move(leaves)},
          {"certificates", std::move(along)},
          {"notes", notes_on(artifact)}};
}

std::string one_text(const Artifact& artifact) {
  const std::vector<Certificate> signers = brski::signers_of(artifact);
  std::string out = std::string(brski::name(artifact.voucher.kind)) + ", " + form_words(artifact) + " (" +
                    std::string(brski::media_type(artifact.form)) + "), " + std::to_string(artifact.received.size()) +
                    " octets\n";
  for (const Certificate& one : signers) {
    out += "signed by " + printable(one.subject.text) + "\n";
  }
  if (signers.empty()) {
    out += artifact.along.empty() ? "no certificate came along: who signed cannot be told from it alone\n"
                                  : "signed by none of the certificates that came along\n";
  }
  for (const Leaf& leaf : brski::kLeaves) {
    if (!has(artifact.voucher, leaf)) {
      continue;
    }
    const std::string words = value_words(artifact.voucher, leaf);
    std::string value = value_text(artifact.voucher, leaf);
    constexpr std::size_t kLong = 72;
    if (value.size() > kLong) {
      value = value.substr(0, kLong) + "...";
    }
    // One line each: what comes from the file makes no line of the report.
    out += "\n" + std::string(leaf.name()) + "  " + printable(value) + "\n";
    out += words.empty() ? "" : "  = " + printable(words) + "\n";
    out += "  " + std::string(leaf.meaning) + "\n";
  }
  out += artifact.along.empty() ? "" : "\ncame along:\n";
  for (const Certificate& one : artifact.along) {
    out += "  " + printable(certificate_words(one)) + "\n";
  }
  for (const std::string& note : notes_on(artifact)) {
    out += "\nnote: " + printable(note) + "\n";
  }
  return out;
}

// The device's request in a registrar's, if it can be read. What is in that one is not looked at.
std::optional<Artifact> prior_of(const Artifact& artifact) {
  const auto& prior = artifact.voucher.prior_signed_voucher_request;
  auto read = prior ? brski::parse_artifact(*prior) : Result<Artifact>(Error{Fault::malformed, "voucher: no request"});
  return read ? std::optional(*std::move(read)) : std::nullopt;
}

std::string signer_text(const Artifact& artifact) {
  const std::vector<Certificate> signers = brski::signers_of(artifact);
  return signers.empty() ? std::string() : signers.front().subject.text;
}

std::string unwrapped_pem(std::string_view text) {
  const std::size_t begin = text.find('\n'), end = text.find("-----END");
  return std::string(begin < end && end != std::string_view::npos ? text.substr(begin, end - begin)
                                                                  : std::string_view());
}

}  // namespace

Bytes unwrapped(BytesView file) {
  const std::string_view text = as_text(file);
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  const bool plain = begin != std::string_view::npos && std::ranges::all_of(file, [](std::uint8_t b) {
                       return b == '\n' || b == '\r' || b == '\t' || (b >= ' ' && b < 0x7f);
                     });
  if (!plain || text[begin] == '{') {
    return to_bytes(file);
  }
  const std::string_view inner = text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
  std::string body = inner.starts_with("-----BEGIN") ? unwrapped_pem(inner) : std::string(inner);
  std::erase_if(body, [](char c) { return c == '\n' || c == '\r' || c == ' ' || c == '\t'; });
  if (const auto octets = from_hex(body)) {
    return *octets;
  }
  const auto octets = parse_base64(body);
  const auto for_urls = octets ? octets : parse_base64url(body);
  return for_urls ? *for_urls : to_bytes(file);
}

std::string value_text(const Voucher& voucher, const Leaf& leaf) {
  return std::visit([&](auto place) { return (voucher.*place) ? to_text(*(voucher.*place)) : std::string(); },
                    leaf.place);
}

std::string value_words(const Voucher& voucher, const Leaf& leaf) {
  return std::visit([&](auto place) { return (voucher.*place) ? words_of(leaf, *(voucher.*place)) : std::string(); },
                    leaf.place);
}

Json inspection_json(const Artifact& artifact) {
  Json out = one_json(artifact);
  const std::optional<Artifact> prior = prior_of(artifact);
  out["prior"] = prior ? one_json(*prior) : Json();
  return out;
}

std::string inspection_text(const Artifact& artifact) {
  const std::optional<Artifact> prior = prior_of(artifact);
  return one_text(artifact) + (prior ? "\n---- the device's request in it ----\n" + one_text(*prior) : std::string());
}

Json checks_json(const std::vector<brski::Check>& checks) {
  Json out = Json::array();
  for (const brski::Check& one : checks) {
    out.push_back({{"rule", one.rule->id},
                   {"check", one.what},
                   {"outcome", brski::name(one.outcome)},
                   {"detail", one.detail},
                   {"source", one.rule->source},
                   {"next", one.outcome == brski::Check::Outcome::failed ? one.rule->next : ""}});
  }
  return out;
}

std::string checks_text(const std::vector<brski::Check>& checks) {
  std::string out;
  for (const brski::Check& one : checks) {
    constexpr std::size_t kWidth = 9;
    std::string outcome(brski::name(one.outcome));
    outcome.resize(kWidth, ' ');
    out += outcome + std::string(one.what) + " (" + std::string(one.rule->source) + ")\n";
    out += one.detail.empty() ? "" : "         " + printable(one.detail) + "\n";
    if (one.outcome == brski::Check::Outcome::failed) {
      out += "         " + std::string(one.rule->id) + ": " + std::string(one.rule->what) +
             "\n         next: " + std::string(one.rule->next) + "\n";
    }
  }
  return out;
}

std::vector<Difference> differences(const Artifact& one, const Artifact& other) {
  std::vector<Difference> out;
  const auto add = [&out](std::string_view name, const std::string& a, const std::string& b) {
    if (!a.empty() || !b.empty()) {
      out.push_back({std::string(name), a, b, a == b});
    }
  };
  add("(kind)", std::string(name(one.voucher.kind)), std::string(name(other.voucher.kind)));
  add("(form)", std::string(name(one.form)), std::string(name(other.form)));
  add("(signer)", signer_text(one), signer_text(other));
  for (const Leaf& leaf : brski::kLeaves) {
    add(leaf.name(), value_text(one.voucher, leaf), value_text(other.voucher, leaf));
  }
  return out;
}

}  // namespace imprint::app
