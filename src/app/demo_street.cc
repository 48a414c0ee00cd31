#include "app/demo_street.h"

#include <algorithm>

namespace imprint::app {
namespace {

constexpr const char* kLoopback = "127.0.0.1";
constexpr Duration kPatience = std::chrono::seconds(10);
// The whole fleet is at one address here, which a link's limits would take for one device that floods it.
constexpr std::size_t kMostPipes = 4096, kMostDatagrams = 1'000'000;

}  // namespace

OrProblem<std::unique_ptr<DemoStreet>> DemoStreet::open(const std::string& data, const std::vector<FleetPart>& parts) {
  auto out = std::make_unique<DemoStreet>();
  for (const FleetPart& part : parts) {
    const DemoManner* const manner = demo_manner(part.maker);
    if (manner == nullptr || out->maker(part.maker) != nullptr) {
      continue;
    }
    TRY(auto maker, DemoMaker::open(out->loop_, out->rng_, *manner, data));
    out->makers_.push_back(std::move(maker));
  }
  return out;
}

DemoStreet::~DemoStreet() {
  loop_.stop();
  if (thread_.joinable()) {
    thread_.join();
  }
}

OrProblem<Ok> DemoStreet::add_proxies(std::uint16_t https, std::uint16_t join) {
  if (join != 0) {
    CoapJoinProxy::Options options;
    options.stateless = true;
    options.proxy.listen.address = kLoopback;
    TRY(options.proxy.registrar, about(io::Address::parse(kLoopback, join), "join proxy"));
    options.proxy.max_per_second = kMostDatagrams;
    TRY(coaps_, about(CoapJoinProxy::start(loop_, rng_, std::move(options)), "join proxy"));
  }
  if (https == 0) {
    return Ok{};
  }
  JoinProxy::Options options;
  options.registrar = kLoopback;
  options.registrar_port = https;
  options.proxy.listen.address = kLoopback;
  options.proxy.most = options.proxy.most_of_a_source = kMostPipes;
  // It takes nobody before it has seen the registrar.
  TRY(tls_, about(JoinProxy::start(loop_, rng_, std::move(options),
                                   [this](const JoinProxy::Event& event) {
                                     if (event.kind == JoinProxy::Event::Kind::registrar_found && waits_) {
                                       loop_.stop();
                                     }
                                   }),
                  "join proxy"));
  const std::uint64_t limit = loop_.after(kPatience, [this] { loop_.stop(); });
  waits_ = true;
  loop_.run();
  waits_ = false;
  loop_.cancel(limit);
  if (!tls_->registrar_there()) {
    return Problem(Error{Fault::unreachable, "join proxy: the registrar does not answer"}, "demo");
  }
  return Ok{};
}

void DemoStreet::run() {
  thread_ = std::thread([this] { loop_.run(); });
}

DemoMaker* DemoStreet::maker(std::string_view name) const {
  const auto at = std::ranges::find(makers_, name, [](const auto& maker) { return maker->manner().name; });
  return at == makers_.end() ? nullptr : at->get();
}

std::vector<DemoMakerFacts> DemoStreet::facts() const {
  std::vector<DemoMakerFacts> out;
  for (const auto& maker : makers_) {
    if (auto facts = maker->facts()) {
      out.push_back(*std::move(facts));
    }
  }
  return out;
}

}  // namespace imprint::app
