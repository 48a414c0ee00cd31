#include "proto/brski/description.h"

#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "crypto/hash.h"
#include "proto/brski/wire.h"

namespace imprint::brski {

Response described(std::string_view json, std::string_view held, Instant now) {
  constexpr Duration kKept = std::chrono::minutes(5);
  Response out{200, std::string(kJsonType), to_bytes(json)};
  out.etag = '"' + hex(sha256(out.body)).substr(0, 32) + '"';
  out.fresh = Freshness{now, now + kKept};
  if (held.find(out.etag) != std::string_view::npos) {  // RFC 9110 section 13.1.2
    out.status = 304;
    out.content_type.clear();
    out.body.clear();
  }
  return out;
}

Response describe_registrar(const RegistrarAbout& about, std::string_view held, Instant now) {
  Json forms = Json::array();
  for (const Form form : {Form::cms, Form::cose, Form::jws}) {
    forms.push_back(media_type(form));
  }
  const Json reports{kJsonType, kCborType};
  Json bindings = Json::array({"https"});
  if (about.coaps) {
    bindings.push_back("coaps");
  }
  if (about.stateless) {
    bindings.push_back("coaps+jpy");
  }
  const auto path = [](Operation operation) { return path_of(operation); };
  Json out{{"service", "registrar"},
           {"role", "registrar"},
           {"api", kRegistrarApi},
           {"specifications",
            {"RFC 8995", "RFC 8366", "RFC 7030", "draft-ietf-anima-constrained-voucher", "draft-ietf-anima-jws-voucher",
             "draft-ietf-anima-brski-cloud"}},
           {"formats", forms},
           {"bindings", bindings},
           {"voucher_first", about.voucher_first},
           {"nonceless", true},  // a voucher that came beforehand serves where no MASA can be reached
           {"bulk",
            {{"serves", false},    // a device asks for itself alone
             {"fetches", true}}},  // vouchers beforehand, many in one call where the MASA has it
           {"telemetry_version", 1},
           {"endpoints",
            {{std::string(kRequestVoucher), path(Operation::request_voucher)},
             {std::string(kVoucherStatus), path(Operation::voucher_status)},
             {std::string(kEnrolStatus), path(Operation::enrol_status)},
             {"est", std::string(kEstRoot).substr(0, kEstRoot.size() - 1)}}},
           {"resources",
            {{std::string(kRequestVoucher), {{"methods", {"POST"}}, {"types", forms}}},
             {std::string(kVoucherStatus), {{"methods", {"POST"}}, {"types", reports}}},
             {std::string(kEnrolStatus), {{"methods", {"POST"}}, {"types", reports}}}}},
           {"limits", {{"request_bytes", kMaxArtifact}}}};
  if (!about.software.empty()) {
    out["software"] = about.software;
  }
  return described(out.dump(2, ' ', true) + "\n", held, now);
}

}  // namespace imprint::brski
