// A comparison as text, as Markdown, as JSON.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "codec/printable.h"
#include "survey/compare.h"
#include "survey/page.h"

namespace imprint::survey {
namespace {

constexpr std::size_t kLabel = 17;
constexpr std::size_t kScaleLabel = 21;
constexpr std::size_t kAcross = 4;  // runs side by side: a time and an id have room
constexpr std::size_t kMostNotThrough = 20;
constexpr std::string_view kOthersLegend =
    "What was told by a server or registrar is what it saw. The device's own story has all: `imprint compare --with "
    "FOLDER` reads it from the device's folder.";
constexpr std::string_view kLegend =
    "What stands bare was shown by a run. What stands in [brackets; source] is said by a specification or by the "
    "survey, and "
    "no run of this program has shown it.";

std::string label(const Column& column) {
  return column.mode.empty() ? column.protocol : column.protocol + " " + column.mode;
}

std::string joined(const std::vector<std::string>& parts, std::string_view by) {
  std::string out;
  for (const std::string& part : parts) {
    out.append(out.empty() ? std::string_view() : by).append(part);
  }
  return out;
}

struct Bracket {
  std::string source;
  std::vector<std::string> texts;
};

// The sentences of a cell in brackets, as its style wants them.
std::vector<std::string> bracketed(const Cell& cell, Style style) {
  std::vector<Bracket> brackets;
  for (const Sourced& s : cell.said) {
    auto at = brackets.end();
    if (style == Style::together) {
      at = std::ranges::find(brackets, s.source, &Bracket::source);
    } else if (style == Style::in_order && !brackets.empty() && brackets.back().source == s.source) {
      at = std::prev(brackets.end());
    }
    if (at == brackets.end()) {
      brackets.push_back({s.source, {}});
      at = std::prev(brackets.end());
    }
    at->texts.push_back(s.text);
  }
  std::vector<std::string> out;
  for (const Bracket& each : brackets) {
    out.push_back("[" + joined(each.texts, style == Style::in_order ? " > " : "; ") + "; " + each.source + "]");
  }
  return out;
}

// What a cell says, one entry a line of its own; steps follow each other on one.
std::vector<std::string> entries(const Cell& cell, Style style) {
  const std::vector<std::string> all = cell.measured.empty() ? bracketed(cell, style) : cell.measured;
  return style == Style::in_order ? std::vector<std::string>{joined(all, " > ")} : all;
}

std::string cell_text(const Cell& cell, Style style) {
  return joined(entries(cell, style), cell.measured.empty() ? " " : "; ");
}

// Columns that have the same to say, told together.
struct Group {
  const Cell* cell;
  std::vector<std::size_t> columns;
};

std::vector<Group> groups_of(const Row& row) {
  std::vector<Group> out;
  for (std::size_t i = 0; i < row.cells.size(); ++i) {
    const Cell& cell = row.cells[i];
    if (cell.said.empty() && cell.measured.empty()) {
      continue;
    }
    const auto same = std::ranges::find_if(out, [&](const Group& g) { return *g.cell == cell; });
    if (same == out.end()) {
      out.push_back({&cell, {i}});
    } else {
      same->columns.push_back(i);
    }
  }
  return out;
}

// "est, brski": a protocol whose modes are all there is named once, without them.
std::vector<std::string> labels_of(const Table& table, const Group& group) {
  std::vector<std::string> out;
  for (const std::size_t i : group.columns) {
    const std::string& protocol = table.columns[i].protocol;
    const auto of_it = [&](std::size_t at) { return table.columns[at].protocol == protocol; };
    const auto all = std::ranges::count(table.columns, protocol, &Column::protocol);
    const bool whole = std::ranges::count_if(group.columns, of_it) == all;
    std::string text = whole ? protocol : label(table.columns[i]);
    if (std::ranges::find(out, text) == out.end()) {
      out.push_back(std::move(text));
    }
  }
  return out;
}

// Those of protocols that are ours, with a run or without.
std::vector<std::size_t> measured_columns(const Table& table, bool with_run) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    if (!table.columns[i].mode.empty() && table.columns[i].run.empty() != with_run) {
      out.push_back(i);
    }
  }
  return out;
}

// The protocols without a mode of ours: nothing can be measured.
std::string not_spoken(const Table& table) {
  std::vector<std::string> names;
  for (const Column& column : table.columns) {
    if (column.mode.empty()) {
      names.push_back(column.protocol);
    }
  }
  return joined(names, ", ");
}

std::string measured_cell(const Row& row, std::size_t column) {
  const std::string text = cell_text(row.cells[column], Style::together);
  return text.empty() ? "-" : text;
}

std::string capital(std::string text) {
  if (!text.empty() && text.front() >= 'a' && text.front() <= 'z') {
    text.front() = static_cast<char>(text.front() - 'a' + 'A');
  }
  return text;
}

// ---- text ----

void text_list(const Table& table, const Row& row, std::string& out) {
  for (const Group& group : groups_of(row)) {
    std::string lead = joined(labels_of(table, group), ", ");
    for (const std::string& entry : entries(*group.cell, row.style)) {
      out += hanging(lead, entry, kLabel);
      lead.clear();
    }
  }
}

void text_scale(const Table& table, const Row& row, std::string& out) {
  std::string lead = row.name;
  for (const Group& group : groups_of(row)) {
    out += hanging(lead, joined(labels_of(table, group), ", ") + ": " + cell_text(*group.cell, Style::together),
                   kScaleLabel);
    lead.clear();
  }
}

std::string measured_grid(const Table& table, std::span<const std::size_t> columns) {
  std::vector<std::string> header{""};
  for (const std::size_t i : columns) {
    header.push_back(label(table.columns[i]));
  }
  std::vector<std::vector<std::string>> rows;
  for (const Row& row : table.rows) {
    const auto tells = [&row](std::size_t i) {
      const Cell& cell = row.cells[i];
      return !cell.said.empty() || (!cell.measured.empty() && cell.measured.front() != kNotMeasured);
    };
    if (row.area != "measured" || std::ranges::none_of(columns, tells)) {
      continue;
    }
    rows.push_back({row.name});
    for (const std::size_t i : columns) {
      rows.back().push_back(measured_cell(row, i));
    }
  }
  return grid(header, rows);
}

std::string outcome(const Run& run) { return run.rule.empty() ? run.result : run.result + " " + run.rule; }

// Whoever did not succeed in its latest run; the reasons are the run's.
std::string text_not_through(const Table& table) {
  if (table.not_through.empty()) {
    return {};
  }
  std::vector<std::vector<std::string>> rows;
  for (const Run& run : table.not_through) {
    if (rows.size() < kMostNotThrough) {
      rows.push_back({run.device.empty() ? "(not known)" : run.device, run.protocol + " " + run.mode, outcome(run),
                      utc_text(run.ended), run.id});
    }
  }
  std::string out = heading("Not through: the latest run of each device that did not succeed in it") +
                    grid({"device", "mode", "outcome", "last heard", "run"}, rows);
  const std::size_t more = table.not_through.size() - rows.size();
  out += more == 0 ? "" : "and " + std::to_string(more) + " more (--json has all)\n";
  return out + "`imprint compare --run RUN` tells each one's story, `imprint explain RULE` what its rule is.\n";
}

std::string text_measured(const Table& table) {
  std::string out;
  for (const bool with_run : {true, false}) {
    const auto columns = measured_columns(table, with_run);
    for (std::size_t at = 0; at < columns.size(); at += kAcross) {
      const std::size_t few = std::min(kAcross, columns.size() - at);
      out += (out.empty() ? "" : "\n") + measured_grid(table, std::span(columns).subspan(at, few));
    }
  }
  const auto of_others = [&](std::size_t i) { return !table.columns[i].by_device; };
  if (measured_columns(table, true).empty() && !out.empty()) {
    out += "\nNo successful run is on record yet: onboard a device, then look again.\n";
  } else if (std::ranges::any_of(measured_columns(table, true), of_others)) {
    out += "\n" + hanging("", kOthersLegend, 0);
  }
  const std::string others = not_spoken(table);
  return others.empty() ? out
                        : out + "\n" + hanging("", "Not spoken by this program, so never measured: " + others + ".", 0);
}

// ---- Markdown ----

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    if (c == '|' || c == '<' || c == '*' || c == '_' || c == '`' || c == '\\') {
      out += '\\';
    }
    out += c;
  }
  return out;
}

void markdown_line(const std::vector<std::string>& cells, std::string& out) {
  for (const std::string& cell : cells) {
    out += "| " + escaped(cell) + " ";
  }
  out += "|\n";
}

void markdown_header(const std::vector<std::string>& cells, std::string& out) {
  markdown_line(cells, out);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    out += "| --- ";
  }
  out += "|\n";
}

void markdown_measured(const Table& table, std::string& out) {
  std::vector<std::size_t> columns = measured_columns(table, true);
  const std::vector<std::size_t> others = measured_columns(table, false);
  columns.insert(columns.end(), others.begin(), others.end());
  std::vector<std::string> header{"measure"};
  for (const std::size_t i : columns) {
    header.push_back(label(table.columns[i]));
  }
  markdown_header(header, out);
  for (const Row& row : table.rows) {
    if (row.area == "measured") {
      std::vector<std::string> cells{row.name};
      std::ranges::transform(columns, std::back_inserter(cells), [&](std::size_t i) { return measured_cell(row, i); });
      markdown_line(cells, out);
    }
  }
}

void markdown_not_through(const Table& table, std::string& out) {
  if (table.not_through.empty()) {
    return;
  }
  out += "\n## Not through\n\n";
  markdown_header({"device", "mode", "outcome", "last heard", "run"}, out);
  for (const Run& run : table.not_through) {
    markdown_line({run.device, run.protocol + " " + run.mode, outcome(run), utc_text(run.ended), run.id}, out);
  }
}

Json said_json(const Cell& cell) {
  Json out = Json::array();
  for (const Sourced& s : cell.said) {
    out.push_back({{"text", s.text}, {"source", s.source}});
  }
  return out;
}

}  // namespace

std::string to_text(const Table& table) {
  std::string out = hanging("", kLegend, 0);
  out += heading("Measured: the latest successful run of each mode") + text_measured(table) + text_not_through(table);
  out += heading("Sources");
  for (const Sourced& s : table.sources) {
    out += hanging(s.source, s.text, kLabel);
  }
  std::string area;
  for (const Row& row : table.rows) {
    if (row.area == "measured" || groups_of(row).empty()) {
      continue;
    }
    if (row.area == "scales" || row.area == "assumptions") {
      out += area == row.area ? "" : heading(capital(row.area));
      text_scale(table, row, out);
    } else {
      out += heading(capital(row.area) + ": " + row.name);
      text_list(table, row, out);
    }
    area = row.area;
  }
  return out;
}

std::string to_markdown(const Table& table) {
  std::string out = "# Comparison\n\n" + std::string(kLegend) + "\n\n## Measured\n\n";
  markdown_measured(table, out);
  markdown_not_through(table, out);
  out += "\n## Sources\n\n";
  for (const Sourced& s : table.sources) {
    out += "- " + escaped(s.source) + ": " + escaped(s.text) + "\n";
  }
  std::string area;
  for (const Row& row : table.rows) {
    if (row.area == "measured" || groups_of(row).empty()) {
      continue;
    }
    const bool first = std::exchange(area, row.area) != row.area;
    if (first) {
      out += "\n## " + capital(row.area) + "\n";
    }
    out += "\n### " + capital(row.name) + "\n\n";
    markdown_header({"protocol", "value"}, out);
    for (const Group& group : groups_of(row)) {
      markdown_line({joined(labels_of(table, group), ", "), cell_text(*group.cell, row.style)}, out);
    }
  }
  return out;
}

Json to_json(const Table& table) {
  Json columns = Json::array();
  for (const Column& c : table.columns) {
    Json run = nullptr;
    if (!c.run.empty()) {
      run = {{"id", c.run}, {"device", c.device}, {"told_by", c.side}, {"ended", utc_text(c.when)}};
    }
    columns.push_back({{"protocol", c.protocol}, {"mode", c.mode}, {"title", c.title}, {"run", std::move(run)}});
  }
  Json rows = Json::array();
  for (const Row& row : table.rows) {
    Json cells = Json::array();
    for (const Cell& cell : row.cells) {
      cells.push_back({{"measured", cell.measured}, {"said", said_json(cell)}});
    }
    rows.push_back({{"area", row.area}, {"name", row.name}, {"cells", std::move(cells)}});
  }
  Json sources = Json::object();
  for (const Sourced& s : table.sources) {
    sources[s.source] = s.text;
  }
  Json not_through = Json::array();
  for (const Run& run : table.not_through) {
    not_through.push_back({{"run", run.id},
                           {"protocol", run.protocol},
                           {"mode", run.mode},
                           {"device", run.device},
                           {"told_by", run.role},
                           {"result", run.result},
                           {"rule", run.rule},
                           {"started", utc_text(run.started)},
                           {"ended", utc_text(run.ended)}});
  }
  return {{"columns", std::move(columns)},
          {"rows", std::move(rows)},
          {"not_through", std::move(not_through)},
          {"sources", std::move(sources)}};
}

}  // namespace imprint::survey
