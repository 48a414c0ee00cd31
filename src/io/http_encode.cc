#include <algorithm>
#include <array>
#include <chrono>
#include <iomanip>
#include <locale>
#include <sstream>

#include "codec/base64.h"
#include "io/http.h"
#include "role/digest.h"

namespace imprint::io {
namespace {

constexpr std::array<const char*, 3> kDateForms{"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                                "%a %b %d %H:%M:%S %Y"};

std::string http_date(Instant when) {
  const std::time_t seconds = static_cast<std::time_t>(when.ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::ostringstream out;
  out.imbue(std::locale::classic());
  out << std::put_time(&parts, kDateForms.front());
  return out.str();
}

std::string_view reason(int status) {
  struct Entry {
    int status;
    std::string_view text;
  };
  static constexpr std::array kReasons{
      Entry{200, "OK"},
      Entry{201, "Created"},
      Entry{202, "Accepted"},
      Entry{204, "No Content"},
      Entry{301, "Moved Permanently"},
      Entry{302, "Found"},
      Entry{303, "See Other"},
      Entry{304, "Not Modified"},
      Entry{307, "Temporary Redirect"},
      Entry{308, "Permanent Redirect"},
      Entry{400, "Bad Request"},
      Entry{401, "Unauthorized"},
      Entry{403, "Forbidden"},
      Entry{404, "Not Found"},
      Entry{405, "Method Not Allowed"},
      Entry{406, "Not Acceptable"},
      Entry{408, "Request Timeout"},
      Entry{409, "Conflict"},
      Entry{412, "Precondition Failed"},
      Entry{413, "Content Too Large"},
      Entry{415, "Unsupported Media Type"},
      Entry{417, "Expectation Failed"},
      Entry{422, "Unprocessable Content"},
      Entry{429, "Too Many Requests"},
      Entry{431, "Request Header Fields Too Large"},
      Entry{500, "Internal Server Error"},
      Entry{501, "Not Implemented"},
      Entry{503, "Service Unavailable"},
      Entry{505, "HTTP Version Not Supported"},
  };
  const auto* it = std::ranges::find(kReasons, status, &Entry::status);
  return it == kReasons.end() ? std::string_view("Answer") : it->text;
}

// A value with a line break in it would be two headers, or two messages: no such value leaves.
void field(std::string& out, std::string_view name, std::string_view value) {
  const bool clean = std::ranges::none_of(value, [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
  if (!value.empty() && clean) {
    out.append(name).append(": ").append(value).append("\r\n");
  }
}

void content(std::string& out, std::string_view type, std::size_t size) {
  static constexpr std::array<std::string_view, 3> kBase64{"application/pkcs7-mime", "application/csrattrs",
                                                           "application/pkcs10"};
  field(out, "Content-Type", type);
  if (std::ranges::any_of(kBase64, [&](std::string_view t) { return type.starts_with(t); })) {
    field(out, "Content-Transfer-Encoding", "base64");
  }
  field(out, "Content-Length", std::to_string(size));
}

// The headers of RFC 5019 section 6.2, for caches of HTTP/1.0 as well.
void fresh(std::string& out, const Freshness& fresh, Instant now) {
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(fresh.until - now).count();
  field(out, "Last-Modified", http_date(fresh.since));
  field(out, "Expires", http_date(fresh.until));
  field(out, "Cache-Control",
        "max-age=" + std::to_string(std::max<std::int64_t>(0, left)) + ", public, no-transform, must-revalidate");
}

void response_head(std::string& out, const Response& response, Instant now) {
  out.append("HTTP/1.1 ").append(std::to_string(response.status)).append(" ").append(reason(response.status));
  out.append("\r\n");
  field(out, "Date", http_date(now));
  field(out, "Location", response.location);
  for (const std::string& challenge : response.authenticate) {
    field(out, "WWW-Authenticate", challenge);
  }
  field(out, "ETag", response.etag);
  field(out, "Allow", response.allow);
  if (response.fresh) {
    fresh(out, *response.fresh, now);
  }
  if (response.retry_after_s) {
    field(out, "Retry-After", std::to_string(std::max<std::int64_t>(0, *response.retry_after_s)));
  }
}

void wipe_text(std::string& text) { wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()}); }

std::string basic(const Login& login) {
  std::string plain = login.user + ":";
  plain.append(as_text(login.password.expose()));
  std::string out = "Basic " + base64(view(plain));
  wipe_text(plain);
  return out;
}

Bytes with_body(const std::string& head, BytesView body) {
  Bytes out;
  out.reserve(head.size() + 2 + body.size());
  out.insert(out.end(), head.begin(), head.end());
  out.insert(out.end(), {'\r', '\n'});
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

}  // namespace

Bytes encode_request(const Request& request, std::string_view host) {
  std::string head;
  head.append(name(request.method)).append(" ").append(request.path.empty() ? "/" : request.path);
  if (!request.query.empty()) {
    head.append("?").append(request.query);
  }
  head.append(" HTTP/1.1\r\n");
  field(head, "Host", host);
  field(head, "Accept", request.accept);
  field(head, "If-None-Match", request.if_none_match);
  if (!request.body.empty() || request.method == Method::post || request.method == Method::put) {
    content(head, request.content_type, request.body.size());
  }
  if (request.login) {
    std::string credentials = request.login->digest ? digest_text(*request.login) : basic(*request.login);
    head.reserve(head.size() + credentials.size() + 64);  // so that no copy with the password is left behind
    field(head, "Authorization", credentials);
    wipe_text(credentials);
  }
  Bytes out = with_body(head, request.body);
  wipe_text(head);
  return out;
}

Bytes encode_response(const Response& response, Instant now, bool keep_alive) {
  std::string head;
  response_head(head, response, now);
  if (response.status != 204 && response.status != 304) {
    content(head, response.content_type, response.body.size());
  }
  if (!keep_alive) {
    field(head, "Connection", "close");
  }
  return with_body(head, response.body);
}

Bytes encode_stream_head(const Response& response, Instant now) {
  std::string head;
  response_head(head, response, now);
  field(head, "Content-Type", response.content_type);
  field(head, "Cache-Control", "no-cache");
  field(head, "Connection", "close");
  return with_body(head, {});
}

std::optional<Instant> parse_http_date(std::string_view text) {
  for (const char* form : kDateForms) {
    std::istringstream in{std::string(text)};
    in.imbue(std::locale::classic());
    std::tm parts{};
    in >> std::get_time(&parts, form);
    if (in.fail() || in.peek() != std::istringstream::traits_type::eof()) {
      continue;
    }
    parts.tm_isdst = 0;
    return Instant{static_cast<std::int64_t>(timegm(&parts)) * 1000};
  }
  return std::nullopt;
}

}  // namespace imprint::io
