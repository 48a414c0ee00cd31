// What a MASA tells everybody: what it is and can do, and the maker's catalogue.
#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "crypto/hash.h"
#include "proto/brski/description.h"
#include "proto/brski/masa_rules.h"
#include "proto/brski/wire.h"
#include "runtime/masa_server.h"

namespace imprint {
namespace {

// Whoever has it already is told so (RFC 9110 section 13.1.2).
Response catalogue_answer(const std::string& catalogue, std::string_view held) {
  if (catalogue.empty()) {
    return brski::masa_error(Error{Fault::unsupported, brski::masa::kNoPath});
  }
  Response out{200, "application/jose+json", to_bytes(catalogue)};
  out.etag = '"' + hex(sha256(out.body)) + '"';
  if (held.find(out.etag) != std::string_view::npos) {
    out.status = 304;
    out.content_type.clear();
    out.body.clear();
  }
  return out;
}

Json ways_in(const factory::MasaPolicy& policy) {
  Json out = Json::array({"certificate"});
  if (policy.digest) {
    out.push_back("digest");
  }
  if (policy.basic) {
    out.push_back("basic");
  }
  return out;
}

}  // namespace

// What needs nobody's word: what this is, and the catalogue.
std::optional<Response> MasaServer::public_answer(const Request& request) const {
  const bool catalogue = request.path == kMasaCataloguePath;
  const auto operation = brski::operation_of(request.path);
  if (!catalogue && operation != brski::Operation::describe) {
    return std::nullopt;
  }
  if (request.method != Method::get) {
    Response out = brski::masa_error(Error{Fault::unexpected, brski::masa::kMethod});
    out.allow = "GET, HEAD";
    return out;
  }
  if (catalogue) {
    return catalogue_answer(site_->catalogue, request.if_none_match);
  }
  Json forms = Json::array();
  for (const brski::Form form : {brski::Form::cms, brski::Form::cose, brski::Form::jws}) {
    forms.push_back(brski::media_type(form));
  }
  const std::string root(brski::kRoot);
  Json endpoints{{"requestvoucher", root + std::string(brski::kRequestVoucher)},
                 {"requestauditlog", root + std::string(brski::kRequestAuditLog)},
                 {"requestvouchers", kMasaBulkPath}};
  if (!site_->catalogue.empty()) {
    endpoints["catalogue"] = kMasaCataloguePath;
  }
  const Json out{{"service", "masa"},
                 {"api", kMasaApi},
                 {"name", site_->name},
                 {"software", "imprint " + site_->version},
                 {"specifications",
                  {"RFC 8995", "RFC 8366", "draft-ietf-anima-constrained-voucher", "draft-ietf-anima-jws-voucher"}},
                 {"formats", forms},
                 {"authentication", ways_in(site_->policy)},
                 {"nonceless", true},
                 {"base64_bodies", site_->base64_bodies},
                 {"endpoints", endpoints},
                 {"audit_log_version", 1},
                 {"catalogue_version", 1},
                 {"cloud_registrar", site_->cloud != nullptr},
                 {"limits",
                  {{"request_bytes", brski::kMaxArtifact},
                   {"bulk_bytes", kMasaBulkBytes},
                   {"bulk_requests", site_->most_at_once},
                   {"log_events", site_->config.most_events}}}};
  return brski::described(out.dump(2) + "\n", request.if_none_match, schedule_.now());
}

}  // namespace imprint
