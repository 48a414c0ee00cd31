// What reading a request and reading a response have in common. Private to this folder.
#pragma once

#include <http_parser.h>

#include <vector>

#include "io/http.h"
#include "io/http_chunks.h"
#include "io/http_head.h"

namespace imprint::io {

// A header field, as a view into the head while that is parsed.
struct HttpField {
  std::string_view name, value;
};

// Names of header fields, and coding names, do not depend on case.
bool same_name(std::string_view a, std::string_view b);
std::size_t count(const std::vector<HttpField>& fields, std::string_view name);
// The value of the first field of this name, empty if there is none.
std::string_view value(const std::vector<HttpField>& fields, std::string_view name);

// The head is collected, linted, and then given to http_parser in one piece; the body is ours, since http_parser as
// Debian builds it is not strict about chunks. http_parser starts anew with each message, so nothing leaks from one
// into the next.
class HttpMessage {
 public:
  HttpMessage(http_parser_type type, HttpLimits limits) : limits_(limits), type_(type) { reset(); }
  virtual ~HttpMessage() = default;
  HttpMessage(const HttpMessage&) = delete;
  HttpMessage& operator=(const HttpMessage&) = delete;

  // Takes bytes up to the end of one message or to a refusal; says how many.
  std::size_t feed(BytesView in);
  // The peer has closed.
  void end();
  // Ready for the next message.
  void reset();
  // Of this message's body, below the limits.
  void limit_body(std::size_t bytes);
  // The first refusal stands.
  void refuse(int status, std::string_view why);
  bool started() const { return in_body() || !head_.empty(); }
  bool in_body() const { return framing_ != Framing::head; }

  http_parser parser{};
  std::optional<HttpRefusal> refusal;
  bool complete = false, keep_alive = false;
  Bytes body;

 protected:
  enum class Framing : std::uint8_t { head, none, length, chunks, until_close };

  // Called once the head is read; may refuse.
  virtual void on_head(std::string_view target, const std::vector<HttpField>& fields) = 0;
  // How a body ends that says neither its length nor that it is chunked. For a response `none` is final (204).
  virtual Framing unframed() const = 0;

 private:
  static HttpMessage& self(http_parser* p) { return *static_cast<HttpMessage*>(p->data); }
  static http_parser_settings make_settings();
  std::size_t feed_head(BytesView in);
  void parse_head();
  void head_complete();
  void choose_framing();
  std::size_t feed_body(BytesView in);
  std::size_t feed_chunks(BytesView in);

  const HttpLimits limits_;
  const http_parser_type type_;
  HttpHead head_;
  Framing framing_ = Framing::head;
  HttpChunks chunks_;
  std::size_t most_body_ = 0;
  std::uint64_t left_ = 0;  // of a body with Content-Length
  std::size_t around_ = 0;  // bytes of a chunked body that are not content
  std::string_view target_;
  std::vector<HttpField> fields_;
};

}  // namespace imprint::io
