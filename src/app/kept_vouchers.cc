#include "app/kept_vouchers.h"

#include <algorithm>

#include "app/registrar_parts.h"
#include "app/voucher_rules.h"
#include "crypto/random.h"
#include "factory/masa_policy.h"
#include "io/loop.h"
#include "proto/brski/registrar_judge.h"

namespace imprint::app {
namespace {

constexpr std::string_view kActor = "cli";
constexpr std::int64_t kPage = 1000;

Status read_serials(store::Reader& reader, std::multimap<std::string, std::string>& into) {
  std::string after;
  while (true) {
    TRY(const std::vector<Device> page, reader.devices(after, kPage));
    if (page.empty()) {
      return Ok{};
    }
    for (const Device& device : page) {
      if (!device.serial.empty()) {
        into.emplace(device.serial, device.id);
      }
    }
    after = page.back().id;
  }
}

Bytes key_of(const ExpectedDevice& device) {
  return device.idevid ? to_bytes(sha256(device.idevid->key.spki)) : Bytes();
}

// What is on record of the device, if it came or is expected.
Result<std::optional<PledgeRow>> row_of(VoucherShelf& shelf, const ExpectedDevice& device) {
  TRY(const std::string id, inventory_id(shelf, device));
  TRY(const auto reader, shelf.data.store->read());
  const Bytes key = key_of(device);
  TRY(std::optional<PledgeRow> row, reader->pledge(device.issuer, device.serial));
  const bool of_another = row && !id.empty() && !row->device.empty() && row->device != id && row->id.key != key;
  if (id.empty() || (row && !of_another)) {
    return row;
  }
  // Once it has come it is on record by what its CA is (site::pledge_id()), which no kit says.
  store::PledgeFilter of_device;
  of_device.device = id;
  TRY(const std::vector<PledgeRow> rows, reader->pledges(of_device));
  const auto at = std::ranges::find_if(rows, [&](const PledgeRow& one) {
    return one.id.serial == device.serial && one.id.issuer.size() == sizeof(Sha256) &&
           (key.empty() || one.id.key == key);
  });
  return at == rows.end() ? std::nullopt : std::optional(*at);
}

bool is_good(const PledgeRow& row, Instant now) {
  const auto kept = row.voucher.empty() || !row.nonce.empty()
                        ? Result<brski::Artifact>(Error{Fault::refused, kVoucherNonced})
                        : brski::parse_artifact(row.voucher);
  return kept && !kept->voucher.nonce && (!kept->voucher.expires_on || now < kept->voucher.expires_on->at);
}

}  // namespace

std::string_view name(Shelved what) {
  constexpr std::array<std::string_view, 3> kNames{"taken", "there", "onboarded"};
  return kNames.at(static_cast<std::size_t>(what));
}

OrProblem<VoucherShelf> open_shelf(const Context& context) {
  TRY(Offline data, context.offline());
  SystemRng rng;
  // With its key, and with who speaks for which maker.
  TRY(data.folder, about(refresh_data_folder(data.config, *data.store, io::wall_clock(), rng), data.config.data));
  site::Policy policy;
  auto registrar = make_registrar(data.config, data.folder, policy);
  if (!registrar) {
    return Problem(Error{Fault::refused, kNoRegistrar}, data.config.data);
  }
  VoucherShelf out{std::move(data), std::move(registrar), {}};
  TRY(const auto reader, out.data.store->read());
  TRY([[maybe_unused]] const Ok read, read_serials(*reader, out.by_serial));
  return out;
}

Result<std::string> inventory_id(VoucherShelf& shelf, const ExpectedDevice& device) {
  if (device.idevid) {
    TRY(const auto reader, shelf.data.store->read());
    TRY(const auto known, reader->device_by_identity(identity_of(*device.idevid)));
    if (known) {
      return known->id;
    }
  }
  const auto [from, to] = shelf.by_serial.equal_range(device.serial);
  CHECK_OR(from != to, Error{Fault::refused, kVoucherStranger});
  return std::next(from) == to ? from->second : std::string();
}

Result<Shelved> look_up(VoucherShelf& shelf, const ExpectedDevice& device, Instant now) {
  TRY(const auto row, row_of(shelf, device));
  if (!row) {
    return Shelved::taken;
  }
  if (row->stage == PledgeStage::imprinted || row->stage == PledgeStage::enrolled) {
    return Shelved::onboarded;  // another voucher would take back what it was let do
  }
  return is_good(*row, now) ? Shelved::there : Shelved::taken;
}

Result<Shelved> shelve(VoucherShelf& shelf, const ShelvedVoucher& what, Instant now) {
  CHECK_OR(!what.voucher.voucher.nonce, Error{Fault::refused, kVoucherNonced});
  TRY(const std::string device, inventory_id(shelf, what.device));
  brski::VoucherWanted wanted;
  wanted.id = {what.device.serial, what.device.issuer, key_of(what.device)};
  wanted.forms = {what.voucher.form};
  wanted.own = shelf.registrar->role->chain;
  wanted.anchors = what.anchors;
  TRY([[maybe_unused]] const Ok good, brski::judge_masa_voucher(what.voucher, wanted, now));
  TRY(const Shelved state, look_up(shelf, what.device, now));
  if (state != Shelved::taken) {
    return state;
  }
  TRY(const auto row, row_of(shelf, what.device));
  if (row && wanted.id.key.empty()) {
    wanted.id.key = row->id.key;  // of the device that came before
  }
  VoucherObtained fact;
  fact.id = wanted.id;
  fact.id.issuer = row ? row->id.issuer : fact.id.issuer;
  fact.device = device;
  fact.request = what.request;
  fact.voucher = what.voucher.received;
  fact.form = brski::name(what.voucher.form);
  fact.domain_id = brski::pinned_domain(what.voucher.voucher);
  fact.masa = what.masa;
  TRY([[maybe_unused]] const Ok kept,
      shelf.data.store->write([&](store::Writer& writer) { return writer.voucher_obtained(fact, now, kActor); }));
  return Shelved::taken;
}

Result<std::vector<ExpectedDevice>> read_manifest(std::string_view text) {
  std::vector<ExpectedDevice> out;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
      continue;
    }
    TRY(factory::OrderLine one, factory::parse_order_line(line));
    out.push_back({std::move(one.serial), std::move(one.issuer), std::move(one.idevid)});
  }
  return out;
}

}  // namespace imprint::app
