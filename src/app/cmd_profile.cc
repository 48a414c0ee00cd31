// `imprint profile`: what a kind of device shall hold.
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/cli.h"
#include "app/cli_rules.h"
#include "io/file.h"

namespace imprint::app {
namespace {

OrProblem<DeviceProfile> read_profile(const std::string& path) {
  auto read = read_device_profile(path);
  if (const auto* const problems = std::get_if<1>(&read)) {
    return config_problem(*problems);
  }
  return std::get<0>(std::move(read));
}

std::string lifetime_text(Duration lifetime) {
  const auto hours = std::chrono::duration_cast<std::chrono::hours>(lifetime).count();
  return hours > 0 ? std::to_string(hours) + " h"
                   : std::to_string(std::chrono::duration_cast<std::chrono::seconds>(lifetime).count()) + " s";
}

std::string use_of(const DeviceProfile& profile, const CredentialConfig& one) {
  return one.name == profile.identity ? "identifies the device" : one.server.empty() ? "" : "from " + one.server;
}

Json profile_json(const DeviceProfile& profile) {
  Json out{{"name", profile.name}, {"identity", profile.identity}, {"credentials", Json::array()}};
  for (const CredentialConfig& one : profile.credentials) {
    out["credentials"].push_back(
        {{"name", one.name},
         {"label", one.label},
         {"server", one.server},
         {"subject", one.subject},
         {"names", one.alt_names},
         {"lifetime_s", std::chrono::duration_cast<std::chrono::seconds>(one.given.profile.lifetime).count()}});
  }
  return out;
}

std::string profiles_text(const std::vector<DeviceProfile>& profiles) {
  std::vector<std::vector<std::string>> rows;
  for (const DeviceProfile& profile : profiles) {
    for (const CredentialConfig& one : profile.credentials) {
      rows.push_back(
          {profile.name, one.name, one.label, lifetime_text(one.given.profile.lifetime), use_of(profile, one)});
    }
  }
  return rows.empty() ? "no profiles with several credentials\n"
                      : table({"PROFILE", "CREDENTIAL", "LABEL", "LIFETIME", ""}, rows);
}

OrProblem<Ok> check(const Context& context, const std::string& file) {
  TRY(const DeviceProfile profile, read_profile(file));
  context.print(profile_json(profile), profiles_text({profile}));
  return Ok{};
}

OrProblem<Ok> example(const Context& context) {
  context.print(Json{{"toml", example_device_profile()}}, example_device_profile());
  return Ok{};
}

OrProblem<Ok> add(const Context& context, const std::string& file) {
  TRY(const DeviceProfile profile, read_profile(file));
  TRY(Offline data, context.offline());
  std::erase_if(data.folder.profiles, [&](const DeviceProfile& other) { return other.name == profile.name; });
  if (const std::string why = in_the_way(data.config, data.folder.profiles, profile); !why.empty()) {
    return Problem(Error{Fault::conflict, kConflict}, file + ": " + why);
  }
  const std::string path = profile_file(data.config.data, profile.name);
  TRY(Ok{}, about(io::make_folder(data.config.data + "/profiles"), path));
  TRY(Ok{}, about(io::write_file(path, view(profile.text)), path));
  Json json = profile_json(profile);
  json["file"] = path;
  context.print(json, profiles_text({profile}) + "file         " + path + "\n");
  return Ok{};
}

OrProblem<Ok> list(const Context& context) {
  TRY(const Offline data, context.offline());
  Json json = Json::array();
  for (const DeviceProfile& profile : data.folder.profiles) {
    json.push_back(profile_json(profile));
  }
  context.print(Json{{"profiles", json}}, profiles_text(data.folder.profiles));
  return Ok{};
}

// Among those that are in force.
OrProblem<DeviceProfile> find(const Offline& data, const std::string& name) {
  for (const DeviceProfile& profile : data.folder.profiles) {
    if (profile.name == name) {
      return profile;
    }
  }
  return Problem(Error{Fault::refused, kProfileUnknown}, name);
}

OrProblem<Ok> show(const Context& context, const std::string& name) {
  TRY(const Offline data, context.offline());
  TRY(const DeviceProfile profile, find(data, name));
  Json json = profile_json(profile);
  json["toml"] = profile.text;
  context.print(json, profile.text);
  return Ok{};
}

OrProblem<Ok> remove(const Context& context, const std::string& name) {
  TRY(const Offline data, context.offline());
  TRY(const DeviceProfile profile, find(data, name));
  const std::string path = profile_file(data.config.data, profile.name);
  if (::unlink(path.c_str()) != 0) {
    return file_problem(path, "cannot be removed");
  }
  TRY(Ok{}, about(io::sync_folder(data.config.data + "/profiles"), path));
  context.print(Json{{"removed", path}}, "removed: " + path + "\n");
  return Ok{};
}

}  // namespace

void add_profile(Command top) {
  const Command command =
      top.group("profile", "What a kind of device shall hold: several credentials in one onboarding.",
                "imprint profile example > lamp.toml\nimprint profile add lamp.toml --data site");
  command.sub("example", "Show a commented file.", "imprint profile example > lamp.toml").runs(example);
  const auto with_word = [&command](const std::string& name, const std::string& what, const std::string& examples,
                                    const std::string& word, const std::string& meaning, auto run) {
    auto text = std::make_shared<std::string>();
    const Command made = command.sub(name, what, examples);
    made.option(word, *text, meaning).required();
    made.runs([text, run](const Context& c) { return run(c, *text); });
  };
  with_word("check", "Say whether a file is right, and where not.", "imprint profile check lamp.toml", "FILE",
            "The profile's file", check);
  with_word("add", "Let the site give what the file says; in place of the profile of the same name.",
            "imprint profile add lamp.toml --data site", "FILE", "The profile's file", add);
  command.sub("list", "Show all, with their credentials.", "imprint profile list --data site").runs(list);
  with_word("show", "Show the file of one.", "imprint profile show lamp --data site > lamp.toml", "NAME",
            "The profile's name", show);
  with_word("remove", "Give no more of it; certificates that are out there stay good.",
            "imprint profile remove lamp --data site", "NAME", "The profile's name", remove);
}

}  // namespace imprint::app
