#include "app/demo_fleet.h"

#include <algorithm>

#include "sim/born.h"
#include "site/operations.h"

namespace imprint::app {
namespace {

constexpr Duration kFactoryLifetime = std::chrono::hours(24 * 3650);
constexpr std::uint32_t kRounds = 2;  // everybody is near: what fails twice is wrong, and somebody waits for the table

Uri at(std::string_view scheme, std::uint16_t port) { return Uri{std::string(scheme), "127.0.0.1", port, "/", {}}; }

// Where the owner is found.
struct Places {
  Uri https, coaps, tls_proxy, coaps_proxy;
  std::vector<Certificate> anchors;  // the owner's CA, its root last
};

est::PlanRef est_plan(const factory::Born& born, Way way, const Places& places) {
  if (way != Way::bootstrap) {
    return sim::plan_of(born, way == Way::coaps ? places.coaps : places.https, places.anchors);
  }
  // Without anchors, but with the fingerprint to expect: as if somebody had typed it in.
  auto out = std::make_shared<est::Plan>(*sim::plan_of(born, places.https, {}));
  out->expected = places.anchors.back().fingerprint();
  return out;
}

brski::PledgePlanRef pledge_plan(const factory::Born& born, const FleetPart& part, const DemoMaker& maker,
                                 const Places& places) {
  const bool constrained = part.kind == FleetKind::brski_coaps;
  const est::PlanRef est = sim::plan_of(born, {}, {});
  auto out = std::make_shared<brski::PledgePlan>();
  out->identity = *est->credential;
  out->enrolment.names = est->names;
  out->voucher_anchors = {maker.root()};
  out->rounds = kRounds;
  out->content_type = maker.manner().content_type;
  out->form = part.way == Way::jws ? brski::Form::jws : brski::Form::cms;
  if (part.kind == FleetKind::brski_cloud) {
    out->cloud = maker.masa();
    out->cloud_anchors = {maker.root()};
    return out;
  }
  out->heard = part.way == Way::proxy;
  out->registrars = {out->heard    ? constrained ? places.coaps_proxy : places.tls_proxy
                     : constrained ? places.coaps
                                   : places.https};
  if (constrained) {
    // It asks for the name that it has, and its voucher comes without certificates: it knows who signs
    // (draft-ietf-anima-constrained-voucher).
    out->enrolment.names.subject = born.chain.front().subject;
    out->voucher_anchors = {maker.signer()};
  }
  return out;
}

// The factory of those that come by EST alone.
Result<site::Ca> make_factory(const Config& config, Instant now, Rng& rng) {
  TRY(const Name name, Name::from_text("CN=Imprint Demo Factory"));
  TRY(const site::Ca out, site::make_root(KeyType::p256, name, now, kFactoryLifetime, rng));
  TRY(Ok{}, add_maker(config.data, out.certificate));
  return out;
}

// Ids of a folder that is used again begin with a number of their own.
Result<std::string> beginning(Server& server, Rng& rng) {
  TRY(const auto reader, server.store().read());
  TRY(const std::int64_t there, reader->count("devices"));
  return there > 0 ? hex(random_secret(rng, 2).expose()) + "-" : std::string();
}

Status import(Server& server, const std::vector<FleetDevice>& devices, Instant now) {
  std::vector<ManifestEntry> entries;
  for (const FleetDevice& one : devices) {
    entries.push_back(one.born.entry);
  }
  std::vector<site::Imported> results;
  const site::Act act{"factory", now};
  return server.store().write(
      [&](store::Writer& w) { return site::import_manifest(w, server.folder().pepper, entries, act, results); });
}

// One of each part, then the next of each, until none is left.
std::vector<FleetDevice> by_turns(std::vector<std::vector<FleetDevice>> parts) {
  std::vector<FleetDevice> out;
  const auto longest = std::ranges::max_element(parts, {}, [](const auto& part) { return part.size(); });
  for (std::size_t i = 0; longest != parts.end() && i < longest->size(); ++i) {
    for (auto& part : parts) {
      if (i < part.size()) {
        out.push_back(std::move(part[i]));
      }
    }
  }
  return out;
}

// All makers' devices, and the factory's.
class Line {
 public:
  Line(const DemoStreet& street, const Places& places, std::string before, Instant now, Rng& rng)
      : street_(street), places_(places), before_(std::move(before)), now_(now), rng_(rng) {}

  Result<std::vector<FleetDevice>> make(const FleetPart& part, const site::Ca& factory) {
    DemoMaker* const maker = street_.maker(part.maker);
    TRY(auto born, maker == nullptr ? of_factory(part, factory)
                                    : maker->make(part, before_, {places_.anchors.back(), places_.https}, now_, rng_));
    std::vector<FleetDevice> out;
    for (factory::Born& one : born) {
      FleetDevice device{std::move(one), part, est::PlanRef()};
      if (maker == nullptr) {
        device.plan = est_plan(device.born, part.way, places_);
      } else {
        device.plan = pledge_plan(device.born, part, *maker, places_);
      }
      out.push_back(std::move(device));
    }
    return out;
  }

 private:
  Result<std::vector<factory::Born>> of_factory(const FleetPart& part, const site::Ca& factory) {
    factory::Order order;
    order.model = before_ + part.model;
    order.count = part.count;
    order.birth = part.way == Way::secret ? factory::Birth::one_time : factory::Birth::idevid;
    order.anchors = places_.anchors;
    order.server_uri = "https://" + places_.https.authority();
    return factory::make(order, factory, now_, rng_);
  }

  const DemoStreet& street_;
  const Places& places_;
  const std::string before_;
  const Instant now_;
  Rng& rng_;
};

}  // namespace

OrProblem<std::vector<FleetDevice>> make_demo_fleet(Server& server, const Config& config, const DemoStreet& street,
                                                    const std::vector<FleetPart>& parts, Rng& rng) {
  const Instant now = io::wall_clock();
  const Places places{at("https", server.est_port()), at("coaps", server.coaps_port()), at("https", street.tls_proxy()),
                      at("coaps", street.coaps_proxy()), server.folder().ca.chain()};
  TRY(std::string before, about(beginning(server, rng), "factory"));
  TRY(const site::Ca factory, about(make_factory(config, now, rng), "factory"));
  TRY(Ok{}, about(server.reload(config), "factory"));  // the site now takes this factory's and all makers' IDevIDs
  Line line(street, places, std::move(before), now, rng);
  std::vector<std::vector<FleetDevice>> made;
  for (const FleetPart& part : parts) {
    TRY(auto devices, about(line.make(part, factory), "factory"));
    made.push_back(std::move(devices));
  }
  std::vector<FleetDevice> out = by_turns(std::move(made));
  TRY(Ok{}, about(import(server, out, now), "import"));
  return out;
}

}  // namespace imprint::app
