#include "proto/brski/audit_log.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "proto/brski/json_number.h"

namespace imprint::brski {
namespace {

constexpr std::size_t kMaxLog = std::size_t{64} << 10U;
constexpr std::size_t kMaxEvents = 1024;
constexpr std::size_t kMaxDomainId = 64, kMaxNonce = 256;

Status take_number(const Json& object, const char* name, std::uint64_t& out) {
  if (!object.contains(name)) {
    return Ok{};
  }
  const auto number = number_in(object.at(name));
  CHECK_OR(number.has_value(), Error{Fault::malformed, "audit log: number"});
  out = *number;
  return Ok{};
}

bool has_text(const Json& object, const char* name) { return object.contains(name) && object.at(name).is_string(); }

// What some MASAs write in place of domainID, and leave out.
Json as_of_the_rfc(Json event) {
  if (event.is_object() && !event.contains("domainID") && has_text(event, "registrarID")) {
    event["domainID"] = event["registrarID"];
    event.emplace("assertion", name(Assertion::logged));
  }
  return event;
}

Result<LogEvent> parse_event(const Json& json) {
  const bool whole = json.is_object() && has_text(json, "date") && has_text(json, "domainID");
  CHECK_OR(whole, Error{Fault::malformed, "audit log: event"});
  LogEvent out;
  TRY(out.date, DateTime::parse(json.at("date").get_ref<const std::string&>()));
  TRY(out.domain_id, parse_base64(json.at("domainID").get_ref<const std::string&>()));
  CHECK_OR(!out.domain_id.empty() && out.domain_id.size() <= kMaxDomainId,
           Error{Fault::malformed, "audit log: domainID"});
  if (json.contains("nonce") && !json.at("nonce").is_null()) {  // RFC 8995 section 5.8.1: null, or left out
    CHECK_OR(has_text(json, "nonce"), Error{Fault::malformed, "audit log: nonce"});
    out.nonce = json.at("nonce").get<std::string>();
    CHECK_OR(out.nonce->size() <= kMaxNonce, Error{Fault::malformed, "audit log: nonce"});
  }
  CHECK_OR(has_text(json, "assertion"), Error{Fault::malformed, "audit log: assertion"});
  out.assertion = assertion_named(json.at("assertion").get_ref<const std::string&>());
  TRY([[maybe_unused]] const Ok taken, take_number(json, "truncated", out.truncated));
  return out;
}

Json json_of(const LogEvent& event) {
  Json out{{"date", event.date.text}, {"domainID", base64(event.domain_id)}};
  out["nonce"] = event.nonce ? Json(*event.nonce) : Json(nullptr);
  out["assertion"] = name(event.assertion);
  if (event.truncated != 0) {
    out["truncated"] = event.truncated;
  }
  return out;
}

}  // namespace

Result<AuditLog> parse_audit_log(std::string_view text, bool registrar_ids) {
  CHECK_OR(text.size() <= kMaxLog, Error{Fault::limit, "audit log: size"});
  TRY(const Json json, parse_json(text));
  CHECK_OR(json.is_object() && json.contains("version") && json.contains("events"),
           Error{Fault::malformed, "audit log: version or events"});
  AuditLog out;
  TRY([[maybe_unused]] const Ok version, take_number(json, "version", out.version));
  const Json& events = json.at("events");
  CHECK_OR(events.is_array(), Error{Fault::malformed, "audit log: events"});
  CHECK_OR(events.size() <= kMaxEvents, Error{Fault::limit, "audit log: events"});
  for (const Json& one : events) {
    auto event = parse_event(registrar_ids ? as_of_the_rfc(one) : one);
    if (event) {
      out.events.push_back(*std::move(event));
    } else {
      ++out.unknown_events;
    }
  }
  if (json.contains("truncation")) {
    const Json& cut = json.at("truncation");
    CHECK_OR(cut.is_object(), Error{Fault::malformed, "audit log: truncation"});
    TRY([[maybe_unused]] const Ok nonced, take_number(cut, "nonced duplicates", out.nonced_duplicates));
    TRY([[maybe_unused]] const Ok nonceless, take_number(cut, "nonceless duplicates", out.nonceless_duplicates));
    TRY([[maybe_unused]] const Ok arbitrary, take_number(cut, "arbitrary", out.arbitrary));
  }
  return out;
}

std::string encode_audit_log(const AuditLog& log) {
  Json out{{"version", log.version}, {"events", Json::array()}};
  for (const LogEvent& event : log.events) {
    out["events"].push_back(json_of(event));
  }
  out["truncation"] = {{"nonced duplicates", log.nonced_duplicates},
                       {"nonceless duplicates", log.nonceless_duplicates},
                       {"arbitrary", log.arbitrary}};
  return out.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

// An identifier that no reader takes would make the log of every later owner unreadable.
Bytes domain_id(const Certificate& pinned) {
  const bool usable = !pinned.key_id.empty() && pinned.key_id.size() <= kMaxDomainId;
  return usable ? pinned.key_id : to_bytes(sha256(pinned.key.spki));
}

namespace {

// Of many domains the latest stay, as many as a registrar reads.
void cut_to_size(AuditLog& log, const std::vector<std::size_t>& latest_first, std::vector<bool>& goes) {
  constexpr std::size_t kAround = 256;  // version, truncation and the brackets
  std::size_t octets = kAround;
  std::size_t events = 0;
  for (const std::size_t at : latest_first) {
    if (goes[at]) {
      continue;
    }
    octets += json_of(log.events[at]).dump(-1, ' ', false, Json::error_handler_t::replace).size() + 1;
    if (++events > kMaxEvents || octets > kMaxLog) {
      goes[at] = true;
      log.arbitrary += 1 + log.events[at].truncated;
    }
  }
}

}  // namespace

AuditLog abridge(AuditLog log, std::size_t most) {
  std::vector<std::size_t> latest_first(log.events.size());
  for (std::size_t i = 0; i < latest_first.size(); ++i) {
    latest_first[i] = latest_first.size() - 1 - i;  // of two at the same time the one that was noted later
  }
  std::ranges::stable_sort(latest_first,
                           [&](std::size_t a, std::size_t b) { return log.events[a].date.at > log.events[b].date.at; });
  std::map<std::pair<Bytes, bool>, std::size_t> latest;  // of each domain, with a nonce and without
  std::vector<bool> goes(log.events.size(), false);
  for (std::size_t rank = 0; rank < latest_first.size(); ++rank) {
    const std::size_t at = latest_first[rank];
    const LogEvent& event = log.events[at];
    const bool nonced = event.nonce.has_value();
    const auto [first, is_latest] = latest.try_emplace({event.domain_id, nonced}, at);
    if (is_latest || rank < most) {
      continue;
    }
    goes[at] = true;
    log.events[first->second].truncated += 1 + event.truncated;
    ++(nonced ? log.nonced_duplicates : log.nonceless_duplicates);
  }
  cut_to_size(log, latest_first, goes);
  std::vector<LogEvent> stay;
  for (std::size_t i = 0; i < log.events.size(); ++i) {
    if (!goes[i]) {
      stay.push_back(std::move(log.events[i]));
    }
  }
  log.events = std::move(stay);
  return log;
}

}  // namespace imprint::brski
