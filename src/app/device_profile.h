// A profile with several credentials: one TOML file for a kind of device, the same for the site and for the device.
// The file's name is the profile's; see docs/guide.md, several credentials.
#pragma once

#include "app/config.h"

namespace imprint::app {

// One credential, for one application domain: with its own key, anchors, lifetime and EST label.
struct CredentialConfig {
  std::string name;                    // "broker"
  std::string label;                   // EST label; no two of a site are equal
  std::string server;                  // https://… or coaps://… of another EST server; empty: the site's
  std::string anchors;                 // file with that server's CA certificates; empty: what the device holds
  std::string subject = "CN={id}";     // what the device asks for; {id} is its id
  std::vector<std::string> alt_names;  // the same
  ProfileConfig given;                 // what the site gives
};

struct DeviceProfile {
  std::string name;      // "lamp"
  std::string identity;  // name of the credential that identifies the device at the site and obtains the others
  std::vector<CredentialConfig> credentials;  // the one that identifies first
  std::string text;                           // of the file

  const CredentialConfig* find(std::string_view credential) const;  // null if there is none of this name
};

// Reads the text of a file; `path` is for problems, and its stem is the profile's name.
std::variant<DeviceProfile, std::vector<ConfigProblem>> parse_device_profile(const std::string& path,
                                                                             std::string_view text);
std::variant<DeviceProfile, std::vector<ConfigProblem>> read_device_profile(const std::string& path);
// A commented example.
std::string example_device_profile();

// {id} in what the file says, filled in.
std::string filled_in(std::string text, std::string_view id);

}  // namespace imprint::app
