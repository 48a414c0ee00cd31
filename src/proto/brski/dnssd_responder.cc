#include "proto/brski/dnssd_responder.h"

#include <algorithm>
#include <utility>

namespace imprint::brski {
namespace {

constexpr unsigned kProbes = 3, kAnnouncements = 2;  // sections 8.1 and 8.3
constexpr Duration kProbePause{250}, kAnnouncementPause{1000};
constexpr Duration kLeastDelay{20}, kMostDelay{120};                  // section 6, of shared records
constexpr Duration kLeastTruncated{400}, kMostTruncated{500};         // section 7.2: more known answers follow
constexpr Duration kLeastBetween{1000}, kLeastBetweenProbes{250};     // section 6
constexpr unsigned kManyConflicts = 15;                               // section 8.1
constexpr Duration kAfterManyConflicts{5000}, kAfterLostProbe{1000};  // sections 8.1 and 8.2
constexpr std::uint32_t kSimpleTtl = 10;                              // section 6.7

std::size_t index(Part part) { return static_cast<std::size_t>(part); }

bool asks_for(const DnsQuestion& question, const DnsRecord& record) {
  const bool type = question.type == DnsType::any || question.type == record.type();
  const bool of_class = question.of_class == kInternet || question.of_class == kAnyClass;
  return type && of_class && question.name == record.name;
}

// Section 7.1: the asker has it, and for at least half of its time.
bool is_known(const DnsMessage& query, const DnsRecord& record) {
  return std::ranges::any_of(
      query.answers, [&](const DnsRecord& one) { return one.same_as(record) && one.ttl_s >= record.ttl_s / 2; });
}

// What is asked for and not known, as its parts.
std::vector<Part> asked(const Service& service, const DnsMessage& query) {
  std::vector<Part> out;
  for (const Part part : kParts) {
    const std::vector<DnsRecord> records = records_of(service, part);
    if (std::ranges::any_of(records, [&](const DnsRecord& record) {
          const bool wanted =
              std::ranges::any_of(query.questions, [&](const DnsQuestion& q) { return asks_for(q, record); });
          return wanted && !is_known(query, record);
        })) {
      out.push_back(part);
    }
  }
  return out;
}

// Section 8.2: class, type and content of records, in order. The class is the same for all.
using Claim = std::vector<std::pair<DnsType, Bytes>>;
Claim claim_of(const std::vector<DnsRecord>& records, const DnsName& name) {
  Claim out;
  for (const DnsRecord& one : records) {
    if (one.name == name) {
      out.emplace_back(one.type(), data_bytes(one.data));
    }
  }
  std::ranges::sort(out);
  return out;
}

std::vector<DnsRecord> unique_records(const Service& service) {
  std::vector<DnsRecord> out;
  for (const Part part : kParts) {
    if (!is_shared(part)) {
      std::ranges::move(records_of(service, part), std::back_inserter(out));
    }
  }
  return out;
}

// Somebody else's record where only ours may be.
bool takes(const DnsRecord& theirs, const std::vector<DnsRecord>& ours, const DnsName& name) {
  return theirs.ttl_s != 0 && theirs.name == name &&
         std::ranges::none_of(ours, [&](const DnsRecord& one) { return one.same_as(theirs); });
}

bool takes_any(const DnsMessage& response, const std::vector<DnsRecord>& ours, const DnsName& name) {
  for (const auto* section : {&response.answers, &response.additional}) {
    if (std::ranges::any_of(*section, [&](const DnsRecord& one) { return takes(one, ours, name); })) {
      return true;
    }
  }
  return false;
}

std::string numbered(const std::string& name, unsigned number) {
  const std::string tail = "-" + std::to_string(number);
  return name.substr(0, 63 - tail.size()) + tail;
}

}  // namespace

Result<Responder> Responder::make(Service service, Instant now, Rng& rng) {
  TRY(const Ok fine, service.check());
  static_cast<void>(fine);
  Responder out(std::move(service));
  out.first_instance_ = out.service_.instance;
  out.first_host_ = out.service_.host;
  out.probe_from(now + random_delay(rng, Duration(0), kProbePause));
  return out;
}

void Responder::probe_from(Instant when) {
  phase_ = Phase::probing;
  sent_ = 0;
  next_ = when;
  wanted_ = {};
}

// ---- what comes ----

std::optional<Bytes> Responder::on(const DnsPacket& packet, Rng& rng) {
  const auto message = DnsMessage::parse(packet.bytes);
  if (!message || !packet.near) {
    return std::nullopt;
  }
  if (message->response) {
    if (packet.port == kMdnsPort) {  // section 6: responses from elsewhere are not to be believed
      notice_conflict(*message, packet.at);
    }
    return std::nullopt;
  }
  if (phase_ == Phase::probing) {
    compete(*message, packet.at);
    return std::nullopt;
  }
  if (packet.port != kMdnsPort) {
    Bytes answer = direct_answer(*message);
    return answer.empty() ? std::nullopt : std::optional(std::move(answer));
  }
  query(*message, packet.at, rng);
  return std::nullopt;
}

void Responder::query(const DnsMessage& message, Instant now, Rng& rng) {
  const Duration between = message.authority.empty() ? kLeastBetween : kLeastBetweenProbes;
  for (const Part part : asked(service_, message)) {
    Instant when = now;
    if (message.truncated) {
      when = when + random_delay(rng, kLeastTruncated, kMostTruncated);
    } else if (is_shared(part)) {
      when = when + random_delay(rng, kLeastDelay, kMostDelay);
    }
    if (const auto& last = sent_at_[index(part)]) {
      when = std::max(when, *last + between);
    }
    auto& wanted = wanted_[index(part)];
    wanted = wanted ? std::min(*wanted, when) : when;
  }
}

// Section 6.7: the question comes back with the answer, the times are short and no record is to flush a cache.
Bytes Responder::direct_answer(const DnsMessage& message) const {
  DnsMessage out;
  out.id = message.id;
  out.response = true;
  for (const Part part : asked(service_, message)) {
    for (DnsRecord& one : records_of(service_, part)) {
      one.ttl_s = std::min(one.ttl_s, kSimpleTtl);
      one.flush = false;
      out.answers.push_back(std::move(one));
    }
  }
  if (out.answers.empty()) {
    return {};
  }
  for (const DnsQuestion& one : message.questions) {
    if (std::ranges::any_of(out.answers, [&](const DnsRecord& record) { return asks_for(one, record); })) {
      out.questions.push_back(one);
    }
    if (out.questions.size() == kParts.size()) {
      break;
    }
  }
  return out.encode();
}

// Section 8.2: two probe for one name at once; the greater claim has it, the other comes again in a second.
void Responder::compete(const DnsMessage& probe, Instant now) {
  const std::vector<DnsRecord> ours = unique_records(service_);
  for (const DnsName& name : {service_.instance_name(), service_.host_name()}) {
    const Claim theirs = claim_of(probe.authority, name);
    if (!theirs.empty() && claim_of(ours, name) < theirs) {
      probe_from(now + kAfterLostProbe);
      return;
    }
  }
}

void Responder::notice_conflict(const DnsMessage& response, Instant now) {
  const std::vector<DnsRecord> ours = unique_records(service_);
  const bool instance = takes_any(response, ours, service_.instance_name());
  const bool host = takes_any(response, ours, service_.host_name());
  if (!instance && !host) {
    return;
  }
  ++conflicts_;
  if (phase_ == Phase::probing) {
    rename(host);
  }
  // Section 9: who has announced it already has to probe again first; only then it is lost.
  probe_from(now + (conflicts_ >= kManyConflicts ? kAfterManyConflicts : kProbePause));
}

void Responder::rename(bool host) {
  ++number_;
  (host ? service_.host : service_.instance) = numbered(host ? first_host_ : first_instance_, number_);
}

// ---- what is sent ----

std::optional<Instant> Responder::wakes() const {
  std::optional<Instant> out;
  if (phase_ != Phase::running) {
    out = next_;
  }
  for (const auto& one : wanted_) {
    if (one && (!out || *one < *out)) {
      out = one;
    }
  }
  return out;
}

std::vector<Bytes> Responder::due(Instant now) {
  std::vector<Bytes> out;
  if (phase_ == Phase::probing && next_ <= now) {
    if (sent_ < kProbes) {
      ++sent_;
      next_ = now + kProbePause;
      out.push_back(probe());
      return out;
    }
    phase_ = Phase::announcing;
    sent_ = 0;
  }
  if (phase_ == Phase::announcing && next_ <= now) {
    next_ = now + kAnnouncementPause;
    out.push_back(announcement(now));
    if (++sent_ == kAnnouncements) {
      phase_ = Phase::running;
      conflicts_ = 0;
    }
    return out;
  }
  std::vector<Part> parts;
  for (const Part part : kParts) {
    auto& wanted = wanted_[index(part)];
    if (wanted && *wanted <= now) {
      wanted.reset();
      sent_at_[index(part)] = now;
      parts.push_back(part);
    }
  }
  if (!parts.empty()) {
    out.push_back(answer_of(parts));
  }
  return out;
}

Bytes Responder::probe() const {
  DnsMessage out;
  // Section 8.1: the first answers might come by unicast; ours are heard in the group all the same.
  out.questions = {{service_.instance_name(), DnsType::any, kInternet, false},
                   {service_.host_name(), DnsType::any, kInternet, false}};
  out.authority = unique_records(service_);
  for (DnsRecord& one : out.authority) {
    one.flush = false;  // section 10.2: never in what is only proposed
  }
  return out.encode();
}

Bytes Responder::announcement(Instant now) {
  DnsMessage out;
  out.response = true;
  for (const Part part : kParts) {
    std::ranges::move(records_of(service_, part), std::back_inserter(out.answers));
    sent_at_[index(part)] = now;
    wanted_[index(part)].reset();
  }
  return out.encode();
}

// With what the asker will want next (RFC 6763 section 12).
Bytes Responder::answer_of(const std::vector<Part>& parts) const {
  DnsMessage out;
  out.response = true;
  const auto has = [&parts](Part part) { return std::ranges::find(parts, part) != parts.end(); };
  const bool all = has(Part::pointer);
  for (const Part part : kParts) {
    const bool follows = (all && part != Part::listing) || (has(Part::server) && part == Part::host);
    if (has(part) || follows) {
      std::ranges::move(records_of(service_, part), std::back_inserter(has(part) ? out.answers : out.additional));
    }
  }
  return out.encode();
}

Bytes Responder::goodbye() const {
  if (!announced()) {
    return {};
  }
  DnsMessage out;
  out.response = true;
  // Others may have services of this type and on this host: the listing and the addresses end by themselves.
  for (const Part part : {Part::pointer, Part::server, Part::text}) {
    std::ranges::move(records_of(service_, part), std::back_inserter(out.answers));
  }
  for (DnsRecord& one : out.answers) {
    one.ttl_s = 0;
  }
  return out.encode();
}

}  // namespace imprint::brski
