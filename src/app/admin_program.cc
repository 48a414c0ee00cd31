// Routes of the program itself: the CA, health, metrics, events, its own description.
#include <nlohmann/json.hpp>

#include "app/admin_routes.h"
#include "app/rules.h"
#include "app/version.h"

namespace imprint::app::admin {
namespace {

Response plain(std::string_view type, BytesView body) {
  Response out;
  out.status = 200;
  out.content_type = type;
  out.body = to_bytes(body);
  return out;
}

Result<Outcome> show_ca(const Env& env, const Call& /*call*/) {
  const std::string pem = env.site.ca_pem();
  TRY(const std::vector<Certificate> chain, parse_pem_certificates(pem));
  CHECK_OR(!chain.empty(), Error{Fault::internal, "ca: no certificate"});
  const Certificate& ca = chain.front();
  return json_answer(200, {{"subject", ca.subject.text},
                           {"serial", hex(ca.serial)},
                           {"key", imprint::name(ca.key.type)},
                           {"not_before", utc_text(ca.not_before)},
                           {"not_after", utc_text(ca.not_after)},
                           {"sha256", fingerprint_text(ca.fingerprint())},
                           {"pem", pem}});
}

Result<Outcome> show_crl(const Env& env, const Call& /*call*/) {
  return plain("application/pkix-crl", env.site.revocation_list());
}

Result<Outcome> events(const Env& /*env*/, const Call& /*call*/) { return Stream{}; }

Result<Outcome> version(const Env& /*env*/, const Call& /*call*/) {
  return json_answer(200, {{"name", "imprint"}, {"version", kVersion}, {"api", "v1"}});
}

Result<Outcome> healthz(const Env& env, const Call& /*call*/) {
  const Result<std::unique_ptr<store::Reader>> reader = env.store.read();
  const bool store = reader && (*reader)->device("").operator bool();
  const bool listeners = env.site.ready();
  const bool good = store && listeners;
  return json_answer(good ? 200 : 503,
                     {{"status", good ? "ok" : "failing"}, {"store", store}, {"listeners", listeners}});
}

Result<Outcome> metrics(const Env& env, const Call& /*call*/) {
  std::map<std::string, double> gauges = env.site.gauges();
  if (const auto reader = env.store.read()) {
    for (const std::string table : {"devices", "certificates", "pending", "pledges", "runs", "audit"}) {
      if (const Result<std::int64_t> rows = (*reader)->count(table)) {
        gauges["imprint_store_rows{table=\"" + table + "\"}"] = static_cast<double>(*rows);
      }
    }
  }
  return plain("text/plain; version=0.0.4; charset=utf-8", view(env.hub.metrics(gauges)));
}

Result<Outcome> description(const Env& /*env*/, const Call& /*call*/) {
  static const std::string document = openapi(routes());
  return plain("application/json", view(document));
}

const std::array kRoutes{
    Route{.pattern = "/v1/ca",
          .operation = "getCa",
          .summary = "The owner's CA: its certificate and those above",
          .handler = show_ca,
          .schema = "Ca"},
    Route{.pattern = "/v1/ca/crl",
          .operation = "getRevocationList",
          .summary = "The certificate revocation list, DER (application/pkix-crl)",
          .handler = show_crl},
    Route{.pattern = "/v1/events",
          .operation = "streamEvents",
          .summary = "What happens from now on, as server-sent events; Last-Event-ID takes the stream up again",
          .handler = events},
    Route{.pattern = "/v1/version",
          .operation = "getVersion",
          .summary = "Which Imprint this is",
          .handler = version,
          .schema = "Version"},
    Route{.pattern = "/healthz",
          .operation = "getHealth",
          .summary = "200 if the store answers and the listeners are up, else 503",
          .handler = healthz,
          .schema = "Health",
          .open = true},
    Route{.pattern = "/metrics",
          .operation = "getMetrics",
          .summary = "Metrics in the Prometheus text format",
          .handler = metrics,
          .open = true},
    Route{.pattern = "/openapi.json",
          .operation = "getDescription",
          .summary = "This document",
          .handler = description,
          .schema = "Anything",
          .open = true}};

}  // namespace

std::span<const Route> program_routes() { return kRoutes; }

std::vector<Route> routes() {
  std::vector<Route> out;
  for (const std::span<const Route> part :
       {device_routes(), import_routes(), record_routes(), pledge_routes(), program_routes()}) {
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

}  // namespace imprint::app::admin
