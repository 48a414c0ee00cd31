// What operators hand over and what the disk gives back: manifests, configurations, profiles, the parts of a run. What
// was read is written again, and read alike. The first byte chooses.
#include <cstdlib>

#include "app/config.h"
#include "app/device_profile.h"
#include "factory/line.h"
#include "store/sqlite/run_json.h"

namespace {

using namespace imprint;
using namespace imprint::app;

void require(bool law) {
  if (!law) {
    std::abort();
  }
}

void read_manifest(std::string_view text) {
  std::vector<factory::ManifestProblem> problems;
  for (const ManifestEntry& entry : factory::parse_manifest(text, problems)) {
    const std::string line = factory::manifest_line(entry);
    std::vector<factory::ManifestProblem> none;
    const std::vector<ManifestEntry> again = factory::parse_manifest(line, none);
    require(none.empty() && again.size() == 1 && factory::manifest_line(again.front()) == line);
  }
}

void read_config(std::string_view text) {
  const auto config = parse_config("imprint.toml", text);
  if (const auto* const good = std::get_if<Config>(&config)) {
    const std::string printed = config_text(*good);
    const auto again = parse_config("imprint.toml", printed);
    require(std::holds_alternative<Config>(again) && config_text(std::get<Config>(again)) == printed);
  } else {
    require(!std::get<std::vector<ConfigProblem>>(config).empty());
  }
}

void read_profile(std::string_view text) {
  const auto profile = parse_device_profile("lamp.toml", text);
  if (const auto* const good = std::get_if<DeviceProfile>(&profile)) {
    require(good->name == "lamp" && good->text == text && good->find(good->identity) == &good->credentials.front());
  } else {
    require(!std::get<std::vector<ConfigProblem>>(profile).empty());
  }
}

// One part of a run, as the database keeps it.
template <class Read, class Print>
void read_part(std::string_view text, Read read, Print print) {
  Run run;
  if (read(text, run)) {
    const std::string printed = print(run);
    Run again;
    require(bool(read(printed, again)) && print(again) == printed);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view in = as_text(BytesView(data + 1, size - 1));
  switch (data[0] % 6) {
    case 0:
      read_manifest(in);
      break;
    case 1:
      read_config(in);
      break;
    case 2:
      read_profile(in);
      break;
    case 3:
      read_part(in, store::read_summary, store::summary_json);
      break;
    case 4:
      read_part(in, store::read_steps, store::steps_json);
      break;
    default:
      read_part(in, store::read_beliefs, store::beliefs_json);
      break;
  }
  return 0;
}
