// `imprint device import`: a maker's manifest, whole or not at all.
#include <nlohmann/json.hpp>

#include "app/cli_rules.h"
#include "app/cmd_device.h"
#include "factory/line.h"
#include "io/file.h"
#include "site/operation_rules.h"

namespace imprint::app {
namespace {

constexpr std::size_t kMaxManifest = std::size_t{512} << 20U;
constexpr std::size_t kMaxShown = 20;

struct ImportOptions {
  std::string file;
  bool dry_run = false;
};

// Given back by a dry run, so that the store rolls back what went well.
const Error kDryRun{Fault::stale, "dry run"};

// One line of the answer.
struct Row {
  std::string where, result, why;
};

Json rows_json(const std::vector<Row>& rows) {
  Json out = Json::array();
  for (const Row& row : rows) {
    out.push_back(Json{{"entry", row.where}, {"result", row.result}, {"why", row.why}});
  }
  return out;
}

// The result for every entry; people see what is wrong, and how much went well.
void print_rows(const Context& context, const std::vector<Row>& rows, const ImportOptions& options, bool taken) {
  std::size_t added = 0;
  std::vector<std::vector<std::string>> shown;
  for (const Row& row : rows) {
    added += row.result == "added" ? 1 : 0;
    if (!row.why.empty() && shown.size() < kMaxShown) {
      shown.push_back({row.where, row.result, row.why});
    }
  }
  const std::string verb = !taken ? " good, none taken" : options.dry_run ? " would be added" : " added";
  context.print(Json{{"file", options.file},
                     {"dry_run", options.dry_run},
                     {"added", taken && !options.dry_run ? added : 0},
                     {"entries", rows_json(rows)}},
                table({"ENTRY", "RESULT", "WHY"}, shown) + std::to_string(rows.size()) + " entries, " +
                    std::to_string(added) + verb + "\n");
}

OrProblem<std::vector<ManifestEntry>> read_manifest(const Context& context, const ImportOptions& options) {
  auto text = io::read_file(options.file == "-" ? "/dev/stdin" : options.file, kMaxManifest);
  if (!text) {
    return file_problem(options.file == "-" ? "/dev/stdin" : options.file, text.error().what);
  }
  std::vector<factory::ManifestProblem> problems;
  std::vector<ManifestEntry> entries = factory::parse_manifest(as_text(*text), problems);
  wipe(*text);
  if (problems.empty()) {
    return entries;
  }
  std::vector<Row> rows;
  for (const factory::ManifestProblem& p : problems) {
    rows.push_back({"line " + std::to_string(p.line), "wrong", p.text});
  }
  print_rows(context, rows, options, /*taken=*/false);
  Problem problem(Error{Fault::refused, site::kManifestRefused}, options.file);
  problem.state = rows.front().where + ": " + rows.front().why;
  problem.code = problems.front().fault == Fault::conflict  ? ExitCode::conflict
                 : problems.front().fault == Fault::refused ? ExitCode::refused
                                                            : ExitCode::failed;
  return problem;
}

OrProblem<Ok> take(const Context& context, const ImportOptions& options) {
  TRY(const std::vector<ManifestEntry> entries, read_manifest(context, options));
  TRY(const Offline data, context.offline());
  std::vector<site::Imported> results;
  const Status done = data.store->write([&](store::Writer& writer) -> Status {
    TRY(Ok{}, site::import_manifest(writer, data.folder.pepper, entries, by_cli(), results));
    return options.dry_run ? Status(kDryRun) : Status(Ok{});
  });
  const bool taken = done || done.error() == kDryRun;
  if (!taken && done.error().rule == nullptr) {
    return Problem(done.error(), options.file);  // the store's trouble
  }
  std::vector<Row> rows;
  const site::Imported* first_bad = nullptr;
  for (const site::Imported& one : results) {
    first_bad = first_bad == nullptr && one.problem ? &one : first_bad;
    rows.push_back({one.id,
                    one.problem ? "wrong"
                    : one.added ? "added"
                                : "there already",
                    one.problem ? std::string(one.problem->what) : ""});
  }
  print_rows(context, rows, options, taken);
  if (taken) {
    return Ok{};
  }
  Problem problem(done.error(), options.file);
  if (first_bad != nullptr) {
    const Rule* const rule = first_bad->problem->rule;
    problem.state = first_bad->id + ": " + std::string(first_bad->problem->what) +
                    (rule == nullptr ? "" : " (" + std::string(rule->id) + "; " + std::string(rule->next) + ")");
    problem.code = exit_code(*first_bad->problem);
  }
  return problem;
}

}  // namespace

void add_device_import(Command device) {
  auto options = std::make_shared<ImportOptions>();
  const Command command =
      device.sub("import", "Take a maker's manifest into the inventory: every line, or none.",
                 "imprint device import acme/manifest.jsonl\nimprint device import acme/manifest.jsonl --dry-run\n"
                 "imprint device import - < manifest.jsonl");
  command.option("FILE", options->file, "Manifest (JSON Lines), or - for standard input").required();
  command.flag("--dry-run", options->dry_run, "Only say what would happen");
  command.runs([options](const Context& c) { return take(c, *options); });
}

}  // namespace imprint::app
