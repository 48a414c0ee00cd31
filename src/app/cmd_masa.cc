#include "app/cmd_masa.h"

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/cli_rules.h"
#include "app/folder_lock.h"
#include "app/host_port.h"
#include "app/masa_folder_rules.h"
#include "crypto/random.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/notify.h"
#include "proto/brski/masa_url.h"

namespace imprint::app {
namespace {

constexpr Duration kGrace = std::chrono::seconds(10);
constexpr std::size_t kMostConnections = 1000;

// The maker's CA: the folder that is named, or the one of `imprint factory make` in this data folder.
OrProblem<std::string> maker_folder(const Context& context, const std::string& named) {
  if (!named.empty()) {
    return named;
  }
  TRY(const Config config, context.config());
  return config.data + "/factory";
}

struct InitOptions {
  std::string folder{kMasaFolder}, maker;
  MasaSettings settings;
  std::vector<std::string> names;
  bool sold_only = false, blind_claims = false;
};

OrProblem<Ok> init(const Context& context, InitOptions options) {
  SystemRng rng;
  options.settings.first_claim = !options.sold_only;
  options.settings.proximity_only = !options.blind_claims;
  if (!brski::masa_url(options.settings.authority)) {
    return Problem(Error{Fault::malformed, kOption}, "--url " + options.settings.authority);
  }
  TRY(const std::string maker, maker_folder(context, options.maker));
  TRY([[maybe_unused]] const Ok made,
      make_masa(options.folder, maker, options.settings, options.names, io::wall_clock(), rng));
  context.print(
      Json{{"folder", options.folder},
           {"url", options.settings.authority},
           {"anchors", options.folder + "/anchors.pem"}},
      "MASA of " + options.settings.name + " at " + options.settings.authority + "\nfolder  " + options.folder + "\n");
  context.progress(
      "next: `imprint masa device import OUT/manifest.jsonl`, `imprint masa serve`; devices are to be made "
      "with `imprint factory make --masa " +
      options.settings.authority + " …`");
  return Ok{};
}

struct RolloverOptions {
  std::string folder{kMasaFolder}, maker;
  std::vector<std::string> names;
  bool tls = false;
};

OrProblem<Ok> roll_over(const Context& context, const RolloverOptions& options) {
  SystemRng rng;
  TRY(const std::string maker, maker_folder(context, options.maker));
  TRY(const Certificate made, roll_over_masa(options.folder, maker, options.tls ? MasaKey::tls : MasaKey::signer,
                                             options.names, io::wall_clock(), rng));
  context.print(Json{{"subject", made.subject.text},
                     {"not_after", utc_text(made.not_after)},
                     {"sha256", fingerprint_text(made.fingerprint())}},
                made.subject.text + ", until " + utc_text(made.not_after) + "\n");
  context.progress("a server that runs takes it with SIGHUP");
  return Ok{};
}

struct ServeOptions {
  std::string folder{kMasaFolder}, listen = "127.0.0.1:9443";
};

void log_request(const MasaServer::Told& told) {
  const std::string status = std::to_string(told.status);
  io::log(told.status == 200 ? io::LogLevel::info : io::LogLevel::warning, "masa.request",
          {{"path", told.path},
           {"status", status},
           {"device", told.device},
           {"customer", told.customer},
           {"rule", told.rule}});
}

// Keys, settings and catalogue anew, all or nothing; the old ones stay if something is wrong.
void reload(const Context& context, MasaServer& server, const std::string& folder) {
  const auto run = [&]() -> OrProblem<Ok> {
    TRY(const MasaFolder fresh, open_masa(folder));
    TRY(auto site, masa_site(fresh, io::wall_clock()));
    TRY(auto tls, about(masa_tls(fresh), folder));
    server.set_site(std::move(site));
    server.set_tls(std::move(tls));
    return Ok{};
  };
  const OrProblem<Ok> done = run();
  if (done) {
    context.progress("keys and settings taken");
  } else {
    context.print(done.error());
  }
}

// The catalogue is over some day: it is made anew once a day while the server runs.
void refresh_daily(io::Loop& loop, const Context& context, MasaServer& server, const std::string& folder) {
  loop.after(std::chrono::hours(24), [&loop, &context, &server, &folder] {
    reload(context, server, folder);
    refresh_daily(loop, context, server, folder);
  });
}

OrProblem<Ok> serve(const Context& context, const ServeOptions& options) {
  const auto service = io::ServiceManager::from_environment();
  const auto listen = parse_host_port(options.listen);
  if (!listen) {
    return Problem(Error{Fault::malformed, kOption}, "--listen " + options.listen);
  }
  TRY(const MasaFolder folder, open_masa(options.folder));
  FolderLock lock;
  TRY([[maybe_unused]] const Ok locked, about(lock.take(options.folder), options.folder));
  TRY(auto site, masa_site(folder, io::wall_clock()));
  SystemRng rng;
  io::Loop loop;
  MasaServer server(loop, *folder.store, rng, std::move(site));
  server.on_told(log_request);
  io::HttpsServerOptions https;
  https.address = listen->host == "localhost" ? "127.0.0.1" : listen->host;
  https.port = listen->port;
  https.max_body_bytes = kMasaBulkBytes;
  https.max_connections = kMostConnections;
  TRY(https.tls, about(masa_tls(folder), options.folder + "/tls.pem"));
  TRY([[maybe_unused]] const Ok listening, about(server.listen(loop, std::move(https)), options.listen));
  loop.on_signal(SIGINT, [&loop] { loop.stop(); });
  loop.on_signal(SIGTERM, [&loop] { loop.stop(); });
  loop.on_signal(SIGHUP, [&] { reload(context, server, options.folder); });
  refresh_daily(loop, context, server, options.folder);
  const std::string host = listen->host.find(':') == std::string::npos ? listen->host : "[" + listen->host + "]";
  const std::string url = "https://" + host + ":" + std::to_string(server.port()) + "/.well-known/brski";
  const std::string anchors = std::filesystem::absolute(options.folder + "/anchors.pem").lexically_normal().string();
  const std::string curl = "curl -s --cacert " + anchors + " " + url;
  context.print(Json{{"masa", url}, {"anchors", anchors}, {"try", {curl}}},
                "MASA  " + url + "\n\ntry:\n  " + curl + "\n");
  context.progress("serving; ends with SIGINT or SIGTERM, takes new keys and settings with SIGHUP");
  service.ready();
  service.status("serving a MASA on port " + std::to_string(server.port()));
  loop.run();
  service.stopping();
  server.drain(kGrace, [&loop] { loop.stop(); });
  loop.run();
  return Ok{};
}

void add_masa_init(Command masa) {
  auto options = std::make_shared<InitOptions>();
  const Command command = masa.sub("init", "Make a MASA's folder, with keys below the maker's CA.",
                                   "imprint masa init --name Acme --url localhost:9443\n"
                                   "imprint masa init --maker factory --name Acme --url masa.acme.example --sold-only");
  masa_folder_option(command, options->folder);
  command
      .option(
          "--maker", options->maker,
          "The maker's CA: key.pem and root.pem, as `imprint factory make` leaves it; without it factory/ of the data "
          "folder")
      .type("FOLDER");
  command.option("--name", options->settings.name, "The maker's name").required();
  command.option("--url", options->settings.authority, "Where registrars find it, as devices have it").required();
  command.option("--tls-name", options->names,
                 "Name in its TLS certificate: dns:HOST or ip:ADDRESS; again for more; without it the one of --url");
  command.flag("--sold-only", options->sold_only,
               "Vouchers only for devices that the records assign to a customer; else the first claim counts");
  command.flag("--blind-claims", options->blind_claims,
               "A first claim counts though the device itself does not say that it saw the registrar");
  command.flag("--pin-registrar", options->settings.pin_registrar,
               "Vouchers pin the registrar's own certificate, not its CA");
  command.option("--nonceless-days", options->settings.nonceless_days, "How long vouchers without a nonce are good")
      .between(0, 36500)
      .shows_default();
  command.runs([options](const Context& c) { return init(c, *options); });
}

void add_masa_rollover(Command masa) {
  auto options = std::make_shared<RolloverOptions>();
  const Command command = masa.sub("rollover", "A new key for vouchers, or for TLS, below the same root.",
                                   "imprint masa rollover\nimprint masa rollover --maker factory --tls");
  masa_folder_option(command, options->folder);
  command.option("--maker", options->maker, "The maker's CA; without it factory/ of the data folder").type("FOLDER");
  const Arg tls = command.flag("--tls", options->tls, "The TLS server's key, not the one of vouchers");
  command.option("--tls-name", options->names, "Name in its certificate; without it the one of its address").needs(tls);
  command.runs([options](const Context& c) { return roll_over(c, *options); });
}

}  // namespace

Arg masa_folder_option(Command command, std::string& into) {
  return command.option("--folder", into, "The MASA's folder").type("FOLDER").shows_default();
}

void add_masa(Command top) {
  const Command masa = top.group("masa", "The maker's service that says to whom its devices belong (RFC 8995).",
                                 "imprint masa init --name Acme --url localhost:9443\n"
                                 "imprint masa device import acme/manifest.jsonl\nimprint masa serve");
  add_masa_init(masa);
  auto options = std::make_shared<ServeOptions>();
  const Command command =
      masa.sub("serve", "Serve registrars: vouchers, one or many at once, audit logs, the catalogue.",
               "imprint masa serve\nimprint masa serve --listen 0.0.0.0:9443");
  masa_folder_option(command, options->folder);
  command.option("--listen", options->listen, "Address and port").type("ADDRESS:PORT").shows_default();
  command.runs([options](const Context& c) { return serve(c, *options); });
  add_masa_devices(masa);
  add_masa_customers(masa);
  add_masa_vouchers(masa);
  add_masa_kit(masa);
  add_masa_rollover(masa);
}

}  // namespace imprint::app
