#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "crypto/hash.h"
#include "crypto/openssl.h"
#include "crypto/x509.h"

namespace imprint {
namespace {

constexpr std::size_t kMaxPool = 64;
constexpr std::size_t kMaxAnchors = 1024;
constexpr int kMaxDepth = 8;
// 112 bits: no SHA-1, no RSA below 2048 (SSL_CTX_set_security_level(3) has the table).
constexpr int kSecurityLevel = 2;

using StorePtr = std::unique_ptr<X509_STORE, Free<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Free<X509_STORE_CTX_free>>;
using StackPtr = std::unique_ptr<STACK_OF(X509), decltype([](STACK_OF(X509) * s) { sk_X509_free(s); })>;

// A path search that is set up and may be run.
struct Search {
  StackPtr pool{sk_X509_new_null()};
  StoreContext context{X509_STORE_CTX_new()};
};

Status prepare(Search& s, const std::vector<Received>& sent, X509_STORE* anchors) {
  CHECK_OR(s.pool && s.context, Error{Fault::internal, "chain: memory"});
  CHECK_OR(!sent.empty() && sent.size() <= kMaxPool + 1, Error{Fault::limit, "chain: certificates"});
  for (std::size_t i = 1; i < sent.size(); ++i) {
    CHECK_OR(sk_X509_push(s.pool.get(), sent[i].openssl) > 0, Error{Fault::internal, "chain: memory"});
  }
  CHECK_OR(X509_STORE_CTX_init(s.context.get(), anchors, sent.front().openssl, s.pool.get()) == 1,
           Error{Fault::internal, "chain: preparation"});
  return Ok{};
}

void set_rules(X509_STORE_CTX* context, const ChainRules& rules, bool check_time) {
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(context);
  // An intermediate may be an anchor: devices hold whatever their owner pinned.
  X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_depth(param, kMaxDepth);
  X509_VERIFY_PARAM_set_auth_level(param, kSecurityLevel);
  if (check_time) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(std::chrono::milliseconds(rules.at.ms));
    X509_VERIFY_PARAM_set_time(param, static_cast<time_t>(seconds.count()));
  } else {
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME);
  }
  if (rules.purpose != Purpose::any) {
    X509_STORE_CTX_set_purpose(
        context, rules.purpose == Purpose::tls_client ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER);
  }
}

Error fault_of(int code) {
  switch (code) {
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return {Fault::expired, "chain: not yet valid"};
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return {Fault::expired, "chain: no longer valid"};
    case X509_V_ERR_INVALID_PURPOSE:
      return {Fault::refused, "chain: purpose"};
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return {Fault::unauthentic, "chain: no path to a trust anchor"};
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return {Fault::unauthentic, "chain: signature"};
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK:
      return {Fault::unauthentic, "chain: weak key or digest"};
    case X509_V_ERR_PERMITTED_VIOLATION:
    case X509_V_ERR_EXCLUDED_VIOLATION:
      return {Fault::unauthentic, "chain: name constraints"};
    case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
      return {Fault::unauthentic, "chain: unknown critical extension"};
    case X509_V_ERR_OUT_OF_MEM:
      return {Fault::internal, "chain: memory"};
    default:
      return {Fault::unauthentic, "chain: path validation"};
  }
}

// The way back from the pointers that OpenSSL returns.
template <class All>
const Certificate* find(const All& all, const X509* raw) {
  const auto found = std::ranges::find(all, raw, &Received::openssl);
  return found != all.end() ? found->certificate : nullptr;
}

Result<CertificateChain> collect(X509_STORE_CTX* context, const std::vector<Received>& sent,
                                 const std::vector<Received>& anchors) {
  const STACK_OF(X509)* path = X509_STORE_CTX_get0_chain(context);
  CertificateChain out;
  const int length = sk_X509_num(path);
  for (int i = 0; i < length; ++i) {
    const X509* raw = sk_X509_value(path, i);
    const Certificate* one = find(sent, raw);
    one = one != nullptr ? one : find(anchors, raw);
    CHECK_OR(one != nullptr, Error{Fault::internal, "chain: certificate of unknown origin"});
    if (i == 0) {
      out.leaf = *one;
    }
    // Where an anchor is not the root, OpenSSL goes on up through what was sent: nothing stands on that.
    const bool is_anchor = std::ranges::any_of(anchors, [&](const Received& a) { return *a.certificate == *one; });
    if (i + 1 == length || is_anchor) {
      out.anchor = *one;
      break;
    }
    if (i > 0) {
      // OpenSSL also takes keyCertSign or a Netscape extension for it; RFC 5280 section 6.1.4 (k) does not.
      CHECK_OR(one->is_ca, Error{Fault::unauthentic, "chain: intermediate is no CA"});
      out.via.push_back(*one);
    }
  }
  return out;
}

std::string_view without_dot(std::string_view name) {
  return name.size() > 1 && name.back() == '.' ? name.substr(0, name.size() - 1) : name;
}

bool same_text(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&lower](char x, char y) { return lower(x) == lower(y); });
}

bool dns_matches(std::string_view pattern, std::string_view host) {
  pattern = without_dot(pattern);
  if (pattern.substr(0, 2) != "*.") {
    return pattern.find('*') == std::string_view::npos && same_text(pattern, host);
  }
  // RFC 9525 section 6.3: the wildcard is the whole left-most label and stands for exactly one. Not for a top domain.
  const std::string_view parent = pattern.substr(1);
  const std::size_t dot = host.find('.');
  return parent.find('.', 1) != std::string_view::npos && parent.find('*') == std::string_view::npos && dot != 0 &&
         dot != std::string_view::npos && same_text(host.substr(dot), parent);
}

// The octets of an IP literal; empty for a name.
Bytes ip_octets(std::string_view host) {
  const bool v6 = host.find(':') != std::string_view::npos;
  Bytes out(v6 ? 16 : 4);
  return inet_pton(v6 ? AF_INET6 : AF_INET, std::string(host).c_str(), out.data()) == 1 ? out : Bytes();
}

}  // namespace

struct Anchors::Impl {
  std::vector<Certificate> certificates;
  std::vector<X509Ptr> owned;
  std::vector<Received> loaded;
  StorePtr store{X509_STORE_new()};

  // `dead_end` gets the last certificate of a path that led nowhere.
  Result<CertificateChain> find_path(const std::vector<Received>& sent, const ChainRules& rules, bool check_time,
                                     const X509** dead_end = nullptr) const {
    Search s;
    TRY([[maybe_unused]] const Ok ready, prepare(s, sent, store.get()));
    set_rules(s.context.get(), rules, check_time);
    if (!holds(X509_verify_cert(s.context.get()) == 1)) {
      const Error why = fault_of(X509_STORE_CTX_get_error(s.context.get()));
      const STACK_OF(X509)* const tried = X509_STORE_CTX_get0_chain(s.context.get());
      if (dead_end != nullptr && why.fault == Fault::unauthentic && sk_X509_num(tried) > 1) {
        *dead_end = sk_X509_value(tried, sk_X509_num(tried) - 1);
      }
      return ossl::failed(why.fault, why.what);
    }
    return collect(s.context.get(), sent, loaded);
  }
};

Anchors::Anchors(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Anchors::Anchors(Anchors&&) noexcept = default;
Anchors& Anchors::operator=(Anchors&&) noexcept = default;
Anchors::~Anchors() = default;

Result<Anchors> Anchors::load(std::vector<Certificate> certificates) {
  CHECK_OR(certificates.size() <= kMaxAnchors, Error{Fault::limit, "chain: certificates"});
  auto impl = std::make_unique<Impl>();
  impl->certificates = std::move(certificates);
  CHECK_OR(impl->store, Error{Fault::internal, "chain: memory"});
  for (const Certificate& one : impl->certificates) {
    X509* raw = impl->owned.emplace_back(openssl_certificate(one)).get();
    CHECK_OR(raw != nullptr && X509_STORE_add_cert(impl->store.get(), raw) == 1,
             Error{Fault::malformed, "chain: certificate"});
    impl->loaded.push_back({&one, raw});
  }
  return Anchors(std::move(impl));
}

// The only maker of Verified<CertificateChain>.
template <>
struct Checker<CertificateChain> {
  static bool is_anchor(const Anchors& anchors, const Certificate& one) {
    const auto& all = anchors.impl_->certificates;
    return std::find(all.begin(), all.end(), one) != all.end();
  }
  static Result<Verified<CertificateChain>> check(const std::vector<Received>& sent, const Anchors& anchors,
                                                  const ChainRules& rules, const X509** dead_end = nullptr) {
    Result<CertificateChain> path = anchors.impl_->find_path(sent, rules, rules.check_time, dead_end);
    if (!path && path.error().fault == Fault::expired) {
      // "Expired" promises that all else holds; OpenSSL stops at the first failure.
      TRY([[maybe_unused]] const CertificateChain otherwise, anchors.impl_->find_path(sent, rules, false));
    }
    TRY(CertificateChain chain, std::move(path));
    return Verified<CertificateChain>(std::move(chain));
  }
};

// OpenSSL takes the first issuer that fits and never goes back; after a change of roots one key has several
// certificates. What a path ended at is left out, and the next one tried: as often as there are certificates.
Result<Verified<CertificateChain>> verify_received(const std::vector<Received>& sent, const Anchors& anchors,
                                                   const ChainRules& rules) {
  std::vector<Received> left = sent;
  if (!sent.empty() && Checker<CertificateChain>::is_anchor(anchors, *sent.front().certificate)) {
    // It is an anchor itself. OpenSSL would still go up to what nobody trusts, and the path would end there.
    left.resize(1);
  }
  while (true) {
    const X509* dead_end = nullptr;
    auto path = Checker<CertificateChain>::check(left, anchors, rules, &dead_end);
    const auto at =
        std::find_if(left.begin() + 1, left.end(), [=](const Received& r) { return r.openssl == dead_end; });
    if (path || !rules.goes_back || dead_end == nullptr || at == left.end()) {
      return path;
    }
    left.erase(at);
  }
}

namespace {

// A path that was found, and how long the same search finds the same: as long as no certificate that was given begins
// or ends to be good. A server sees the same ones again and again: a registrar's with each of its requests, a maker's
// with each of its devices.
class KeptPaths {
 public:
  using Path = Verified<CertificateChain>;

  const Path* find(const Sha256& key, const ChainRules& rules) const {
    const Set& set = sets_[key[0] % kSets];
    const auto place = std::ranges::find_if(set.places, [&](const auto& p) { return p && p->key == key; });
    const bool same = place != set.places.end();
    return same && (!rules.check_time || ((*place)->from <= rules.at && rules.at < (*place)->until)) ? &(*place)->path
                                                                                                     : nullptr;
  }
  void keep(const Sha256& key, const Path& path, const ChainRules& rules,
            std::initializer_list<const std::vector<Certificate>*> given) {
    Kept kept{key, path, Instant{std::numeric_limits<std::int64_t>::min()}, kNoEnd};
    const auto take = [&](Instant at) {
      at <= rules.at ? kept.from = std::max(kept.from, at) : kept.until = std::min(kept.until, at);
    };
    for (const auto* const all : given) {
      for (const Certificate& one : *all) {
        take(one.not_before);
        take(one.not_after);
      }
    }
    Set& set = sets_[key[0] % kSets];
    const auto same = std::ranges::find_if(set.places, [&](const auto& p) { return p && p->key == key; });
    (same != set.places.end() ? *same : set.places[set.oldest++ % kWays]) = std::move(kept);
  }

 private:
  static constexpr std::size_t kSets = 16, kWays = 4;  // paths that are used in turn do not put each other out
  struct Kept {
    Sha256 key;
    Path path;
    Instant from, until;
  };
  struct Set {
    std::array<std::optional<Kept>, kWays> places;
    std::size_t oldest = 0;
  };
  std::array<Set, kSets> sets_;
};

// Of everything that a search depends on but for the time.
Sha256 key_of(const std::vector<Certificate>& leaf, const std::vector<Certificate>& pool,
              const std::vector<Certificate>& anchors, const ChainRules& rules) {
  Bytes all{static_cast<std::uint8_t>(rules.purpose), static_cast<std::uint8_t>(rules.check_time),
            static_cast<std::uint8_t>(rules.goes_back)};
  for (const auto* const some : {&leaf, &pool, &anchors}) {
    all.push_back(0xff);  // no certificate begins so
    for (const Certificate& one : *some) {
      all.insert(all.end(), one.der.begin(), one.der.end());  // DER says itself how long it is
    }
  }
  return sha256(all);
}

Result<Verified<CertificateChain>> search(const Certificate& leaf, const std::vector<Certificate>& pool,
                                          const std::vector<Certificate>& anchors, const ChainRules& rules) {
  TRY(const Anchors loaded, Anchors::load(anchors));
  std::vector<X509Ptr> owned;
  owned.push_back(openssl_certificate(leaf));
  CHECK_OR(owned.front() != nullptr, Error{Fault::malformed, "chain: certificate"});
  std::vector<Received> sent{{&leaf, owned.front().get()}};
  for (const Certificate& one : pool) {
    // What OpenSSL cannot read in the untrusted help is left out, like anything else that does not help.
    if (X509Ptr raw = openssl_certificate(one)) {
      sent.push_back({&one, raw.get()});
      owned.push_back(std::move(raw));
    }
  }
  return verify_received(sent, loaded, rules);
}

}  // namespace

Result<Verified<CertificateChain>> verify_chain(const Certificate& leaf, const std::vector<Certificate>& pool,
                                                const std::vector<Certificate>& anchors, const ChainRules& rules) {
  CHECK_OR(pool.size() <= kMaxPool && anchors.size() <= kMaxAnchors, Error{Fault::limit, "chain: certificates"});
  thread_local KeptPaths kept;
  const std::vector<Certificate> first{leaf};
  const Sha256 key = key_of(first, pool, anchors, rules);
  if (const auto* const path = kept.find(key, rules)) {
    return *path;
  }
  auto out = search(leaf, pool, anchors, rules);
  if (out) {
    kept.keep(key, *out, rules, {&first, &pool, &anchors});
  }
  return out;
}

bool self_signed(const Certificate& certificate) {
  if (!certificate.self_issued()) {
    return false;
  }
  const X509Ptr raw = openssl_certificate(certificate);
  EVP_PKEY* key = raw ? X509_get0_pubkey(raw.get()) : nullptr;
  const bool good = key != nullptr && X509_verify(raw.get(), key) == 1;
  ERR_clear_error();
  return good;
}

bool speaks_for_host(const Certificate& certificate, std::string_view host) {
  using Kind = GeneralName::Kind;
  const Bytes address = ip_octets(host);
  const std::string_view name = without_dot(host);
  return std::any_of(certificate.alt_names.begin(), certificate.alt_names.end(), [&](const GeneralName& n) {
    if (!address.empty()) {
      return n.kind == Kind::ip && n.value == address;
    }
    return n.kind == Kind::dns && !name.empty() && dns_matches(as_text(n.value), name);
  });
}

}  // namespace imprint
