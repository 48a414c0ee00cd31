// The survey's comparison: its five areas and its scales, and what runs measured, for every protocol and mode.
//
// A cell says what a run showed, if there was one; else what a specification or the survey says, with its source.
#pragma once

#include "base/instant.h"
#include "codec/json.h"
#include "store/store.h"
#include "survey/facts.h"

namespace imprint::survey {

struct Column {
  std::string protocol;
  std::string mode;   // empty: all modes of a protocol that this program does not speak
  std::string title;  // for people
  std::string run;    // id of the latest run that succeeded; empty: none
  std::string side;   // the role that told of it: "client", "server", "pledge"
  Instant when;
};

struct Cell {
  std::vector<Sourced> said;          // with their sources; printed in brackets
  std::vector<std::string> measured;  // by the column's run; then `said` is empty
  bool operator==(const Cell&) const = default;
};

// How a cell's sentences relate: those of one source can be told together, each is told by itself, or they are steps.
enum class Style : std::uint8_t { together, apart, in_order };

// The areas in their order: "terms", "players", "initial beliefs", "processes", "imparted knowledge",
// "assumptions", "scales", "measured".
struct Row {
  std::string area, name;
  Style style = Style::together;
  std::vector<Cell> cells;  // one a column
};

struct Table {
  std::vector<Column> columns;
  std::vector<Row> rows;
  std::vector<Sourced> sources;  // what the short names of sources stand for
};

// The latest successful run of every protocol and mode (its name up to a comma), with steps and beliefs: the device's
// own story if there is one, else the server's. Looks at the latest 1,000 runs.
Result<std::vector<Run>> latest_runs(store::Reader& reader);

// `runs`: at most one of each protocol and mode counts, the first.
Table compare(const Facts& facts, const std::vector<Run>& runs);

// For people (120 columns), as Markdown, as JSON.
std::string to_text(const Table& table);
std::string to_markdown(const Table& table);
Json to_json(const Table& table);

}  // namespace imprint::survey
