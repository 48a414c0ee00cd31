#include "app/demo_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

namespace imprint::app {
namespace {

// Longer tables say less: then only those are shown with which something is wrong. JSON has all.
constexpr std::size_t kMostRows = 40;

bool went_well(const Outcome& o) { return o.result == "operational"; }

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) {
    out += (out.empty() ? "" : ", ") + part;
  }
  return out;
}

// "https, join proxy"
std::string full_mode(const Outcome& o) {
  const std::string_view more = words(o.part.way);
  return o.mode + (more.empty() ? "" : ", ") + std::string(more);
}

std::string text(Duration d) { return std::to_string(d.count()); }

template <class T>
T median_of(std::vector<T> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

std::string reasons(const std::map<std::string, std::size_t>& why) {
  std::vector<std::string> out;
  for (const auto& [rule, times] : why) {
    out.push_back(std::to_string(times) + " " + rule);
  }
  return out.empty() ? "-" : joined(out);
}

OutcomeGroup group_of(const std::vector<const Outcome*>& runs) {
  OutcomeGroup out;
  std::vector<Duration> took;
  std::vector<std::uint32_t> trips;
  for (const Outcome* const one : runs) {
    took.push_back(one->took);
    trips.push_back(one->round_trips);
    out.good += went_well(*one) ? 1 : 0;
    if (!went_well(*one)) {
      ++out.why[one->rule.empty() ? one->result : one->rule];
    }
  }
  out.kind = runs.front()->part.kind;
  out.mode = full_mode(*runs.front());
  out.runs = runs.size();
  out.round_trips = median_of(std::move(trips));
  out.longest = *std::ranges::max_element(took);
  out.median = median_of(std::move(took));
  return out;
}

Json to_json(const Outcome& o) {
  return {{"device", o.device},     {"kind", name(o.part.kind)},    {"maker", o.part.maker}, {"protocol", o.protocol},
          {"mode", o.mode},         {"way", words(o.part.way)},     {"result", o.result},    {"rule", o.rule},
          {"obtained", o.obtained}, {"round_trips", o.round_trips}, {"ms", o.took.count()}};
}

Json to_json(const OutcomeGroup& g) {
  return {{"kind", name(g.kind)},
          {"mode", g.mode},
          {"runs", g.runs},
          {"operational", g.good},
          {"round_trips", g.round_trips},
          {"ms", {{"p50", g.median.count()}, {"max", g.longest.count()}}},
          {"refused_by", g.why}};
}

Json to_json(const DemoMakerFacts& m) {
  return {{"name", m.name}, {"masa", m.masa}, {"devices", m.devices}, {"vouchers", m.vouchers}, {"manner", m.words}};
}

std::string device_table(const std::vector<Outcome>& outcomes) {
  const bool all = outcomes.size() <= kMostRows;
  std::vector<std::vector<std::string>> rows;
  for (const Outcome& o : outcomes) {
    if (rows.size() < kMostRows && (all || !went_well(o))) {
      rows.push_back({o.device, o.protocol + " " + full_mode(o), o.rule.empty() ? o.result : o.result + " " + o.rule,
                      joined(o.obtained), std::to_string(o.round_trips), text(o.took)});
    }
  }
  const std::string out = table({"device", "protocol", "result", "obtained", "round trips", "ms"}, rows);
  return out.empty() ? out : out + "\n";
}

// Says nothing that the table of devices has not said, if each has a mode of its own.
std::string group_table(const std::vector<OutcomeGroup>& groups) {
  if (std::ranges::all_of(groups, [](const OutcomeGroup& g) { return g.runs == 1; })) {
    return {};
  }
  std::vector<std::vector<std::string>> rows;
  for (const OutcomeGroup& g : groups) {
    rows.push_back({std::string(name(g.kind)), g.mode, std::to_string(g.good) + " of " + std::to_string(g.runs),
                    std::to_string(g.round_trips), text(g.median), text(g.longest), reasons(g.why)});
  }
  return table({"protocol", "mode", "went well", "round trips", "ms, median", "longest", "refused by"}, rows) + "\n";
}

std::string maker_table(const std::vector<DemoMakerFacts>& makers) {
  std::vector<std::vector<std::string>> rows;
  for (const DemoMakerFacts& m : makers) {
    rows.push_back({m.name, m.masa, std::to_string(m.devices), std::to_string(m.vouchers), m.words});
  }
  const std::string out = table({"maker", "MASA", "devices", "vouchers", "manner"}, rows);
  return out.empty() ? out : out + "\n";
}

template <class T>
Json array_of(const std::vector<T>& all) {
  Json out = Json::array();
  for (const T& one : all) {
    out.push_back(to_json(one));
  }
  return out;
}

}  // namespace

std::size_t operational_of(const std::vector<Outcome>& outcomes) {
  std::set<std::string> good, bad;
  for (const Outcome& o : outcomes) {
    (went_well(o) ? good : bad).insert(o.device);
  }
  return static_cast<std::size_t>(std::ranges::count_if(good, [&](const auto& id) { return !bad.contains(id); }));
}

std::vector<OutcomeGroup> groups_of(const std::vector<Outcome>& outcomes) {
  std::vector<std::vector<const Outcome*>> runs;
  for (const Outcome& o : outcomes) {
    const auto at = std::ranges::find_if(runs, [&o](const auto& group) {
      return group.front()->part.kind == o.part.kind && full_mode(*group.front()) == full_mode(o);
    });
    (at == runs.end() ? runs.emplace_back() : *at).push_back(&o);
  }
  std::vector<OutcomeGroup> out;
  for (const auto& group : runs) {
    out.push_back(group_of(group));
  }
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.kind < b.kind; });
  return out;
}

void print_report(const Context& context, std::vector<Outcome> outcomes, const std::vector<DemoMakerFacts>& makers,
                  std::size_t wanted) {
  std::stable_sort(outcomes.begin(), outcomes.end(), [](const Outcome& a, const Outcome& b) {
    return std::tie(a.part.kind, a.part.way) < std::tie(b.part.kind, b.part.way);
  });
  const std::size_t operational = operational_of(outcomes);
  const std::vector<OutcomeGroup> groups = groups_of(outcomes);
  const std::string summary =
      std::to_string(operational) + " of " + std::to_string(wanted) + " devices are operational\n";
  context.print(Json{{"devices", array_of(outcomes)},
                     {"protocols", array_of(groups)},
                     {"makers", array_of(makers)},
                     {"operational", operational},
                     {"wanted", wanted}},
                device_table(outcomes) + group_table(groups) + maker_table(makers) + summary);
}

void Progress::one(const Outcome& o) {
  const bool counts = o.mode != "renewal";  // its device was counted when it enrolled
  done_ += counts ? 1 : 0;
  if (!went_well(o)) {
    context_.progress(o.device + ": " + o.result + " " + o.rule + (o.next.empty() ? "" : "; " + o.next));
  }
  const std::size_t step = wanted_ < 10 ? 1 : wanted_ / 10;
  if (counts && (done_ % step == 0 || done_ == wanted_)) {
    context_.progress(std::to_string(done_) + " of " + std::to_string(wanted_) + " devices done");
  }
}

}  // namespace imprint::app
