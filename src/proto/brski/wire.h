// Paths, media types and limits of BRSKI over HTTP (RFC 8995 section 5) and CoAP (draft-ietf-anima-constrained-voucher
// section 6).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/brski/artifact.h"
#include "role/session.h"

namespace imprint::brski {

inline constexpr std::string_view kRoot = "/.well-known/brski/";
inline constexpr std::string_view kEstRoot = "/.well-known/est/";  // of drafts before RFC 8995: an alias, for requests
inline constexpr std::string_view kRequestVoucher = "requestvoucher", kVoucherStatus = "voucher_status",
                                  kEnrolStatus = "enrollstatus", kRequestAuditLog = "requestauditlog",
                                  kRequestVouchers =
                                      "requestvouchers";  // ours: many at once (docs/decisions/0020-maker-service.md)
inline constexpr std::string_view kJsonType = "application/json", kCborType = "application/cbor";

enum class Operation : std::uint8_t { request_voucher, voucher_status, enrol_status, request_audit_log, describe };
// Which operation a path of either binding means: "/.well-known/brski/requestvoucher", "/b/rv". None: it is not ours.
std::optional<Operation> operation_of(std::string_view path);
// The path of an operation below a base as "/.well-known/brski".
std::string path_of(Operation operation, std::string_view base = "/.well-known/brski");

// The forms that an Accept header names, in its order; empty if it names none of ours (or "*/*").
std::vector<Form> accepted_forms(std::string_view accept);

// The answer to what was refused: status, and the rule in words as text/plain. `to_device`: a device learns less than
// a registrar.
Response wire_error(const Error& error);

}  // namespace imprint::brski
