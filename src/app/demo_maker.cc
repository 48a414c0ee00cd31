#include "app/demo_maker.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "app/pem_file.h"
#include "factory/masa_owner.h"
#include "io/file.h"
#include "io/listener.h"
#include "io/log.h"

namespace imprint::app {
namespace {

constexpr std::string_view kLoopback = "127.0.0.1", kActor = "demo", kCustomer = "demo-owner";
constexpr Duration kCaLifetime = std::chrono::hours(24 * 365 * 30);
constexpr std::size_t kMostConnections = 1000;

// In a file on loopback the address has to be written down, whatever the devices name: what comes from outside must not
// lead into the machine (io::Guard).
constexpr std::string_view kOneRule = "[[rules]]\nname = \"all\"\nmasa = \"MASA\"\n";

constexpr std::array<DemoManner, 3> kManners{
    {{"acme", "Acme", true, false, brski::kJsonVoucherType, "# Acme's devices name their MASA themselves.\n", kOneRule,
      "devices name their MASA; who claims one first has it"},
     {"bolt", "Bolt", false, true, brski::kDataType,
      "# Bolt's devices name no MASA, and call what they sign plain data.\ncontent_type = \"data\"\n", kOneRule,
      "known by makers/bolt.toml alone; CMS of type data; vouchers for what was sold"},
     {"cell", "Cell", false, false, brski::kJsonVoucherType,
      "# Cell's devices name no MASA. Its tags have their vouchers from Cell itself, and come for EST alone.\n",
      "[[rules]]\nname = \"tags\"\nserials = [\"*cell-tag-*\"]\nest_before_status = true\nmasa = \"MASA\"\n\n"
      "[[rules]]\nname = \"others\"\nmasa = \"MASA\"\n",
      "known by makers/cell.toml alone; constrained devices, COSE"}}};

// The maker's CA, as `imprint factory make` would leave it, made the first time.
OrProblem<site::Ca> open_ca(const std::string& folder, std::string_view title, Instant now, Rng& rng) {
  std::error_code ignored;
  if (!std::filesystem::exists(folder + "/root.pem", ignored)) {
    TRY(const Name name, Name::from_text("CN=" + std::string(title) + " Root CA"));
    TRY(const site::Ca made, site::make_root(KeyType::p256, name, now, kCaLifetime, rng));
    TRY(const Secret pem, made.key.to_pem());
    TRY(Ok{}, about(io::make_folder(folder), folder));
    TRY(Ok{}, about(io::write_file(folder + "/key.pem", pem.expose()), folder));
    TRY(Ok{}, about(io::write_file(folder + "/root.pem", view(to_pem(made.certificate)), 0644), folder));  // last
  }
  site::Ca out;
  TRY(out.key, about(read_key_file(folder + "/key.pem"), folder));
  TRY(const auto root, about(read_certificate_file(folder + "/root.pem"), folder));
  if (root.empty() || root.front().key != out.key.public_key()) {
    return Problem(Error{Fault::malformed, "factory: key and root do not belong together"}, folder);
  }
  out.certificate = root.front();
  return out;
}

// A port that is free just now. Who takes it before us has it: then we listen somewhere else.
Result<std::string> free_place(io::Loop& loop) {
  TRY(const auto listener, io::Listener::open(loop, {std::string(kLoopback), 0}, [] {}));
  return std::string(kLoopback) + ":" + std::to_string(listener->port());
}

std::string with_masa(std::string_view rules, const std::string& masa) {
  constexpr std::string_view kPlace = "MASA\"";
  std::string out(rules);
  for (std::size_t at = out.find(kPlace); at != std::string::npos; at = out.find(kPlace, at + masa.size())) {
    out.replace(at, kPlace.size() - 1, masa);
  }
  return out;
}

OwnerAddress address_for(const FleetPart& part, const DemoOwner& owner) {
  OwnerAddress out;
  if (part.way == Way::redirected) {
    out.kind = OwnerAddress::Kind::registrar;
    out.url = "https://" + owner.registrar.authority();
  } else if (part.way == Way::est_domain) {
    out.kind = OwnerAddress::Kind::est;
    out.url = "https://" + owner.registrar.authority();
    out.pinned = owner.root;
  }
  return out;
}

Status record(store::MakerWriter& w, const factory::Born& born, const OwnerAddress& owner, bool sold, Instant now) {
  MakerDevice device;
  device.issuer = brski::issuer_key_id(*born.entry.idevid);
  device.serial = born.entry.serial;
  device.model = born.entry.model;
  device.idevid = born.entry.idevid;
  device.customer = sold ? kCustomer : std::string_view();
  device.state = sold ? Custody::sold : Custody::made;
  device.added = device.changed = now;
  TRY(Ok{}, w.add_device(device, kActor));
  if (owner.kind == OwnerAddress::Kind::unsaid) {
    return Ok{};
  }
  TRY(const auto added, w.device(device.issuer, device.serial));
  CHECK_OR(added, Error{Fault::internal, "demo: a device is not on record"});
  return factory::set_owner(w, *added, owner, now, kActor);
}

// Refusals are for people; what went well is in the MASA's own log.
void log_refusal(const MasaServer::Told& told) {
  if (told.status >= 400) {
    io::log(io::LogLevel::warning, "masa.request",
            {{"path", told.path},
             {"status", std::to_string(told.status)},
             {"device", told.device},
             {"customer", told.customer},
             {"rule", told.rule}});
  }
}

}  // namespace

const DemoManner* demo_manner(std::string_view name) {
  const auto* const at = std::ranges::find(kManners, name, &DemoManner::name);
  return at == kManners.end() ? nullptr : at;
}

OrProblem<std::unique_ptr<DemoMaker>> DemoMaker::open(io::Loop& loop, Rng& rng, const DemoManner& manner,
                                                      const std::string& data) {
  std::unique_ptr<DemoMaker> out(new DemoMaker(manner));
  const Instant now = loop.now();
  const std::string home = data + "/demo/" + std::string(manner.name);
  TRY(out->ca_, open_ca(home + "/ca", manner.title, now, rng));
  const std::string masa = home + "/masa";
  std::error_code ignored;
  if (!std::filesystem::exists(masa + "/masa.json", ignored)) {
    MasaSettings settings;
    settings.name = manner.title;
    TRY(settings.authority, about(free_place(loop), masa));
    settings.first_claim = !manner.sold_only;
    TRY(Ok{}, make_masa(masa, home + "/ca", settings, {}, now, rng));
  }
  TRY(Ok{}, about(out->lock_.take(masa), masa));
  TRY(out->folder_, open_masa(masa));
  TRY(Ok{}, out->listen(loop, rng));
  TRY(Ok{}, out->tell_owner(data));
  return out;
}

OrProblem<Ok> DemoMaker::listen(io::Loop& loop, Rng& rng) {
  TRY(auto tls, about(masa_tls(folder_), folder_.path));
  io::HttpsServerOptions https;
  https.address = kLoopback;
  https.port = masa().port;
  https.max_body_bytes = kMasaBulkBytes;
  https.max_connections = kMostConnections;
  https.tls = std::move(tls);
  masa_ = std::make_unique<MasaServer>(loop, *folder_.store, rng, nullptr);
  if (!masa_->listen(loop, https)) {
    https.port = 0;
    masa_ = std::make_unique<MasaServer>(loop, *folder_.store, rng, nullptr);
    TRY(Ok{}, about(masa_->listen(loop, std::move(https)), folder_.path));
  }
  folder_.settings.authority = std::string(kLoopback) + ":" + std::to_string(masa_->port());
  TRY(auto site, masa_site(folder_, loop.now()));
  masa_->set_site(std::move(site));
  masa_->on_told(log_refusal);
  return Ok{};
}

OrProblem<Ok> DemoMaker::tell_owner(const std::string& data) const {
  const std::string file = data + "/makers/" + std::string(manner_.name);
  TRY(Ok{}, about(io::make_folder(data + "/makers"), data));
  TRY(Ok{}, about(io::write_file(file + ".pem", view(to_pem(root())), 0644), file));
  const std::string text =
      std::string(manner_.file) + "\n" + with_masa(manner_.rules, "https://" + folder_.settings.authority);
  TRY(Ok{}, about(io::write_file(file + ".toml", view(text), 0644), file));
  return Ok{};
}

Uri DemoMaker::masa() const {
  const auto out = Uri::parse("https://" + folder_.settings.authority);
  return out ? *out : Uri{};
}

Result<std::vector<factory::Born>> DemoMaker::make(const FleetPart& part, const std::string& before,
                                                   const DemoOwner& owner, Instant now, Rng& rng) {
  factory::Order order;
  order.model = before + std::string(manner_.name) + "-" + part.model;
  order.count = part.count;
  order.masa = manner_.named_in_devices ? folder_.settings.authority : std::string();
  TRY(auto out, factory::make(order, ca_, now, rng));
  const OwnerAddress address = address_for(part, owner);
  TRY(Ok{}, folder_.store->write([&](store::MakerWriter& w) -> Status {
    if (manner_.sold_only) {
      Customer customer;
      customer.id = kCustomer;
      customer.anchors = {owner.root};
      customer.added = now;
      TRY(Ok{}, w.put_customer(customer, kActor));
    }
    for (const factory::Born& born : out) {
      TRY(Ok{}, record(w, born, address, manner_.sold_only, now));
    }
    return Ok{};
  }));
  return out;
}

Result<DemoMakerFacts> DemoMaker::facts() const {
  DemoMakerFacts out;
  out.name = manner_.name;
  out.masa = "https://" + folder_.settings.authority;
  out.words = manner_.words;
  TRY(const auto reader, folder_.store->read());
  TRY(out.devices, reader->count("devices"));
  TRY(out.vouchers, reader->count("vouchers"));
  return out;
}

}  // namespace imprint::app
