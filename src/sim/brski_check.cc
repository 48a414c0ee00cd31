#include "sim/brski_check.h"

#include <algorithm>

namespace imprint::sim {
namespace {

constexpr std::size_t kMostSentences = 20;

// Whom it pins, if that is a certificate.
std::optional<Certificate> pinned_by(const brski::VoucherFacts& facts) {
  const auto* const certificate = std::get_if<Certificate>(&facts.pin);
  return certificate == nullptr ? std::nullopt : std::optional(*certificate);
}

}  // namespace

void BrskiCheck::say(const std::string& what) {
  if (wrong_.size() < kMostSentences && std::ranges::find(wrong_, what) == wrong_.end()) {
    wrong_.push_back(what);
  }
}

void BrskiCheck::look() {
  look_at_device();
  look_at_owner();
  look_at_maker();
}

// Judged as by a device that asked with this very nonce: which one it was is the role's to know.
bool BrskiCheck::holds_for_device(const Bytes& voucher) {
  if (voucher == judged_) {
    return true;
  }
  const auto artifact = brski::parse_artifact(voucher);
  if (!artifact) {
    return false;
  }
  brski::Device device;
  device.anchors = books_.voucher_anchors;
  device.serial = books_.born.entry.serial;
  device.issuer = brski::issuer_key_id(*books_.born.entry.idevid);
  device.nonce = artifact->voucher.nonce;
  const auto facts = brski::judge_voucher(*artifact, device);
  if (!facts || pinned_by(**facts) != books_.owner_root) {
    return false;
  }
  judged_ = voucher;
  return true;
}

void BrskiCheck::look_at_device() {
  const auto owner = books_.device.imprinted();
  const auto held = books_.device.installed();
  if (!owner || !held) {
    say("the device cannot read its records");
    return;
  }
  if (*owner && (!holds_for_device((*owner)->voucher) || (*owner)->pinned != books_.owner_root)) {
    say("the device believes in a domain without a voucher that says so");
  }
  if (*held && !*owner) {
    say("the device holds a certificate and knows no owner");
  }
  if (*owner && (*owner)->configured && !*held) {
    say("the device is configured without a certificate");
  }
  if (!*held) {
    return;
  }
  const auto store = books_.owner.read();
  const auto row = store ? (*store)->certificate((*held)->certificate.serial) : store.error();
  if (!row || !*row || (*row)->der != (*held)->certificate.der || (*row)->device != books_.born.entry.id) {
    say("the device holds a certificate that its owner has no record of");
  }
}

void BrskiCheck::look_at_owner() {
  const auto store = books_.owner.read();
  const auto rows = store ? (*store)->pledges({}) : store.error();
  const auto issued = store ? (*store)->count("certificates") : store.error();
  if (!rows || !issued) {
    say("the owner cannot read its records");
    return;
  }
  if (*issued > 0 && (rows->size() != 1 || !rows->front().vouchered || !rows->front().reported)) {
    say("the owner has given a certificate before voucher and report were on record");
  }
  for (const PledgeRow& row : *rows) {
    if (row.cleared && !holds_for_device(row.voucher)) {
      say("the owner lets a device on by a voucher that does not hold");
    }
    const auto request = brski::parse_artifact(row.request);
    if (!request || !request->voucher.nonce || !request->voucher.prior_signed_voucher_request) {
      continue;
    }
    const auto [it, is_new] = asked_.emplace(*request->voucher.nonce, *request->voucher.prior_signed_voucher_request);
    if (!is_new && it->second != *request->voucher.prior_signed_voucher_request) {
      say("the device asked with a nonce of before");
    }
  }
}

void BrskiCheck::look_at_maker() {
  const auto store = books_.maker.read();
  const auto log = store ? (*store)->vouchers(brski::issuer_key_id(*books_.born.entry.idevid), books_.born.entry.serial)
                         : store.error();
  if (!log) {
    say("the maker cannot read its records");
    return;
  }
  if (books_.sold_to_other && !log->empty()) {
    say("the maker has given a voucher for a device of another customer");
  }
}

}  // namespace imprint::sim
