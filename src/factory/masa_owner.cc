#include "factory/masa_owner.h"

#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "codec/uri.h"
#include "proto/brski/masa_rules.h"

namespace imprint::factory {
namespace {

constexpr std::size_t kMaxUrl = 512;

bool is_address(std::string_view text) {
  const auto uri = Uri::parse(text);
  return text.size() <= kMaxUrl && uri && uri->scheme == "https" && !uri->host.empty() && uri->query.empty();
}

// Whose EST server it is: the customer's by the sales data, if there is one, else of who has claimed it, if anybody.
Status check_pin(store::MakerWriter& writer, const MakerDevice& device, const Certificate& pinned, Instant at) {
  if (!device.customer.empty()) {
    TRY(const auto customer, writer.customer(device.customer));
    const bool own = customer && verify_chain(pinned, {}, customer->anchors, {Purpose::any, at, true});
    CHECK_OR(own, Error{Fault::refused, brski::masa::kOwnerPin});
    return Ok{};
  }
  const bool free = device.state != Custody::claimed || equal(device.claimed_key, key_digest(pinned));
  CHECK_OR(free, Error{Fault::refused, brski::masa::kClaimed});
  return Ok{};
}

}  // namespace

Result<brski::FindOwner::Found> find_owner(store::MakerReader& reader, const brski::FindOwner& question) {
  brski::FindOwner::Found out;
  TRY(const auto device, reader.device(question.device.issuer, question.device.serial));
  if (!device || !holds(device->state != Custody::retired)) {
    return out;
  }
  TRY(const auto namesakes, reader.devices_of_serial(device->serial));
  out.known = true;
  out.version = device->version;
  out.customer = device->customer;
  out.owner = device->owner;
  out.name_issuer = namesakes.size() > 1;
  TRY(const auto given, reader.given(question.request, brski::name(question.form)));
  out.voucher = given.value_or(Bytes());
  return out;
}

Status set_owner(store::MakerWriter& writer, MakerDevice device, OwnerAddress owner, Instant at,
                 std::string_view actor) {
  using Kind = OwnerAddress::Kind;
  CHECK_OR(device.state != Custody::retired, Error{Fault::refused, brski::masa::kRetired});
  const bool has_address = owner.kind == Kind::registrar || owner.kind == Kind::est;
  CHECK_OR(is_address(owner.url) == has_address && (has_address || owner.url.empty()),
           Error{Fault::refused, brski::masa::kOwnerAddress});
  CHECK_OR(owner.pinned.has_value() == (owner.kind == Kind::est), Error{Fault::refused, brski::masa::kOwnerAddress});
  CHECK_OR(owner.configuration.empty() || (owner.kind == Kind::est && is_address(owner.configuration)),
           Error{Fault::refused, brski::masa::kOwnerAddress});
  if (owner.pinned) {
    TRY([[maybe_unused]] const Ok good, check_pin(writer, device, *owner.pinned, at));
  }
  device.owner = std::move(owner);
  device.changed = at;
  const Json detail{{"owner", imprint::name(device.owner.kind)}, {"url", device.owner.url}};
  return writer.change_device(device, actor, "device.owner", detail.dump());
}

}  // namespace imprint::factory
