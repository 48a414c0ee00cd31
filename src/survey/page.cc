#include "survey/page.h"

#include <algorithm>

#include "codec/printable.h"

namespace imprint::survey {
namespace {

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80; }

// The length in bytes of the first `columns` characters.
std::size_t bytes_of(std::string_view text, std::size_t columns) {
  std::size_t at = 0;
  for (std::size_t seen = 0; at < text.size(); ++at) {
    if (!continues_character(text[at]) && ++seen > columns) {
      break;
    }
  }
  return at;
}

std::string padded(std::string_view text, std::size_t width) {
  std::string out(text);
  out.append(width - std::min(width, columns_of(text)), ' ');
  return out;
}

std::string without_trailing_spaces(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return !continues_character(c); }));
}

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
  width = std::max<std::size_t>(width, 1);
  const std::string clean = printable(text);
  std::string_view rest = clean;
  std::vector<std::string> out;
  while (!rest.empty()) {
    std::size_t end = bytes_of(rest, width);
    if (end < rest.size()) {
      const std::size_t space = rest.rfind(' ', end);
      end = space != std::string_view::npos && space > 0 ? space : end;
    }
    out.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end);
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  }
  return out;
}

std::string hanging(std::string_view lead, std::string_view text, std::size_t indent) {
  std::string out = printable(lead);
  const std::vector<std::string> lines = wrap(text, kColumns - std::min(indent, kColumns));
  if (!out.empty() && columns_of(out) + 1 > indent && !lines.empty()) {
    out += "\n";
    out.append(indent, ' ');
  } else {
    out = padded(out, indent);
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    out += (i == 0 ? std::string() : "\n" + std::string(indent, ' ')) + lines[i];
  }
  return without_trailing_spaces(std::move(out)) + "\n";
}

std::string heading(std::string_view text) {
  return "\n" + std::string(text) + "\n" + std::string(columns_of(text), '-') + "\n";
}

std::string grid(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::vector<std::string>> all{header};
  all.insert(all.end(), rows.begin(), rows.end());
  std::size_t first = 0;
  for (const auto& row : all) {
    first = std::max(first, columns_of(row.front()) + 2);
  }
  const std::size_t others = header.size() < 2 ? 0 : (kColumns - first) / (header.size() - 1);
  std::string out;
  for (const auto& row : all) {
    std::vector<std::vector<std::string>> cells;
    std::size_t height = 1;
    for (std::size_t i = 0; i < row.size(); ++i) {
      cells.push_back(wrap(row[i], i == 0 ? first - 2 : others - 2));
      height = std::max(height, cells.back().size());
    }
    for (std::size_t line = 0; line < height; ++line) {
      std::string text;
      for (std::size_t i = 0; i < cells.size(); ++i) {
        text += padded(line < cells[i].size() ? cells[i][line] : "", i == 0 ? first : others);
      }
      out += without_trailing_spaces(std::move(text)) + "\n";
    }
  }
  return out;
}

}  // namespace imprint::survey
