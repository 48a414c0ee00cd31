// imprint proxy: a join proxy of BRSKI between the devices of a link and a registrar elsewhere.
#include <csignal>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/announcing.h"
#include "app/cli.h"
#include "app/cli_rules.h"
#include "app/host_port.h"
#include "crypto/random.h"
#include "io/descriptors.h"
#include "io/loop.h"
#include "io/notify.h"
#include "proto/brski/discovery_rules.h"
#include "runtime/coap_join_proxy.h"
#include "runtime/join_proxy.h"

namespace imprint::app {
namespace {

constexpr Duration kGrace = std::chrono::seconds(10);
constexpr std::size_t kReserve = 64;       // descriptors that are not for connections
constexpr std::size_t kOfAConnection = 2;  // descriptors

struct ProxyOptions {
  std::string registrar, find, listen = "[::]:0", announce, name;
  std::uint32_t most = 256, most_of_a_source = 8, idle_s = 300;
  std::string coaps, coaps_find, coaps_listen, coaps_answers;  // for constrained devices
  bool stateless = false;
  std::uint32_t coaps_most = 10, coaps_most_of_a_source = 2, coaps_idle_s = 30;
};

Problem wrong(const std::string& option, const std::string& next) {
  Problem out(Error{Fault::malformed, kOption}, option);
  out.next = next;
  return out;
}

OrProblem<JoinProxy::Options> options_of(const ProxyOptions& given) {
  const bool named = given.find.empty();
  const auto registrar = named ? parse_host_port(given.registrar) : HostPort{};
  if (named && (!registrar || registrar->port == 0)) {
    return wrong("--registrar " + given.registrar, "give it as registrar.example:8443 or [fd00::1]:8443");
  }
  const auto listen = parse_host_port(given.listen);
  if (!listen) {
    return wrong("--listen " + given.listen, "give it as 192.0.2.1:8443, [fe80::1%eth0]:8443 or [::]:0");
  }
  JoinProxy::Options out;
  out.registrar = registrar->host;
  out.registrar_port = registrar->port;
  out.find = given.find;
  out.proxy.listen = {.address = listen->host, .port = listen->port, .reuse_port = false};
  out.proxy.most =
      io::connections_a_thread(given.most, io::raise_descriptor_limit() / kOfAConnection, kReserve / kOfAConnection, 1);
  out.proxy.most_of_a_source = given.most_of_a_source;
  out.proxy.limits.idle = std::chrono::seconds(given.idle_s);
  out.instance = (given.name.empty() ? "Join proxy " + host_name() : given.name).substr(0, 63);
  if (!given.announce.empty()) {
    out.announce.emplace();
    out.announce->interface = given.announce;
  }
  return out;
}

// The first of its addresses; the loop runs meanwhile, and nothing else yet.
OrProblem<io::Address> find_registrar(io::Loop& loop, const std::string& option, const HostPort& at) {
  Result<std::vector<std::string>> found = Error{Fault::unreachable, "no such name"};
  io::Resolver resolver(loop);
  resolver.resolve(at.host, [&](Result<std::vector<std::string>> addresses) {
    found = std::move(addresses);
    loop.stop();
  });
  loop.run();
  auto out = found && !found->empty() ? io::Address::parse(found->front(), at.port)
                                      : Result<io::Address>(Error{Fault::unreachable, "no such name"});
  return out ? OrProblem<io::Address>(*out) : wrong(option + " " + at.host, "give a name or an address that is there");
}

// By its address, or by whoever makes itself known.
OrProblem<Ok> take_coaps_registrar(io::Loop& loop, const ProxyOptions& given, CoapJoinProxy::Options& out) {
  out.find = given.coaps_find;
  if (!out.find.empty()) {
    return Ok{};
  }
  const auto registrar = parse_host_port(given.coaps);
  if (!registrar || registrar->port == 0) {
    return wrong("--coaps " + given.coaps, "give it as registrar.example:5684 or [fd00::1]:5684");
  }
  TRY(out.proxy.registrar, find_registrar(loop, "--coaps", *registrar));
  out.registrar = out.proxy.registrar.literal() == registrar->host ? std::string() : registrar->host;
  return Ok{};
}

OrProblem<CoapJoinProxy::Options> coaps_options_of(io::Loop& loop, const ProxyOptions& given) {
  CoapJoinProxy::Options out;
  TRY(Ok{}, take_coaps_registrar(loop, given, out));
  if (given.coaps_listen.empty() && given.announce.empty()) {
    return wrong(given.coaps_find.empty() ? "--coaps " + given.coaps : "--coaps-find " + given.coaps_find,
                 "give --coaps-listen ADDRESS:PORT as well, or --announce");
  }
  if (given.coaps_listen.empty()) {
    TRY(out.proxy.listen.address, about(join_address_on(given.announce), given.announce));
  } else {
    const auto listen = parse_host_port(given.coaps_listen);
    if (!listen) {
      return wrong("--coaps-listen " + given.coaps_listen, "give it as 192.0.2.1:5684 or [fe80::1%eth0]:0");
    }
    out.proxy.listen = {.address = listen->host, .port = listen->port, .reuse_port = false};
  }
  if (!given.coaps_answers.empty()) {
    const auto answers = parse_host_port(given.coaps_answers);
    if (!answers) {
      return wrong("--coaps-answers " + given.coaps_answers, "give it as 192.0.2.1:5683");
    }
    out.answers = io::UdpSocket::Where{.address = answers->host, .port = answers->port, .reuse_port = false};
  }
  out.stateless = given.stateless;
  out.announce = given.announce;
  out.proxy.max_of_interface = given.coaps_most;
  out.proxy.max_of_address = given.coaps_most_of_a_source;
  out.proxy.idle = std::chrono::seconds(given.coaps_idle_s);
  return out;
}

// One line an event: on stdout with --json, as progress else.
void tell(const Context& context, const JoinProxy::Event& event) {
  const std::string what(name(event.kind));
  if (!context.globals.json) {
    std::string line = what;
    for (const std::string& one : {event.who, event.detail}) {
      line += one.empty() ? "" : " " + one;
    }
    context.progress(line);
    return;
  }
  Json json{{"event", what}};
  if (!event.who.empty()) {
    json["who"] = event.who;
  }
  if (!event.detail.empty()) {
    json["detail"] = event.detail;
  }
  if (event.connection != 0) {
    json["connection"] = event.connection;
  }
  if (event.kind == JoinProxy::Event::Kind::closed) {
    json["bytes_up"] = event.bytes_up;
    json["bytes_down"] = event.bytes_down;
  }
  std::cout << json.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n' << std::flush;
}

Problem start_problem(const Error& why, const std::string& listen, const std::string& announce) {
  // The interface's faults name it, or a multicast group; all else is the listener's.
  const bool of_listener = why.what.starts_with("listen") || why.what.starts_with("udp");
  Problem out(Error{why.fault, of_listener ? brski::kProxyListen : brski::kDiscoveryInterface},
              of_listener ? listen : announce);
  out.state = why.what;
  return out;
}

void say_coaps_begin(const Context& context, const ProxyOptions& given, const CoapJoinProxy& proxy) {
  const std::string to =
      given.coaps_find.empty() ? given.coaps : "whoever makes a registrar known on " + given.coaps_find;
  if (context.globals.json) {
    Json json{{"event", "listening"},
              {"scheme", "coaps"},
              {"port", proxy.port()},
              {"registrar", to},
              {"stateless", given.stateless}};
    if (proxy.answers_port() != 0) {
      json["answers"] = proxy.answers_port();
    }
    std::cout << json.dump() << '\n' << std::flush;
    return;
  }
  context.print(Json(), "coaps: port " + std::to_string(proxy.port()) + " leads to " + to +
                            (given.stateless ? ", without a state for each device\n" : "\n"));
}

void say_coaps_registrar(const Context& context, bool there, const io::Address& at) {
  const std::string what(
      name(there ? JoinProxy::Event::Kind::registrar_found : JoinProxy::Event::Kind::registrar_lost));
  if (context.globals.json) {
    std::cout << Json{{"event", what}, {"scheme", "coaps"}, {"who", at.text()}}.dump() << '\n' << std::flush;
  } else {
    context.progress("coaps: " + what + " " + at.text());
  }
}

void say_coaps_end(const Context& context, const io::UdpJoinProxyStats& stats) {
  if (context.globals.json) {
    const Json json{{"event", "stopped"},
                    {"scheme", "coaps"},
                    {"datagrams_up", stats.from_pledges},
                    {"datagrams_down", stats.to_pledges},
                    {"bytes_up", stats.bytes_from_pledges},
                    {"bytes_down", stats.bytes_to_pledges},
                    {"over_limit", stats.over_limit},
                    {"unreadable", stats.unreadable}};
    std::cout << json.dump() << '\n' << std::flush;
    return;
  }
  context.progress("coaps stopped: " + std::to_string(stats.from_pledges) + " datagrams to the registrar, " +
                   std::to_string(stats.to_pledges) + " back, " + std::to_string(stats.over_limit) + " over a limit");
}

void say_end(const Context& context, const io::TcpProxy::Stats& stats) {
  const std::uint64_t away = stats.refused_full + stats.refused_source + stats.refused_no_target;
  if (context.globals.json) {
    const Json json{{"event", "stopped"},         {"taken", stats.taken},
                    {"turned_away", away},        {"unreachable", stats.unreachable},
                    {"bytes_up", stats.bytes_up}, {"bytes_down", stats.bytes_down}};
    std::cout << json.dump() << '\n' << std::flush;
    return;
  }
  context.progress("stopped: " + std::to_string(stats.taken) + " connections, " + std::to_string(away) +
                   " turned away");
}

// The interfaces named, for a problem with one of them.
std::string interfaces(const std::string& find, const std::string& announce) {
  return find + (find.empty() || announce.empty() ? "" : ", ") + announce;
}

OrProblem<std::unique_ptr<JoinProxy>> start_tcp(const Context& context, const ProxyOptions& given, io::Loop& loop,
                                                Rng& rng) {
  TRY(const JoinProxy::Options options, options_of(given));
  auto out = JoinProxy::start(loop, rng, options, [&context](const JoinProxy::Event& e) { tell(context, e); });
  if (!out) {
    return start_problem(out.error(), given.listen, interfaces(given.find, given.announce));
  }
  const std::string to = given.find.empty() ? given.registrar : "whoever announces a registrar on " + given.find;
  const std::string port = std::to_string((*out)->port());
  if (context.globals.json) {
    std::cout << Json{{"event", "listening"}, {"port", (*out)->port()}, {"registrar", to}}.dump() << '\n' << std::flush;
  } else {
    context.print(Json(), "port " + port + " leads to " + to + "\n");
  }
  return *std::move(out);
}

OrProblem<std::unique_ptr<CoapJoinProxy>> start_coaps(const Context& context, const ProxyOptions& given, io::Loop& loop,
                                                      Rng& rng) {
  TRY(CoapJoinProxy::Options options, coaps_options_of(loop, given));
  options.told = [&context](bool there, const io::Address& at) { say_coaps_registrar(context, there, at); };
  auto out = CoapJoinProxy::start(loop, rng, std::move(options));
  if (!out) {
    return start_problem(out.error(), given.coaps_listen, interfaces(given.coaps_find, given.announce));
  }
  say_coaps_begin(context, given, **out);
  return *std::move(out);
}

OrProblem<Ok> run_proxy(const Context& context, const ProxyOptions& given) {
  const auto service = io::ServiceManager::from_environment();
  const bool tcp_too = !given.registrar.empty() || !given.find.empty();
  const bool coaps_too = !given.coaps.empty() || !given.coaps_find.empty();
  if (!tcp_too && !coaps_too) {
    return wrong(
        "--registrar",
        "name where the registrar takes connections, or with --coaps datagrams; or --find it, or --coaps-find");
  }
  io::Loop loop;
  SystemRng rng;
  std::unique_ptr<JoinProxy> tcp;
  std::unique_ptr<CoapJoinProxy> coaps;
  if (coaps_too) {
    TRY(coaps, start_coaps(context, given, loop, rng));
  }
  if (tcp_too) {
    TRY(tcp, start_tcp(context, given, loop, rng));
  }
  bool stopping = false;
  const auto stop = [&] {  // a second signal does not wait for what is under way
    tcp && !stopping ? tcp->stop(kGrace, [&loop] { loop.stop(); }) : loop.stop();
    stopping = true;
  };
  loop.on_signal(SIGINT, stop);
  loop.on_signal(SIGTERM, stop);
  service.ready();
  service.status("join proxy on port " + std::to_string(tcp ? tcp->port() : coaps->port()));
  loop.run();
  service.stopping();
  if (coaps) {
    say_coaps_end(context, coaps->stats());
  }
  if (tcp) {
    say_end(context, tcp->stats());
  }
  return Ok{};
}

void add_coaps(const Command& command, ProxyOptions& options) {
  const Arg registrar =
      command
          .option("--coaps", options.coaps,
                  "Where the registrar takes datagrams of constrained devices: its est.coaps, or est.coaps_join with "
                  "--stateless")
          .type("HOST:PORT");
  command
      .option("--coaps-find", options.coaps_find,
              "In its place: an interface of your own network, where registrars make themselves known; whoever does is "
              "believed")
      .type("NAME")
      .excludes(registrar);
  command.flag("--stateless", options.stateless, "Keep nothing of a device: each datagram says where its answer goes");
  command
      .option("--coaps-listen", options.coaps_listen,
              "Where constrained devices come to; default: the link-local address of --announce's interface")
      .type("ADDRESS:PORT");
  command.option("--coaps-answers", options.coaps_answers, "Answer CoAP discovery at this address, too")
      .type("ADDRESS:PORT");
  command.option("--coaps-most", options.coaps_most, "Constrained devices in all, unless stateless")
      .type("N")
      .between(1U, 10000U)
      .shows_default();
  command.option("--coaps-most-of-a-source", options.coaps_most_of_a_source, "Constrained devices of one address")
      .type("N")
      .between(1U, 10000U)
      .shows_default();
  command.option("--coaps-idle", options.coaps_idle_s, "Seconds without a datagram before a device is forgotten")
      .type("SECONDS")
      .between(1U, 86400U)
      .shows_default();
}

}  // namespace

void add_proxy(Command top) {
  auto options = std::make_shared<ProxyOptions>();
  const Command command = top.sub(
      "proxy", "Be a join proxy (BRSKI): lead the devices of a link to a registrar, and announce it while it is there.",
      "imprint proxy --registrar registrar.example:8443 --announce eth0\n"
      "imprint proxy --find eth1 --announce eth0\n"
      "imprint proxy --registrar 192.0.2.1:8443 --listen 192.0.2.9:8443\n"
      "imprint proxy --registrar [fd00::1]:8443 --listen [::]:4443 --announce eth0 --name Hall --json\n"
      "imprint proxy --coaps registrar.example:5685 --stateless --announce wpan0\n"
      "imprint proxy --coaps-find eth1 --stateless --announce wpan0");
  const Arg registrar =
      command.option("--registrar", options->registrar, "Where the registrar takes connections").type("HOST:PORT");
  command
      .option("--find", options->find,
              "In its place: an interface of your own network, where registrars announce themselves; whoever does is "
              "believed")
      .type("NAME")
      .excludes(registrar);
  command.option("--listen", options->listen, "Where the devices connect to; port 0: any free one")
      .type("ADDRESS:PORT")
      .shows_default();
  command.option("--announce", options->announce, "Announce it on this interface, by GRASP and DNS-SD").type("NAME");
  command.option("--name", options->name, "Its name on DNS-SD; default: after the host").type("NAME");
  command.option("--most", options->most, "Connections in all").type("N").between(1U, 100000U).shows_default();
  command.option("--most-of-a-source", options->most_of_a_source, "Connections of one address")
      .type("N")
      .between(1U, 100000U)
      .shows_default();
  command.option("--idle", options->idle_s, "Seconds without a word before a connection is cut")
      .type("SECONDS")
      .between(1U, 86400U)
      .shows_default();
  add_coaps(command, *options);
  command.runs([options](const Context& c) { return run_proxy(c, *options); });
}

}  // namespace imprint::app
