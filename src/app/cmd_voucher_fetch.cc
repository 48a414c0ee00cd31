// `imprint voucher fetch`: the registrar asks for its devices' vouchers before they come.
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/cli_rules.h"
#include "app/cmd_voucher.h"
#include "app/onboard_plan.h"
#include "app/voucher_fetch.h"
#include "app/voucher_rules.h"
#include "io/file.h"
#include "io/loop.h"

namespace imprint::app {
namespace {

constexpr std::size_t kMaxManifest = std::size_t{256} << 20U;

struct FetchOptions {
  std::string manifest, maker, form = "cms";
  std::vector<std::string> serials;
  bool all = false, one_by_one = false;
  std::uint32_t together = 200;
};

void print_line(const Json& line) {
  std::cout << line.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n' << std::flush;
}

// What is told of each device, and counted.
class Tally {
 public:
  explicit Tally(const Context& context) : context_(context) {}

  void add(const std::string& serial, std::string_view state, std::string_view why, std::string_view masa = {}) {
    ++counts_[std::string(state)];
    if (context_.globals.json) {
      // A line each, as they come: whoever reads them need not wait for the end.
      const Json line{{"serial", serial}, {"state", state}, {"why", why}, {"masa", masa}};
      print_line(line);
    } else if (state == "refused" || state == "open") {
      context_.progress(serial + ": " + std::string(state) + ": " + std::string(why));
    }
  }
  std::size_t of(const std::string& state) const {
    const auto at = counts_.find(state);
    return at == counts_.end() ? 0 : at->second;
  }

 private:
  const Context& context_;
  std::map<std::string, std::size_t> counts_;
};

std::string words_of(const Error& error) {
  return std::string(error.what) + (error.rule != nullptr ? " (" + std::string(error.rule->id) + ")" : "");
}

// Who speaks for the device, by the rules of this site.
Result<site::MasaAnswer> masa_of(const VoucherShelf& shelf, const ExpectedDevice& device, Instant now) {
  CHECK_OR(device.idevid, Error{Fault::refused, kVoucherNoIssuer});
  const auto path =
      verify_chain(*device.idevid, shelf.data.folder.makers, shelf.data.folder.makers, {Purpose::any, now, false});
  CHECK_OR(path, Error{Fault::refused, kVoucherMakerless});
  return shelf.data.folder.masas->book.look_up(*device.idevid, site::above(**path), now);
}

// The devices that lack a voucher, by their MASAs.
using Work = std::map<std::string, std::vector<FetchItem>>;

Result<bool> add_device(VoucherShelf& shelf, const FetchOptions& options, const ExpectedDevice& device,
                        brski::Form form, Instant now, Work& work, Tally& tally) {
  TRY(const site::MasaAnswer answer, masa_of(shelf, device, now));
  const bool of_maker = answer.rule != nullptr && answer.rule->name.starts_with(options.maker + "/");
  if (!options.maker.empty() && !of_maker) {
    return false;
  }
  TRY([[maybe_unused]] const std::string id, inventory_id(shelf, device));
  TRY(const Shelved state, look_up(shelf, device, now));
  if (state != Shelved::taken) {
    tally.add(device.serial, name(state), {});
    return true;
  }
  FetchItem item{device, answer.contact, {}};
  if (!item.masa.as && !item.masa.login) {
    // Up to the certificate that the maker has on its account: of what stands above ours it may know that one alone.
    item.masa.as = Credential{"registrar", shelf.registrar->role->chain};
  }
  TRY(item.request, sign_nonceless_request(*shelf.registrar, device, item.masa.quirks, form, now));
  const std::string who = item.masa.login ? item.masa.login->user : item.masa.as->key_id;
  work[item.masa.url.text() + " " + who].push_back(std::move(item));
  return true;
}

void take(VoucherShelf& shelf, const std::vector<FetchItem>& items, Fetched got, Tally& tally) {
  const FetchItem& item = items.at(got.item);
  const std::string masa = item.masa.url.text();
  if (got.voucher.empty()) {
    const bool later = got.status == 0 || got.status == 202 || got.status >= 500;
    tally.add(item.device.serial, later ? "open" : "refused", std::to_string(got.status) + " " + got.why, masa);
    return;
  }
  const auto kept = [&]() -> Result<Shelved> {
    TRY(brski::Artifact voucher, brski::parse_artifact(got.voucher));
    return shelve(shelf, {item.device, std::move(voucher), item.masa.voucher_anchors, masa, item.request},
                  io::wall_clock());
  }();
  tally.add(item.device.serial, kept ? name(*kept) : "refused", kept ? std::string() : words_of(kept.error()), masa);
}

OrProblem<Ok> finish(const Context& context, const Tally& tally) {
  const std::size_t bad = tally.of("refused") + tally.of("open");
  const Json json{{"end", true},
                  {"taken", tally.of("taken")},
                  {"there", tally.of("there")},
                  {"onboarded", tally.of("onboarded")},
                  {"refused", tally.of("refused")},
                  {"open", tally.of("open")}};
  if (context.globals.json) {
    print_line(json);
  } else {
    context.print(json, std::to_string(tally.of("taken")) + " taken, " + std::to_string(tally.of("there")) +
                            " there already, " + std::to_string(tally.of("onboarded")) +
                            " of devices that are onboarded, " + std::to_string(tally.of("refused")) + " refused, " +
                            std::to_string(tally.of("open")) + " to be asked for again\n");
  }
  if (bad > 0) {
    const Fault fault = tally.of("refused") > 0 ? Fault::refused : Fault::unreachable;
    return Problem(Error{fault, kVouchersFailed}, std::to_string(bad) + " device(s)");
  }
  return Ok{};
}

OrProblem<Ok> fetch(const Context& context, const FetchOptions& options) {
  if (options.all == !options.serials.empty()) {
    return wrong_option("--all", "give --all or serial numbers");
  }
  const auto text = io::read_file(options.manifest, kMaxManifest);
  if (!text) {
    return file_problem(options.manifest, text.error().what);
  }
  TRY(const std::vector<ExpectedDevice> manifest, about(read_manifest(as_text(*text)), options.manifest));
  TRY(VoucherShelf shelf, open_shelf(context));
  FetchPlan plan;
  plan.form = options.form == "cose" ? brski::Form::cose : options.form == "jws" ? brski::Form::jws : brski::Form::cms;
  plan.together = options.together;
  plan.one_by_one = options.one_by_one;
  Tally tally(context);
  Work work;
  for (const ExpectedDevice& device : manifest) {
    const bool wanted = options.all || std::ranges::find(options.serials, device.serial) != options.serials.end();
    const auto added =
        wanted ? add_device(shelf, options, device, plan.form, io::wall_clock(), work, tally) : Result<bool>(false);
    if (!added) {
      tally.add(device.serial, "refused", words_of(added.error()));
    }
  }
  for (const std::string& serial : options.serials) {
    if (std::ranges::find(manifest, serial, &ExpectedDevice::serial) == manifest.end()) {
      tally.add(serial, "refused", "the manifest has no such device");
    }
  }
  for (const auto& [masa, of_masa] : work) {
    const std::vector<FetchItem>& items = of_masa;
    std::vector<bool> done(items.size(), false);
    const Status asked = fetch_vouchers(
        *shelf.registrar, items, plan,
        [&](Fetched got) {
          done.at(got.item) = true;
          take(shelf, items, std::move(got), tally);
        },
        [&](std::string_view line) { context.progress(line); });
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (!done[i]) {
        tally.add(items[i].device.serial, "open", asked ? "no answer" : words_of(asked.error()), masa);
      }
    }
  }
  return finish(context, tally);
}

}  // namespace

void add_voucher_fetch(Command voucher) {
  auto options = std::make_shared<FetchOptions>();
  const Command command = voucher.sub(
      "fetch",
      "Ask MASAs for vouchers without a nonce before the devices come: many in one call where the MASA has that.\n"
      "What is on record already is not asked for again, so that a run that was cut short is simply started again.\n"
      "With --json each device is a line.",
      "imprint voucher fetch --manifest acme/manifest.jsonl --all\n"
      "imprint voucher fetch --manifest acme/manifest.jsonl --maker acme lamp-0001 lamp-0002");
  command.option("SERIAL", options->serials, "Only these devices");
  command.option("--manifest", options->manifest, "The devices' manifest: it has their IDevIDs")
      .type("FILE")
      .required();
  command.flag("--all", options->all, "All devices of the manifest");
  command.option("--maker", options->maker, "Only devices for which makers/NAME.toml speaks").type("NAME");
  command.option("--form", options->form, "That the devices read: cms, cose or jws")
      .one_of({"cms", "cose", "jws"})
      .shows_default();
  command.option("--together", options->together, "Requests of one call").between(1U, 5000U).shows_default();
  command.flag("--one-by-one", options->one_by_one, "Do not ask for many at once");
  command.runs([options](const Context& c) { return fetch(c, *options); });
}

}  // namespace imprint::app
