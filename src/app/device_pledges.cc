#include "app/device_pledges.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "app/shell_word.h"
#include "app/voucher_rules.h"
#include "site/operation_rules.h"
#include "store/pledges.h"

namespace imprint::app {
namespace {

constexpr std::int64_t kPage = 1000;

Result<std::vector<PledgeRow>> all_pledges(store::Reader& reader, store::PledgeFilter filter) {
  filter.limit = kPage;
  std::vector<PledgeRow> out;
  while (true) {
    TRY(const std::vector<PledgeRow> page, reader.pledges(filter));
    if (page.empty()) {
      return out;
    }
    out.insert(out.end(), page.begin(), page.end());
    filter.after_issuer = page.back().id.issuer;
    filter.after_serial = page.back().id.serial;
  }
}

Result<std::set<std::string>> all_with_serial(store::Reader& reader, const std::string& serial) {
  std::set<std::string> out;
  std::string after;
  while (true) {
    TRY(const std::vector<Device> page, reader.devices(after, kPage));
    if (page.empty()) {
      break;
    }
    for (const Device& device : page) {
      if (device.serial == serial) {
        out.insert(device.id);
      }
    }
    after = page.back().id;
  }
  // The inventory may call it otherwise than its IDevID does.
  TRY(const std::vector<PledgeRow> rows, all_pledges(reader, {}));
  for (const PledgeRow& row : rows) {
    if (row.id.serial == serial && !row.device.empty()) {
      out.insert(row.device);
    }
  }
  return out;
}

// A row of a device outside the inventory has no other name.
std::string name_of(const PledgeRow& row) { return row.device.empty() ? row.id.serial : row.device; }
std::string next_of_waiting(const PledgeRow& row) { return "imprint device approve " + shell_word(name_of(row)); }
std::string next_of_held(const PledgeRow& row) { return "imprint device clear " + shell_word(name_of(row)); }
std::string rule_of_hold(const PledgeRow& row) { return row.held.empty() ? row.rule : row.held; }

Json row_json(const PledgeRow& row, Instant since, const std::string& next) {
  return {{"device", row.device},
          {"serial", row.id.serial},
          {"since", utc_text(since)},
          {"last", utc_text(row.last)},
          {"asked", row.asked},
          {"why", row.reason},
          {"next", next}};
}

Instant held_since(const PledgeRow& row) { return row.reported.value_or(row.last); }

// Those that are held, and no other. One that took no voucher is only let go of: what it has to show stays to be shown.
Result<std::vector<PledgeRow>> let_on(store::Writer& writer, const std::vector<PledgeRow>& rows,
                                      std::string_view reason, const site::Act& act, const ClearScope& scope) {
  std::vector<PledgeRow> out;
  for (const PledgeRow& row : rows) {
    if (!store::is_held(row) && !scope.without_voucher) {
      continue;
    }
    CHECK_OR(scope.rule.empty() || scope.rule == rule_of_hold(row), Error{Fault::conflict, kHeldOtherwise});
    if (store::took_voucher(row) || scope.without_voucher) {
      TRY([[maybe_unused]] const Ok done, writer.clear_pledge(row.id, true, reason, act.at, act.by));
    } else {
      TRY([[maybe_unused]] const Ok done, writer.release_pledge(row.id, reason, act.at, act.by));
    }
    out.push_back(row);
  }
  CHECK_OR(!out.empty() || std::ranges::any_of(rows, &PledgeRow::cleared), Error{Fault::conflict, kNotHeld});
  return out;
}

}  // namespace

Result<std::vector<PledgeRow>> waiting_pledges(store::Reader& reader) {
  store::PledgeFilter filter;
  filter.stage = PledgeStage::asked;
  TRY(const std::vector<PledgeRow> asked, all_pledges(reader, filter));
  std::vector<PledgeRow> out;
  for (const PledgeRow& row : asked) {
    TRY(const std::optional<Device> device, reader.device(row.device));
    if (device && device->admission == Admission::waiting) {  // else it waits for its MASA, or to come again
      out.push_back(row);
    }
  }
  return out;
}

Result<std::vector<PledgeRow>> held_pledges(store::Reader& reader, const std::string& device) {
  store::PledgeFilter filter;
  filter.device = device;
  filter.held = true;
  return all_pledges(reader, filter);
}

Result<std::vector<PledgeRow>> clear_pledges(store::Writer& writer, const std::string& device, bool cleared,
                                             std::string_view reason, const site::Act& act, const ClearScope& scope) {
  store::PledgeFilter filter;
  filter.device = device;
  TRY(std::vector<PledgeRow> rows, all_pledges(writer, filter));
  CHECK_OR(!device.empty() && !rows.empty(), Error{Fault::refused, kNoPledge});
  if (cleared) {
    return let_on(writer, rows, reason, act, scope);
  }
  for (const PledgeRow& row : rows) {
    TRY([[maybe_unused]] const Ok done, writer.clear_pledge(row.id, false, reason, act.at, act.by));
  }
  return rows;
}

Json waiting_json(const std::vector<PledgeRow>& rows) {
  Json out = Json::array();
  for (const PledgeRow& row : rows) {
    out.push_back(row_json(row, row.first, next_of_waiting(row)));
  }
  return out;
}

Json held_json(const std::vector<PledgeRow>& rows) {
  Json out = Json::array();
  for (const PledgeRow& row : rows) {
    out.push_back(row_json(row, held_since(row), next_of_held(row)));
    out.back()["rule"] = rule_of_hold(row);
  }
  return out;
}

std::string waiting_text(const std::vector<PledgeRow>& rows) {
  std::vector<std::vector<std::string>> out;
  for (const PledgeRow& row : rows) {
    out.push_back({row.device, row.id.serial, utc_text(row.first), row.reason, next_of_waiting(row)});
  }
  return rows.empty() ? "" : "came for a voucher:\n" + table({"DEVICE", "SERIAL", "SINCE", "WHY", "NEXT"}, out);
}

std::string held_text(const std::vector<PledgeRow>& rows) {
  std::vector<std::vector<std::string>> out;
  for (const PledgeRow& row : rows) {
    out.push_back(
        {name_of(row), row.id.serial, utc_text(held_since(row)), rule_of_hold(row), row.reason, next_of_held(row)});
  }
  return rows.empty() ? "" : "held:\n" + table({"DEVICE", "SERIAL", "SINCE", "RULE", "WHY", "NEXT"}, out);
}

Result<std::vector<std::string>> ids_with_serial(store::Reader& reader, const std::string& serial) {
  if (serial.empty()) {
    return std::vector<std::string>();  // a device without one is not called by that
  }
  TRY(const std::set<std::string> all, all_with_serial(reader, serial));
  std::vector<std::string> in_use;
  for (const std::string& id : all) {
    TRY(const std::optional<Device> device, reader.device(id));
    if (device && device->admission != Admission::retired) {
      in_use.push_back(id);
    }
  }
  return in_use.empty() ? std::vector<std::string>(all.begin(), all.end()) : in_use;
}

Problem more_than_one(const std::string& word, const std::vector<std::string>& meant) {
  Problem out(Error{Fault::conflict, site::kDeviceSerialMany}, word);
  for (const std::string& one : meant) {
    out.state += (out.state.empty() ? "" : ", ") + one;
  }
  return out;
}

OrProblem<std::string> device_id_of(store::Reader& reader, const std::string& word) {
  TRY(const std::optional<Device> device, reader.device(word));
  if (device) {
    return word;
  }
  TRY(const std::vector<std::string> ids, ids_with_serial(reader, word));
  if (ids.size() > 1) {
    return more_than_one(word, ids);
  }
  if (ids.empty()) {
    return Problem(Error{Fault::refused, site::kDeviceUnknown}, word);
  }
  return ids.front();
}

}  // namespace imprint::app
