#include "io/tls_peer.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cassert>

#include "base/reader.h"
#include "crypto/openssl_bridge.h"
#include "io/loop.h"

namespace imprint::io {
namespace {

constexpr int kMaxPeerChain = 10;
constexpr std::size_t kMostTold = 16 * 1024;  // of trusted_ca_keys, in bytes

int check_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

// The X509_V_ERR that makes OpenSSL send the alert which says the most to the peer's operator.
int verify_error(Fault fault) {
  switch (fault) {
    case Fault::expired:
      return X509_V_ERR_CERT_HAS_EXPIRED;  // certificate_expired
    case Fault::refused:
      return X509_V_ERR_INVALID_PURPOSE;  // unsupported_certificate
    case Fault::unauthentic:
      return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;  // unknown_ca
    default:
      return X509_V_ERR_CERT_REJECTED;  // bad_certificate
  }
}

Result<std::vector<Certificate>> presented_chain(X509_STORE_CTX* store) {
  std::vector<Certificate> out;
  const STACK_OF(X509)* sent = X509_STORE_CTX_get0_untrusted(store);
  CHECK_OR(sk_X509_num(sent) <= kMaxPeerChain, Error{Fault::limit, "tls: a certificate chain of more than 10"});
  for (int i = 0; i < sk_X509_num(sent); ++i) {
    TRY(Certificate one, from_openssl(sk_X509_value(sent, i)));
    out.push_back(std::move(one));
  }
  CHECK_OR(!out.empty(), Error{Fault::malformed, "tls: an empty certificate chain"});
  return out;
}

// Whether the path ends at one of these anchors, and nothing in it is still to begin.
bool only_late(const CertificateChain& chain, const std::vector<Certificate>& anchors, Instant now) {
  const auto begun = [now](const Certificate& c) { return c.not_before <= now; };
  return std::ranges::find(anchors, chain.anchor) != anchors.end() && begun(chain.leaf) && begun(chain.anchor) &&
         std::ranges::all_of(chain.via, begun);
}

// The certificates as OpenSSL has read them go straight back to it.
Result<Verified<CertificateChain>> prove(X509_STORE_CTX* store, const std::vector<Certificate>& presented,
                                         const PeerRules& peers, Purpose purpose) {
  const STACK_OF(X509)* raw = X509_STORE_CTX_get0_untrusted(store);
  std::vector<Received> sent;
  for (std::size_t i = 0; i < presented.size(); ++i) {
    sent.push_back({&presented[i], sk_X509_value(raw, static_cast<int>(i))});
  }
  ChainRules rules{.purpose = purpose, .at = wall_clock(), .check_time = peers.judges_time};
  auto proven = verify_received(sent, *peers.anchors, rules);
  if (proven || proven.error().fault != Fault::expired || peers.expired_counts_below.empty()) {
    return proven;
  }
  rules.check_time = false;
  TRY(auto late, verify_received(sent, *peers.anchors, rules));
  CHECK_OR(only_late(*late, peers.expired_counts_below, rules.at), proven.error());
  return late;
}

Status check_peer(X509_STORE_CTX* store, const SSL* ssl, const PeerRules& peers, PeerCheck& check) {
  TRY(check.presented, presented_chain(store));
  if (peers.verifies) {
    const Purpose purpose = SSL_is_server(ssl) == 1 ? Purpose::tls_client : Purpose::tls_server;
    TRY(auto proven, prove(store, check.presented, peers, purpose));
    check.proven = std::move(proven);
  }
  return Ok{};
}

// Replaces OpenSSL's own path validation by crypto::verify_chain.
int on_peer_chain(X509_STORE_CTX* store, void* arg) {
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* const check = watched_peer(ssl);
  assert(check != nullptr);
  const Status status = check_peer(store, ssl, *static_cast<const PeerRules*>(arg), *check);
  if (!status) {
    check->refusal = status.error();
    X509_STORE_CTX_set_error(store, verify_error(status.error().fault));
    return 0;
  }
  if (SSL_is_server(ssl) == 1) {
    SSL_set_num_tickets(ssl, 0);  // TLS 1.3: see on_ticket() of tls.cc
  }
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

Fault alert_fault(int alert) {
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_DECRYPT_ERROR:
    case SSL_AD_UNKNOWN_PSK_IDENTITY:
      return Fault::unauthentic;
    case SSL_AD_CERTIFICATE_EXPIRED:
      return Fault::expired;
    case SSL_AD_INTERNAL_ERROR:
      return Fault::unreachable;  // the other side's trouble, which may be over soon
    default:
      return Fault::malformed;
  }
}

}  // namespace

Result<PeerRules> PeerRules::load(std::vector<Certificate> anchors, bool verifies,
                                  std::vector<Certificate> expired_counts_below) {
  TRY(Anchors loaded, Anchors::load(std::move(anchors)));
  PeerRules out;
  out.anchors = std::make_shared<const Anchors>(std::move(loaded));
  out.verifies = verifies;
  out.expired_counts_below = std::move(expired_counts_below);
  return out;
}

void check_peers(ssl_ctx_st* ctx, const PeerRules& rules) {
  SSL_CTX_set_cert_verify_callback(ctx, on_peer_chain, const_cast<PeerRules*>(&rules));
}

bool name_anchors(ssl_ctx_st* ctx, const std::vector<Certificate>& anchors, Bytes& told) {
  // TrustedAuthorities: each with its type (2: x509_name) and its name, lengths in two bytes before name and list.
  Writer list;
  std::unique_ptr<STACK_OF(X509_NAME),
                  decltype([](STACK_OF(X509_NAME) * s) { sk_X509_NAME_pop_free(s, X509_NAME_free); })>
      names(sk_X509_NAME_new_null());
  for (const Certificate& anchor : anchors) {
    constexpr std::uint8_t kX509Name = 2;
    const Bytes& name = anchor.subject.der;
    const std::uint8_t* in = name.data();
    X509_NAME* const parsed = d2i_X509_NAME(nullptr, &in, static_cast<long>(name.size()));
    if (parsed == nullptr || !names || sk_X509_NAME_push(names.get(), parsed) == 0) {
      X509_NAME_free(parsed);
      return false;
    }
    list.u8(kX509Name);
    list.u16(static_cast<std::uint16_t>(name.size()));
    list.bytes(name);
  }
  Writer all;
  all.u16(static_cast<std::uint16_t>(list.out().size()));
  all.bytes(list.out());
  told = all.out();
  const auto add = [](SSL*, unsigned, unsigned, const unsigned char** out, std::size_t* size, X509*, std::size_t, int*,
                      void* from) {
    const Bytes& what = *static_cast<const Bytes*>(from);
    *out = what.data();
    *size = what.size();
    return 1;
  };
  const auto ignore = [](SSL*, unsigned, unsigned, const unsigned char*, std::size_t, X509*, std::size_t, int*, void*) {
    return 1;  // the server says that it chose by it
  };
  SSL_CTX_set0_CA_list(ctx, names.release());
  return told.size() <= kMostTold &&
         SSL_CTX_add_custom_ext(ctx, TLSEXT_TYPE_trusted_ca_keys, SSL_EXT_CLIENT_HELLO | SSL_EXT_TLS1_2_SERVER_HELLO,
                                add, nullptr, &told, ignore, nullptr) == 1;
}

bool set_identity(ssl_ctx_st* ctx, const std::vector<Certificate>& chain, const PrivateKey& key) {
  const X509Ptr own = chain.empty() ? nullptr : openssl_certificate(chain.front());
  const EvpKey own_key = openssl_key(key);
  if (own == nullptr || own_key == nullptr || SSL_CTX_use_certificate(ctx, own.get()) != 1 ||
      SSL_CTX_use_PrivateKey(ctx, own_key.get()) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
    return false;
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    const X509Ptr next = openssl_certificate(chain[i]);
    if (next == nullptr || SSL_CTX_add1_chain_cert(ctx, next.get()) != 1) {
      return false;
    }
  }
  return true;
}

void watch_peer(ssl_st* ssl, PeerCheck* check) { SSL_set_ex_data(ssl, check_index(), check); }

PeerCheck* watched_peer(const ssl_st* ssl) { return static_cast<PeerCheck*>(SSL_get_ex_data(ssl, check_index())); }

Bytes channel_binding(ssl_st* ssl) {
  static constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
  if (SSL_version(ssl) == TLS1_3_VERSION) {
    Bytes out(32);
    const std::uint8_t none = 0;  // the context is there, with no bytes in it: not the same as no context
    const int good = SSL_export_keying_material(ssl, out.data(), out.size(), kLabel.data(), kLabel.size(), &none, 0, 1);
    return good == 1 ? out : Bytes{};
  }
  if (SSL_get_extms_support(ssl) != 1) {
    return {};
  }
  // The first Finished of a full handshake is the client's, of a resumed one the server's.
  const bool ours = (SSL_is_server(ssl) == 1) == (SSL_session_reused(ssl) == 1);
  Bytes out(EVP_MAX_MD_SIZE);
  const std::size_t size =
      ours ? SSL_get_finished(ssl, out.data(), out.size()) : SSL_get_peer_finished(ssl, out.data(), out.size());
  out.resize(std::min(size, out.size()));
  return out;
}

Error take_tls_error() {
  const unsigned long first = ERR_peek_error();
  ERR_clear_error();
  const int reason = ERR_GET_REASON(first);
  if (first == 0 || ERR_GET_LIB(first) == ERR_LIB_SYS || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
    return {Fault::unreachable, "tls: the peer left"};
  }
  const char* words = ERR_reason_error_string(first);  // static text of OpenSSL
  if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE || reason == SSL_R_PSK_IDENTITY_NOT_FOUND) {
    return {Fault::unauthentic, words};
  }
  const Fault fault = reason >= SSL_AD_REASON_OFFSET ? alert_fault(reason - SSL_AD_REASON_OFFSET) : Fault::malformed;
  return {fault, words == nullptr ? "tls: protocol error" : words};
}

}  // namespace imprint::io
