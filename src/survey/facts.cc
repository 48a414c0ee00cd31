#include "survey/facts.h"

#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "survey/protocols.h"

namespace imprint::survey {
namespace {

std::string text(const Json& of, const char* member) { return of.at(member).get<std::string>(); }

std::string text_or(const Json& of, const char* member, std::string otherwise) {
  return of.contains(member) ? text(of, member) : std::move(otherwise);
}

std::vector<Sourced> sentences(const Json& list, const std::string& source) {
  std::vector<Sourced> out;
  for (const Json& each : list) {
    out.push_back({each.get<std::string>(), source});
  }
  return out;
}

UmbrellaTerm read_umbrella(const Json& in) {
  UmbrellaTerm out{text(in, "word"),
                   text(in, "meaning"),
                   in.at("central_in").get<std::vector<std::string>>(),
                   {},
                   text(in, "source")};
  if (in.contains("narrow")) {
    for (const auto& [protocol, use] : in.at("narrow").items()) {
      out.narrow.push_back({use.get<std::string>(), protocol});
    }
  }
  return out;
}

// A sentence without a source of its own has its protocol's.
ProtocolFacts read_protocol(const Json& in) {
  ProtocolFacts out;
  const std::string source = text(in, "source");
  out.name = text(in, "name");
  out.title = text(in, "title");
  out.specifications = text(in, "specifications");
  for (const Json& mode : in.at("modes")) {
    out.modes.push_back({mode.get<std::string>(), mode.get<std::string>(), {}, {}, {}, {}});
  }
  for (const Json& term : in.at("terms")) {
    out.terms.push_back(
        {text(term, "word"), text(term, "ours"), text(term, "meaning"), text_or(term, "source", source), {}});
  }
  for (const Json& player : in.at("players")) {
    out.players.push_back({text(player, "name"), text(player, "kind"), text(player, "does"), source});
  }
  out.initial_beliefs = sentences(in.at("initial_beliefs"), source);
  out.imparted_beliefs = sentences(in.at("imparted_beliefs"), source);
  for (const Json& step : in.at("processes")) {
    out.processes.push_back({step.get<std::string>(), source, {}});
  }
  for (const Json& value : in.at("dimensions")) {
    out.dimensions.push_back(
        {text(value, "name"), text(value, "value"), text_or(value, "mode", {}), text_or(value, "source", source)});
    if (out.dimensions.back().name == "umbrella term") {
      out.umbrella = out.dimensions.back().value;
    }
  }
  return out;
}

}  // namespace

Result<Facts> parse_facts(std::string_view json) {
  TRY(const Json in, parse_json(json));
  try {
    Facts out;
    for (const Json& source : in.at("sources")) {
      out.sources.push_back({text(source, "text"), text(source, "source")});
    }
    for (const Json& word : in.at("umbrella")) {
      out.umbrella.push_back(read_umbrella(word));
    }
    for (const Json& protocol : in.at("protocols")) {
      out.protocols.push_back(read_protocol(protocol));
    }
    return out;
  } catch (const Json::exception&) {  // of the library's accessors
    return Error{Fault::malformed, "survey: facts"};
  }
}

const Facts& all_facts() {
  static const Facts kFacts = [] {
    auto facts = parse_facts(facts_json());
    assert(facts);
    std::vector<ProtocolFacts> spoken;
    for (const Protocol& each : protocols()) {
      spoken.push_back(each.facts());
    }
    facts->protocols.insert(facts->protocols.begin(), spoken.begin(), spoken.end());
    return *std::move(facts);
  }();
  return kFacts;
}

}  // namespace imprint::survey
