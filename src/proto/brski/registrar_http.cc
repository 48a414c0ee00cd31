// The registrar's side over HTTP: which path carries which message. Tables, no decisions.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "proto/brski/registrar.h"
#include "proto/brski/registrar_rules.h"

namespace imprint::brski {
namespace {

// Whether anything at all is taken (RFC 9110 section 12.5.1).
bool takes_anything(std::string_view accept) {
  return accept.empty() || accept.find("*/*") != std::string_view::npos ||
         accept.find("application/*") != std::string_view::npos;
}

Result<RegistrarMessage> parse_voucher_request(Exchange from, const Request& request) {
  const std::vector<Form> form = accepted_forms(request.content_type);
  CHECK_OR(form.size() == 1, Error{Fault::unsupported, kRequestType});
  const std::vector<Form> accepts = accepted_forms(request.accept);
  CHECK_OR(!accepts.empty() || takes_anything(request.accept), Error{Fault::unsupported, kAnswerType});
  return RegistrarMessage(Registrar::RequestVoucher{from, request.session, request.body, form.front(), accepts});
}

Result<Telemetry> parse_telemetry(const Request& request) {
  const std::string type = request.content_type.substr(0, request.content_type.find(';'));
  CHECK_OR(type == kJsonType || type == kCborType, Error{Fault::unsupported, kRequestType});
  auto out = type == kJsonType ? parse_json_telemetry(as_text(request.body)) : parse_cbor_telemetry(request.body);
  CHECK_OR(out, Error{out.error().fault, kTelemetryUnreadable});
  return out;
}

}  // namespace

Result<RegistrarMessage> parse_registrar_request(Exchange from, const Request& request) {
  const std::optional<Operation> operation = operation_of(request.path);
  CHECK_OR(operation && *operation != Operation::request_audit_log, Error{Fault::unsupported, kNoSuchResource});
  CHECK_OR(*operation != Operation::describe, Error{Fault::unexpected, kWantsGetHere});
  CHECK_OR(request.method == Method::post, Error{Fault::unexpected, kWantsPostHere});
  if (*operation == Operation::request_voucher) {
    return parse_voucher_request(from, request);
  }
  TRY(Telemetry telemetry, parse_telemetry(request));
  if (*operation == Operation::voucher_status) {
    return RegistrarMessage(Registrar::ReportVoucher{from, request.session, std::move(telemetry)});
  }
  return RegistrarMessage(Registrar::ReportEnrolment{from, request.session, std::move(telemetry)});
}

}  // namespace imprint::brski
