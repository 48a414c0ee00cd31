#include "bench/brski_floor.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>

#include "bench/machine.h"

namespace imprint::bench {
namespace {

constexpr std::size_t kMessage = 1024;  // about what vouchers and requests sign over

using Ssl = std::unique_ptr<SSL, Free<SSL_free>>;
using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;

int take_any(X509_STORE_CTX* /*context*/, void* /*unused*/) { return 1; }

Context context_of(const TlsEnd& end, const SSL_METHOD* method) {
  Context out(SSL_CTX_new(method));
  SSL_CTX* raw = out.get();
  SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION);
  SSL_CTX_set1_groups_list(raw, "X25519");
  SSL_CTX_set_mode(raw, SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_num_tickets(raw, 0);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_purpose(raw, X509_PURPOSE_ANY);
  SSL_CTX_use_certificate(raw, end.certificate.get());
  SSL_CTX_use_PrivateKey(raw, end.key.get());
  for (const X509Ptr& one : end.above) {
    SSL_CTX_add1_chain_cert(raw, one.get());
  }
  if (end.anchor) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(raw), end.anchor.get());
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(raw), X509_V_FLAG_PARTIAL_CHAIN);
  } else {
    SSL_CTX_set_cert_verify_callback(raw, take_any, nullptr);
  }
  ERR_clear_error();
  return out;
}

// The contexts are made once, as a server's are.
struct Pair {
  explicit Pair(const TlsEnds& ends)
      : server(context_of(ends.server, TLS_server_method())), client(context_of(ends.client, TLS_client_method())) {}
  Context server, client;
};

Ssl begin(SSL_CTX* context, BIO* end, bool accepts) {
  Ssl out(SSL_new(context));
  SSL_set_bio(out.get(), end, end);
  accepts ? SSL_set_accept_state(out.get()) : SSL_set_connect_state(out.get());
  return out;
}

// Both halves on one thread, joined by memory, each timed for itself.
bool shake_hands(const Pair& pair, BareCosts::Halves& sum) {
  BIO* server_end = nullptr;
  BIO* client_end = nullptr;
  if (BIO_new_bio_pair(&server_end, 64 * 1024, &client_end, 64 * 1024) != 1) {
    return false;
  }
  Ssl server;
  Ssl client;
  {
    const Stopwatch time(sum.server_s);
    server = begin(pair.server.get(), server_end, true);
  }
  {
    const Stopwatch time(sum.client_s);
    client = begin(pair.client.get(), client_end, false);
  }
  for (int i = 0; i < 10 && SSL_is_init_finished(server.get()) == 0; ++i) {
    {
      const Stopwatch time(sum.client_s);
      SSL_do_handshake(client.get());
    }
    const Stopwatch time(sum.server_s);
    SSL_do_handshake(server.get());
  }
  const bool good = SSL_is_init_finished(server.get()) == 1 && SSL_is_init_finished(client.get()) == 1;
  {
    const Stopwatch time(sum.server_s);
    server.reset();
  }
  const Stopwatch time(sum.client_s);
  client.reset();
  return good;
}

bool sign_and_verify(EVP_PKEY* key, BareCosts& out) {
  const std::array<unsigned char, kMessage> message{};
  std::array<unsigned char, 128> signature{};
  std::size_t length = signature.size();
  {
    const Stopwatch time(out.sign_s);
    const DigestContext context(EVP_MD_CTX_new());
    if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key) != 1 ||
        EVP_DigestSign(context.get(), signature.data(), &length, message.data(), message.size()) != 1) {
      return false;
    }
  }
  const Stopwatch time(out.verify_s);
  const DigestContext context(EVP_MD_CTX_new());
  return EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), length, message.data(), message.size()) == 1;
}

bool make_key(BareCosts& out) {
  const Stopwatch time(out.make_key_s);
  const EvpKey key(EVP_EC_gen("P-256"));
  return key != nullptr;
}

}  // namespace

void BareCosts::add(const BareCosts& other) {
  const auto both = [](Halves& to, const Halves& from) {
    to.server_s += from.server_s;
    to.client_s += from.client_s;
  };
  done += other.done;
  sign_s += other.sign_s;
  verify_s += other.verify_s;
  make_key_s += other.make_key_s;
  both(provisional, other.provisional);
  both(proven, other.proven);
  both(masa, other.masa);
}

Result<BareCosts> run_bare_costs(const BrskiEnds& ends, double seconds, bool handshakes) {
  const Pair provisional(ends.provisional);
  const Pair proven(ends.proven);
  const Pair masa(ends.masa);
  BareCosts out;
  for (const double end = now_s() + seconds; now_s() < end; ++out.done) {
    bool good = sign_and_verify(ends.key.get(), out);
    if (good && handshakes) {
      good = make_key(out) && shake_hands(provisional, out.provisional) && shake_hands(proven, out.proven) &&
             shake_hands(masa, out.masa);
    }
    ERR_clear_error();
    CHECK_OR(good, Error{Fault::internal, "bench: the floor"});
  }
  return out;
}

}  // namespace imprint::bench
