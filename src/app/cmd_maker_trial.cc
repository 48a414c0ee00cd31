// `imprint maker test`: which rule would answer for a device, and why.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/cli_rules.h"
#include "app/cmd_maker.h"
#include "codec/printable.h"
#include "io/guard.h"
#include "io/loop.h"
#include "proto/brski/registrar_rules.h"
#include "role/guarded.h"
#include "site/masa_words.h"

namespace imprint::app {
namespace {

struct TestOptions {
  std::string idevid, chain;
};

// The device, and what stands above it.
struct Tried {
  Certificate idevid;
  std::vector<Certificate> above;
  bool proven = false;  // its chain reaches a root of the makers' here
};

OrProblem<Tried> read_device(const Config& config, const TestOptions& options) {
  TRY(std::vector<Certificate> pool, read_certificates(options.idevid));
  Tried out{pool.front(), {}, false};
  if (!options.chain.empty()) {
    TRY(const std::vector<Certificate> more, read_certificates(options.chain));
    pool.insert(pool.end(), more.begin(), more.end());
  }
  TRY(const DataFolder folder, read_data_folder(config));
  const ChainRules rules{Purpose::any, io::wall_clock(), false};
  if (const auto path = verify_chain(out.idevid, pool, folder.makers, rules)) {
    out.above = site::above(**path);
    out.proven = true;
  }
  return out;
}

std::string plain(std::string_view text) { return printable(text); }

// Whether the registrar would not go there: the device names an address of this machine or of its network, and no rule
// of the operator's says that this is right. Names are not resolved, except the one that is this machine's everywhere.
bool stays_inside(const site::MasaAnswer& answer) {
  const std::string& host = answer.contact.url.host;
  const auto allowed = io::Guard{}.check(answer.contact.url, host == "localhost" ? "127.0.0.1" : host);
  return !answer.configured && !allowed && is_guarded(allowed.error());
}

Json device_json(const Tried& device) {
  const Certificate& idevid = device.idevid;
  const auto own = brski::masa_authority(idevid);
  const auto text = [](std::string value) { return value.empty() ? Json() : Json(std::move(value)); };
  return {{"subject", idevid.subject.text},
          {"issuer", idevid.issuer.text},
          {"proven", device.proven},
          {"authority_key_id", hex(brski::issuer_key_id(idevid))},
          {"serials",
           {{"subject", text(brski::serial_of(idevid, brski::SerialSource::subject))},
            {"hardware-module-name", text(brski::serial_of(idevid, brski::SerialSource::hardware_module_name))},
            {"common-name", text(brski::serial_of(idevid, brski::SerialSource::common_name))}}},
          {"module_type", text(brski::hardware_module_type(idevid))},
          {"masa", own ? Json(*own) : Json()}};
}

Json answer_json(const site::MasaAnswer& answer) {
  const brski::MasaContact& to = answer.contact;
  Json anchors = Json::array();
  for (const Certificate& one : to.anchors) {
    anchors.push_back(one.subject.text);
  }
  return {{"rule", answer.rule != nullptr ? Json(answer.rule->name) : Json()},
          {"from", answer.rule != nullptr ? Json(answer.rule->from) : Json()},
          {"masa", to.url.text()},
          {"because", to.because},
          {"own_address", answer.own_address},
          {"configured", answer.configured},
          {"inside", stays_inside(answer)},
          {"anchors", anchors},
          {"shows_certificate", to.as.has_value()},
          {"login", to.login ? Json(to.login->user) : Json()},
          {"checks_vouchers", !to.voucher_anchors.empty()},
          {"quirks", site::in_words(to.quirks)}};
}

std::string answer_text(const Tried& device, const site::MasaAnswer& answer) {
  const brski::MasaContact& to = answer.contact;
  const brski::SerialSource source = to.quirks.serial;
  std::string out = "device       " + plain(device.idevid.subject.text) + "\n";
  out +=
      "serial       " + plain(brski::serial_of(device.idevid, source)) + " (" + std::string(site::name(source)) + ")\n";
  out += "masa         " + to.url.text() + "\nbecause      " + to.because + "\n";
  for (const Certificate& one : to.anchors) {
    out += "tls anchor   " + plain(one.subject.text) + "\n";
  }
  if (stays_inside(answer)) {
    out += "not asked    " + std::string(brski::kMasaInside.what) + " (" + std::string(brski::kMasaInside.id) + "); " +
           std::string(brski::kMasaInside.next) + "\n";
  }
  if (to.as || to.login) {
    out += "shows        " + (to.as ? "a certificate" : "the login " + plain(to.login->user)) + "\n";
  }
  for (const std::string& quirk : site::in_words(to.quirks)) {
    out += "quirk        " + quirk + "\n";
  }
  return device.proven ? out : out + "not proven   no maker's root here is above it: the registrar would refuse it\n";
}

std::string trials_text(const std::vector<site::MasaTrial>& trials) {
  std::vector<std::vector<std::string>> rows;
  for (const site::MasaTrial& one : trials) {
    rows.push_back({one.rule->name, one.rule->from, one.why_not.empty() ? "fits" : one.why_not});
  }
  return rows.empty() ? std::string() : "\n" + table({"RULE", "FROM", ""}, rows);
}

Json trials_json(const std::vector<site::MasaTrial>& trials) {
  Json out = Json::array();
  for (const site::MasaTrial& one : trials) {
    out.push_back(
        {{"rule", one.rule->name}, {"from", one.rule->from}, {"fits", one.why_not.empty()}, {"why_not", one.why_not}});
  }
  return out;
}

// Without an answer, what kept each rule from giving one.
Problem no_answer(const Error& error, const Tried& device, const std::vector<site::MasaTrial>& trials) {
  Problem out(error, plain(device.idevid.subject.text));
  for (const site::MasaTrial& one : trials) {
    if (!one.why_not.empty()) {
      out.state += (out.state.empty() ? "" : "; ") + plain(one.rule->name + ": " + one.why_not);
    }
  }
  return out;
}

OrProblem<Ok> try_device(const Context& context, const TestOptions& options) {
  TRY(const Config config, context.config());
  TRY(const Tried device, read_device(config, options));
  const Instant now = io::wall_clock();
  const Makers makers = read_makers(config.data, now);
  for (const Makers::Unread& one : makers.unread) {
    context.progress("left out: " + one.file + ": " + one.why);
  }
  const std::vector<site::MasaTrial> trials = makers.book.try_all(device.idevid, device.above, now);
  const auto answer = makers.book.look_up(device.idevid, device.above, now);
  if (!answer) {
    return no_answer(answer.error(), device, trials);
  }
  context.print(Json{{"device", device_json(device)}, {"answer", answer_json(*answer)}, {"rules", trials_json(trials)}},
                answer_text(device, *answer) + trials_text(trials));
  return Ok{};
}

}  // namespace

void add_maker_test(Command maker) {
  auto options = std::make_shared<TestOptions>();
  const Command command = maker.sub("test", "Say which rule would answer for a device, and why the others would not.",
                                    "imprint maker test --idevid device.pem --data site\n"
                                    "imprint maker test --idevid device.pem --chain below.pem --json --data site");
  command.option("--idevid", options->idevid, "The device's certificate, with those above it if they are at hand")
      .required()
      .type("FILE");
  command.option("--chain", options->chain, "Certificates between it and its maker's root").type("FILE");
  command.runs([options](const Context& c) { return try_device(c, *options); });
}

}  // namespace imprint::app
