// Bodies, HTTP and CoAP requests from outside.
#include <array>
#include <cstdlib>

#include "proto/est/coap.h"
#include "proto/est/fullcmc.h"

using namespace imprint;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView in(data, size);
  const auto der = est::decode_body(in);
  if (der && der->size() > 2 * est::kMaxBody) {
    std::abort();
  }
  if (const auto wishes = est::CsrAttributes::parse(der ? *der : in)) {
    if (!est::CsrAttributes::parse(wishes->encode())) {
      std::abort();  // what we read we can write, and read again
    }
  }
  static const est::ServerConfig config = [] {
    est::ServerConfig out;
    out.labels[""] = {};
    out.labels["x"] = {};
    return out;
  }();
  Request request;
  request.method = size % 2 == 0 ? Method::post : Method::get;
  request.path =
      size % 3 == 0 ? std::string(as_text(in.first(std::min<std::size_t>(size, 80)))) : "/.well-known/est/simpleenroll";
  request.content_type = "application/pkcs10";
  request.body = to_bytes(in);
  (void)est::parse_pki_data(in);
  if (const auto response = est::parse_pki_response(in)) {
    if (!est::parse_pki_response(est::encode_pki_response(*response))) {
      std::abort();
    }
  }
  request.session = std::make_shared<const Session>();
  Request full = request;
  full.method = Method::post;
  full.path = "/.well-known/est/fullcmc";
  full.content_type = est::kCmcRequestType;
  (void)est::parse_http_request({1}, full, config, Instant{});
  const auto message = est::parse_request({1}, request, config);
  if (!message && est::wire_error(message.error()).status < 400) {
    std::abort();
  }
  static constexpr std::array<std::string_view, 7> kShort{"/est/crts", "/est/att", "/est/sen", "/.well-known/est/x/sen",
                                                          "/est/sren", "/est/skg", "/est/skc"};
  Request over_coap = request;
  over_coap.path = size % 3 == 0 ? request.path : std::string(kShort.at(size % kShort.size()));
  over_coap.accept = size % 5 == 0 ? "application/pkix-cert" : "";
  const auto asked = est::parse_coap_request({1}, over_coap, config);
  if (!asked && est::to_coap(est::wire_error(asked.error()), over_coap).status < 400) {
    std::abort();
  }
  return 0;
}
