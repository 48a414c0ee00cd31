#include "app/rule_book.h"

#include "app/ca_rules.h"
#include "app/cli_rules.h"
#include "app/rules.h"
#include "crypto/key_rules.h"
#include "io/rules.h"
#include "proto/brski/rules.h"
#include "proto/est/rules.h"
#include "runtime/rules.h"
#include "site/operation_rules.h"
#include "site/rules.h"
#include "store/rules.h"

namespace imprint::app {
namespace {

template <class Rules>
RuleChapter chapter(std::string_view title, const Rules& rules) {
  return {title, {rules.begin(), rules.end()}};
}

}  // namespace

std::vector<RuleChapter> rule_book() {
  return {chapter("EST", est::kRules),
          chapter("BRSKI", brski::kRules),
          chapter("HTTP", io::kHttpRules),
          chapter("The owner's policy", site::kRules),
          chapter("The store", store::kRules),
          chapter("Inventory and administration", site::kOperationRules),
          chapter("The admin API", kRules),
          chapter("The command line", kCliRules),
          chapter("The owner's CA", kCaRules),
          chapter("Keys by URI", kKeyRules),
          chapter("The folder of a device", kDeviceRules)};
}

}  // namespace imprint::app
