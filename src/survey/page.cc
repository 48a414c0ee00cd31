#include "survey/page.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>

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

struct Character {
  char32_t code = 0;
  std::size_t bytes = 0;
};

// The character that `text` begins with; nothing if it is not UTF-8 (RFC 3629 section 3).
std::optional<Character> first_character(std::string_view text) {
  static constexpr std::array<char32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};  // of that many bytes
  const auto lead = static_cast<unsigned char>(text.front());
  Character out{lead, lead < 0x80 ? 1U : lead < 0xc0 ? 0U : lead < 0xe0 ? 2U : lead < 0xf0 ? 3U : 4U};
  if (out.bytes == 0 || lead > 0xf4 || text.size() < out.bytes) {
    return std::nullopt;
  }
  if (out.bytes > 1) {
    out.code = lead & (0x7fU >> out.bytes);
  }
  for (std::size_t i = 1; i < out.bytes; ++i) {
    if (!continues_character(text[i])) {
      return std::nullopt;
    }
    out.code = out.code << 6U | (static_cast<unsigned char>(text[i]) & 0x3fU);
  }
  const bool surrogate = out.code >= 0xd800 && out.code <= 0xdfff;
  return out.code < kLeast[out.bytes] || out.code > 0x10ffff || surrogate ? std::nullopt : std::optional(out);
}

// Characters that are not seen, or change how others are seen: a name made of them could pass for another.
bool deceives(char32_t c) {
  struct Span {
    char32_t first, last;
  };
  static constexpr std::array<Span, 11> kSpans{{{0x80, 0x9f},          // C1 controls
                                                {0xad, 0xad},          // soft hyphen
                                                {0x61c, 0x61c},        // Arabic letter mark
                                                {0x180e, 0x180e},      // Mongolian vowel separator
                                                {0x200b, 0x200f},      // zero width, direction marks
                                                {0x2028, 0x202e},      // line ends, embeddings, overrides
                                                {0x2060, 0x206f},      // joiners, isolates
                                                {0xfe00, 0xfe0f},      // variation selectors
                                                {0xfeff, 0xfeff},      // byte order mark
                                                {0xfff9, 0xfffb},      // annotations
                                                {0xe0000, 0xe0fff}}};  // tags, more variation selectors
  return std::ranges::any_of(kSpans, [c](const Span& s) { return c >= s.first && c <= s.last; });
}

}  // namespace

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return !continues_character(c); }));
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto next = first_character(text);
    if (!next || next->code < 0x20 || next->code == 0x7f) {
      out += '?';
    } else if (deceives(next->code)) {
      std::array<char, 16> escape{};
      std::snprintf(escape.data(), escape.size(), "<U+%04X>", static_cast<unsigned>(next->code));
      out += escape.data();
    } else {
      out += text.substr(0, next->bytes);
    }
    text.remove_prefix(next ? next->bytes : 1);
  }
  return out;
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
