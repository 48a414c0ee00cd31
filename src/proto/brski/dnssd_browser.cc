#include "proto/brski/dnssd_browser.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "proto/brski/discovery_rules.h"

namespace imprint::brski {
namespace {

constexpr Duration kLeastDelay{20}, kMostDelay{120};  // RFC 6762 section 5.2
constexpr Duration kFirstPause{1000}, kLongestPause = std::chrono::hours(1);
constexpr Duration kForTheRest{100};              // announcements come in pieces
constexpr Duration kGoodbye{1000};                // sections 10.1 and 10.2
constexpr std::uint32_t kLongestTtl = 24 * 3600;  // ours: nobody is believed for longer
constexpr std::size_t kMaxAskedFor = 16;          // names in one question for what is missing
constexpr std::array kOfInstance{DnsType::srv, DnsType::txt};

const DnsName& pointed(const DnsRecord& record) { return std::get<DnsPointer>(record.data).to; }

bool is_below(const DnsName& name, const DnsName& parent) {
  return name.labels.size() == parent.labels.size() + 1 &&
         DnsName{{name.labels.begin() + 1, name.labels.end()}} == parent;
}

Duration doubled(Duration pause) { return std::min(pause * 2, kLongestPause); }

}  // namespace

Browser::Browser(Options options, Instant now, Rng& rng) : options_(std::move(options)) {
  for (const std::string& type : options_.types) {
    types_.push_back(DnsName::of(type).below(DnsName::of("local")));
  }
  ask_at_ = now + random_delay(rng, kLeastDelay, kMostDelay);
  complete_from_ = ask_at_;
}

void Browser::ask_again(Instant now) {
  ask_at_ = now + kForTheRest;
  ask_pause_ = complete_pause_ = kFirstPause;
  complete_from_ = ask_at_;
}

// ---- what comes ----

bool Browser::is_instance(const DnsName& name) const {
  return std::ranges::any_of(types_, [&name](const DnsName& type) { return is_below(name, type); });
}

bool Browser::concerns_us(const DnsRecord& record) const {
  switch (record.type()) {
    case DnsType::ptr:
      return std::ranges::find(types_, record.name) != types_.end() && is_below(pointed(record), record.name);
    case DnsType::srv:
    case DnsType::txt:
      return is_instance(record.name);
    default:
      return std::ranges::any_of(cache_, [&record](const Cached& one) {
        const auto* const server = std::get_if<DnsServer>(&one.record.data);
        return server != nullptr && server->host == record.name;
      });
  }
}

Status Browser::on(const DnsPacket& packet) {
  TRY(const DnsMessage message, DnsMessage::parse(packet.bytes));
  if (!message.response) {
    return Ok{};
  }
  CHECK_OR(packet.port == kMdnsPort && packet.near, Error{Fault::refused, kDnsSource});
  std::erase_if(cache_, [&packet](const Cached& one) { return one.ends <= packet.at; });
  // Servers before addresses: only then it is known whose addresses matter.
  for (const bool addresses : {false, true}) {
    for (const auto* section : {&message.answers, &message.additional}) {
      for (const DnsRecord& record : *section) {
        if (std::holds_alternative<DnsAddress>(record.data) == addresses && concerns_us(record)) {
          keep(record, packet.at);
        }
      }
    }
  }
  return Ok{};
}

// Section 10.2: what was heard more than a second ago under the same name and type is no longer so.
void Browser::flush(const DnsRecord& by, Instant now) {
  for (Cached& one : cache_) {
    if (one.record.name == by.name && one.record.type() == by.type() && !one.record.same_as(by) &&
        now - one.at > kGoodbye) {
      one.ends = std::min(one.ends, now + kGoodbye);
    }
  }
}

void Browser::keep(const DnsRecord& record, Instant now) {
  if (record.flush) {
    flush(record, now);
  }
  const auto known = std::ranges::find_if(cache_, [&](const Cached& one) { return one.record.same_as(record); });
  if (record.ttl_s == 0) {  // section 10.1: it leaves, unless somebody objects within a second
    if (known != cache_.end()) {
      known->ends = std::min(known->ends, now + kGoodbye);
    }
    return;
  }
  // Somebody is there: what is missing of it is not asked for an hour later, though not more than once a second.
  complete_from_ = std::min(complete_from_, now + kFirstPause);
  complete_pause_ = kFirstPause;
  const Cached fresh{record, now, now + std::chrono::seconds(std::min(record.ttl_s, kLongestTtl))};
  if (known != cache_.end()) {
    *known = fresh;
    return;
  }
  if (cache_.size() >= options_.most) {
    cache_.erase(std::ranges::min_element(cache_, {}, &Cached::at));
  }
  cache_.push_back(fresh);
  complete_from_ = std::max(complete_from_, now + kForTheRest);
}

// ---- what is known ----

const Browser::Cached* Browser::first(const DnsName& name, DnsType type, Instant now) const {
  const Cached* best = nullptr;
  for (const Cached& one : cache_) {
    if (one.ends > now && one.record.type() == type && one.record.name == name &&
        (best == nullptr || one.ends > best->ends)) {
      best = &one;
    }
  }
  return best;
}

std::vector<Browser::Found> Browser::found(Instant now) const {
  std::vector<Found> out;
  for (const Cached& one : cache_) {
    if (one.ends <= now || one.record.type() != DnsType::ptr) {
      continue;
    }
    const DnsName& instance = pointed(one.record);
    const Cached* const server = first(instance, DnsType::srv, now);
    if (server == nullptr) {
      continue;
    }
    const auto& where = std::get<DnsServer>(server->record.data);
    Found found{instance.labels.front(),
                options_.types[static_cast<std::size_t>(std::ranges::find(types_, one.record.name) - types_.begin())],
                where.host.text(),
                where.port,
                {},
                {},
                std::min(one.ends, server->ends)};
    if (const Cached* const text = first(instance, DnsType::txt, now)) {
      found.text = std::get<DnsText>(text->record.data).entries;
    }
    for (const Cached& address : cache_) {
      if (address.ends > now && address.record.name == where.host &&
          std::holds_alternative<DnsAddress>(address.record.data)) {
        found.addresses.push_back(std::get<DnsAddress>(address.record.data).address);
      }
    }
    if (!found.addresses.empty()) {
      out.push_back(std::move(found));
    }
  }
  std::ranges::sort(out, {}, [](const Found& one) { return std::tie(one.type, one.instance); });
  return out;
}

// ---- what is asked ----

Instant Browser::need(const DnsName& name, DnsType type) const {
  const Cached* best = first(name, type, Instant{0});
  if (type == DnsType::a) {  // an address of either kind will do
    const Cached* const other = first(name, DnsType::aaaa, Instant{0});
    best = best == nullptr || (other != nullptr && other->ends > best->ends) ? other : best;
  }
  return best == nullptr ? Instant{0} : best->at + (best->ends - best->at) * 4 / 5;
}

std::optional<Instant> Browser::next_need() const {
  std::optional<Instant> out;
  const auto also = [&out](Instant when) { out = out ? std::min(*out, when) : when; };
  for (const Cached& one : cache_) {
    if (one.record.type() == DnsType::ptr) {
      for (const DnsType type : kOfInstance) {
        also(need(pointed(one.record), type));
      }
    } else if (const auto* const server = std::get_if<DnsServer>(&one.record.data)) {
      also(need(server->host, DnsType::a));
    }
  }
  return out;
}

void Browser::add_needs(DnsMessage& query, Instant now) const {
  const auto ask = [&](const DnsName& name, std::initializer_list<DnsType> types, DnsType judged) {
    if (need(name, judged) > now || query.questions.size() >= kMaxAskedFor) {
      return;
    }
    for (const DnsType type : types) {
      const DnsQuestion question{name, type, kInternet, false};
      if (std::ranges::find(query.questions, question) == query.questions.end()) {
        query.questions.push_back(question);
      }
    }
  };
  for (const Cached& one : cache_) {
    if (one.ends <= now) {
      continue;
    }
    if (one.record.type() == DnsType::ptr) {
      for (const DnsType type : kOfInstance) {
        ask(pointed(one.record), {type}, type);
      }
    } else if (const auto* const server = std::get_if<DnsServer>(&one.record.data)) {
      ask(server->host, {DnsType::a, DnsType::aaaa}, DnsType::a);
    }
  }
}

std::optional<Instant> Browser::wakes() const {
  if (!options_.ask) {
    return std::nullopt;
  }
  const auto needed = next_need();
  return needed ? std::min(ask_at_, std::max(*needed, complete_from_)) : ask_at_;
}

std::optional<Bytes> Browser::due(Instant now) {
  if (!options_.ask) {
    return std::nullopt;
  }
  std::erase_if(cache_, [now](const Cached& one) { return one.ends <= now; });
  DnsMessage query;
  if (ask_at_ <= now) {
    ask_at_ = now + ask_pause_;
    ask_pause_ = doubled(ask_pause_);
    for (const DnsName& type : types_) {
      query.questions.push_back({type, DnsType::ptr, kInternet, false});
    }
    for (const Cached& one : cache_) {  // section 7.1: what has half of its time before it need not be said again
      if (one.record.type() == DnsType::ptr && (one.ends - now) * 2 > one.ends - one.at) {
        query.answers.push_back(one.record);
        query.answers.back().ttl_s = static_cast<std::uint32_t>((one.ends - now).count() / 1000);
        query.answers.back().flush = false;
      }
      if (query.encode().size() > kMaxSentDns) {
        query.answers.pop_back();
        break;
      }
    }
  }
  if (complete_from_ <= now) {
    const std::size_t before = query.questions.size();
    if (query.answers.empty()) {
      add_needs(query, now);
    }
    if (query.questions.size() > before) {
      complete_from_ = now + complete_pause_;
      complete_pause_ = doubled(complete_pause_);
    }
  }
  return query.questions.empty() ? std::nullopt : std::optional(query.encode());
}

}  // namespace imprint::brski
