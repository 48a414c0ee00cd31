#include "app/announcing.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "io/log.h"
#include "proto/brski/discovery_rules.h"

namespace imprint::app {
namespace {

constexpr std::string_view kLoopback = "lo";
constexpr std::size_t kLongestName = 63;  // RFC 6763 section 4.1.1

std::string_view name(RegistrarVoice::Event::Kind kind) {
  switch (kind) {
    case RegistrarVoice::Event::Kind::announced:
      return "announce.on";
    case RegistrarVoice::Event::Kind::not_announced:
      return "announce.not";
    case RegistrarVoice::Event::Kind::withdrawn:
      break;
  }
  return "announce.off";
}

void log_event(const RegistrarVoice::Event& event) {
  const bool bad = event.kind == RegistrarVoice::Event::Kind::not_announced;
  io::log(bad ? io::LogLevel::warning : io::LogLevel::info, name(event.kind),
          {{"interface", event.interface}, {bad ? "why" : "name", event.detail}});
}

}  // namespace

std::string host_name() {
  std::array<char, 65> out{};
  gethostname(out.data(), out.size() - 1);
  return out.data();
}

std::optional<std::string> check_announce(const Config& config) {
  const auto elsewhere = [](const std::string& one) { return one != kLoopback; };
  if (config.announce.empty()) {
    return std::nullopt;
  }
  if (!config.registrar) {
    return "brski.announce: needs brski.registrar: devices would come in vain";
  }
  if (is_loopback(config.est) && std::ranges::any_of(config.announce, elsewhere)) {
    return "brski.announce: nobody reaches est.listen from there: set it to an address of that network, or to "
           "[::] with its port";
  }
  return std::nullopt;
}

OrProblem<Voices> announce(io::Loop& loop, Rng& rng, const Config& config, const Server& server) {
  Voices out;
  for (const std::string& interface : config.announce) {
    RegistrarVoice::Options options;
    options.interface = interface;
    options.instance = config.announce_as.empty() ? "Registrar " + host_name() : config.announce_as;
    options.instance.resize(std::min(options.instance.size(), kLongestName));
    options.listen = config.est.address;
    options.port = server.est_port();
    options.coaps_listen = config.coaps ? config.coaps->address : std::string();
    options.coaps_port = server.coaps_port();
    options.jpy = server.join_port();
    auto voice = RegistrarVoice::start(loop, rng, std::move(options), log_event);
    if (!voice) {
      Problem problem(Error{voice.error().fault, brski::kDiscoveryInterface}, "brski.announce: " + interface);
      problem.state = voice.error().what;
      return problem;
    }
    out.push_back(*std::move(voice));
  }
  return out;
}

}  // namespace imprint::app
