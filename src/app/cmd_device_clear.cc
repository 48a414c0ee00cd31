// `imprint device clear`: a person's word on a device that took its voucher and is held for its past (RFC 8995 section
// 5.8.3).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/cmd_device.h"
#include "app/device_pledges.h"
#include "app/voucher_rules.h"
#include "site/operation_rules.h"
#include "store/pledges.h"

namespace imprint::app {
namespace {

struct ClearOptions {
  std::string id, reason;
  bool hold = false;
  ClearScope scope;
};

// Whom the person means. A device that is not on record has not asked for a voucher either.
OrProblem<std::string> named(store::Reader& reader, const std::string& word) {
  auto id = device_id_of(reader, word);
  if (!id && id.error().rule == site::kDeviceUnknown.id) {
    return Problem(Error{Fault::refused, kNoPledge}, word);
  }
  return id;
}

OrProblem<Ok> clear(const Context& context, ClearOptions options) {
  TRY(const Offline data, context.offline());
  {
    TRY(const auto reader, data.store->read());
    TRY(options.id, named(*reader, options.id));
  }
  const bool cleared = !options.hold;
  std::vector<PledgeRow> rows;
  TRY([[maybe_unused]] const Ok done, about(data.store->write([&](store::Writer& writer) -> Status {
        TRY(rows, clear_pledges(writer, options.id, cleared, options.reason, by_cli(), options.scope));
        return Ok{};
      }),
                                            options.id));
  Json list = Json::array();
  for (const PledgeRow& row : rows) {
    list.push_back({{"serial", row.id.serial}, {"was", row.held.empty() ? row.rule : row.held}, {"why", row.reason}});
  }
  const bool open =
      cleared && (rows.empty() || options.scope.without_voucher || std::ranges::any_of(rows, store::took_voucher));
  context.print(Json{{"device", options.id}, {"cleared", open}, {"reason", options.reason}, {"pledges", list}},
                options.id +
                    (open      ? ": may enrol"
                     : cleared ? ": is held no more, and has to take its voucher first"
                               : ": is held") +
                    "\n");
  return Ok{};
}

}  // namespace

void add_device_clear(Command device) {
  auto options = std::make_shared<ClearOptions>();
  const Command command = device.sub(
      "clear", "Let a device enrol that took its voucher and is held, for its past or for want of its MASA's log.",
      "imprint device clear lamp-0001 --reason \"bought second-hand from acme-south\"\n"
      "imprint device clear lamp-0001 --hold");
  command.option("ID|SERIAL", options->id, "The device: its inventory id, or a serial number that no other has")
      .required();
  command.option("--reason", options->reason, "For the audit log");
  command.flag("--hold", options->hold, "The other way round: it may not go on until it is cleared");
  command.option("--rule", options->scope.rule, "Only if it is held for this, as `imprint device list` shows it")
      .type("RULE");
  command.flag("--without-voucher", options->scope.without_voucher,
               "Also if it took no voucher: it may enrol, and nobody has looked at its past");
  command.runs([options](const Context& c) { return clear(c, *options); });
}

}  // namespace imprint::app
