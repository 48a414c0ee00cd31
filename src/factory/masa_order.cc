// Orders and manifests as a MASA takes them over.
#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "factory/masa_policy.h"
#include "model/device.h"

namespace imprint::factory {
namespace {

constexpr std::size_t kMaxLine = 64 * 1024, kMaxProblems = 1000;
constexpr std::size_t kMaxText = 255;

// A member that is a text, or nothing.
Result<std::string> text_of(const Json& json, const char* key) {
  const auto at = json.find(key);
  if (at == json.end()) {
    return std::string();
  }
  CHECK_OR(at->is_string(), Error{Fault::malformed, "order line: a member is no text"});
  return at->get<std::string>();
}

enum class Taken : std::uint8_t { added, assigned, unchanged };

// One line's change.
Result<Taken> take_line(store::MakerWriter& writer, const OrderLine& line, Instant at, std::string_view actor) {
  TRY(auto device, writer.device(line.issuer, line.serial));
  if (!device) {
    MakerDevice made;
    made.issuer = line.issuer;
    made.serial = line.serial;
    made.model = line.model;
    made.idevid = line.idevid;
    made.customer = line.customer;
    made.state = line.customer.empty() ? Custody::made : Custody::sold;
    made.added = at;
    TRY(Ok{}, writer.add_device(made, actor));
    return Taken::added;
  }
  if (line.customer.empty() || line.customer == device->customer) {
    return Taken::unchanged;
  }
  CHECK_OR(device->customer.empty(), Error{Fault::conflict, "another customer has the device: transfer it"});
  CHECK_OR(device->state != Custody::claimed || device->claimant == line.customer,
           Error{Fault::conflict, "another domain has claimed the device: release it"});
  const bool claimed = device->state == Custody::claimed;
  CHECK_OR(device->state != Custody::retired, Error{Fault::conflict, "the device is retired"});
  device->customer = line.customer;
  device->state = claimed ? Custody::claimed : Custody::sold;
  device->changed = at;
  TRY(Ok{}, writer.change_device(*device, actor, "device.sold", "{\"customer\":\"" + line.customer + "\"}"));
  return Taken::assigned;
}

}  // namespace

Result<OrderLine> parse_order_line(std::string_view text) {
  CHECK_OR(text.size() <= kMaxLine, Error{Fault::limit, "order line: longer than 64 KiB"});
  const auto json = parse_json(text);
  CHECK_OR(json && json->is_object(), Error{Fault::malformed, "order line: not a JSON object"});
  OrderLine out;
  TRY(out.serial, text_of(*json, "serial"));
  TRY(out.model, text_of(*json, "model"));
  TRY(out.customer, text_of(*json, "customer"));
  TRY(const std::string issuer, text_of(*json, "issuer"));
  TRY(const std::string idevid, text_of(*json, "idevid"));
  CHECK_OR(valid_maker_serial(out.serial), Error{Fault::malformed, "order line: serial"});
  CHECK_OR(out.model.size() <= kMaxText, Error{Fault::limit, "order line: model"});
  CHECK_OR(out.customer.empty() || valid_device_id(out.customer), Error{Fault::malformed, "order line: customer"});
  if (!idevid.empty()) {
    TRY(auto certificates, parse_pem_certificates(idevid));
    CHECK_OR(certificates.size() == 1, Error{Fault::malformed, "order line: idevid is not one certificate"});
    out.idevid = std::move(certificates.front());
    CHECK_OR(brski::serial_of(*out.idevid) == out.serial,
             Error{Fault::malformed, "order line: serial is not that of the idevid"});
    out.issuer = brski::issuer_key_id(*out.idevid);
  }
  if (!issuer.empty()) {
    const auto bytes = from_hex(issuer);
    CHECK_OR(bytes && !bytes->empty() && bytes->size() <= 64, Error{Fault::malformed, "order line: issuer"});
    const Bytes key_id = brski::issuer_key_id(BytesView(*bytes));
    CHECK_OR(out.issuer.empty() || out.issuer == key_id,
             Error{Fault::malformed, "order line: issuer is not that of the idevid"});
    out.issuer = key_id;
  }
  CHECK_OR(!out.issuer.empty(), Error{Fault::malformed, "order line: neither idevid nor issuer"});
  return out;
}

Result<OrderOutcome> import_order(store::MakerStore& store, std::string_view text, std::string_view customer,
                                  Instant at, std::string_view actor) {
  constexpr std::size_t kTogether = 500;  // lines of one change: what fails in it fails alone
  OrderOutcome out;
  const auto problem = [&out](std::size_t line, std::string_view what) {
    if (out.problems.size() < kMaxProblems) {
      out.problems.push_back({line, std::string(what)});
    }
  };
  std::size_t number = 0;
  while (!text.empty()) {
    std::vector<std::pair<std::size_t, OrderLine>> lines;
    while (!text.empty() && lines.size() < kTogether) {
      const std::size_t end = text.find('\n');
      const std::string_view one = text.substr(0, end);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      ++number;
      if (one.find_first_not_of(" \t\r") == std::string_view::npos) {
        continue;
      }
      ++out.lines;
      auto line = parse_order_line(one);
      if (!line) {
        problem(number, line.error().what);
        continue;
      }
      if (line->customer.empty()) {
        line->customer = customer;
      }
      lines.emplace_back(number, *std::move(line));
    }
    const OrderOutcome before = out;
    TRY(Ok{}, store.write([&](store::MakerWriter& writer) -> Status {
      out = before;  // in case the store runs it once more
      for (const auto& [at_line, line] : lines) {
        if (!line.customer.empty()) {
          TRY(const auto known, writer.customer(line.customer));
          if (!known) {
            problem(at_line, "no such customer: " + line.customer);
            continue;
          }
        }
        const auto taken = take_line(writer, line, at, actor);
        if (!taken && taken.error().fault == Fault::unreachable) {
          return taken.error();
        }
        if (!taken) {
          problem(at_line, line.serial + ": " + std::string(taken.error().what));
          continue;
        }
        ++(*taken == Taken::added ? out.added : *taken == Taken::assigned ? out.assigned : out.unchanged);
      }
      return Ok{};
    }));
  }
  return out;
}

}  // namespace imprint::factory
