#include "app/masa_file.h"

#include <filesystem>
#include <set>

#include "app/masa_keys.h"
#include "app/pem_file.h"
#include "app/toml_keys.h"
#include "io/file.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMaxFile = 256 * 1024, kMostRules = 256, kMaxPassword = 1024;
constexpr std::size_t kDigitsOfFile = 16;
constexpr std::string_view kByFingerprint = "sha256:";
using Texts = std::vector<std::string>;

bool is_uri(const std::string& key) { return key.starts_with("pkcs11:") || key.starts_with("tpm2:"); }

class MakerReader {
 public:
  MakerReader(const std::string& path, const std::string& roots) : path_(path), roots_(roots) {
    out_.name = fs::path(path).stem().string();
    common_.folder = fs::path(path).parent_path().string();
    common_.folder = common_.folder.empty() ? "." : common_.folder;
  }

  std::variant<MakerFile, std::vector<ConfigProblem>> read(std::string_view text) {
    out_.text = text;
    if (const auto wrong = check_profile_name(out_.name)) {
      problem(path_ + ": " + out_.name + ": " + *wrong);
    }
    try {
      read_root(toml::parse(text, path_));
    } catch (const toml::parse_error& error) {
      problem(path_ + ":" + std::to_string(error.source().begin.line) + ": " + std::string(error.description()));
    }
    out_.files = common_.files;
    return problems_.empty() ? std::variant<MakerFile, std::vector<ConfigProblem>>(std::move(out_))
                             : std::variant<MakerFile, std::vector<ConfigProblem>>(std::move(problems_));
  }

 private:
  void problem(std::string text) { problems_.push_back({std::move(text)}); }

  // Keys for the whole file first: every rule begins with them.
  void read_root(const toml::table& root) {
    for (const auto& [key, node] : root) {
      const std::string name(key.str());
      if (name != "rules") {
        read_common(name, node);
      }
    }
    if (out_.anchors.empty()) {
      anchors_beside();
    }
    const toml::node* const rules = root.get("rules");
    if (rules != nullptr) {
      read_rules(*rules);
    } else {
      RuleDraft all = common_;
      all.rule.name = "all";
      settle(std::move(all), root);
    }
  }

  void read_common(const std::string& name, const toml::node& node) {
    if (name == "catalogue_url") {
      read_catalogue_url(node);
      return;
    }
    const bool ids = name == "anchors";
    if (!ids && name != "catalogue_anchors") {
      if (auto wrong = take_key(manner_keys(), common_, name, node, {path_, ""})) {
        problems_.push_back(*std::move(wrong));
      }
      return;
    }
    const auto files = value_of(node, ConfigType::list);
    const auto wrong = !files ? std::optional<std::string>("must be a list of texts in brackets")
                       : ids  ? take_anchors(std::get<Texts>(*files))
                              : take_certificates(common_, std::get<Texts>(*files), true, out_.catalogue_anchors);
    if (wrong) {
      problem(place_of(path_, node) + name + ": " + *wrong);
    }
  }

  // Files beside this one, and roots by their fingerprints.
  std::optional<std::string> take_anchors(const Texts& texts) {
    Texts files;
    for (const std::string& text : texts) {
      if (!text.starts_with(kByFingerprint)) {
        files.push_back(text);
      } else if (auto wrong = take_root(text)) {
        return wrong;
      }
    }
    return files.empty() && !texts.empty() ? std::nullopt : take_certificates(common_, files, false, out_.anchors);
  }

  // `imprint factory make` leaves a root in makers/ of the data folder, in a file named by 16 digits of its
  // fingerprint.
  std::optional<std::string> take_root(const std::string& text) {
    std::string digits = text.substr(kByFingerprint.size());
    std::erase(digits, ':');
    std::ranges::transform(digits, digits.begin(),
                           [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
    if (digits.size() < kDigitsOfFile || digits.size() > 2 * Sha256{}.size() || !from_hex(digits)) {
      return text + ": must be sha256: and 16 to 64 hexadecimal digits";
    }
    const std::string file = digits.substr(0, kDigitsOfFile) + ".pem";
    for (const std::string& folder : {common_.folder, roots_}) {
      const auto read = folder.empty() ? Result<std::vector<Certificate>>(Error{Fault::refused, "no folder"})
                                       : read_certificate_file((fs::path(folder) / file).string());
      const bool there = read && !read->empty() && hex(read->front().fingerprint()).starts_with(digits);
      if (there) {
        out_.anchors.push_back(read->front());
        note_file(common_, folder == common_.folder ? file : std::string());  // else it is where it belongs
        return std::nullopt;
      }
    }
    return text + ": no root of this fingerprint in " + file + " beside this file" +
           (roots_.empty() ? std::string() : " or in " + roots_);
  }

  void read_catalogue_url(const toml::node& node) {
    const auto text = value_of(node, ConfigType::text);
    const auto uri = text ? Uri::parse(std::get<std::string>(*text)) : Result<Uri>(Error{Fault::malformed, "uri"});
    if (!uri || uri->scheme != "https" || uri->host.empty()) {
      problem(place_of(path_, node) + "catalogue_url: must be https://HOST[:PORT]/PATH");
      return;
    }
    out_.catalogue_url = *uri;
  }

  // acme.pem beside acme.toml needs no words.
  void anchors_beside() {
    const std::string file = out_.name + ".pem";
    std::error_code ignored;
    if (!fs::exists(fs::path(common_.folder) / file, ignored)) {
      return;
    }
    if (const auto wrong = take_certificates(common_, {file}, false, out_.anchors)) {
      problem(path_ + ": " + *wrong);
    }
  }

  void read_rules(const toml::node& node) {
    const toml::array* const rules = node.as_array();
    if (rules == nullptr || rules->empty() || rules->size() > kMostRules) {
      problem(place_of(path_, node) + "rules: must be 1 to 256 tables [[rules]]");
      return;
    }
    for (const toml::node& one : *rules) {
      if (const toml::table* const table = one.as_table()) {
        read_rule(*table);
      } else {
        problem(place_of(path_, one) + "rules: must be tables [[rules]]");
      }
    }
  }

  void read_rule(const toml::table& table) {
    RuleDraft draft = common_;
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      const auto& manner = manner_keys();
      const bool how = std::ranges::find(manner, name, &ConfigKey<RuleDraft>::name) != manner.end();
      if (auto wrong = take_key(how ? manner : rule_keys(), draft, name, node, {path_, "rules."})) {
        problems_.push_back(*std::move(wrong));
      }
    }
    settle(std::move(draft), table);
  }

  // What only the whole rule tells.
  void settle(RuleDraft draft, const toml::node& node) {
    const std::string at = place_of(path_, node);
    site::MasaRule& rule = draft.rule;
    if (rule.name.empty() || !names_.insert(rule.name).second) {
      problem(at +
              "rules.name: " + (rule.name.empty() ? "every rule needs one" : "another rule is called " + rule.name));
    }
    const auto source = node.source().begin.line;
    rule.from = "makers/" + out_.name + ".toml:" + std::to_string(source == 0 ? 1 : source);
    rule.name = out_.name + "/" + rule.name;
    rule.match.anchors = out_.anchors;
    if (rule.match == site::MasaMatch{}) {
      problem(at + "rules: a rule without anchors needs a condition: it would be for every device there is");
    }
    if ((rule.over_own || rule.orphan) && !rule.url) {
      problem(at + "rules.masa: override and orphan want the address that counts");
    }
    if (rule.deprecated && rule.ends && *rule.ends < *rule.deprecated) {
      problem(at + "rules.ends: lies before `deprecated`");
    }
    show_who(draft, at);
    check_trust(draft, at);
    common_.files = draft.files;
    out_.rules.push_back(std::move(rule));
  }

  // What an IDevID says of itself, any maker whose root is here can say. What opens something wants to know whose it
  // is.
  void check_trust(const RuleDraft& draft, const std::string& at) {
    const site::MasaRule& rule = draft.rule;
    const bool proven = !rule.match.anchors.empty() || !rule.match.issuer_keys.empty();
    const std::string why = ": wants anchors, or issuer_spki_sha256: all else in a rule any trusted maker can say";
    const brski::Quirks& q = rule.quirks;
    for (const auto& [key, said] :
         {std::pair("user", rule.login.has_value()), std::pair("client_certificate", rule.as.has_value()),
          std::pair("expired_idevids", q.expired_idevids), std::pair("proximity_optional", q.proximity_optional),
          std::pair("est_before_status", q.est_before_status), std::pair("no_audit_log", q.no_audit_log),
          std::pair("registrar_id_log", q.registrar_id_log)}) {
      if (said && !proven) {
        problem(at + key + why);
      }
    }
    if (rule.login && !rule.url && rule.anchors.empty()) {
      problem(at + "user: wants masa or masa_anchors: else each device says who gets the password");
    }
  }

  // How we say who we are: a certificate with its key, or a login.
  void show_who(RuleDraft& draft, const std::string& at) {
    if (draft.certificate.empty() != draft.key.empty()) {
      problem(at + "client_certificate: wants client_key, and the other way round");
    } else if (!draft.certificate.empty()) {
      Credential as;
      if (const auto wrong = take_certificates(draft, {draft.certificate}, true, as.chain)) {
        problem(at + "client_certificate: " + *wrong);
      }
      as.key_id = is_uri(draft.key) ? draft.key : (fs::path(draft.folder) / draft.key).string();
      note_file(draft, is_uri(draft.key) ? std::string() : draft.key);
      draft.rule.as = std::move(as);
    }
    if (draft.user.empty() != draft.password_file.empty()) {
      problem(at + "user: wants password_file, and the other way round");
    } else if (!draft.user.empty()) {
      draft.rule.login = Login{draft.user, password(draft, at)};
      note_file(draft, draft.password_file);
    }
  }

  static void note_file(RuleDraft& draft, const std::string& file) {
    if (!file.empty() && std::ranges::find(draft.files, file) == draft.files.end()) {
      draft.files.push_back(file);
    }
  }

  Secret password(const RuleDraft& draft, const std::string& at) {
    auto content = io::read_file((fs::path(draft.folder) / draft.password_file).string(), kMaxPassword);
    if (!content) {
      problem(at + "password_file: " + draft.password_file + ": " + std::string(content.error().what));
      return {};
    }
    while (!content->empty() && (content->back() == '\n' || content->back() == '\r')) {
      content->pop_back();
    }
    Secret out(*content);
    wipe(*content);
    return out;
  }

  const std::string& path_;
  const std::string& roots_;
  MakerFile out_;
  RuleDraft common_;
  std::set<std::string> names_;
  std::vector<ConfigProblem> problems_;
};

}  // namespace

std::variant<MakerFile, std::vector<ConfigProblem>> parse_maker_file(const std::string& path, std::string_view text,
                                                                     const std::string& roots) {
  return MakerReader(path, roots).read(text);
}

std::variant<MakerFile, std::vector<ConfigProblem>> read_maker_file(const std::string& path, const std::string& roots) {
  const auto file = io::read_file(path, kMaxFile);
  if (!file) {
    return std::vector{ConfigProblem{path + ": " + std::string(file.error().what)}};
  }
  return parse_maker_file(path, as_text(*file), roots);
}

std::string example_maker_file() {
  return R"(# Acme: who speaks for its devices. This file is makers/acme.toml of the data folder; its name is the maker's.
# Files are named relative to it. acme.pem beside it holds the roots of Acme's IDevIDs: rules are for devices below them.
# Other certificates belong into a folder: every .pem beside this file is a root whose devices are taken.
# `imprint factory make` puts its root into makers/ of its data folder, in a file named by its fingerprint: say
# "sha256:" and these 16 digits, or the whole fingerprint, in place of a file.

# anchors = ["acme.pem", "sha256:0123456789abcdef"]
# masa_anchors = ["acme/web.pem"]              # of TLS; without it the maker's own roots count
# voucher_anchors = ["acme/masa.pem"]          # the registrar then looks at vouchers itself
# catalogue_anchors = ["acme/catalogue.pem"]   # who may sign `imprint maker catalogue`
# catalogue_url = "https://masa.acme.example/.well-known/brski/catalogue"  # `serve` looks there every six hours
# client_certificate = "acme/client.pem"       # how we say who we are, or `user` and `password_file`
# client_key = "acme/client.key"

# The first rule that is for a device answers. All conditions of a rule have to hold, of a list one element.
[[rules]]
name = "lamps"
serials = ["LAMP-*", "LX0100..LX01FF"]
masa = "https://masa.acme.example:9443"        # for devices that name none

[[rules]]
name = "meters"
authority_key_id = ["5e0ca9525a8cdfa90f0314e996f180768c538a08"]
masa = "masa.meters.example"
override = true                                # over what the devices name: that maker was bought
serial_source = "hardware-module-name"         # or "subject", "common-name"
idevid_issuer = "key-id"                       # or "octet-string", "authority-key-id", "printed-name", "left-out"
deprecated = "2030-01-01T00:00:00Z"            # from then on it is said so; `ends`: it counts no longer

[[rules]]
name = "gateways"
issuer = ["CN=Gateway CA,O=Old Gateways"]
organisation = ["Old Gateways"]                # `unit` for OU, `maker` for the name at the top of the chain
masa = "https://localhost:9443"
orphan = true                                  # the maker is gone, and a MASA of our own speaks for it
# content_type = "data"                        # quirks of old devices and MASAs, in a rule or for all at the top:
# base64_bodies = true
# requests_named_voucher = true
# old_paths = true
# expired_idevids = true
# proximity_optional = true
# est_before_status = true
# no_audit_log = true
# old_media_types = true
# any_voucher_type = true
# registrar_id_log = true
# Further conditions: issuer_der (base64), issuer_spki_sha256 (hexadecimal), module_type (OIDs).
)";
}

}  // namespace imprint::app
