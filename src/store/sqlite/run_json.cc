#include "store/sqlite/run_json.h"

#include <array>
#include <functional>
#include <nlohmann/json.hpp>

#include "codec/json.h"

namespace imprint::store {
namespace {

const Error kMalformed{Fault::malformed, "store: json of a run"};

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

// The counts by the names under which they are kept.
struct CountName {
  const char* name;
  std::uint32_t RunCounts::*count;
};
constexpr std::array<CountName, 6> kCounts{{{"messages", &RunCounts::messages},
                                            {"bytes", &RunCounts::bytes},
                                            {"round_trips", &RunCounts::round_trips},
                                            {"connections", &RunCounts::connections},
                                            {"public_key_operations", &RunCounts::public_key_operations},
                                            {"persons_acts", &RunCounts::persons_acts}}};

// Parses and hands to `read`, which may use the library's throwing accessors: what they throw ends here.
Status read_json(std::string_view text, const std::function<Status(const Json&)>& read) {
  TRY(const Json json, parse_json(text));
  try {
    return read(json);
  } catch (const Json::exception&) {
    return kMalformed;
  }
}

// A whole number; another kind throws: the library would cast it, and not every float has an integer.
std::int64_t whole(const Json& json) { return json.get_ref<const std::int64_t&>(); }

template <class E>
Result<E> named(const Json& json, E last) {
  const std::string wanted = json.get<std::string>();
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    if (name(static_cast<E>(i)) == wanted) {
      return static_cast<E>(i);
    }
  }
  return kMalformed;
}

Json belief_json(const BeliefChange& change) {
  return {{"fate", name(change.fate)},
          {"id", change.belief.id},
          {"topic", name(change.belief.topic)},
          {"statement", change.belief.statement},
          {"until", change.belief.until.ms},
          {"strength", name(change.strength)},
          {"ground", name(change.evidence.ground)},
          {"check", change.evidence.check},
          {"bytes", hex(change.evidence.bytes)},
          {"because", change.evidence.because},
          {"replaces", change.replaces},
          {"why", change.why}};
}

Result<BeliefChange> read_belief(const Json& json) {
  BeliefChange out;
  TRY(out.fate, named(json.at("fate"), Fate::forgotten));
  TRY(out.belief.topic, named(json.at("topic"), Topic::membership));
  TRY(out.strength, named(json.at("strength"), Strength::proved));
  TRY(out.evidence.ground, named(json.at("ground"), Ground::claim));
  const std::optional<Bytes> bytes = from_hex(json.at("bytes").get<std::string>());
  CHECK_OR(bytes.has_value(), kMalformed);
  out.evidence.bytes = *bytes;
  out.belief.id = json.at("id").get<std::string>();
  out.belief.statement = json.at("statement").get<std::string>();
  out.belief.until.ms = whole(json.at("until"));
  out.evidence.check = json.at("check").get<std::string>();
  out.evidence.because = json.at("because").get<std::vector<std::string>>();
  out.replaces = json.at("replaces").get<std::string>();
  out.why = json.at("why").get<std::string>();
  return out;
}

}  // namespace

std::string text_object(std::initializer_list<std::pair<std::string_view, std::string_view>> members) {
  Json out = Json::object();
  for (const auto& [key, value] : members) {
    if (!value.empty()) {
      out[std::string(key)] = value;
    }
  }
  return dump(out);
}

std::string summary_json(const Run& run) {
  Json counts = Json::object();
  for (const CountName& each : kCounts) {
    counts[each.name] = run.counts.*each.count;
  }
  return dump({{"obtained", run.obtained}, {"counts", counts}});
}

std::string steps_json(const Run& run) {
  Json out = Json::array();
  for (const RunStep& step : run.steps) {
    out.push_back({{"state", step.state},
                   {"check", step.check},
                   {"at", step.at.ms},
                   {"took_ms", step.took.count()},
                   {"fault", step.fault},
                   {"next", step.next}});
  }
  return dump(out);
}

std::string beliefs_json(const Run& run) {
  Json out = Json::array();
  for (const BeliefChange& change : run.beliefs) {
    out.push_back(belief_json(change));
  }
  return dump(out);
}

Status read_summary(std::string_view json, Run& run) {
  return read_json(json, [&run](const Json& in) -> Status {
    run.obtained = in.at("obtained").get<std::vector<std::string>>();
    for (const CountName& each : kCounts) {
      const std::int64_t count = whole(in.at("counts").at(each.name));
      CHECK_OR(std::in_range<std::uint32_t>(count), kMalformed);
      run.counts.*each.count = static_cast<std::uint32_t>(count);
    }
    return Ok{};
  });
}

Status read_steps(std::string_view json, Run& run) {
  return read_json(json, [&run](const Json& in) -> Status {
    for (const Json& step : in) {
      run.steps.push_back({step.at("state").get<std::string>(), step.at("check").get<std::string>(),
                           Instant{whole(step.at("at"))}, Duration(whole(step.at("took_ms"))),
                           step.at("fault").get<std::string>(), step.at("next").get<std::string>()});
    }
    return Ok{};
  });
}

Status read_beliefs(std::string_view json, Run& run) {
  return read_json(json, [&run](const Json& in) -> Status {
    for (const Json& change : in) {
      TRY(BeliefChange belief, read_belief(change));
      run.beliefs.push_back(std::move(belief));
    }
    return Ok{};
  });
}

}  // namespace imprint::store
