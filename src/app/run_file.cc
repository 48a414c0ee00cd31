#include "app/run_file.h"

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/cli_rules.h"
#include "io/file.h"
#include "store/sqlite/run_json.h"

namespace imprint::app {
namespace {

constexpr std::string_view kFormat = "imprint run 1";

// The texts by the names under which they are kept.
struct TextName {
  const char* name;
  std::string Run::*text;
};
constexpr std::array<TextName, 7> kTexts{{{"run", &Run::id},
                                          {"protocol", &Run::protocol},
                                          {"mode", &Run::mode},
                                          {"role", &Run::role},
                                          {"device", &Run::device},
                                          {"result", &Run::result},
                                          {"rule", &Run::rule}}};

Result<Run> parse(std::string_view text) {
  TRY(const Json json, parse_json(text));
  Run out;
  try {
    CHECK_OR(json.at("format").get<std::string>() == kFormat, Error{Fault::malformed, "run file: format"});
    for (const TextName& each : kTexts) {
      out.*each.text = json.at(each.name).get<std::string>();
    }
    out.started.ms = json.at("started_ms").get_ref<const std::int64_t&>();  // by reference: no float is cast
    out.ended.ms = json.at("ended_ms").get_ref<const std::int64_t&>();
    TRY(Ok{}, store::read_summary(json.at("summary").dump(), out));
    TRY(Ok{}, store::read_steps(json.at("steps").dump(), out));
    TRY(Ok{}, store::read_beliefs(json.at("beliefs").dump(), out));
  } catch (const Json::exception&) {
    return Error{Fault::malformed, "run file: not a run that `imprint onboard` wrote"};
  }
  return out;
}

}  // namespace

Status write_run(const std::string& path, const Run& run) {
  Json json{{"format", kFormat}, {"started_ms", run.started.ms}, {"ended_ms", run.ended.ms}};
  for (const TextName& each : kTexts) {
    json[each.name] = run.*each.text;
  }
  TRY(json["summary"], parse_json(store::summary_json(run)));
  TRY(json["steps"], parse_json(store::steps_json(run)));
  TRY(json["beliefs"], parse_json(store::beliefs_json(run)));
  return io::write_file(path, view(json_text(json)));
}

OrProblem<Run> read_run(const std::string& path) {
  const auto text = io::read_file(path);
  if (!text) {
    return file_problem(path, text.error().what);
  }
  auto run = parse(as_text(*text));
  if (!run) {
    Problem problem(Error{Fault::malformed, kContent}, path);
    problem.code = ExitCode::failed;
    problem.state = run.error().what;
    return problem;
  }
  return *std::move(run);
}

bool foreign_run_file(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::symlink_status(path, ignored)) && !read_run(path);
}

}  // namespace imprint::app
