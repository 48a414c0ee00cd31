#include "sim/born.h"

namespace imprint::sim {
namespace {

constexpr std::string_view kIdevidKey = "idevid";

}  // namespace

Result<std::vector<factory::Born>> make_mixed(factory::Order order, std::uint32_t count, const site::Ca& maker,
                                              Instant now, Rng& rng, Kinds kinds) {
  const std::string before = order.model;  // in front of the models' names
  order.model = before + "token";
  order.birth = factory::Birth::one_time;
  order.count = kinds == Kinds::both ? count / 3 : 0;
  std::vector<factory::Born> out;
  if (order.count > 0) {
    TRY(out, factory::make(order, maker, now, rng));
  }
  order.model = before + "idevid";
  order.birth = factory::Birth::idevid;
  order.count = count - order.count;
  TRY(auto others, factory::make(order, maker, now, rng));
  out.insert(out.end(), std::make_move_iterator(others.begin()), std::make_move_iterator(others.end()));
  return out;
}

void fill(MemoryStorage& storage, const factory::Born& born) { storage.add_key(std::string(kIdevidKey), born.key); }

est::PlanRef plan_of(const factory::Born& born, const Uri& server, const std::vector<Certificate>& anchors) {
  auto plan = std::make_shared<est::Plan>();
  plan->server = server;
  plan->label = born.entry.label;
  plan->origins = est::kAllFromFactory;
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
