#include <nlohmann/json.hpp>

#include "app/admin_routes.h"
#include "app/cli.h"
#include "app/cli_rules.h"

namespace imprint::app {
namespace {

struct ListOptions {
  std::int64_t after = 0, limit = 1000;
};

OrProblem<Ok> list(const Context& context, const ListOptions& options) {
  TRY(const Offline data, context.offline());
  TRY(const auto reader, data.store->read());
  TRY(const auto entries, reader->audit(options.after, options.limit));
  Json json{{"audit", Json::array()}};
  std::vector<std::vector<std::string>> rows;
  for (const AuditEntry& entry : entries) {
    json["audit"].push_back(admin::audit_json(entry));
    rows.push_back(
        {std::to_string(entry.sequence), utc_text(entry.at), entry.actor, entry.action, entry.subject, entry.detail});
  }
  context.print(json, rows.empty() ? "no entries\n" : table({"NUMBER", "AT", "BY", "ACTION", "ABOUT", "DETAIL"}, rows));
  return Ok{};
}

OrProblem<Ok> verify(const Context& context) {
  TRY(const Offline data, context.offline());
  TRY(const auto reader, data.store->read());
  TRY(const std::optional<std::int64_t> broken, store::verify_audit(*reader));
  TRY(const std::int64_t count, reader->count("audit"));
  TRY(const auto last, reader->audit(count - 1, 1));
  const Sha256 head = last.empty() ? Sha256{} : last.front().hash;
  context.print(admin::audit_verdict_json({count, broken, head}),
                broken ? std::string() : "ok: " + std::to_string(count) + " entries, last hash " + hex(head) + "\n");
  if (broken) {
    Problem problem(Error{Fault::internal, kAuditBroken}, "entry " + std::to_string(*broken));
    problem.state = "its hash or its number does not fit the entry before";
    return problem;
  }
  return Ok{};
}

}  // namespace

void add_audit(Command top) {
  const Command audit = top.group("audit", "The audit log: who decided what, and why.",
                                  "imprint audit list --limit 20\nimprint audit verify");
  auto options = std::make_shared<ListOptions>();
  const Command command = audit.sub("list", "List entries, oldest first.",
                                    "imprint audit list\nimprint audit list --after 100 --limit 50 --json");
  command.option("--after", options->after, "Only those after this number").not_negative();
  command.option("--limit", options->limit, "At most so many").between(1, 100000);
  command.runs([options](const Context& c) { return list(c, *options); });
  audit
      .sub("verify", "Check the chain of hashes from the first entry to the last.",
           "imprint audit verify\nimprint audit verify --json")
      .runs(verify);
}

}  // namespace imprint::app
