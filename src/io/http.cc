#include "io/http.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "codec/base64.h"
#include "codec/uri.h"
#include "io/http_message.h"
#include "role/digest.h"

namespace imprint::io {
namespace {

// RFC 7617. Nothing if it is another scheme or cannot be read: then nobody has logged in.
std::optional<Login> parse_basic(std::string_view authorization) {
  static constexpr std::string_view kScheme = "Basic ";
  if (!same_name(authorization.substr(0, kScheme.size()), kScheme)) {
    return std::nullopt;
  }
  auto plain = parse_base64(authorization.substr(kScheme.size()));
  if (!plain) {
    return std::nullopt;
  }
  const std::string_view text = as_text(*plain);
  const std::size_t colon = text.find(':');
  std::optional<Login> out;
  if (colon != std::string_view::npos) {
    out = Login{std::string(text.substr(0, colon)), Secret(text.substr(colon + 1))};
  }
  wipe(*plain);
  return out;
}

// RFC 6750 section 2.1.
std::optional<Secret> parse_bearer(std::string_view authorization) {
  static constexpr std::string_view kScheme = "Bearer ";
  if (!same_name(authorization.substr(0, kScheme.size()), kScheme)) {
    return std::nullopt;
  }
  return Secret(authorization.substr(kScheme.size()));
}

std::optional<std::string_view> digest_parameters(std::string_view authorization) {
  static constexpr std::string_view kScheme = "Digest ";
  const bool digest = same_name(authorization.substr(0, kScheme.size()), kScheme);
  return digest ? std::optional(authorization.substr(kScheme.size())) : std::nullopt;
}

Method method_of(unsigned parsed) {
  switch (parsed) {
    case HTTP_GET:
    case HTTP_HEAD:  // RFC 9110 section 9.3.2: the same, but for the body of the answer
      return Method::get;
    case HTTP_POST:
      return Method::post;
    case HTTP_PUT:
      return Method::put;
    case HTTP_DELETE:
      return Method::del;
    default:
      return Method::other;
  }
}

}  // namespace

struct HttpRequestParser::Impl final : HttpMessage {
  explicit Impl(HttpLimits l) : HttpMessage(HTTP_REQUEST, l) {}

  void on_head(std::string_view target, const std::vector<HttpField>& fields) override {
    is_head = parser.method == HTTP_HEAD;
    check_framing(fields);
    check_expect(value(fields, "Expect"));
    request.host = value(fields, "Host");
    read_target(target);
    request.method = method_of(parser.method);
    request.content_type = value(fields, "Content-Type");
    request.accept = value(fields, "Accept");
    request.user_agent = value(fields, "User-Agent");
    request.if_match = value(fields, "If-Match");
    request.if_none_match = value(fields, "If-None-Match");
    request.last_event_id = value(fields, "Last-Event-ID");
    if (count(fields, "Idempotency-Key") > 0) {
      request.idempotency_key = value(fields, "Idempotency-Key");
    }
    request.origin = value(fields, "Origin");
    request.login = parse_basic(value(fields, "Authorization"));
    if (const auto digest = digest_parameters(value(fields, "Authorization"))) {
      request.login = parse_digest(*digest, http_method_str(static_cast<http_method>(parser.method)), target);
    }
    request.bearer = parse_bearer(value(fields, "Authorization"));
  }

  Framing unframed() const override { return Framing::none; }

  // What lets two readers of the same bytes see different requests is refused (RFC 9112 section 11.2).
  void check_framing(const std::vector<HttpField>& fields) {
    const bool modern = parser.http_major == 1 && parser.http_minor == 1;
    if (!modern && !(parser.http_major == 1 && parser.http_minor == 0)) {
      refuse(505, "not HTTP/1.1");
    }
    if (count(fields, "Host") > 1 || (modern && count(fields, "Host") != 1)) {
      refuse(400, "exactly one Host is wanted");
    }
    if (count(fields, "Authorization") > 1 || count(fields, "Content-Type") > 1 ||
        count(fields, "Idempotency-Key") > 1) {
      refuse(400, "a header that may come once came twice");
    }
    check_transfer_coding(fields, modern);
  }

  void check_transfer_coding(const std::vector<HttpField>& fields, bool modern) {
    const std::size_t codings = count(fields, "Transfer-Encoding");
    if (count(fields, "Content-Length") + codings > 1 || (codings > 0 && !modern)) {
      refuse(400, "more than one way to find the end of the body");
    }
    if (codings > 0 && !same_name(value(fields, "Transfer-Encoding"), "chunked")) {
      refuse(501, "a transfer coding other than chunked");
    }
  }

  void check_expect(std::string_view expect) {
    if (!expect.empty() && !same_name(expect, "100-continue")) {
      refuse(417, "an expectation other than 100-continue");
    }
    expects = !expect.empty();
  }

  // Origin form, absolute form (RFC 9112 section 3.2.2), or the "*" of OPTIONS.
  void read_target(std::string_view target) {
    const bool plain = std::ranges::all_of(target, [](char c) { return c > 0x20 && c < 0x7f && c != '#'; });
    const bool good = plain && !target.empty() && parser.method != HTTP_CONNECT;
    if (good && (target.front() == '/' || (target == "*" && parser.method == HTTP_OPTIONS))) {
      const std::size_t mark = target.find('?');
      request.path = target.substr(0, mark);
      request.query = mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
      return;
    }
    const auto uri = good ? Uri::parse(target) : Error{Fault::malformed, "target"};
    if (!uri) {
      refuse(400, "a request target that is not a path");
      return;
    }
    request.host = uri->authority();  // RFC 9112 section 3.2.2: Host is then ignored
    request.path = uri->path;
    request.query = uri->query;
  }

  Request request;
  bool expects = false, taken_keep_alive = false, is_head = false;
};

HttpRequestParser::HttpRequestParser(HttpLimits limits) : impl_(std::make_unique<Impl>(limits)) {}
HttpRequestParser::~HttpRequestParser() = default;

std::size_t HttpRequestParser::feed(BytesView in) {
  impl_->is_head = impl_->is_head && impl_->started();
  return impl_->feed(in);
}

std::optional<Request> HttpRequestParser::take() {
  if (!impl_->complete || impl_->refusal) {
    return std::nullopt;
  }
  Request out = std::exchange(impl_->request, {});
  out.body = std::move(impl_->body);
  // HTTP/1.0 keeps a connection only by an extension that nobody needs any more.
  impl_->taken_keep_alive = impl_->keep_alive && impl_->parser.http_minor == 1;
  impl_->expects = false;
  impl_->reset();
  return out;
}

const std::optional<HttpRefusal>& HttpRequestParser::refusal() const { return impl_->refusal; }
bool HttpRequestParser::keep_alive() const { return impl_->taken_keep_alive; }
bool HttpRequestParser::head() const { return impl_->is_head; }
bool HttpRequestParser::wants_continue() const {
  return impl_->expects && impl_->in_body() && !impl_->complete && !impl_->refusal && impl_->body.empty();
}
bool HttpRequestParser::in_message() const { return impl_->started(); }
const Request* HttpRequestParser::without_body() const {
  return impl_->in_body() && !impl_->complete && !impl_->refusal ? &impl_->request : nullptr;
}

void HttpRequestParser::limit_body(std::size_t bytes) { impl_->limit_body(bytes); }

struct HttpResponseParser::Impl final : HttpMessage {
  explicit Impl(HttpLimits l) : HttpMessage(HTTP_RESPONSE, l) {}

  void on_head(std::string_view /*target*/, const std::vector<HttpField>& fields) override {
    if (parser.http_major != 1 || parser.status_code == 101 || parser.status_code < 100 || parser.status_code > 599) {
      refuse(502, "an answer that is not HTTP/1.1");
    }
    if (count(fields, "Content-Length") + count(fields, "Transfer-Encoding") > 1) {
      refuse(502, "more than one way to find the end of the body");
    }
    if (count(fields, "Transfer-Encoding") > 0 && !same_name(value(fields, "Transfer-Encoding"), "chunked")) {
      refuse(502, "a transfer coding other than chunked");
    }
    response.status = parser.status_code;
    response.content_type = value(fields, "Content-Type");
    response.location = value(fields, "Location");
    response.etag = value(fields, "ETag");
    for (const HttpField& each : fields) {
      if (same_name(each.name, "WWW-Authenticate")) {
        response.authenticate.emplace_back(each.value);
      }
    }
    retry_after = value(fields, "Retry-After");
  }

  // RFC 9112 section 6.3.
  Framing unframed() const override {
    const bool bare = parser.status_code < 200 || parser.status_code == 204 || parser.status_code == 304;
    return bare ? Framing::none : Framing::until_close;
  }

  Response response;
  std::string retry_after;
  bool taken_keep_alive = false;
};

namespace {

// RFC 9110 section 10.2.3: seconds or a date. A date that is past means now.
std::optional<std::int64_t> retry_seconds(std::string_view text, Instant now) {
  std::uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (!text.empty() && error == std::errc{} && end == text.data() + text.size()) {
    return seconds;
  }
  if (const std::optional<Instant> when = parse_http_date(text)) {
    return std::max<std::int64_t>(0, (when->ms - now.ms + 999) / 1000);
  }
  return std::nullopt;
}

}  // namespace

HttpResponseParser::HttpResponseParser(HttpLimits limits) : impl_(std::make_unique<Impl>(limits)) {}
HttpResponseParser::~HttpResponseParser() = default;

std::size_t HttpResponseParser::feed(BytesView in) {
  std::size_t used = 0;
  do {
    used += impl_->feed(in.subspan(used));
    if (!impl_->complete || impl_->refusal || impl_->response.status >= 200) {
      return used;
    }
    impl_->reset();  // an interim answer
  } while (used < in.size());
  return used;
}

void HttpResponseParser::end() { impl_->end(); }

std::optional<Response> HttpResponseParser::take(Instant now) {
  if (!impl_->complete || impl_->refusal) {
    return std::nullopt;
  }
  Response out = std::exchange(impl_->response, {});
  out.body = std::move(impl_->body);
  out.retry_after_s = retry_seconds(std::exchange(impl_->retry_after, {}), now);
  impl_->taken_keep_alive = impl_->keep_alive && impl_->parser.http_minor == 1;
  impl_->reset();
  return out;
}

bool HttpResponseParser::failed() const { return impl_->refusal.has_value(); }
bool HttpResponseParser::too_large() const {
  return failed() && (impl_->refusal->status == 413 || impl_->refusal->status == 431);
}
bool HttpResponseParser::keep_alive() const { return impl_->taken_keep_alive; }

}  // namespace imprint::io
