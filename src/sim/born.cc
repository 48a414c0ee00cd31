#include "sim/born.h"

namespace imprint::sim {
namespace {

constexpr std::string_view kIdevidKey = "idevid";

}  // namespace

void fill(MemoryStorage& storage, const factory::Born& born) { storage.add_key(std::string(kIdevidKey), born.key); }

est::PlanRef plan_of(const factory::Born& born, const Uri& server, const std::vector<Certificate>& anchors) {
  auto plan = std::make_shared<est::Plan>();
  plan->server = server;
  plan->label = born.entry.label;
  plan->origin = est::Origin::factory;
  plan->explicit_anchors = anchors;
  if (born.entry.idevid) {
    plan->credential = Credential{std::string(kIdevidKey), born.chain};
  } else {
    plan->login = Login{born.entry.id, born.entry.one_time};
  }
  if (const auto name = Name::from_text("CN=" + born.entry.id)) {
    plan->names.subject = *name;
  }
  return plan;
}

}  // namespace imprint::sim
