#include "io/dtls_openssl.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <utility>

#include "crypto/openssl_bridge.h"
#include "io/dtls_context.h"
#include "io/dtls_cookie.h"
#include "io/dtls_record.h"

namespace imprint::io {
namespace {

constexpr std::size_t kMaxKept = 64;          // messages that nobody has taken
constexpr std::size_t kMaxEarlyRecords = 32;  // of the next epoch, during a handshake: OpenSSL keeps 17 KiB for each
constexpr unsigned kMaxRetransmitUs = 60000000;
constexpr std::size_t kRecordSize = 16 * 1024;

using SslPtr = std::unique_ptr<SSL, Free<SSL_free>>;
using BioAddressPtr = std::unique_ptr<BIO_ADDR, Free<BIO_ADDR_free>>;

// What the callbacks of the cookie need to know, while a datagram is looked at.
struct Listening {
  Cookies* cookies = nullptr;
  DatagramPath from;
  Instant now;
};

class Association final : public DtlsConnection {
 public:
  Association(std::shared_ptr<OpenSslDtls> context, bool accepts, const std::string& host)
      : context_(std::move(context)), host_(host), ssl_(SSL_new(context_->ctx)) {
    BIO* bio = ssl_ == nullptr ? nullptr : datagram_bio(&datagrams_);
    if (bio == nullptr) {
      ssl_.reset();
      end(Error{Fault::limit, "dtls: no memory"});
      return;
    }
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_ex_data(ssl_.get(), index(), this);
    watch_peer(ssl_.get(), check_.get());
    DTLS_set_timer_cb(ssl_.get(), next_timer);
    SSL_set_mtu(ssl_.get(), static_cast<long>(context_->mtu));
    accepts ? SSL_set_accept_state(ssl_.get()) : SSL_set_connect_state(ssl_.get());
    // Literals are not sent (RFC 6066 section 3), and who meets a stranger has no name to ask for
    // (draft-ietf-anima-constrained-voucher).
    if (!accepts && context_->trust != Trust::provisional && !Address::parse(host, 0)) {
      SSL_set_tlsext_host_name(ssl_.get(), host.c_str());
    }
    set_psk();
  }

  static void ask_for_cookies(SSL_CTX* ctx) {
    SSL_CTX_set_cookie_generate_cb(ctx, make_cookie);
    SSL_CTX_set_cookie_verify_cb(ctx, check_cookie);
  }

  // Whether the datagram is a hello with a right cookie: then this becomes its association. Else a reply may be there.
  bool listen(const Listening& what, BytesView datagram, BIO_ADDR* scratch) {
    listening_ = &what;
    cookie_good_ = false;
    datagrams_.in = datagram;
    ERR_clear_error();
    const int result = DTLSv1_listen(ssl_.get(), scratch);
    ERR_clear_error();
    datagrams_.in.reset();
    listening_ = nullptr;
    return result > 0;
  }
  bool usable() const { return ssl_ != nullptr; }

  void start() override { pump(); }

  void receive(BytesView datagram) override {
    // OpenSSL would take a datagram without a byte for the end of the stream.
    if (datagram.empty() || state_ == State::closed || !may_pass(datagram)) {
      return;
    }
    datagrams_.in = datagram;
    pump();
    datagrams_.in.reset();
  }

  Status send(BytesView plaintext) override {
    CHECK_OR(state_ == State::open, Error{Fault::unexpected, "dtls: not open"});
    CHECK_OR(!plaintext.empty(), Error{Fault::malformed, "dtls: an empty message"});
    CHECK_OR(plaintext.size() <= max_message(), Error{Fault::limit, "dtls: the message does not fit into a datagram"});
    std::size_t done = 0;
    ERR_clear_error();
    SSL_alloc_buffers(ssl_.get());
    const int result = SSL_write_ex(ssl_.get(), plaintext.data(), plaintext.size(), &done);
    if (result != 1) {
      end(take_tls_error());
      return *error_;
    }
    rest();
    return Ok{};
  }

  std::size_t max_message() const override {
    if (state_ != State::open) {
      return 0;
    }
    const std::size_t fits = DTLS_get_data_mtu(ssl_.get());
    // What the client has asked for counts for both sides (RFC 6066 section 4); OpenSSL leaves it to us here.
    const unsigned code = SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl_.get()));
    const bool asked = code >= TLSEXT_max_fragment_length_512 && code <= TLSEXT_max_fragment_length_4096;
    return asked ? std::min(fits, std::size_t{256} << code) : fits;
  }

  std::optional<Bytes> take_datagram() override { return take(datagrams_.out); }
  std::optional<Bytes> take_message() override { return take(messages_); }
  State state() const override { return state_; }
  std::optional<Error> error() const override { return error_; }
  SessionRef session() const override { return session_; }

  std::optional<Duration> timeout() const override {
    timeval left{};
    if (ssl_ == nullptr || DTLSv1_get_timeout(ssl_.get(), &left) != 1) {
      return std::nullopt;
    }
    return Duration(left.tv_sec * 1000 + (left.tv_usec + 999) / 1000);
  }

  void expire() override {
    if (ssl_ == nullptr) {
      return;
    }
    ERR_clear_error();
    SSL_alloc_buffers(ssl_.get());
    if (DTLSv1_handle_timeout(ssl_.get()) < 0) {
      const bool silence = ERR_GET_REASON(ERR_peek_error()) == SSL_R_READ_TIMEOUT_EXPIRED;
      const Error why = take_tls_error();
      end(silence ? Error{Fault::unreachable, "dtls: no answer"} : why);
      return;
    }
    rest();
  }

  void give_up() override {
    if (state_ == State::handshaking) {
      end(Error{Fault::unreachable, "dtls: the handshake took too long"});
    }
  }

  void close() override {
    if (state_ == State::open) {
      say_goodbye();
    }
    if (state_ != State::closed) {
      end(std::nullopt);
    }
  }

 private:
  static int index() {
    static const int out = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return out;
  }
  static Association& of(const SSL* ssl) { return *static_cast<Association*>(SSL_get_ex_data(ssl, index())); }

  static std::optional<Bytes> take(std::vector<Bytes>& queue) {
    if (queue.empty()) {
      return std::nullopt;
    }
    Bytes out = std::move(queue.front());
    queue.erase(queue.begin());
    if (queue.empty()) {
      queue = {};
    }
    return out;
  }

  // ---- what OpenSSL asks ----

  void set_psk() {
    if (context_->find_psk) {
      SSL_set_psk_server_callback(ssl_.get(), find_psk);
    } else if (!context_->psk_identity.empty()) {
      SSL_set_psk_client_callback(ssl_.get(), own_psk);
    }
  }

  static int make_cookie(SSL* ssl, unsigned char* out, unsigned* size) {
    const Listening* what = of(ssl).listening_;
    if (what == nullptr) {
      return 0;
    }
    const Bytes cookie = what->cookies->make(what->from, what->now);
    std::ranges::copy(cookie, out);
    *size = static_cast<unsigned>(cookie.size());
    return 1;
  }

  // OpenSSL asks a second time, in the handshake.
  static int check_cookie(SSL* ssl, const unsigned char* cookie, unsigned size) {
    Association& a = of(ssl);
    if (a.listening_ != nullptr) {
      a.cookie_good_ = a.listening_->cookies->good(a.listening_->from, {cookie, size}, a.listening_->now);
    }
    return a.cookie_good_ ? 1 : 0;
  }

  static unsigned give_psk(const Secret& psk, unsigned char* out, unsigned max) {
    if (psk.empty() || psk.size() > max) {
      return 0;
    }
    std::ranges::copy(psk.expose(), out);
    return static_cast<unsigned>(psk.size());
  }

  static unsigned find_psk(SSL* ssl, const char* identity, unsigned char* out, unsigned max) {
    Association& a = of(ssl);
    a.psk_identity_ = identity == nullptr ? "" : identity;
    const std::optional<Secret> found = a.psk_identity_.empty() ? std::nullopt : a.context_->find_psk(a.psk_identity_);
    return found ? give_psk(*found, out, max) : 0;
  }

  static unsigned own_psk(SSL* ssl, const char* /*hint*/, char* identity, unsigned max_identity, unsigned char* out,
                          unsigned max) {
    Association& a = of(ssl);
    const std::string& own = a.context_->psk_identity;
    if (own.size() >= max_identity) {
      return 0;
    }
    a.psk_identity_ = own;
    std::ranges::copy(own, identity);
    identity[own.size()] = '\0';
    return give_psk(a.context_->psk, out, max);
  }

  static unsigned next_timer(SSL* ssl, unsigned before_us) {
    const auto first = static_cast<unsigned>(of(ssl).context_->retransmit_first.count()) * 1000U;
    return std::min(before_us == 0 ? first : before_us * 2, kMaxRetransmitUs);
  }

  // ---- the handshake ----

  // Records of the next epoch wait in OpenSSL for the end of the handshake. There is one in an orderly one: Finished.
  bool may_pass(BytesView datagram) {
    if (state_ != State::handshaking) {
      return true;
    }
    const auto records = dtls_records(datagram);
    const auto early = std::ranges::count_if(records, [](const DtlsRecord& r) { return r.epoch != 0; });
    early_records_ += static_cast<std::size_t>(early);
    return early == 0 || early_records_ <= kMaxEarlyRecords;
  }

  void pump() {
    if (ssl_ == nullptr) {
      return;
    }
    SSL_alloc_buffers(ssl_.get());
    if (state_ == State::handshaking) {
      shake();
    }
    while (state_ == State::open && read_one()) {
    }
    rest();
  }

  // An association that waits holds no buffers for records: they are 17 KiB.
  void rest() {
    if (ssl_ != nullptr) {
      SSL_free_buffers(ssl_.get());
    }
  }

  void shake() {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) {
      become_open();
    } else if (SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_READ) {
      end(check_->refusal ? *check_->refusal : take_tls_error());
    } else if (wrong_psk()) {
      datagrams_.out.push_back(plain_alert(SSL_AD_DECRYPT_ERROR));
      end(Error{Fault::unauthentic, "dtls: the pre-shared key is not the peer's"});
    }
  }

  // The client's Finished is there and cannot be read. OpenSSL drops it as any record that is not authentic and would
  // leave both sides to their timers; RFC 4279 section 2 has decrypt_error for it. A stranger who forges the record
  // could as well forge an alert: the handshake is in the clear so far.
  bool wrong_psk() const {
    return !psk_identity_.empty() && early_records_ > 0 && SSL_is_server(ssl_.get()) == 1 &&
           SSL_get_state(ssl_.get()) == TLS_ST_SR_CHANGE;
  }

  void become_open() {
    Session s;
    s.id = id();
    s.trust = context_->trust;
    s.host = host_;
    s.presented = std::move(check_->presented);
    s.proven = std::move(check_->proven);
    s.channel_binding = channel_binding(ssl_.get());
    s.protocol = SSL_get_version(ssl_.get());
    s.psk_identity = std::move(psk_identity_);
    check_.reset();
    watch_peer(ssl_.get(), nullptr);
    session_ = std::make_shared<const Session>(std::move(s));
    state_ = State::open;
  }

  // ---- open, and the end ----

  bool read_one() {
    static thread_local std::array<std::uint8_t, kRecordSize> buffer;
    std::size_t size = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &size);
    if (result == 1) {
      const auto message = std::span(buffer).first(size);
      if (messages_.size() < kMaxKept) {
        messages_.emplace_back(message.begin(), message.end());
      }
      wipe(message);
      return true;
    }
    const int why = SSL_get_error(ssl_.get(), result);
    if (why == SSL_ERROR_ZERO_RETURN) {
      say_goodbye();
      end(std::nullopt);
    } else if (why != SSL_ERROR_WANT_READ) {
      end(take_tls_error());
    }
    return false;
  }

  void say_goodbye() {
    ERR_clear_error();
    SSL_alloc_buffers(ssl_.get());
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }

  void end(std::optional<Error> why) {
    state_ = State::closed;
    error_ = why;
    ssl_.reset();
    check_.reset();
  }

  std::shared_ptr<OpenSslDtls> context_;
  std::string host_;
  Datagrams datagrams_;
  std::unique_ptr<PeerCheck> check_ = std::make_unique<PeerCheck>();
  SslPtr ssl_;
  State state_ = State::handshaking;
  const Listening* listening_ = nullptr;
  bool cookie_good_ = false;
  std::size_t early_records_ = 0;
  std::string psk_identity_;  // until it is open
  SessionRef session_;
  std::optional<Error> error_;
  std::vector<Bytes> messages_;
};

class Acceptor final : public DtlsAcceptor {
 public:
  explicit Acceptor(std::shared_ptr<OpenSslDtls> context) : context_(std::move(context)), scratch_(BIO_ADDR_new()) {}

  // OpenSSL looks at hellos with a connection that is spare until one of them has a right cookie.
  DtlsAnswer accept(const DatagramPath& from, BytesView datagram, Instant now) override {
    DtlsAnswer out;
    if (!client_hello(datagram)) {
      return out;
    }
    if (spare_ == nullptr) {
      spare_ = std::make_unique<Association>(context_, true, "");
    }
    if (!spare_->usable()) {
      spare_.reset();
      return out;
    }
    if (spare_->listen({&cookies_, from, now}, datagram, scratch_.get())) {
      out.connection = std::move(spare_);
    } else {
      out.reply = spare_->take_datagram();
    }
    return out;
  }

 private:
  std::shared_ptr<OpenSslDtls> context_;
  BioAddressPtr scratch_;
  Cookies cookies_;
  std::unique_ptr<Association> spare_;
};

class Context final : public DtlsContext {
 public:
  explicit Context(std::shared_ptr<OpenSslDtls> context) : context_(std::move(context)) {}

  std::unique_ptr<DtlsAcceptor> acceptor() override { return std::make_unique<Acceptor>(context_); }
  std::unique_ptr<DtlsConnection> connect(const std::string& host) override {
    return std::make_unique<Association>(context_, false, host);
  }

 private:
  std::shared_ptr<OpenSslDtls> context_;
};

}  // namespace

Result<std::shared_ptr<DtlsContext>> openssl_dtls_server(const DtlsServerOptions& options) {
  TRY(auto made, OpenSslDtls::server(options));
  Association::ask_for_cookies(made->ctx);
  return std::shared_ptr<DtlsContext>(std::make_shared<Context>(std::move(made)));
}

Result<std::shared_ptr<DtlsContext>> openssl_dtls_client(const DtlsClientOptions& options) {
  TRY(auto made, OpenSslDtls::client(options));
  return std::shared_ptr<DtlsContext>(std::make_shared<Context>(std::move(made)));
}

}  // namespace imprint::io
