// The survey's comparison: its five areas and its scales, and what runs measured, for every protocol and mode.
//
// A cell says what a run showed, if there was one; else what a specification or the survey says, with its source.
#pragma once

#include "base/instant.h"
#include "codec/json.h"
#include "store/store.h"
#include "survey/facts.h"
#include "survey/stories.h"

namespace imprint::survey {

struct Column {
  std::string protocol;
  std::string mode;   // empty: all modes of a protocol that this program does not speak
  std::string title;  // for people
  std::string run;    // id of the latest run that succeeded; empty: none
  std::string side;   // the role that told of it: "client", "server", "pledge"
  Instant when;
  std::string device{};    // whose run it is
  bool by_device = false;  // who tells of it: what only a device can measure is kNotMeasured by others
};

inline constexpr std::string_view kNotMeasured = "not measured";

struct Cell {
  std::vector<Sourced> said;          // with their sources; printed in brackets
  std::vector<std::string> measured;  // by the column's run; then `said` is empty
  bool operator==(const Cell&) const = default;
};

// How a cell's sentences relate: those of one source can be told together, each is told by itself, or they are steps.
enum class Style : std::uint8_t { together, apart, in_order };

// The areas in their order: "terms", "players", "initial beliefs", "processes", "imparted knowledge",
// "owner's knowledge", "assumptions", "scales", "measured".
struct Row {
  std::string area, name;
  Style style = Style::together;
  std::vector<Cell> cells;  // one a column
};

struct Table {
  std::vector<Column> columns;
  std::vector<Row> rows;
  std::vector<Sourced> sources;    // what the short names of sources stand for
  std::vector<Run> not_through{};  // the latest run of each device that has not succeeded in it, newest first
};

// `runs`: at most one of each protocol and mode counts, the first. `all`: whatever else there was, for how it ended.
Table compare(const Facts& facts, const std::vector<Run>& runs, const std::vector<Story>& all = {});

// For people (120 columns), as Markdown, as JSON.
std::string to_text(const Table& table);
std::string to_markdown(const Table& table);
Json to_json(const Table& table);

}  // namespace imprint::survey
