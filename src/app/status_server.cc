#include "app/status_server.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <unordered_map>

#include "app/status_signer.h"
#include "codec/base64.h"
#include "codec/percent.h"
#include "io/https_server.h"
#include "io/log.h"
#include "io/loop.h"
#include "proto/est/http.h"

namespace imprint::app {
namespace {

constexpr std::string_view kRequestType = "application/ocsp-request", kResponseType = "application/ocsp-response",
                           kListType = "application/pkix-crl";
constexpr std::size_t kMostKept = 10'000;
// How long caches on the way may keep a list: it names a later end, but a revocation is signed at once.
constexpr Duration kListFresh = std::chrono::minutes(10);
constexpr std::int64_t kComeBackSoon_s = 5;

// What lists that nobody reads may take of the memory: as many are given out within the time that a reader has.
constexpr std::size_t kListMemory = std::size_t{256} << 20U;
constexpr Duration kReadTime = std::chrono::seconds(30);

// An answer that holds for whoever asks the same without a nonce.
struct Kept {
  CertificateStatus status;
  site::OcspAnswer answer;
};

std::string etag_of(BytesView content) { return '"' + hex(sha256(content)).substr(0, 32) + '"'; }

// RFC 6960 appendix A.1: the request's base64, escaped, is the rest of the path.
// A URI that ends with a slash gets another one; base64 of a SEQUENCE never begins with one.
std::optional<Bytes> question_in(std::string_view path) {
  path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
  const std::optional<std::string> text = percent_decoded(path);
  Result<Bytes> der = text ? parse_base64(*text) : Result<Bytes>(Error{Fault::malformed, "ocsp: path"});
  return der ? std::optional(*std::move(der)) : std::nullopt;
}

Response with_status(int status) {
  Response out;
  out.status = status;
  return out;
}

Response failure(OcspFailure why) { return {200, std::string(kResponseType), encode_ocsp_failure(why)}; }

OcspFailure failure_of(const Error& error) {
  switch (error.fault) {
    case Fault::malformed:
    case Fault::limit:
    case Fault::unsupported:
      return OcspFailure::malformed_request;
    case Fault::refused:
      return OcspFailure::unauthorized;
    case Fault::unreachable:
      return OcspFailure::try_later;
    default:
      return OcspFailure::internal_error;
  }
}

}  // namespace

class StatusServer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(store::Store& store, std::shared_ptr<const EstSite> site)
      : store_(store), site_(std::move(site)), signer_(std::in_place, store) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // In this order: the loop asks for no signature any more, then the signer ends. What it posts to a loop that has
  // stopped is never run.
  void stop() {
    loop_.stop();
    if (thread_.joinable()) {
      thread_.join();
    }
    signer_.reset();
  }

  Status listen(const std::string& address, std::uint16_t port) {
    io::HttpsServerOptions options;
    options.address = address;
    options.port = port;
    options.max_body_bytes = OcspRequest::kMaxBytes;
    options.max_connections = kMaxConnections;
    io::HttpsServer::Handlers handlers;
    handlers.request = [this](Exchange from, const Request& request) { take(from, request); };
    handlers.gone = [](Exchange) {};
    TRY(server_, io::HttpsServer::listen(loop_, std::move(options), std::move(handlers)));
    return Ok{};
  }

  void start() {
    signer_->start();
    thread_ = std::thread([this] { loop_.run(); });
  }

  std::uint16_t port() const { return server_->port(); }

  void take(std::shared_ptr<const EstSite> site) {
    loop_.post([self = weak_from_this(), site = std::move(site)] {
      if (const std::shared_ptr<Impl> server = self.lock()) {
        if (server->site_->ca.certificate != site->ca.certificate) {
          server->kept_.clear();
        }
        server->site_ = site;
        server->list_etags_.clear();
      }
    });
  }

  StatusStats stats() const { return {asked_, refused_, reused_, signed_, turned_away_}; }

 private:
  void take(Exchange from, const Request& request) {
    if (const Bytes* const asked = list_at(request.path)) {
      server_->reply(from, request.method == Method::get ? list(request, *asked) : not_allowed("GET, HEAD"));
      return;
    }
    const std::string prefix = std::string(kOcspPath) + "/";
    const bool by_path = request.method == Method::get && request.path.starts_with(prefix);
    if (!by_path && request.path != kOcspPath && request.path != prefix) {
      server_->reply(from, with_status(404));
      return;
    }
    if (!by_path && request.method != Method::post) {
      server_->reply(from, not_allowed("POST"));
      return;
    }
    if (!by_path && !est::is_media_type(request.content_type, kRequestType)) {
      server_->reply(from, with_status(415));
      return;
    }
    ++asked_;
    const std::optional<Bytes> der =
        by_path ? question_in(std::string_view(request.path).substr(kOcspPath.size())) : std::optional(request.body);
    answer(from, der ? OcspRequest::parse(*der) : Result<OcspRequest>(Error{Fault::malformed, "ocsp: base64"}),
           by_path ? request.if_none_match : std::string());
  }

  static Response not_allowed(std::string_view methods) {
    Response out = with_status(405);
    out.allow = methods;
    return out;
  }

  // The list of the CA of now, or of the one whose id the path ends with; null: nothing is there.
  const Bytes* list_at(std::string_view path) const {
    const auto distributed = [](const auto& of) {
      return of.distributed_list.empty() ? &of.revocation_list : &of.distributed_list;
    };
    if (!path.starts_with(kListPath)) {
      return nullptr;
    }
    path.remove_prefix(kListPath.size());
    if (path.empty() || path == "/" + site::issuer_id(site_->ca.certificate)) {
      return distributed(*site_);
    }
    const auto at = std::ranges::find_if(
        site_->former, [&](const FormerCa& f) { return path == "/" + site::issuer_id(f.ca.certificate); });
    return at == site_->former.end() ? nullptr : distributed(*at);
  }

  // When this one ends: that of a CA of before may be older than the others.
  Instant end_of(const Bytes& list) const {
    const auto at = std::ranges::find_if(
        site_->former, [&](const FormerCa& f) { return &list == &f.revocation_list || &list == &f.distributed_list; });
    return at == site_->former.end() ? site_->list_ends : at->list_ends;
  }

  Response list(const Request& request, const Bytes& der) {
    if (der.empty()) {
      return later();
    }
    std::string& etag = list_etags_[&der];
    if (etag.empty()) {
      etag = etag_of(der);
    }
    const Instant until = std::min(loop_.now() + kListFresh, end_of(der));
    if (request.if_none_match == etag) {
      return fresh(with_status(304), etag, site_->list_signed, until);
    }
    return may_give_list(der.size()) ? fresh({200, std::string(kListType), der}, etag, site_->list_signed, until)
                                     : later();
  }

  static Response later() {
    Response out = with_status(503);
    out.retry_after_s = kComeBackSoon_s;
    return out;
  }

  bool may_give_list(std::size_t size) {
    const Instant now = loop_.now();
    std::erase_if(lists_given_, [now](Instant at) { return at > now || now - at > kReadTime; });
    if (lists_given_.size() >= std::max<std::size_t>(1, kListMemory / size)) {
      ++turned_away_;
      return false;
    }
    lists_given_.push_back(now);
    return true;
  }

  // With its version, and how long it may be kept (RFC 9110 section 8.8.3).
  static Response fresh(Response response, std::string etag, Instant since, Instant until) {
    response.etag = std::move(etag);
    response.fresh = Freshness{since, until};
    return response;
  }

  // Without its body if the asker has it (RFC 9110 section 13.1.2).
  static Response conditional(Response response, Instant since, Instant until, std::string_view held) {
    std::string etag = etag_of(response.body);
    Response out = fresh(std::move(response), std::move(etag), since, until);
    if (held == out.etag) {
      out.status = 304;
      out.body.clear();
    }
    return out;
  }

  // What is on record is read here, at once, so that no answer outlives a revocation; only signing takes time.
  void answer(Exchange to, const Result<OcspRequest>& request, const std::string& held) {
    if (!request) {
      refuse(to, request.error());
      return;
    }
    const std::shared_ptr<const site::Ca> issuer = asked_about(*request);
    auto reader = store_.read();
    auto statuses = reader ? site::statuses_of(issuer->certificate, **reader, *request)
                           : Result<std::vector<CertificateStatus>>(reader.error());
    if (!statuses) {
      refuse(to, statuses.error());
      return;
    }
    // Any number of serial numbers are unknown: an answer about one is for its asker alone.
    const bool keeps =
        statuses->size() == 1 && request->nonce.empty() && statuses->front().value != CertificateStatus::Value::unknown;
    if (const Kept* const kept = keeps ? find(statuses->front()) : nullptr) {
      ++reused_;
      reply(to, kept->answer, /*cacheable=*/true, held);
      return;
    }
    sign(to, issuer, *std::move(statuses), request->nonce, keeps, held);
  }

  // The CA of now, or the first of those before it that the question names.
  std::shared_ptr<const site::Ca> asked_about(const OcspRequest& request) const {
    const auto is_named = [&](const site::Ca& ca) {
      return std::ranges::any_of(request.asked, [&](const CertId& id) { return id.names_issuer(ca.certificate); });
    };
    const site::Ca* out = &site_->ca;
    if (!is_named(*out)) {
      const auto at = std::ranges::find_if(site_->former, is_named, &FormerCa::ca);
      out = at == site_->former.end() ? out : &at->ca;
    }
    return {site_, out};
  }

  void refuse(Exchange to, const Error& error) {
    ++refused_;
    server_->reply(to, failure(failure_of(error)));
  }

  // The answer of before, while it says what is on record and half of its time is left.
  const Kept* find(const CertificateStatus& status) const {
    const auto at = kept_.find(std::string(as_text(status.cert_id)));
    if (at == kept_.end() || at->second.status != status) {
      return nullptr;
    }
    const site::OcspAnswer& answer = at->second.answer;
    const Instant now = loop_.now();
    const bool lasts = answer.since <= now && answer.until - now > (answer.until - answer.since) / 2;
    return lasts ? &at->second : nullptr;
  }

  void sign(Exchange to, const std::shared_ptr<const site::Ca>& issuer, std::vector<CertificateStatus> statuses,
            const Bytes& nonce, bool keeps, const std::string& held) {
    const CertificateStatus first = statuses.front();
    auto done = [self = weak_from_this(), &loop = loop_, to, first, keeps, held](Result<site::OcspAnswer> answer) {
      loop.post([self, to, first, keeps, held, answer = std::move(answer)] {
        if (const std::shared_ptr<Impl> server = self.lock()) {
          server->signed_answer(to, first, keeps, held, answer);
        }
      });
    };
    if (!signer_->submit(issuer, std::move(statuses), nonce, std::move(done))) {
      ++turned_away_;
      Response later = failure(OcspFailure::try_later);
      later.retry_after_s = kComeBackSoon_s;
      server_->reply(to, later);
    }
  }

  void signed_answer(Exchange to, const CertificateStatus& status, bool keeps, const std::string& held,
                     const Result<site::OcspAnswer>& answer) {
    if (!answer) {
      refuse(to, answer.error());
      return;
    }
    ++signed_;
    if (keeps) {
      if (kept_.size() >= kMostKept) {
        kept_.clear();
      }
      kept_.insert_or_assign(std::string(as_text(status.cert_id)), Kept{status, *answer});
    }
    reply(to, *answer, keeps, held);
  }

  void reply(Exchange to, const site::OcspAnswer& answer, bool cacheable, const std::string& held) {
    Response out{200, std::string(kResponseType), answer.der};
    server_->reply(to, cacheable ? conditional(std::move(out), answer.since, answer.until, held) : out);
  }

  store::Store& store_;
  std::shared_ptr<const EstSite> site_;  // of the loop's thread
  std::unordered_map<std::string, Kept> kept_;
  std::unordered_map<const Bytes*, std::string> list_etags_;  // of lists of site_
  std::vector<Instant> lists_given_;                          // within the time that their readers have
  std::atomic<std::uint64_t> asked_ = 0, refused_ = 0, reused_ = 0, signed_ = 0, turned_away_ = 0;
  io::Loop loop_;
  std::unique_ptr<io::HttpsServer> server_;
  std::optional<StatusSigner> signer_;
  std::thread thread_;
};

StatusServer::StatusServer(store::Store& store, std::shared_ptr<const EstSite> site)
    : impl_(std::make_shared<Impl>(store, std::move(site))) {}
StatusServer::~StatusServer() { impl_->stop(); }

Status StatusServer::listen(const std::string& address, std::uint16_t port) { return impl_->listen(address, port); }
void StatusServer::start() { impl_->start(); }
std::uint16_t StatusServer::port() const { return impl_->port(); }
void StatusServer::take(std::shared_ptr<const EstSite> site) { impl_->take(std::move(site)); }
StatusStats StatusServer::stats() const { return impl_->stats(); }

}  // namespace imprint::app
