#include "app/device_profile.h"

#include <filesystem>
#include <set>

#include "app/toml_keys.h"
#include "codec/uri.h"
#include "crypto/x509.h"
#include "io/file.h"

namespace imprint::app {
namespace {

constexpr std::size_t kMaxFile = 256 * 1024, kMostCredentials = 32;
using Wrong = std::optional<std::string>;
using Texts = std::vector<std::string>;

ConfigKey<CredentialConfig> text_key(std::string_view name, std::string_view comment,
                                     std::string CredentialConfig::*member,
                                     std::function<Wrong(const std::string&)> check) {
  return {name, ConfigType::text, comment,
          [member, check = std::move(check)](CredentialConfig& c, const ConfigValue& v) {
            c.*member = std::get<std::string>(v);
            return check(c.*member);
          },
          [member](const CredentialConfig& c) { return ConfigValue(c.*member); }};
}

Wrong anything(const std::string&) { return std::nullopt; }

Wrong check_server(const std::string& text) {
  const auto uri = Uri::parse(text);
  const bool good = uri && (uri->scheme == "https" || uri->scheme == "coaps");
  return good ? std::nullopt : Wrong("must be https://HOST:PORT or coaps://HOST:PORT");
}

Wrong check_subject(const std::string& text) {
  return Name::from_text(filled_in(text, "id")) ? std::nullopt : Wrong("must be a name as in CN={id}");
}

Wrong set_alt_names(CredentialConfig& c, const Texts& texts) {
  for (const std::string& text : texts) {
    if (!GeneralName::from_text(filled_in(text, "id"))) {
      return text + ": must be dns:…, ip:…, uri:… or email:…";
    }
  }
  c.alt_names = texts;
  return std::nullopt;
}

const std::vector<ConfigKey<CredentialConfig>>& credential_keys() {
  static const auto* const keys = new std::vector<ConfigKey<CredentialConfig>>{
      text_key("label", "EST label; the profile's name, or that and the credential's, unless said.",
               &CredentialConfig::label, [](const std::string& v) { return check_profile_name(v); }),
      text_key("server", "Another EST server than the site's.", &CredentialConfig::server, check_server),
      text_key("anchors", "File with that server's CA certificates, beside this one.", &CredentialConfig::anchors,
               anything),
      text_key("subject", "Subject that a device asks for; {id} is its id.", &CredentialConfig::subject, check_subject),
      {"names", ConfigType::list, "Other names that a device asks for.",
       [](CredentialConfig& c, const ConfigValue& v) { return set_alt_names(c, std::get<Texts>(v)); },
       [](const CredentialConfig& c) { return ConfigValue(c.alt_names); }}};
  return *keys;
}

class FileReader {
 public:
  explicit FileReader(const std::string& path) : path_(path) {
    out_.name = std::filesystem::path(path).stem().string();
  }

  std::variant<DeviceProfile, std::vector<ConfigProblem>> read(std::string_view text) {
    out_.text = text;
    if (const auto wrong = check_profile_name(out_.name)) {
      problem(path_ + ": " + out_.name + ": " + *wrong);
    }
    try {
      read_root(toml::parse(text, path_));
    } catch (const toml::parse_error& error) {
      problem(path_ + ":" + std::to_string(error.source().begin.line) + ": " + std::string(error.description()));
    }
    if (problems_.empty()) {
      settle();
    }
    return problems_.empty() ? std::variant<DeviceProfile, std::vector<ConfigProblem>>(std::move(out_))
                             : std::variant<DeviceProfile, std::vector<ConfigProblem>>(problems_);
  }

 private:
  void problem(std::string text) { problems_.push_back({std::move(text)}); }

  void read_root(const toml::table& root) {
    for (const auto& [key, node] : root) {
      const std::string name(key.str());
      const toml::table* const table = node.as_table();
      if (name == "identity" && node.is_string()) {
        out_.identity = node.as_string()->get();
      } else if (name == "credentials" && table != nullptr) {
        read_credentials(*table);
      } else {
        problem(place_of(path_, node) + name + ": must be identity = \"…\" or a table [credentials.NAME]");
      }
    }
  }

  void read_credentials(const toml::table& credentials) {
    for (const auto& [key, node] : credentials) {
      const toml::table* const table = node.as_table();
      const std::string name(key.str());
      const std::string prefix = "credentials." + name;
      const auto wrong = check_profile_name(name);
      if (wrong || table == nullptr) {
        problem(place_of(path_, node) + prefix + ": " + wrong.value_or("must be a table"));
        continue;
      }
      read_credential(name, *table, prefix + ".");
    }
  }

  void read_credential(const std::string& name, const toml::table& table, const std::string& prefix) {
    CredentialConfig one;
    one.name = name;
    for (const auto& [key, node] : table) {
      const std::string inner(key.str());
      const bool asks =
          std::ranges::find(credential_keys(), inner, &ConfigKey<CredentialConfig>::name) != credential_keys().end();
      auto wrong = asks ? take_key(credential_keys(), one, inner, node, {path_, prefix})
                        : take_key(profile_keys(), one.given, inner, node, {path_, prefix});
      if (wrong) {
        problems_.push_back(*std::move(wrong));
      }
    }
    out_.credentials.push_back(std::move(one));
  }

  // What is left out, and what only the whole file tells.
  void settle() {
    if (out_.credentials.empty() || out_.credentials.size() > kMostCredentials) {
      problem(path_ + ": must have 1 to 32 tables [credentials.NAME]");
      return;
    }
    if (out_.identity.empty() && out_.credentials.size() == 1) {
      out_.identity = out_.credentials.front().name;
    }
    const auto first = std::ranges::find(out_.credentials, out_.identity, &CredentialConfig::name);
    if (first == out_.credentials.end() || !first->server.empty()) {
      problem(path_ +
              ": identity: must name the credential that identifies the device at the site, one without `server`");
      return;
    }
    std::rotate(out_.credentials.begin(), first, first + 1);
    std::set<std::string> labels;
    for (CredentialConfig& one : out_.credentials) {
      const bool identity = one.name == out_.identity;
      if (one.label.empty() && one.server.empty()) {
        one.label = identity ? out_.name : out_.name + "-" + one.name;
      }
      one.given.profile.name = out_.name + "/" + one.name;
      one.given.profile.group = out_.name;
      one.given.profile.identity = identity;
      if (one.server.empty() && !labels.insert(one.label).second) {
        problem(path_ + ": credentials." + one.name + ".label: another credential has " + one.label);
      }
      if (one.server.empty() && !one.anchors.empty()) {
        problem(path_ + ": credentials." + one.name + ".anchors: only beside `server`");
      }
    }
  }

  const std::string& path_;
  DeviceProfile out_;
  std::vector<ConfigProblem> problems_;
};

}  // namespace

const CredentialConfig* DeviceProfile::find(std::string_view credential) const {
  const auto at = std::ranges::find(credentials, credential, &CredentialConfig::name);
  return at == credentials.end() ? nullptr : &*at;
}

std::variant<DeviceProfile, std::vector<ConfigProblem>> parse_device_profile(const std::string& path,
                                                                             std::string_view text) {
  return FileReader(path).read(text);
}

std::variant<DeviceProfile, std::vector<ConfigProblem>> read_device_profile(const std::string& path) {
  const auto file = io::read_file(path, kMaxFile);
  if (!file) {
    return std::vector{ConfigProblem{path + ": " + std::string(file.error().what)}};
  }
  return parse_device_profile(path, as_text(*file));
}

std::string example_device_profile() {
  return R"(# What a lamp shall hold. The file's name is the profile's, and the label of its devices in the inventory.

# The credential that identifies a lamp at the site: it obtains the others, each of them renews itself alone.
identity = "network"

[credentials.network]
lifetime_hours = 8760
wanted_key = "p256"

[credentials.broker]
label = "lamp-broker"
subject = "CN={id}"
names = ["dns:{id}.broker.example"]
lifetime_hours = 720
alt_names = ["dns:{id}.broker.example"]

# From another EST server, with anchors of its own:
# [credentials.building]
# server = "https://est.building.example"
# anchors = "building-ca.pem"
)";
}

std::string filled_in(std::string text, std::string_view id) {
  constexpr std::string_view kId = "{id}";
  for (std::size_t at = text.find(kId); at != std::string::npos; at = text.find(kId, at + id.size())) {
    text.replace(at, kId.size(), id);
  }
  return text;
}

}  // namespace imprint::app
