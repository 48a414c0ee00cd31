// `imprint maker`: who speaks for the devices of which maker.
#include "app/cmd_maker.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/cli_rules.h"
#include "app/cmd_device.h"
#include "app/config_keys.h"
#include "app/makers_json.h"
#include "crypto/hash.h"
#include "io/file.h"
#include "io/loop.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMaxFile = 256 * 1024;

Problem file_problem_of(const std::vector<ConfigProblem>& problems) {
  Problem out = config_problem(problems);
  const Problem ours(Error{Fault::malformed, site::kMakerFile});
  out.rule = ours.rule;
  out.source = ours.source;
  out.next = ours.next;
  return out;
}

OrProblem<MakerFile> read_file_of(const std::string& path, const std::string& roots = {}) {
  auto read = read_maker_file(path, roots);
  if (const auto* const problems = std::get_if<1>(&read)) {
    return file_problem_of(*problems);
  }
  return std::get<0>(std::move(read));
}

std::string address_of(const site::MasaRule& rule) {
  const std::string url = rule.url ? rule.url->text() : "as the device says";
  return rule.orphan ? url + " (orphan)" : rule.over_own ? url + " (override)" : url;
}

std::string rules_text(const std::vector<site::MasaRule>& rules) {
  std::vector<std::vector<std::string>> rows;
  for (const site::MasaRule& rule : rules) {
    rows.push_back({rule.name, rule.match.text(), address_of(rule), rule.from});
  }
  return table({"RULE", "DEVICES", "MASA", "FROM"}, rows);
}

OrProblem<Ok> example(const Context& context) {
  context.print(Json{{"toml", example_maker_file()}}, example_maker_file());
  return Ok{};
}

OrProblem<Ok> check(const Context& context, const std::string& file) {
  auto config = context.config();  // without a data folder as well
  TRY(const MakerFile maker, read_file_of(file, config ? (*config).data + "/makers" : std::string()));
  context.print(maker_json(maker), rules_text(maker.rules));
  return Ok{};
}

OrProblem<Ok> list(const Context& context) {
  TRY(const Config config, context.config());
  if (const auto why = makers_unlisted(config.data)) {
    return file_problem(config.data + "/makers", *why);
  }
  const Makers makers = read_makers(config.data, io::wall_clock());
  Json json{{"makers", Json::array()}, {"rules", Json::array()}};
  for (const MakerFile& maker : makers.files) {
    json["makers"].push_back(maker_json(maker));
  }
  for (const site::MasaRule& rule : makers.book.rules) {
    json["rules"].push_back(rule_json(rule));
  }
  json["catalogues"] = catalogues_json(makers);
  json["unread"] = unread_json(makers);
  std::string text = makers.book.rules.empty() ? "no rules: a device's MASA is whom its IDevID names\n"
                                               : rules_text(makers.book.rules);
  for (const CatalogueFacts& one : makers.catalogues) {
    text += "catalogue    " + one.maker + ", version " + std::to_string(one.version) + ", until " +
            utc_text(one.expires) + "\n";
  }
  for (const Makers::Unread& one : makers.unread) {
    text += "left out     " + one.file + ": " + one.why + "\n";
  }
  context.print(json, text);
  return Ok{};
}

// A file stays in the folder of its maker: what is named from above or by a whole path is not carried along.
Status check_inside(const std::string& file) {
  const std::string inside = fs::path(file).lexically_normal().string();
  CHECK_OR(fs::path(file).is_relative() && !inside.starts_with(".."), Error{Fault::refused, site::kMakerFile});
  return Ok{};
}

OrProblem<Ok> copy_file(const std::string& from, const std::string& to) {
  auto content = io::read_file(from, kMaxFile);
  if (!content) {
    return file_problem(from, content.error().what);
  }
  TRY(Ok{}, about(io::make_folder(fs::path(to).parent_path().string()), to));
  const Status written = io::write_file(to, *content, fs::path(to).extension() == ".pem" ? 0644 : 0600);
  wipe(*content);
  return about(written, to);
}

OrProblem<Ok> note_act(const Offline& data, std::string_view action, const std::string& subject, const Json& detail) {
  const site::Act act = by_cli();
  return about(data.store->write([&](store::Writer& w) {
    AuditEntry entry;
    entry.at = act.at;
    entry.actor = act.by;
    entry.action = action;
    entry.subject = subject;
    entry.detail = detail.dump();
    return w.append_audit(std::move(entry));
  }),
               data.config.data + "/imprint.db");
}

OrProblem<Ok> add(const Context& context, const std::string& file) {
  TRY(const Config config, context.config());
  TRY(const MakerFile maker, read_file_of(file, config.data + "/makers"));
  TRY(const Offline data, context.offline());
  const std::string path = maker_path(data.config.data, maker.name), folder = data.config.data + "/makers/";
  for (const std::string& one : maker.files) {
    TRY(Ok{}, about(check_inside(one), one + ": must lie beside the maker's file or below"));
  }
  for (const std::string& one : maker.files) {  // all of them before any is replaced: a key is only named so far
    const std::string from = (fs::path(file).parent_path() / one).string();
    auto content = io::read_file(from, kMaxFile);
    if (!content) {
      return file_problem(from, content.error().what);
    }
    wipe(*content);
  }
  for (const std::string& one : maker.files) {
    TRY(Ok{}, copy_file((fs::path(file).parent_path() / one).string(), folder + one));
  }
  TRY(Ok{}, about(io::make_folder(folder), path));
  TRY(Ok{}, about(io::write_file(path, view(maker.text)), path));
  TRY(Ok{}, note_act(data, "maker.added", maker.name, {{"sha256", hex(sha256(view(maker.text)))}}));
  Json json = maker_json(maker);
  json["file"] = path;
  context.print(json, rules_text(maker.rules) + "file         " + path + "\n");
  return Ok{};
}

}  // namespace

OrProblem<MakerFile> find_maker(const std::string& data, const std::string& name) {
  const std::string path = maker_path(data, name);
  std::error_code failed;
  if (check_profile_name(name) || !fs::exists(path, failed)) {
    return Problem(Error{Fault::refused, site::kMakerUnknown}, name);
  }
  return read_file_of(path);
}

void add_maker_commands(Command top) {
  const Command maker = top.group("maker", "Makers: which MASA speaks for which device, and what they do otherwise.",
                                  "imprint maker example > acme.toml\nimprint maker add acme.toml --data site\n"
                                  "imprint maker test --idevid device.pem --data site");
  maker.sub("example", "Show a commented file.", "imprint maker example > acme.toml").runs(example);
  const auto with_file = [&maker](const std::string& name, const std::string& what, const std::string& examples,
                                  auto run) {
    auto file = std::make_shared<std::string>();
    const Command made = maker.sub(name, what, examples);
    made.option("FILE", *file, "The maker's file, NAME.toml").required();
    made.runs([file, run](const Context& c) { return run(c, *file); });
  };
  with_file("check", "Say whether a file is right, and where not.", "imprint maker check acme.toml", check);
  with_file(
      "add",
      "Take a maker's file with all that it names; in place of the one of the same name. Devices below its\n"
      "anchors are taken from then on. They lie beside the file as NAME.pem, or where `anchors` says: in other files,\n"
      "or in makers/ of the data folder, as \"sha256:\" and a root's fingerprint; `imprint factory make` left its "
      "there.",
      "imprint maker add acme.toml --data site", add);
  maker
      .sub("list", "Show every rule in its order, catalogues, and what was left out.", "imprint maker list --data site")
      .runs(list);
  add_maker_test(maker);
  add_maker_catalogue(maker);
}

}  // namespace imprint::app
