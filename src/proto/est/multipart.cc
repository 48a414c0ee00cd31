#include "proto/est/multipart.h"

#include <algorithm>
#include <array>

#include "codec/base64.h"
#include "codec/cbor.h"
#include "proto/est/messages.h"

namespace imprint::est {
namespace {

constexpr std::string_view kBoundary = "est-part-of-this-answer";  // with '-', which base64 has not
constexpr std::size_t kMaxParts = 8;
constexpr std::size_t kMaxHeaders = 16;
constexpr std::size_t kMaxBoundary = 70;  // RFC 2046 section 5.1.1
const Error kBad{Fault::malformed, "multipart: structure"};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool begins(std::string_view text, std::string_view with) {
  for (std::size_t i = 0; i < with.size(); ++i) {
    if (i >= text.size() || lower(text[i]) != with[i]) {
      return false;
    }
  }
  return true;
}

std::string_view trimmed(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && is_space(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && is_space(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

Result<std::string> boundary_of(std::string_view content_type) {
  CHECK_OR(begins(content_type, "multipart/"), Error{Fault::unsupported, "multipart: content type"});
  std::string_view rest = content_type;
  for (auto at = rest.find(';'); at != std::string_view::npos; at = rest.find(';')) {
    rest = trimmed(rest.substr(at + 1));
    if (!begins(rest, "boundary")) {
      continue;
    }
    std::string_view value = trimmed(rest.substr(8));
    CHECK_OR(value.starts_with('='), kBad);
    value = trimmed(value.substr(1));
    const bool quoted = value.starts_with('"');
    value = quoted ? value.substr(1, value.find('"', 1) - 1) : trimmed(value.substr(0, value.find(';')));
    CHECK_OR(!value.empty() && value.size() <= kMaxBoundary, kBad);
    return std::string(value);
  }
  return kBad;
}

// A line without its end; what is left stays in `rest`.
std::string_view take_line(std::string_view& rest) {
  const auto end = rest.find('\n');
  std::string_view line = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  return line;
}

Result<std::string> read_headers(std::string_view& rest) {
  std::string type;
  for (std::size_t count = 0;; ++count) {
    CHECK_OR(count <= kMaxHeaders, Error{Fault::limit, "multipart: headers"});
    const std::string_view line = take_line(rest);
    if (line.empty()) {
      return type;
    }
    constexpr std::string_view kName = "content-type:";
    if (begins(line, kName)) {
      type = trimmed(line.substr(kName.size()));
    } else if (!type.empty() && type.ends_with(';') && (line.front() == ' ' || line.front() == '\t')) {
      type.append(" ").append(trimmed(line));  // a folded line (RFC 5322 section 2.2.3)
    }
  }
}

// RFC 9148 section 9.1 table 4.
struct Format {
  std::uint64_t number;
  std::string_view media_type;
};
constexpr std::array kFormats{Format{280, "application/pkcs7-mime; smime-type=server-generated-key"},
                              Format{281, "application/pkcs7-mime; smime-type=certs-only"},
                              Format{284, "application/pkcs8"}, Format{287, "application/pkix-cert"}};

enum class Mark : std::uint8_t { none, next, last };

Mark mark_of(std::string_view line, std::string_view boundary) {
  line = trimmed(line);
  if (!line.starts_with("--") || !line.substr(2).starts_with(boundary)) {
    return Mark::none;
  }
  const std::string_view after = line.substr(2 + boundary.size());
  return after.empty() ? Mark::next : after == "--" ? Mark::last : Mark::none;
}

}  // namespace

std::string multipart_type() { return "multipart/mixed; boundary=" + std::string(kBoundary); }

Bytes encode_multipart(const std::vector<Part>& parts) {
  Bytes out;
  std::size_t whole = 256;  // at once: no copy of a key is left behind in a buffer that was too small
  for (const Part& part : parts) {
    whole += part.body.size() * 2 + 256;
  }
  out.reserve(whole);
  const auto add = [&out](std::string_view text) { out.insert(out.end(), text.begin(), text.end()); };
  for (const Part& part : parts) {
    std::string body = base64_lines(part.body.expose());
    add("--");
    add(kBoundary);
    add("\r\nContent-Type: ");
    add(part.content_type);
    add("\r\nContent-Transfer-Encoding: base64\r\n\r\n");
    add(body);
    add("\r\n");
    wipe({reinterpret_cast<std::uint8_t*>(body.data()), body.size()});
  }
  add("--");
  add(kBoundary);
  add("--\r\n");
  return out;
}

Result<std::vector<Part>> parse_multipart(std::string_view content_type, BytesView body) {
  CHECK_OR(body.size() <= 2 * kMaxBody, Error{Fault::limit, "multipart: size"});
  TRY(const std::string boundary, boundary_of(content_type));
  std::string_view rest = as_text(body);
  Mark mark = Mark::none;
  while (mark == Mark::none && !rest.empty()) {  // the preamble
    mark = mark_of(take_line(rest), boundary);
  }
  std::vector<Part> out;
  while (mark == Mark::next) {
    CHECK_OR(out.size() < kMaxParts, Error{Fault::limit, "multipart: parts"});
    TRY(std::string type, read_headers(rest));
    const std::string_view start = rest;
    std::size_t length = 0;
    for (mark = Mark::none; mark == Mark::none && !rest.empty();) {
      length = start.size() - rest.size();
      mark = mark_of(take_line(rest), boundary);
    }
    out.push_back({std::move(type), Secret(start.substr(0, length))});
  }
  CHECK_OR(mark == Mark::last && !out.empty(), kBad);
  return out;
}

Result<Bytes> encode_multipart_core(const std::vector<Part>& parts) {
  cbor::Writer out;
  out.array(parts.size() * 2);
  for (const Part& part : parts) {
    const auto* const format = std::ranges::find(kFormats, part.content_type, &Format::media_type);
    CHECK_OR(format != kFormats.end(), Error{Fault::internal, "multipart: media type"});
    out.number(format->number);
    out.bytes(part.body.expose());
  }
  return std::move(out).out();
}

Result<std::vector<Part>> parse_multipart_core(BytesView body) {
  CHECK_OR(body.size() <= 2 * kMaxBody, Error{Fault::limit, "multipart: size"});
  cbor::Reader in(body);
  const std::uint64_t items = in.next(cbor::Kind::array).value;
  CHECK_OR(in.good() && items % 2 == 0 && items > 0, kBad);
  CHECK_OR(items <= 2 * kMaxParts, Error{Fault::limit, "multipart: parts"});
  std::vector<Part> out;
  for (std::uint64_t i = 0; i < items / 2; ++i) {
    const std::uint64_t number = in.next(cbor::Kind::number).value;
    const BytesView content = in.next(cbor::Kind::bytes).content;
    CHECK_OR(in.good(), kBad);
    const auto* const format = std::ranges::find(kFormats, number, &Format::number);
    CHECK_OR(format != kFormats.end(), Error{Fault::unsupported, "multipart: content format"});
    out.push_back({std::string(format->media_type), Secret(content)});
  }
  CHECK_OR(in.done(), kBad);
  return out;
}

}  // namespace imprint::est
