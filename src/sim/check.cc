#include "sim/check.h"

#include <algorithm>

namespace imprint::sim {
namespace {

constexpr std::size_t kMostSentences = 20;
constexpr std::int64_t kPage = 1000;

// Empty if this device and the owner agree about its certificate.
std::string check_device(Thing& thing, store::Reader& store, const std::vector<Certificate>& anchors, Instant now) {
  const auto installed = thing.installed();
  if (!installed || !thing.operational()) {
    return "is not operational: " + thing.last_run().result + " " + thing.last_run().rule;
  }
  const auto row = store.certificate(installed->certificate.serial);
  if (!row || !*row || (*row)->der != installed->certificate.der) {
    return "holds a certificate that its owner has no record of";
  }
  if ((*row)->device != thing.id()) {
    return "holds the certificate of " + (*row)->device;
  }
  const auto key = thing.key(installed->key.id);
  if (!key || key->public_key() != installed->certificate.key) {
    return "holds a certificate for another key";
  }
  if (!verify_chain(installed->certificate, installed->via, installed->anchors, {Purpose::tls_client, now, true})) {
    return "holds a certificate that does not verify";
  }
  if (std::ranges::find_first_of(installed->anchors, anchors) == installed->anchors.end()) {
    return "trusts somebody else than its owner";
  }
  if (!verify_chain(installed->certificate, installed->via, anchors, {Purpose::tls_client, now, true})) {
    return "holds a certificate of a root of before";
  }
  return thing.sound() ? "" : "believes what stands on nothing";
}

Result<std::int64_t> count_issued(store::Reader& store) {
  std::int64_t out = 0;
  std::int64_t after = 0;
  while (true) {
    TRY(const std::vector<AuditEntry> page, store.audit(after, kPage));
    if (page.empty()) {
      return out;
    }
    out += std::ranges::count(page, "certificate.issued", &AuditEntry::action);
    after = page.back().sequence;
  }
}

}  // namespace

Result<std::vector<std::string>> find_wrong(const std::vector<std::unique_ptr<Thing>>& things, store::Store& disk,
                                            const std::vector<Certificate>& anchors, Instant now) {
  std::vector<std::string> out;
  TRY(const auto store, disk.read());
  std::int64_t held = 0;
  for (const auto& thing : things) {
    held += thing->certificates();
    const std::string wrong = check_device(*thing, *store, anchors, now);
    if (!wrong.empty() && out.size() < kMostSentences) {
      out.push_back(thing->id() + " " + wrong);
    }
  }
  TRY(const std::int64_t issued, store->count("certificates"));
  if (issued != held) {
    out.push_back(std::to_string(issued) + " certificates are on record, devices have got " + std::to_string(held));
  }
  TRY(const std::int64_t told, count_issued(*store));
  if (told != issued) {
    out.push_back(std::to_string(issued) + " certificates are on record, " + std::to_string(told) +
                  " in the audit log");
  }
  TRY(const std::optional<std::int64_t> broken, store::verify_audit(*store));
  if (broken) {
    out.push_back("the audit chain breaks at entry " + std::to_string(*broken));
  }
  return out;
}

}  // namespace imprint::sim
