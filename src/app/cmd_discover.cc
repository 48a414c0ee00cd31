// imprint discover: what is announced on a link, by GRASP and by DNS-SD.
#include <csignal>
#include <nlohmann/json.hpp>

#include "app/cli.h"
#include "app/cli_rules.h"
#include "crypto/random.h"
#include "io/loop.h"
#include "proto/brski/discovery_rules.h"
#include "runtime/discovery_port.h"

namespace imprint::app {
namespace {

using brski::Browser;
using brski::Heard;

struct DiscoverOptions {
  std::string interface;
  std::uint32_t seconds = 5;
  bool listen_only = false, any_source = false;
};

std::string address_text(const Bytes& address) {
  const auto kind = address.size() == 16 ? brski::Locator::Kind::ipv6 : brski::Locator::Kind::ipv4;
  const std::string text = text_of(brski::Locator{kind, address, {}, brski::kTcp, std::nullopt});
  return address.size() == 16 ? text.substr(1, text.size() - 2) : text;
}

Json number_or_null(const auto& value) { return value ? Json(static_cast<unsigned>(*value)) : Json(); }

Json json_of(const Heard& one, Instant now) {
  const auto value = brski::text_value({one.name, 0, 0, one.value});
  const auto place = place_of(one);
  return {{"objective", one.name},
          {"value", value ? Json(*value) : Json()},
          {"at", one.locator ? Json(text_of(*one.locator)) : Json()},
          {"host", place ? Json(place->host) : Json()},
          {"port", one.locator ? number_or_null(one.locator->port) : Json()},
          {"protocol", one.locator ? number_or_null(one.locator->protocol) : Json()},
          {"source", address_text(one.source)},
          {"ends_in_ms", one.ends ? Json((*one.ends - now).count()) : Json()}};
}

Json json_of(const Browser::Found& one, Instant now) {
  Json addresses = Json::array();
  for (const Bytes& address : one.addresses) {
    addresses.push_back(address_text(address));
  }
  return {{"type", one.type},
          {"instance", one.instance},
          {"host", one.host},
          {"port", one.port},
          {"text", one.text},
          {"addresses", addresses},
          {"ends_in_ms", (one.ends - now).count()}};
}

std::string joined(const std::vector<std::string>& all) {
  std::string out;
  for (const std::string& one : all) {
    out += (out.empty() ? "" : " ") + one;
  }
  return out;
}

void print(const Context& context, DiscoveryPort& port) {
  const Instant now = io::steady_clock();
  Json floods = Json::array();
  Json services = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (const Heard& one : port.floods()) {
    floods.push_back(json_of(one, now));
    rows.push_back({"GRASP", one.name, one.locator ? text_of(*one.locator) : "", address_text(one.source)});
  }
  for (const Browser::Found& one : port.services()) {
    services.push_back(json_of(one, now));
    rows.push_back({"DNS-SD", one.type, address_text(one.addresses.front()) + " port " + std::to_string(one.port),
                    one.instance + (one.text.empty() ? "" : " (" + joined(one.text) + ")")});
  }
  const std::string nothing = "nothing was announced on " + port.interface().name + "\n";
  context.print(Json{{"interface", port.interface().name}, {"floods", floods}, {"services", services}},
                rows.empty() ? nothing : table({"BY", "WHAT", "WHERE", "WHO"}, rows));
}

OrProblem<Ok> discover(const Context& context, const DiscoverOptions& options) {
  io::Loop loop;
  SystemRng rng;
  DiscoveryPort::Options what;
  what.interface = options.interface;
  what.strict = !options.any_source;
  what.browse.assign(brski::kServiceTypes.begin(), brski::kServiceTypes.end());
  what.ask = !options.listen_only;
  auto port = DiscoveryPort::open(loop, rng, what, nullptr);
  if (!port) {
    Problem problem(Error{port.error().fault, brski::kDiscoveryInterface}, options.interface);
    problem.state = port.error().what;
    return problem;
  }
  loop.on_signal(SIGINT, [&loop] { loop.stop(); });
  loop.on_signal(SIGTERM, [&loop] { loop.stop(); });
  loop.after(std::chrono::seconds(options.seconds), [&loop] { loop.stop(); });
  context.progress("listening on " + options.interface + " for " + std::to_string(options.seconds) + " s");
  loop.run();
  print(context, **port);
  return Ok{};
}

}  // namespace

void add_discover(Command top) {
  auto options = std::make_shared<DiscoverOptions>();
  const Command command =
      top.sub("discover", "Find the join proxies and registrars of a link (BRSKI), by GRASP and by DNS-SD.",
              "imprint discover --interface eth0\nimprint discover --interface eth0 --seconds 65 --listen-only\n"
              "imprint discover --interface eth0 --json");
  command.option("--interface", options->interface, "The interface to listen on").type("NAME").required();
  command.option("--seconds", options->seconds, "How long; GRASP says things once a minute")
      .type("N")
      .between(1U, 3600U)
      .shows_default();
  command.flag("--listen-only", options->listen_only, "Ask nothing: wait for what is announced by itself");
  command.flag("--any-source", options->any_source,
               "Take floods from other than link-local addresses, and those of registrars");
  command.runs([options](const Context& c) { return discover(c, *options); });
}

}  // namespace imprint::app
