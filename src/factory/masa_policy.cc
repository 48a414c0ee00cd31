#include "factory/masa_policy.h"

#include <algorithm>

#include "factory/masa_login.h"
#include "proto/brski/masa_rules.h"
#include "proto/brski/rules.h"

namespace imprint::factory {
namespace {

using Ruling = brski::JudgeClaim::Ruling;
using brski::Assertion;

// Every certificate of the registrar's chain, from who signed to the farthest.
std::vector<Certificate> chain_of(const CertificateChain& chain) {
  std::vector<Certificate> out{chain.leaf};
  out.insert(out.end(), chain.via.begin(), chain.via.end());
  if (chain.anchor != chain.leaf) {
    out.push_back(chain.anchor);
  }
  return out;
}

// The customer that has one of these keys, the nearest first. They lead to one another: that was checked.
Result<std::string> account_of_chain(store::MakerReader& reader, const std::vector<Certificate>& chain) {
  for (const Certificate& one : chain) {
    TRY(const auto customer, reader.customer_by_key(key_digest(one)));
    if (customer) {
      return customer->id;
    }
  }
  return std::string();
}

// A customer's registrar: by its own key, or below the customer's CA and with a registrar's role. What else is below
// that CA, every device of the customer's, does not speak for it.
bool may_speak(const Certificate& own, std::size_t at) {
  return at == 0 || std::ranges::find(own.extended, eku::kCmcRa) != own.extended.end();
}

// Of what a TLS client presents only the possession of its own key is proven, so the way up is checked here.
Result<std::string> account_of_session(store::MakerReader& reader, const Session& session, Instant now) {
  constexpr std::size_t kMost = 8;
  const std::size_t count = std::min(session.presented.size(), kMost);
  for (std::size_t i = 0; i < count; ++i) {
    TRY(const auto customer, reader.customer_by_key(key_digest(session.presented[i])));
    if (!customer) {
      continue;
    }
    const bool below = static_cast<bool>(
        verify_chain(session.presented.front(), session.presented, customer->anchors, {Purpose::any, now, true}));
    if (holds(below) && holds(may_speak(session.presented.front(), i))) {
      return customer->id;
    }
  }
  return std::string();
}

// The device that a request is about; nothing if it is not on record, or if several could be meant.
struct Meant {
  std::optional<MakerDevice> device;
  bool shared_serial = false;
  bool ambiguous = false;
};
Result<Meant> device_of(store::MakerReader& reader, const brski::RequestFacts& facts) {
  Meant out;
  const std::string serial = facts.request.serial_number.value_or("");
  TRY(const std::vector<MakerDevice> namesakes, reader.devices_of_serial(serial));
  out.shared_serial = namesakes.size() > 1;
  std::optional<Bytes> issuer;
  if (facts.device) {  // its own certificate says it best
    issuer = brski::issuer_key_id(facts.device->leaf);
  } else if (facts.request.idevid_issuer) {
    issuer = brski::issuer_key_id(BytesView(*facts.request.idevid_issuer));
  }
  if (issuer) {
    TRY(out.device, reader.device(*issuer, serial));
  } else if (namesakes.size() == 1) {
    out.device = namesakes.front();
  } else {
    out.ambiguous = out.shared_serial;
  }
  return out;
}

// Whether the device's last voucher was for this domain: its pinned key is in the chain.
bool same_domain(const MakerDevice& device, const std::vector<Certificate>& chain) {
  return std::ranges::any_of(chain, [&](const Certificate& c) { return equal(device.claimed_key, key_digest(c)); });
}

Ruling no(const Rule& rule, std::string reason, Fault fault = Fault::refused) {
  Ruling out;
  out.rule = &rule;
  out.fault = fault;
  out.reason = std::move(reason);
  return out;
}

// Whether the account or the domain may have the device; without a rule it may.
const Rule* check_ownership(const MasaPolicy& policy, const MakerDevice& device, const std::string& account,
                            const brski::RequestFacts& facts) {
  const bool owner = !account.empty() && account == device.customer;
  CHECK_OR(device.state != Custody::retired, &brski::masa::kRetired);
  CHECK_OR(device.customer.empty() || owner, &brski::masa::kOtherOwner);
  CHECK_OR(facts.request.nonce || owner, &brski::masa::kNonceless);
  if (owner) {
    return nullptr;  // also for another of its domains
  }
  if (device.owner.pinned) {  // the maker itself says whose it is
    const bool there = std::ranges::any_of(chain_of(facts.registrar), [&](const Certificate& c) {
      return equal(key_digest(c), key_digest(*device.owner.pinned));
    });
    CHECK_OR(there, &brski::masa::kOtherOwner);
  }
  if (device.state == Custody::claimed) {
    const bool by_account = !account.empty() && account == device.claimant;
    CHECK_OR(by_account || same_domain(device, chain_of(facts.registrar)), &brski::masa::kClaimed);
    if (by_account) {
      return nullptr;
    }
  } else {
    CHECK_OR(policy.first_claim, &brski::masa::kUnsold);
  }
  // Each time: whoever bought one lamp could fill the log with vouchers that no lamp asked for.
  CHECK_OR(!policy.proximity_only || facts.assertion == Assertion::proximity, &brski::masa::kProximity);
  return nullptr;
}

// Who has not said who it is may be the owner, if that is an account that logs in: then it is asked to. Clients show a
// password only where they are asked for it.
Result<bool> has_to_log_in(const MasaPolicy& policy, store::MakerReader& reader, const MakerDevice& device,
                           const std::string& account, const std::optional<Login>& login) {
  if (!account.empty() || login || device.customer.empty()) {
    return false;
  }
  TRY(const auto owner, reader.customer(device.customer));
  return owner && may_log_in(policy, *owner);
}

Status change(store::MakerWriter& writer, MakerDevice& device, Instant at, std::string_view actor,
              std::string_view action) {
  device.changed = at;
  return writer.change_device(device, actor, action, "{}");
}

}  // namespace

Result<std::string> account_of(const MasaPolicy& policy, store::MakerReader& reader, const Session& session,
                               const std::optional<Login>& login, const brski::RequestFacts* facts, Instant now) {
  std::string account;
  if (facts != nullptr) {
    TRY(account, account_of_chain(reader, chain_of(facts->registrar)));
  }
  if (login) {
    TRY(const std::string named, account_of_login(policy, reader, *login));
    CHECK_OR(account.empty() || account == named, Error{Fault::refused, brski::masa::kAccounts});
    return named;
  }
  return account.empty() ? account_of_session(reader, session, now) : Result<std::string>(account);
}

Result<std::vector<Certificate>> find_idevid(store::MakerReader& reader, const brski::FindIdevid& question) {
  std::vector<Certificate> out;
  if (question.issuer) {  // however many others have its serial number
    TRY(const auto device, reader.device(*question.issuer, question.serial));
    if (device && device->idevid) {
      out.push_back(*device->idevid);
    }
    return out;
  }
  TRY(const auto devices, reader.devices_of_serial(question.serial));
  for (const MakerDevice& device : devices) {
    if (device.idevid) {
      out.push_back(*device.idevid);
    }
  }
  return out;
}

Result<Ruling> judge_claim(const MasaPolicy& policy, store::MakerReader& reader, const brski::JudgeClaim& question,
                           Instant now) {
  const brski::RequestFacts& facts = *question.facts;
  const auto account = account_of(policy, reader, *question.session, question.login, &facts, now);
  if (!account) {
    CHECK_OR(account.error().rule != nullptr, account.error());
    return no(*account.error().rule, "login of " + (question.login ? question.login->user : std::string()),
              account.error().fault);
  }
  TRY(const Meant meant, device_of(reader, facts));
  if (!meant.device) {
    return no(meant.ambiguous ? brski::masa::kAmbiguous : brski::masa::kDeviceUnknown,
              "serial number " + facts.request.serial_number.value_or(""));
  }
  const MakerDevice& device = *meant.device;
  Ruling out;
  if (const Rule* const broken = check_ownership(policy, device, *account, facts)) {
    TRY(const bool unsaid, has_to_log_in(policy, reader, device, *account, question.login));
    const bool login_wanted = unsaid && broken == &brski::masa::kOtherOwner;
    out = no(login_wanted ? brski::masa::kLoginWanted : *broken,
             "device " + device.serial + ", " + std::string(name(device.state)),
             login_wanted ? Fault::unauthentic : Fault::refused);
  } else {
    out.verdict = Ruling::Verdict::grant;
    // Whoever is the owner by the records is so for certain; else it is what the device saw, or only logged.
    out.assertion = !device.customer.empty() ? Assertion::verified : facts.assertion;
    out.pin_registrar = policy.pin_registrar;
    // Another CA's device of this serial number may come to be as long as such a voucher is good.
    out.name_issuer = meant.shared_serial || !question.facts->request.nonce;
    out.lifetime = policy.nonceless_lifetime;
    TRY(const auto given, reader.given(question.request, brski::name(question.form)));
    if (given) {
      out.verdict = Ruling::Verdict::already;
      out.voucher = *given;
    }
  }
  out.device = brski::DeviceKey{device.issuer, device.serial};
  out.version = device.version;
  out.customer = *account;
  return out;
}

Result<brski::ReadDeviceLog::Log> read_device_log(const MasaPolicy& policy, store::MakerReader& reader,
                                                  const brski::ReadDeviceLog& question, Instant now) {
  brski::ReadDeviceLog::Log out;
  const brski::RequestFacts& facts = *question.facts;
  const auto account = account_of(policy, reader, *question.session, question.login, &facts, now);
  if (!account) {
    CHECK_OR(account.error().rule != nullptr, account.error());
    out.rule = account.error().rule;
    out.fault = account.error().fault;
    return out;
  }
  TRY(const Meant meant, device_of(reader, facts));
  if (!meant.device) {
    return out;
  }
  const std::vector<Certificate> chain = chain_of(facts.registrar);
  out.entitled = !account->empty() && *account == meant.device->customer;
  TRY(const std::vector<VoucherEntry> entries, reader.vouchers(meant.device->issuer, meant.device->serial));
  for (const VoucherEntry& entry : entries) {
    // By the key that was pinned: the domain's identifier is what a certificate says of itself.
    out.entitled =
        out.entitled || (!account->empty() && *account == entry.customer) ||
        std::ranges::any_of(chain, [&](const Certificate& c) { return equal(entry.pinned_key, key_digest(c)); });
    brski::LogEvent event;
    event.date = brski::DateTime::of(entry.at);
    event.domain_id = entry.domain_id;
    event.nonce = entry.nonce;
    event.assertion = brski::assertion_named(entry.assertion);
    event.truncated = static_cast<std::uint64_t>(std::max<std::int64_t>(entry.truncated, 0));
    out.log.events.push_back(std::move(event));
  }
  if (!out.entitled) {
    out.log = {};
  }
  return out;
}

store::GivenVoucher given_voucher(const brski::Vouched& fact, Instant at) {
  store::GivenVoucher out;
  out.entry.issuer = fact.device.issuer;
  out.entry.serial = fact.device.serial;
  out.entry.at = at;
  out.entry.domain_id = fact.domain_id;
  out.entry.pinned_key = fact.pinned_key;
  out.entry.nonce = fact.nonce;
  out.entry.assertion = brski::name(fact.assertion);
  out.entry.customer = fact.customer;
  out.request = fact.request;
  out.form = brski::name(fact.form);
  out.voucher = fact.voucher;
  out.version = fact.version;
  return out;
}

store::RefusedClaim refused_claim(const brski::ClaimRefused& fact, Instant at) {
  constexpr std::size_t kMostName = 256;  // strangers write it, and it stays
  std::string registrar = fact.registrar.substr(0, kMostName);
  const auto inside = [&] {  // a character of UTF-8 is not cut in two
    return registrar.size() < fact.registrar.size() &&
           (static_cast<unsigned char>(fact.registrar[registrar.size()]) & 0xc0U) == 0x80U;
  };
  while (!registrar.empty() && inside()) {
    registrar.pop_back();
  }
  return {fact.device.issuer, fact.device.serial, fact.rule, std::move(registrar), fact.customer, at, at, 1};
}

Result<MakerDevice> find_maker_device(store::MakerReader& reader, std::string_view serial, BytesView issuer) {
  if (!issuer.empty()) {
    TRY(auto device, reader.device(issuer, serial));
    CHECK_OR(device, Error{Fault::refused, brski::masa::kDeviceUnknown});
    return *std::move(device);
  }
  TRY(auto devices, reader.devices_of_serial(serial));
  CHECK_OR(!devices.empty(), Error{Fault::refused, brski::masa::kDeviceUnknown});
  CHECK_OR(devices.size() == 1, Error{Fault::conflict, brski::masa::kAmbiguous});
  return std::move(devices.front());
}

Status release_device(store::MakerWriter& writer, MakerDevice device, Instant at, std::string_view actor) {
  CHECK_OR(device.state != Custody::retired, Error{Fault::refused, brski::masa::kRetired});
  device.state = Custody::released;
  device.customer.clear();
  device.claimant.clear();
  device.claimed_key.clear();
  device.owner = {};
  return change(writer, device, at, actor, "device.released");
}

Status transfer_device(store::MakerWriter& writer, MakerDevice device, std::string_view customer, Instant at,
                       std::string_view actor) {
  CHECK_OR(device.state != Custody::retired, Error{Fault::refused, brski::masa::kRetired});
  if (!customer.empty()) {
    TRY(const auto known, writer.customer(customer));
    CHECK_OR(known, Error{Fault::refused, "transfer: no such customer"});
  }
  device.customer = customer;
  device.state = customer.empty() ? Custody::made : Custody::sold;
  device.claimant.clear();
  device.claimed_key.clear();
  device.owner = {};
  device.changed = at;
  return writer.change_device(device, actor, "device.transferred",
                              "{\"customer\":\"" + std::string(customer) + "\"}");  // ids need no escaping
}

Status retire_device(store::MakerWriter& writer, MakerDevice device, Instant at, std::string_view actor) {
  device.state = Custody::retired;
  device.owner = {};
  return change(writer, device, at, actor, "device.retired");
}

}  // namespace imprint::factory
