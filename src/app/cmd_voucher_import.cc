// `imprint voucher import`: vouchers that a maker gave to a site without a way to its MASA.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "app/cli_rules.h"
#include "app/cmd_voucher.h"
#include "app/kept_vouchers.h"
#include "app/onboard_plan.h"
#include "app/voucher_rules.h"
#include "app/voucher_words.h"
#include "codec/base64.h"
#include "io/file.h"
#include "io/loop.h"

namespace imprint::app {
namespace {

constexpr std::size_t kMaxKit = std::size_t{256} << 20U;

struct ImportOptions {
  std::vector<std::string> files;
  std::string manifest, issuer, maker, anchors;
  bool unchecked = false;
};

// Something to be taken, and where it was found.
struct Found {
  std::string where;
  Result<brski::Artifact> voucher;
  Bytes issuer;  // empty: the file does not say
};

// One line of a kit: {"serial", "issuer", "voucher", …}.
Found found_in_line(const std::string& where, std::string_view line) {
  const Error wrong{Fault::malformed, kVoucherLine};
  Found out{where, wrong, {}};
  const auto json = parse_json(line);
  if (!json || !json->is_object() || !json->contains("voucher") || !(*json)["voucher"].is_string()) {
    return out;
  }
  const auto octets = parse_base64((*json)["voucher"].get<std::string>());
  if (octets) {
    out.voucher = brski::parse_artifact(*octets);
  }
  const auto issuer = json->find("issuer");
  if (issuer != json->end() && issuer->is_string()) {
    out.issuer = from_hex(issuer->get<std::string>()).value_or(Bytes());
  }
  return out;
}

// A kit has many vouchers, any other file one.
void take_text(const std::string& path, const Bytes& content, std::vector<Found>& into) {
  const std::string_view text = as_text(content);
  const auto first = text.find_first_not_of(" \t\r\n");
  const bool is_kit = first != std::string_view::npos && text[first] == '{' &&
                      text.substr(0, text.find('\n')).find("\"voucher\"") != std::string_view::npos;
  if (!is_kit) {
    into.push_back({path, brski::parse_artifact(unwrapped(content)), {}});
    return;
  }
  std::size_t number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    ++number;
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
      into.push_back(found_in_line(path + ":" + std::to_string(number), line));
    }
  }
}

OrProblem<Ok> take_path(const std::string& path, std::vector<Found>& into) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    std::vector<std::string> inside;
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
      if (entry.is_regular_file(error)) {
        inside.push_back(entry.path().string());
      }
    }
    std::ranges::sort(inside);
    for (const std::string& one : inside) {
      TRY([[maybe_unused]] const Ok taken, take_path(one, into));
    }
    return Ok{};
  }
  const auto content = io::read_file(path, kMaxKit);
  if (!content) {
    return file_problem(path, content.error().what);
  }
  take_text(path, *content, into);
  return Ok{};
}

// Whose vouchers are taken for which devices: one maker's signers are nobody to another maker's devices.
class Signers {
 public:
  Signers(const VoucherShelf& shelf, const ImportOptions& options, std::vector<Certificate> given)
      : given_(std::move(given)), unchecked_(options.unchecked) {
    std::set<std::string> makers;
    for (const site::MasaRule& rule : shelf.data.folder.masas->book.rules) {
      const std::string maker = rule.name.substr(0, rule.name.find('/'));
      if (options.maker.empty() || maker == options.maker) {
        rules_.push_back(&rule);
        makers.insert(maker);
      }
    }
    one_maker_ = makers.size() == 1;
  }

  bool check() const { return !unchecked_; }

  // Faults: VOUCHER-UNCHECKED.
  Result<std::vector<Certificate>> of(const ExpectedDevice& device) const {
    if (unchecked_) {
      return std::vector<Certificate>();
    }
    std::vector<Certificate> out = given_;
    for (const site::MasaRule* const rule : rules_) {
      if (given_.empty() && (one_maker_ || is_for(*rule, device))) {
        out.insert(out.end(), rule->voucher_anchors.begin(), rule->voucher_anchors.end());
      }
    }
    CHECK_OR(!out.empty(), Error{Fault::refused, kVoucherUnchecked});
    return out;
  }

 private:
  // As far as can be said without the certificates above it: by who issued it, or by its own certificate.
  static bool is_for(const site::MasaRule& rule, const ExpectedDevice& device) {
    const auto issued = [&](BytesView id) { return equal(id, device.issuer); };
    const auto& roots = rule.match.anchors;
    return std::ranges::any_of(rule.match.key_ids, issued) ||
           std::ranges::any_of(roots, [&](const Certificate& root) { return issued(root.key_id); }) ||
           (device.idevid && verify_chain(*device.idevid, {}, roots, {Purpose::any, Instant{}, /*check_time=*/false}));
  }

  std::vector<Certificate> given_;
  std::vector<const site::MasaRule*> rules_;
  bool one_maker_ = false, unchecked_ = false;
};

// The device that a voucher is for, by what the kit, the manifest, the voucher itself and the command line say.
Result<ExpectedDevice> device_of(const Found& found, const std::vector<ExpectedDevice>& manifest, BytesView issuer) {
  const brski::Voucher& voucher = found.voucher->voucher;
  const std::string serial = voucher.serial_number.value_or("");
  const auto listed = std::ranges::find_if(manifest, [&](const ExpectedDevice& one) {
    return one.serial == serial && (found.issuer.empty() || equal(one.issuer, found.issuer));
  });
  if (listed != manifest.end()) {
    return *listed;
  }
  ExpectedDevice out{serial, found.issuer, {}};
  if (out.issuer.empty() && voucher.idevid_issuer) {
    out.issuer = brski::issuer_key_id(BytesView(*voucher.idevid_issuer));
  }
  if (out.issuer.empty()) {
    out.issuer.assign(issuer.begin(), issuer.end());
  }
  CHECK_OR(!out.issuer.empty(), Error{Fault::refused, kVoucherNoIssuer});
  return out;
}

OrProblem<Ok> import(const Context& context, const ImportOptions& options) {
  const auto issuer = from_hex(options.issuer);
  if (!issuer) {
    return wrong_option("--issuer " + options.issuer, "give the key identifier in hexadecimal");
  }
  std::vector<ExpectedDevice> manifest;
  if (!options.manifest.empty()) {
    const auto text = io::read_file(options.manifest, kMaxKit);
    if (!text) {
      return file_problem(options.manifest, text.error().what);
    }
    TRY(manifest, about(read_manifest(as_text(*text)), options.manifest));
  }
  std::vector<Found> all;
  for (const std::string& path : options.files) {
    TRY([[maybe_unused]] const Ok taken, take_path(path, all));
  }
  std::vector<Certificate> given;
  if (!options.anchors.empty()) {
    TRY(given, read_certificates(options.anchors));
  }
  TRY(VoucherShelf shelf, open_shelf(context));
  const Signers signers(shelf, options, std::move(given));
  const Instant now = io::wall_clock();
  std::map<std::string, std::size_t> counts;
  Json list = Json::array();
  std::string told;
  for (const Found& found : all) {
    std::string serial, state = "refused", rule;
    const auto taken = [&]() -> Result<Shelved> {
      CHECK_OR(found.voucher, found.voucher.error());
      serial = found.voucher->voucher.serial_number.value_or("");
      TRY(ExpectedDevice device, device_of(found, manifest, *issuer));
      TRY([[maybe_unused]] const std::string id, inventory_id(shelf, device));
      TRY(std::vector<Certificate> anchors, signers.of(device));
      return shelve(shelf, {std::move(device), *found.voucher, std::move(anchors), "import"}, now);
    }();
    if (taken) {
      state = name(*taken);
    } else {
      rule = taken.error().rule != nullptr ? std::string(taken.error().rule->id) : std::string(taken.error().what);
      told.append(found.where).append(": ").append(serial).append(": ").append(taken.error().what);
      told.append(" (").append(rule).append(")\n");
    }
    ++counts[state];
    list.push_back({{"where", found.where}, {"serial", serial}, {"state", state}, {"rule", rule}});
  }
  context.print(Json{{"vouchers", list},
                     {"taken", counts["taken"]},
                     {"there", counts["there"]},
                     {"onboarded", counts["onboarded"]},
                     {"refused", counts["refused"]},
                     {"signatures_checked", signers.check()}},
                told + std::to_string(counts["taken"]) + " taken, " + std::to_string(counts["there"]) +
                    " there already, " + std::to_string(counts["onboarded"]) + " of devices that are onboarded, " +
                    std::to_string(counts["refused"]) + " refused\n" +
                    (signers.check() ? "" : "signatures were not checked\n"));
  if (counts["refused"] > 0) {
    return Problem(Error{Fault::refused, kVouchersFailed}, std::to_string(counts["refused"]) + " voucher(s)");
  }
  return Ok{};
}

}  // namespace

void add_voucher_import(Command voucher) {
  auto options = std::make_shared<ImportOptions>();
  const Command command = voucher.sub(
      "import",
      "Keep vouchers without a nonce for devices of the inventory: the registrar then needs no MASA for them.\n"
      "A kit of `imprint masa kit`, single vouchers, or folders of them.",
      "imprint voucher import north.kit\nimprint voucher import north.kit --anchors acme/masa-anchors.pem\n"
      "imprint voucher import lamp-0001.vcj --manifest acme/manifest.jsonl");
  command.option("FILE", options->files, "Kits, vouchers, folders").type("FILE").required();
  command.option("--manifest", options->manifest, "The devices' manifest: it has their IDevIDs").type("FILE");
  command.option("--issuer", options->issuer, "Key identifier of the CA of the IDevIDs, if the files do not say it")
      .type("HEX");
  command.option("--maker", options->maker, "Take only voucher_anchors of makers/NAME.toml").type("NAME");
  const Arg anchors = command
                          .option("--anchors", options->anchors,
                                  "PEM: below these are the signers; default: voucher_anchors in makers/*.toml")
                          .type("FILE");
  command.flag("--unchecked", options->unchecked, "Take them whoever signed them: devices refuse what is forged")
      .excludes(anchors);
  command.runs([options](const Context& c) { return import(c, *options); });
}

}  // namespace imprint::app
