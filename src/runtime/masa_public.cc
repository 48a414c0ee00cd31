// What a MASA tells everybody: what it is and can do, and the maker's catalogue.
#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "proto/brski/masa_rules.h"
#include "proto/brski/wire.h"
#include "runtime/masa_server.h"

namespace imprint {

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
    return site_->catalogue.empty() ? brski::masa_error(Error{Fault::unsupported, brski::masa::kNoPath})
                                    : Response{200, "application/jose+json", to_bytes(site_->catalogue)};
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
                 {"api", 1},
                 {"name", site_->name},
                 {"software", "imprint " + site_->version},
                 {"formats", forms},
                 {"endpoints", endpoints},
                 {"audit_log_version", 1},
                 {"cloud_registrar", site_->cloud != nullptr},
                 {"limits",
                  {{"request_bytes", brski::kMaxArtifact},
                   {"bulk_bytes", kMasaBulkBytes},
                   {"bulk_requests", site_->most_at_once},
                   {"log_events", site_->config.most_events}}}};
  return Response{200, std::string(brski::kJsonType), to_bytes(out.dump(2) + "\n")};
}

}  // namespace imprint
