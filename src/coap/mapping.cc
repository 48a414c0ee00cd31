#include "coap/mapping.h"

#include <algorithm>
#include <array>

#include "coap/formats.h"

namespace imprint::coap {
namespace {

constexpr std::size_t kMaxSegment = 255;
constexpr std::size_t kMaxETag = 8;
constexpr std::int64_t kDefaultMaxAge_s = 60;

constexpr std::array kUnderstood{kUriHost, kUriPort, kUriPath, kUriQuery, kAccept, kBlock2, kBlock1};

bool is_plain(std::uint8_t c, std::string_view extra) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._~!$'()*+,;=:@").find(static_cast<char>(c)) != std::string_view::npos ||
         extra.find(static_cast<char>(c)) != std::string_view::npos;
}

// RFC 7252 section 6.5, steps 6 and 7.
std::string percent_encoded(BytesView segment, std::string_view extra) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const std::uint8_t c : segment) {
    if (is_plain(c, extra)) {
      out.push_back(static_cast<char>(c));
    } else {
      out.append({'%', kDigits[c >> 4U], kDigits[c & 15U]});
    }
  }
  return out;
}

Result<Bytes> percent_decoded(std::string_view text) {
  Bytes out;
  while (!text.empty()) {
    if (text.front() != '%') {
      out.push_back(static_cast<std::uint8_t>(text.front()));
      text.remove_prefix(1);
      continue;
    }
    const auto byte = text.size() < 3 ? std::nullopt : from_hex(text.substr(1, 2));
    CHECK_OR(byte && byte->size() == 1, Error{Fault::malformed, "coap: percent-encoding"});
    out.push_back(byte->front());
    text.remove_prefix(3);
  }
  CHECK_OR(out.size() <= kMaxSegment, Error{Fault::malformed, "coap: a segment of more than 255 bytes"});
  return out;
}

Status add_parts(Message& m, std::uint16_t option, std::string_view text, char between) {
  while (true) {
    const auto end = text.find(between);
    TRY(const Bytes part, percent_decoded(text.substr(0, end)));
    m.add(option, part);
    if (end == std::string_view::npos) {
      return Ok{};
    }
    text.remove_prefix(end + 1);
  }
}

Result<Method> method_of(Code c) {
  switch (c) {
    case kGet:
      return Method::get;
    case kPost:
      return Method::post;
    case kPut:
      return Method::put;
    case kDelete:
      return Method::del;
    default:
      return Error{Fault::unexpected, "coap: method"};
  }
}

Result<Code> code_of(Method method) {
  switch (method) {
    case Method::get:
      return kGet;
    case Method::post:
      return kPost;
    case Method::put:
      return kPut;
    case Method::del:
      return kDelete;
    case Method::other:
      break;
  }
  return Error{Fault::unsupported, "coap: method"};
}

Status check_options(const Message& m) {
  for (const Option& option : m.options) {
    CHECK_OR(option.number != kProxyUri && option.number != kProxyScheme, Error{Fault::refused, "coap: no proxy"});
    CHECK_OR(!critical(option.number) || std::ranges::find(kUnderstood, option.number) != kUnderstood.end(),
             Error{Fault::unsupported, "coap: critical option"});
  }
  return Ok{};
}

// RFC 7252 section 5.10: an option of another length than its format allows is treated like one not known.
Result<std::string> media_type_option(const Message& m, std::uint16_t option) {
  const Option* const found = m.find(option);
  if (found == nullptr) {
    return std::string();
  }
  if (found->value.size() > 2) {
    CHECK_OR(!critical(option), Error{Fault::unsupported, "coap: Accept"});
    return std::string();
  }
  return media_type(static_cast<std::uint16_t>(*m.number(option)));
}

std::string quoted(BytesView etag) { return "\"" + hex(etag) + "\""; }

// ETags are bytes here and text in quotes on HTTP: hexadecimal stands between.
std::optional<Bytes> etag_bytes(std::string_view etag) {
  if (etag.size() < 3 || etag.front() != '"' || etag.back() != '"') {
    return std::nullopt;
  }
  auto out = from_hex(etag.substr(1, etag.size() - 2));
  return out && !out->empty() && out->size() <= kMaxETag ? out : std::nullopt;
}

Code response_code(const Response& r, Method asked) {
  switch (r.status) {
    case 200:
      return asked == Method::get ? kContent : asked == Method::del ? kDeleted : kChanged;
    case 201:
      return kCreated;
    case 204:
      return asked == Method::del ? kDeleted : kChanged;
    case 304:
      return kValid;
    default:
      break;
  }
  const auto klass = static_cast<unsigned>(r.status / 100);
  const auto detail = static_cast<unsigned>(r.status % 100);
  return (klass == 4 || klass == 5) && detail < 32 ? code(klass, detail) : kServerError;
}

}  // namespace

Result<Request> to_request(const Message& message) {
  Request out;
  TRY(out.method, method_of(message.code));
  TRY([[maybe_unused]] const Ok known, check_options(message));
  for (const Option& option : message.options) {
    if (option.number == kUriPath || option.number == kUriQuery) {
      CHECK_OR(option.value.size() <= kMaxSegment, Error{Fault::malformed, "coap: a segment of more than 255 bytes"});
      const std::string_view segment = as_text(option.value);
      CHECK_OR(option.number != kUriPath || (segment != "." && segment != ".."),
               Error{Fault::malformed, "coap: a path segment of dots"});
      std::string& where = option.number == kUriPath ? out.path : out.query;
      where.append(option.number == kUriPath ? "/" : where.empty() ? "" : "&");
      where.append(percent_encoded(option.value, option.number == kUriPath ? "&" : "/?"));
    } else if (option.number == kUriHost) {
      out.host = as_text(option.value);
    } else if (option.number == kETag && out.if_none_match.empty()) {
      out.if_none_match = quoted(option.value);
    }
  }
  out.path = out.path.empty() ? "/" : out.path;
  TRY(out.content_type, media_type_option(message, kContentFormat));
  TRY(out.accept, media_type_option(message, kAccept));
  out.body = message.payload;
  return out;
}

Result<Message> to_message(const Request& request) {
  Message out;
  TRY(out.code, code_of(request.method));
  CHECK_OR(request.path.starts_with('/'), Error{Fault::malformed, "coap: path"});
  if (request.path.size() > 1) {
    TRY([[maybe_unused]] const Ok path, add_parts(out, kUriPath, std::string_view(request.path).substr(1), '/'));
  }
  if (!request.query.empty()) {
    TRY([[maybe_unused]] const Ok query, add_parts(out, kUriQuery, request.query, '&'));
  }
  if (const auto etag = etag_bytes(request.if_none_match)) {
    out.add(kETag, *etag);
  }
  for (const auto& [type, option] : {std::pair(&request.content_type, kContentFormat), {&request.accept, kAccept}}) {
    if (!type->empty()) {
      const auto number = format_number(*type);
      CHECK_OR(number, Error{Fault::unsupported, "coap: a media type without a Content-Format"});
      out.add_number(option, *number);
    }
  }
  return out;
}

Message to_message(const Response& response, Method asked) {
  Message out;
  out.code = response_code(response, asked);
  if (const auto etag = etag_bytes(response.etag)) {
    out.add(kETag, *etag);
  }
  const bool diagnostic = class_of(out.code) >= 4 && response.content_type.starts_with("text/plain");
  if (!response.content_type.empty() && !diagnostic && out.code != kValid) {
    const auto number = format_number(response.content_type);
    if (!number) {
      return {Type::acknowledgement, kServerError, 0, {}, {}, {}};
    }
    out.add_number(kContentFormat, *number);
  }
  if (response.retry_after_s) {
    out.add_number(kMaxAge,
                   static_cast<std::uint32_t>(std::clamp<std::int64_t>(*response.retry_after_s, 0, 0xffffffff)));
  }
  return out;
}

Result<Response> to_response(const Message& message) {
  const unsigned klass = class_of(message.code);
  CHECK_OR(klass == 2 || klass == 4 || klass == 5, Error{Fault::malformed, "coap: not the code of a response"});
  Response out;
  switch (message.code) {
    case kContent:
    case kChanged:
    case kDeleted:
      out.status = 200;
      break;
    case kValid:
      out.status = 304;
      break;
    default:
      out.status = static_cast<int>(klass * 100 + detail_of(message.code));
  }
  TRY(out.content_type, media_type_option(message, kContentFormat));
  if (const Option* const etag = message.find(kETag)) {
    out.etag = quoted(etag->value);
  }
  if (message.code == kUnavailable) {
    out.retry_after_s = message.number(kMaxAge).value_or(kDefaultMaxAge_s);
  }
  out.body = message.payload;
  return out;
}

Code code_of(const Error& error) {
  switch (error.fault) {
    case Fault::unexpected:
      return code(4, 5);
    case Fault::unsupported:
      return kBadOption;
    case Fault::refused:
      return kProxyingNotSupported;
    default:
      return kBadRequest;
  }
}

}  // namespace imprint::coap
