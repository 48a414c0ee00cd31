#include "app/command.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/cli_rules.h"
#include "codec/printable.h"
#include "crypto/key_rules.h"
#include "io/file.h"
#include "io/key_file.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxSecretFile = 64 * 1024;

std::size_t columns_of(std::string_view text) {  // bytes that continue a UTF-8 character take no column
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80; }));
}

Problem about_file(const Rule& rule, const std::string& path, std::string_view why) {
  Problem out(Error{Fault::unreachable, rule}, path);
  out.state = why;
  return out;
}

// For errors without a rule of their own.
const Rule& general_rule(Fault fault) {
  switch (fault) {
    case Fault::malformed:
    case Fault::unexpected:
    case Fault::unauthentic:
    case Fault::unsupported:
    case Fault::refused:
    case Fault::expired:
      return kContent;
    case Fault::conflict:
    case Fault::stale:
      return kConflict;
    case Fault::unreachable:
    case Fault::limit:
      return kFile;
    case Fault::internal:
      break;
  }
  return kInternal;
}

}  // namespace

Problem::Problem(const Error& error) : code(exit_code(error)), what(error.what) {
  const Rule& broken = error.rule != nullptr ? *error.rule : general_rule(error.fault);
  rule = broken.id;
  source = broken.source;
  next = broken.next;
}

Problem::Problem(const Error& error, std::string_view about) : Problem(error) {
  what = std::string(about) + ": " + what;
}

// ---- printing ----

std::string json_text(const Json& json) {
  return json.dump(2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

void Context::print(const Json& json, std::string_view text) const {
  std::cout << (globals.json ? json_text(json) : printable(text, /*lines=*/true)) << std::flush;
}

void Context::progress(std::string_view line) const {
  if (!globals.quiet) {
    std::cerr << printable(line) << '\n';
  }
}

void Context::print(const Problem& problem) const {
  if (globals.json) {
    const Json json{{"error", problem.what},  {"rule", problem.rule}, {"source", problem.source},
                    {"state", problem.state}, {"next", problem.next}, {"exit_code", static_cast<int>(problem.code)}};
    std::cerr << json.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
    return;
  }
  const bool color = !globals.no_color && std::getenv("NO_COLOR") == nullptr && ::isatty(STDERR_FILENO) == 1;
  std::cerr << (color ? "\033[1;31merror:\033[0m " : "error: ") << printable(problem.what, /*lines=*/true) << '\n';
  std::string why = problem.rule + " (" + problem.source + ")";
  if (!problem.state.empty()) {
    why.append(", ").append(problem.state);
  }
  std::cerr << "why:   " << printable(why) << '\n';
  std::cerr << "next:  " << printable(problem.next) << '\n';
}

std::string table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) {
    return {};
  }
  std::vector<std::vector<std::string>> all{header};
  for (const auto& row : rows) {
    all.emplace_back();
    std::ranges::transform(row, std::back_inserter(all.back()),
                           [](const std::string& cell) { return printable(cell); });
  }
  std::vector<std::size_t> widths(header.size());
  for (const auto& row : all) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], columns_of(row[i]));
    }
  }
  std::string out;
  for (const auto& row : all) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line.append(row[i]).append(widths[i] - columns_of(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

// ---- configuration and data ----

std::string Context::config_path() const {
  if (!globals.config.empty()) {
    return globals.config;
  }
  if (const char* const path = std::getenv("IMPRINT_CONFIG"); path != nullptr && *path != '\0') {
    return path;
  }
  std::error_code ignored;
  for (const char* const path : {"imprint.toml", "/etc/imprint/imprint.toml"}) {
    if (fs::exists(path, ignored)) {
      return path;
    }
  }
  return {};
}

Problem config_problem(const std::vector<ConfigProblem>& problems) {
  Problem out(Error{Fault::malformed, kConfig});
  std::string lines;
  for (const ConfigProblem& p : problems) {
    lines.append(lines.empty() ? "" : "\n       ").append(p.text);
  }
  out.what = lines;
  return out;
}

OrProblem<Config> Context::config() const {
  auto loaded = load_config(config_path());
  if (const auto* const problems = std::get_if<1>(&loaded)) {
    return config_problem(*problems);
  }
  Config config = std::get<0>(std::move(loaded));
  if (!globals.data.empty()) {
    config.data = globals.data;
  }
  return config;
}

OrProblem<Offline> Context::offline() const {
  Offline out;
  TRY(out.config, config());
  TRY(out.folder, about(read_data_folder(out.config), out.config.data));
  for (const DataFolder::Unread& bad : out.folder.unread) {
    progress("passed over " + bad.file + ": " + bad.why + "; its devices get nothing until it is mended");
  }
  auto store = open_store(out.config);
  if (!store) {
    return about_file(kStoreClosed, out.config.data + "/imprint.db", store.error().what);
  }
  out.store = *std::move(store);
  return out;
}

// ---- files ----

Problem file_problem(const std::string& path, std::string_view why) {
  Problem out = about_file(kFile, path, why);
  std::error_code ignored;
  if (!fs::exists(path, ignored)) {
    out.code = ExitCode::not_found;
    out.state = "it is not there";
  }
  return out;
}

OrProblem<std::vector<Certificate>> read_certificates(const std::string& path) {
  const auto pem = io::read_file(path);
  if (!pem) {
    return file_problem(path, pem.error().what);
  }
  auto out = parse_pem_certificates(as_text(*pem));
  if (!out || out->empty()) {
    return about_file(kPem, path, out ? "no certificate in it" : out.error().what);
  }
  return *std::move(out);
}

OrProblem<PrivateKey> read_key(const std::string& path) {
  const auto uri = KeyUri::parse(path);
  if (uri && uri->kind != KeyUri::Kind::file) {
    return about(io::load_key(path), path);
  }
  if (!uri && uri.error().rule == &kKeyPinInUri) {
    return uri.error();  // without the URI: it has the PIN in it
  }
  if (!uri) {
    return Problem(uri.error(), path);
  }
  TRY(const Secret pem, read_secret(uri->path));
  auto key = PrivateKey::parse_pem(pem);
  if (!key) {
    return about_file(kPem, path, key.error().what);
  }
  return *std::move(key);
}

OrProblem<Secret> read_secret(const std::string& path) {
  auto content = io::read_file(path == "-" ? "/dev/stdin" : path, kMaxSecretFile);
  if (!content) {
    return file_problem(path == "-" ? "/dev/stdin" : path, content.error().what);
  }
  while (!content->empty() && (content->back() == '\n' || content->back() == '\r')) {
    content->pop_back();
  }
  Secret out(*content);
  wipe(*content);
  return out;
}

}  // namespace imprint::app
