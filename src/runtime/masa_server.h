// A maker's MASA on one loop: HTTPS in, the role in the middle, the maker's policy, voucher key and store behind.
#pragma once

#include <map>
#include <memory>
#include <unordered_map>

#include "crypto/signed_data.h"
#include "factory/masa_policy.h"
#include "io/gate.h"
#include "io/https_server.h"
#include "proto/brski/masa.h"
#include "runtime/cloud_registrar.h"
#include "runtime/password_guesses.h"
#include "runtime/work_pool.h"
#include "site/nonces.h"

namespace imprint {

// Everything that may be exchanged while the server runs; never changed in place.
struct MasaSite {
  brski::MasaConfig config;
  factory::MasaPolicy policy;
  Signer voucher_signer;            // chain: up to, and with, the anchor that devices have (RFC 8366 section 5.4)
  std::string name;                 // of the maker
  std::string version;              // of this program
  std::string catalogue;            // signed (site/masa_catalogue.h); empty: none is served
  std::size_t most_at_once = 5000;  // requests of one bulk call
  std::shared_ptr<const CloudSite> cloud = nullptr;   // for devices that ask where their owner is; null: none is here
  Duration bulk_patience = std::chrono::seconds(30);  // with one who reads less than 128 KiB of a bulk answer meanwhile
  bool base64_bodies = false;                         // of requestvoucher and requestauditlog, from whomever
};

// Paths below /.well-known/brski, beside those of RFC 8995.
inline constexpr std::string_view kMasaCataloguePath = "/.well-known/brski/catalogue",
                                  kMasaBulkPath = "/.well-known/brski/requestvouchers";
// Of what is beyond RFC 8995: the description, the bulk call. Members may be added to it; whoever does not know them
// passes them over. What changes its meaning gets another number.
inline constexpr int kMasaApi = 1;
// Of a whole call: enough for some thousand requests.
inline constexpr std::size_t kMasaBulkBytes = std::size_t{16} << 20U;

class MasaServer {
 public:
  // What became of a request, for log and metrics.
  struct Told {
    std::string_view path;
    int status = 0;
    std::string device, customer, rule;  // as far as they are known
  };

  MasaServer(io::Schedule& schedule, store::MakerStore& store, Rng& rng, std::shared_ptr<const MasaSite> site);
  MasaServer(const MasaServer&) = delete;
  MasaServer& operator=(const MasaServer&) = delete;
  ~MasaServer();

  // Over sockets, once. The context of options.tls should take any client certificate: registrars come with their own.
  Status listen(io::Loop& loop, io::HttpsServerOptions options);
  // Over anything that calls these handlers and takes the replies. Bulk calls need HTTPS.
  io::HttpsServer::Handlers handlers();
  void attach(std::unique_ptr<io::RequestServer> front) { front_ = std::move(front); }
  std::uint16_t port() const { return front_->port(); }
  // On the loop's thread: later requests see this.
  void set_site(std::shared_ptr<const MasaSite> site) { site_ = std::move(site); }
  void set_tls(std::shared_ptr<io::TlsContext> tls) { https_->set_tls(std::move(tls)); }  // over HTTPS
  void drain(Duration grace, std::function<void()> done) { front_->drain(grace, std::move(done)); }
  io::HttpsServerStats stats() const { return https_->stats(); }

  void on_told(std::function<void(const Told&)> told) { told_ = std::move(told); }
  // `acted` is called after every action of every conversation; it may call halt(): the power is cut.
  void on_acted(std::function<void()> acted) { acted_ = std::move(acted); }
  void halt();

 private:
  class Conversation;
  class BulkCall;
  struct Asked;
  // Before a body is taken: nothing, or why it is not wanted. A stranger's call for many ends here.
  std::optional<Response> screen(const Request& head);
  // A login that is wrong, or that is not looked at because too many were; or a challenge that was answered before, or
  // long ago. `spend`: this answer counts no second time.
  std::optional<Response> refuse_login(const Request& request, bool spend);
  // Whether the nonce that a login of HTTP Digest stands on may still be answered. A login of another kind has none.
  bool nonce_counts(const Login& login, bool spend);
  // How a 401 may be answered: the challenges that the policy takes, with a fresh nonce.
  Response with_challenges(Response refused, bool stale = false);
  // Whether bodies of this asker may be in base64: by the MASA's settings, or as a quirk of its account as far as login
  // or handshake tell it.
  bool takes_base64(const Request& request);
  // Who may ask for many at once. MASA-LOGIN, MASA-ACCOUNTS, MASA-BULK-CUSTOMER, MASA-BUSY.
  Result<std::string> bulk_account(const Request& request);
  // Whether a bulk call of this account finds a place: MASA-BUSY. Bodies that do not come any more are forgotten here.
  Status bulk_place(const std::string& account);
  // The answer, which is told of.
  Response refusal(std::string_view path, const Error& error);
  void take(Exchange from, Request request);
  void take_bulk(Exchange from, Request request);
  std::optional<Response> public_answer(const Request& request) const;
  // Runs the role on one request; `answer` gets what it replies, once, unless the asker leaves before.
  std::uint64_t begin(Asked asked);
  void begin_again(std::uint64_t id, Asked asked);
  void finished(std::uint64_t id);
  void gone(Exchange from);
  void tell(const Told& told) const;

  io::Schedule& schedule_;
  const std::shared_ptr<io::Gate> gate_;  // for the store's answers, which may come after we are gone
  store::MakerStore& store_;
  Rng& rng_;
  std::shared_ptr<const MasaSite> site_;
  std::unique_ptr<io::RequestServer> front_;
  io::HttpsServer* https_ = nullptr;  // front_, if it is one, over a socket
  std::uint64_t next_ = 1;
  std::unordered_map<std::uint64_t, std::shared_ptr<Conversation>> conversations_;
  std::unordered_map<std::uint64_t, std::uint64_t> of_exchange_;  // conversations of single requests
  std::unordered_map<std::uint64_t, std::shared_ptr<BulkCall>> bulk_;
  struct Body {
    Instant since;
    std::string account;
  };
  std::map<std::uint64_t, Body> bodies_;  // of bulk calls that are on their way, by session
  std::unique_ptr<WorkPool> pool_;        // for bulk calls, from the first one on
  PasswordGuesses guesses_;
  std::unique_ptr<site::NonceBook> nonces_;  // of HTTP Digest, from the first challenge on
  CloudRegistrar cloud_;
  std::function<void(const Told&)> told_;
  std::function<void()> acted_;
  bool halted_ = false;
};

// The requests in the body of a bulk call: a JSON array, or a JSON value a line; each is base64, or an object with
// "request", and "id" and "accept" if there are any. MASA-BULK-BODY, MASA-BULK-MANY. What is wrong with one alone is in
// its `wrong`. Lines are found here and read by read_bulk_item(), from any thread: until then an item has its `text`
// alone, which is a view of the body.
struct BulkItem {
  std::string id, accept;
  Bytes request;
  std::string_view wrong;
  std::string_view text = {};
};
Result<std::vector<BulkItem>> parse_bulk(std::string_view body, std::size_t most);
void read_bulk_item(BulkItem& item);

}  // namespace imprint
