#include "io/http_message.h"

#include <algorithm>

namespace imprint::io {
namespace {

// Chunk sizes and line ends around a body of n bytes may take this much: one-byte chunks need five bytes each.
std::size_t framing_allowance(std::size_t body, const HttpLimits& limits) { return limits.header_bytes + 8 * body; }

bool is_token(std::string_view name) {
  static constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           kOthers.find(c) != std::string_view::npos;
  });
}

std::string_view trim(std::string_view v) {
  const std::size_t last = v.find_last_not_of(" \t");
  return last == std::string_view::npos ? std::string_view{} : v.substr(0, last + 1);
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, [&](char x, char y) { return lower(x) == lower(y); });
}

std::size_t count(const std::vector<HttpField>& fields, std::string_view name) {
  return static_cast<std::size_t>(
      std::ranges::count_if(fields, [&](const HttpField& f) { return same_name(f.name, name); }));
}

// The value of the first field of this name, empty if there is none.
std::string_view value(const std::vector<HttpField>& fields, std::string_view name) {
  const auto it = std::ranges::find_if(fields, [&](const HttpField& f) { return same_name(f.name, name); });
  return it == fields.end() ? std::string_view{} : it->value;
}

std::size_t HttpMessage::feed(BytesView in) {
  std::size_t used = 0;
  while (used < in.size() && !refusal && !complete) {
    used += framing_ == Framing::head ? feed_head(in.subspan(used)) : feed_body(in.subspan(used));
  }
  return used;
}

void HttpMessage::end() {
  if (framing_ == Framing::until_close) {
    complete = true;
  } else if (started() && !complete) {
    refuse(400, "the message was cut off");
  }
}

void HttpMessage::reset() {
  http_parser_init(&parser, type_);
  parser.data = this;
  head_.clear();
  framing_ = Framing::head;
  complete = keep_alive = false;
  body = {};
  left_ = around_ = 0;
  most_body_ = limits_.body_bytes;
  chunks_ = {};
}

void HttpMessage::refuse(int status, std::string_view why) {
  if (!refusal) {
    refusal = HttpRefusal{status, why};
  }
}

std::size_t HttpMessage::feed_head(BytesView in) {
  const std::size_t used = head_.take(in, limits_.header_bytes);
  if (head_.fault()) {
    refuse(head_.fault()->status, head_.fault()->why);
  } else if (head_.complete()) {
    parse_head();
    fields_ = {};
    target_ = {};
    head_.clear();  // it may hold a password
  }
  return used;
}

void HttpMessage::parse_head() {
  static const http_parser_settings settings = make_settings();
  const BytesView in = head_.bytes();
  const std::size_t used = http_parser_execute(&parser, &settings, reinterpret_cast<const char*>(in.data()), in.size());
  const http_errno error = HTTP_PARSER_ERRNO(&parser);
  if (error != HPE_OK && error != HPE_PAUSED) {
    refuse(error == HPE_INVALID_TRANSFER_ENCODING ? 501 : 400, http_errno_description(error));
  } else if (used != in.size()) {
    refuse(400, "the head ends twice");
  }
}

void HttpMessage::head_complete() {
  if (!std::ranges::all_of(fields_, [](const HttpField& f) { return is_token(f.name); })) {
    refuse(400, "a header name with a character that has no place there");
  }
  on_head(target_, fields_);
  keep_alive = http_should_keep_alive(&parser) != 0;
  choose_framing();
  parser.upgrade = 0;  // we speak HTTP/1.1 only and go on with it
}

void HttpMessage::choose_framing() {
  framing_ = unframed();
  if (framing_ == Framing::none && type_ == HTTP_RESPONSE) {
    complete = true;  // 204 and 304 have no body whatever their fields say
  } else if ((parser.flags & F_CHUNKED) != 0) {
    framing_ = Framing::chunks;
  } else if ((parser.flags & F_CONTENTLENGTH) != 0) {
    framing_ = Framing::length;
    left_ = parser.content_length;
  }
  complete = complete || framing_ == Framing::none || (framing_ == Framing::length && left_ == 0);
  keep_alive = keep_alive && framing_ != Framing::until_close;
  if (left_ > most_body_) {
    refuse(413, "the body is larger than we take");
  }
}

void HttpMessage::limit_body(std::size_t bytes) {
  most_body_ = std::min(bytes, limits_.body_bytes);
  if (body.size() > most_body_ || left_ > most_body_ - body.size()) {
    refuse(413, "the body is larger than we take here");
  }
}

std::size_t HttpMessage::feed_body(BytesView in) {
  if (framing_ == Framing::chunks) {
    return feed_chunks(in);
  }
  if (framing_ == Framing::until_close && in.size() > most_body_ - body.size()) {
    refuse(413, "the body is larger than we take");
    return 0;
  }
  const std::size_t n = framing_ == Framing::length ? std::min<std::uint64_t>(left_, in.size()) : in.size();
  body.insert(body.end(), in.begin(), in.begin() + static_cast<std::ptrdiff_t>(n));
  left_ -= framing_ == Framing::length ? n : 0;
  complete = framing_ == Framing::length && left_ == 0;
  return n;
}

std::size_t HttpMessage::feed_chunks(BytesView in) {
  const std::size_t before = body.size();
  const std::size_t used = chunks_.take(in, body, most_body_);
  around_ += used - (body.size() - before);
  complete = chunks_.complete();
  if (chunks_.too_large()) {
    refuse(413, "the body is larger than we take");
  } else if (chunks_.broken()) {
    refuse(400, "a chunk that is not well formed");
  } else if (around_ > framing_allowance(body.size(), limits_)) {
    refuse(400, "chunks with too much around them");
  }
  return used;
}

// The head comes in one piece, so every name and value does.
http_parser_settings HttpMessage::make_settings() {
  http_parser_settings s{};
  s.on_url = [](http_parser* p, const char* at, std::size_t n) {
    self(p).target_ = {at, n};
    return 0;
  };
  s.on_header_field = [](http_parser* p, const char* at, std::size_t n) {
    self(p).fields_.push_back({{at, n}, {}});
    return 0;
  };
  s.on_header_value = [](http_parser* p, const char* at, std::size_t n) {
    self(p).fields_.back().value = trim({at, n});
    return 0;
  };
  s.on_headers_complete = [](http_parser* p) {
    self(p).head_complete();
    return 1;  // the body is not for http_parser
  };
  s.on_message_complete = [](http_parser* p) {
    http_parser_pause(p, 1);
    return 0;
  };
  return s;
}

}  // namespace imprint::io
