// The route that takes a factory manifest.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "app/admin_routes.h"
#include "factory/line.h"
#include "site/operation_rules.h"

namespace imprint::app::admin {
namespace {

// The numbers of the lines that carry something, in order: those of the manifest's entries, if none was wrong.
std::vector<std::size_t> lines_with_text(std::string_view text) {
  std::vector<std::size_t> out;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    if (text.substr(0, end).find_first_not_of(" \t\r") != std::string_view::npos) {
      out.push_back(number);
    }
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return out;
}

struct Import {
  std::vector<ManifestEntry> entries;
  std::vector<std::size_t> lines;  // of the entries
  std::vector<site::Imported> results;
};

Json results_json(const Import& import) {
  Json out = Json::array();
  for (std::size_t i = 0; i < import.results.size(); ++i) {
    const site::Imported& result = import.results[i];
    Json line{{"line", import.lines.at(i)}, {"id", result.id}};
    if (result.problem) {
      line["result"] = "refused";
      line["rule"] = result.problem->rule->id;
      line["detail"] = result.problem->what;
      line["next"] = result.problem->rule->next;
    } else {
      line["result"] = result.added ? "added" : "unchanged";
    }
    out.push_back(std::move(line));
  }
  return out;
}

Response refused_import(const Error& error, Json lines) {
  Response out = problem(error);
  if (error.rule == &site::kManifestRefused) {
    Json body = problem_json(error, {});
    body["lines"] = std::move(lines);
    out.body = to_bytes(dumped(body));
  }
  return out;
}

Json problem_lines(const std::vector<factory::ManifestProblem>& problems) {
  Json out = Json::array();
  for (const factory::ManifestProblem& each : problems) {
    out.push_back({{"line", each.line},
                   {"id", ""},
                   {"result", "refused"},
                   {"rule", site::kManifestRefused.id},
                   {"detail", each.text},
                   {"next", site::kManifestRefused.next}});
  }
  return out;
}

Result<Outcome> import_devices(const Env& env, const Call& call) {
  const auto import = std::make_shared<Import>();
  std::vector<factory::ManifestProblem> problems;
  import->entries = factory::parse_manifest(as_text(call.request.body), problems);
  if (!problems.empty()) {
    return refused_import(Error{Fault::refused, site::kManifestRefused}, problem_lines(problems));
  }
  import->lines = lines_with_text(as_text(call.request.body));
  Change out;
  out.run = [import, act = act_of(env), pepper = env.site.pepper](store::Writer& writer) -> Result<Changed> {
    TRY([[maybe_unused]] const Ok done, site::import_manifest(writer, pepper, import->entries, act, import->results));
    const auto added = std::ranges::count(import->results, true, &site::Imported::added);
    return Changed{json_answer(200, {{"added", added}, {"lines", results_json(*import)}}), "devices.imported",
                   dumped({{"added", added}})};
  };
  out.refused = [import](const Error& error) { return refused_import(error, results_json(*import)); };
  return out;
}

const std::array kRoutes{
    Route{.method = Method::post,
          .pattern = "/v1/devices/import",
          .operation = "importDevices",
          .summary = "Take a factory manifest, all of it or nothing; taking it again changes nothing",
          .handler = import_devices,
          .schema = "ImportResult",
          .takes = "application/jsonl"}};

}  // namespace

std::span<const Route> import_routes() { return kRoutes; }

}  // namespace imprint::app::admin
