#include <algorithm>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/announcing.h"
#include "app/cli.h"
#include "app/cli_rules.h"
#include "app/server.h"
#include "app/shell_word.h"
#include "crypto/random.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/notify.h"

namespace imprint::app {
namespace {

constexpr Duration kGrace = std::chrono::seconds(10);

io::LogLevel level_of(const std::string& name) {
  return name == "debug"     ? io::LogLevel::debug
         : name == "warning" ? io::LogLevel::warning
         : name == "error"   ? io::LogLevel::error
         : name == "off"     ? io::LogLevel::off
                             : io::LogLevel::info;
}

// A host at which clients on this machine reach the listener and which its certificate names.
std::string host_of(const Config& config) {
  const std::string& address = config.est.address;
  const bool named = std::ranges::find(config.names, address) != config.names.end();
  const std::string host = named ? address : config.names.front();
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

// The same for a listener whose host need not be in a certificate.
std::string listen_host(const Listen& listen) {
  return listen.address.find(':') == std::string::npos ? listen.address : "[" + listen.address + "]";
}

void print_endpoints(const Context& context, const Config& config, const Server& server) {
  const std::string data = std::filesystem::absolute(config.data).lexically_normal().string();
  const std::string est = "https://" + host_of(config) + ":" + std::to_string(server.est_port()) + "/.well-known/est";
  const std::string api =
      (config.api_tls ? "https://" : "http://") + listen_host(config.api) + ":" + std::to_string(server.api_port());
  const std::string est_curl = "curl -s --cacert " + shell_word(data + "/ca/chain.pem") + " " + est + "/cacerts";
  const std::string of_api = api_curl(data, api, "/v1/devices", is_loopback(config.api));
  const std::string coaps =
      config.coaps ? "coaps://" + host_of(config) + ":" + std::to_string(server.coaps_port()) + "/.well-known/est" : "";
  const std::string status =
      config.status ? "http://" + listen_host(*config.status) + ":" + std::to_string(server.status_port()) : "";
  context.print(Json{{"est", est},
                     {"coaps", coaps.empty() ? Json() : Json(coaps)},
                     {"status", status.empty() ? Json() : Json(status)},
                     {"api", api},
                     {"ca", data + "/ca/chain.pem"},
                     {"admin_token_file", data + "/admin.token"},
                     {"try", {est_curl, of_api}}},
                "EST  " + est + "\n" + (coaps.empty() ? "" : "     " + coaps + "\n") +
                    (status.empty() ? "" : "CA   " + status + "/ocsp\n     " + status + "/crl\n") + "API  " + api +
                    "\n\ntry:\n  " + est_curl + "\n  " + of_api + "\n");
}

// A new configuration, all or nothing; what is wrong with it is told, and the old one stays. `started` is the one that
// the listeners were opened with.
void reload(const Context& context, Server& server, const Config& started) {
  auto config = context.config();
  const OrProblem<Ok> done = config ? about(server.reload(*config), "reload") : OrProblem<Ok>(config.error());
  if (done) {
    io::set_log(level_of((*config).log_level), (*config).log_json);
    context.progress("configuration taken");
    for (const std::string& key : keys_for_restart(started, *config)) {
      context.progress(key + " has changed: not in force until `imprint serve` is started again");
    }
  } else {
    context.print(done.error());
  }
}

std::string listen_text(const Listen& listen) { return listen.address + " port " + std::to_string(listen.port); }

bool of_upstream(const Rule* rule) { return rule != nullptr && rule->id.starts_with("EST-UPSTREAM-"); }

// Names the address that could not be had.
OrProblem<std::unique_ptr<Server>> start(const Config& config) {
  auto server = Server::start(config);
  if (server) {
    return *std::move(server);
  }
  const Rule* const rule = server.error().rule;
  return Problem(server.error(), rule == &kListenEst        ? "EST at " + listen_text(config.est)
                                 : rule == &kListenCoaps    ? "EST over CoAPS at " + listen_text(*config.coaps)
                                 : rule == &kListenApi      ? "admin API at " + listen_text(config.api)
                                 : rule == &kAdministrators ? "api.administrators, api.revocation_lists"
                                 : rule == &kListenStatus   ? "certificate status at " + listen_text(*config.status)
                                 : of_upstream(rule)        ? "upstream.uri " + config.upstream.uri
                                                            : config.data);
}

void keep_alive(io::Loop& loop, const io::ServiceManager& service) {
  if (const auto every = service.alive_every()) {
    service.alive();
    loop.after(*every, [&loop, &service] { keep_alive(loop, service); });
  }
}

OrProblem<Ok> serve(const Context& context) {
  const auto service = io::ServiceManager::from_environment();
  TRY(const Config config, context.config());
  io::set_log(level_of(config.log_level), config.log_json);
  io::Loop loop;
  TRY(const auto server, start(config));
  loop.on_signal(SIGINT, [&loop] { loop.stop(); });
  loop.on_signal(SIGTERM, [&loop] { loop.stop(); });
  loop.on_signal(SIGHUP, [&] { reload(context, *server, config); });
  SystemRng rng;
  TRY(Voices voices, announce(loop, rng, config, *server));
  print_endpoints(context, config, *server);
  context.progress("serving; ends with SIGINT or SIGTERM, reads its configuration again with SIGHUP");
  service.ready();
  service.status("serving EST on port " + std::to_string(server->est_port()));
  keep_alive(loop, service);
  loop.run();
  service.stopping();
  voices.clear();  // they say good-bye before the first device is turned away
  context.progress("stopping: answers what is under way");
  server->stop(kGrace);
  return Ok{};
}

}  // namespace

void add_serve(Command top) {
  top.sub("serve", "Serve EST for devices and the admin API. Makes the data folder if there is none.",
          "imprint serve\nimprint --config imprint.toml serve\nIMPRINT_EST_LISTEN=0.0.0.0:8443 imprint serve")
      .runs(serve);
}

}  // namespace imprint::app
