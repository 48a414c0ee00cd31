#include "app/rule_book.h"

#include "app/ca_rules.h"
#include "app/cli_rules.h"
#include "app/masa_folder_rules.h"
#include "app/rules.h"
#include "app/voucher_rules.h"
#include "crypto/key_rules.h"
#include "io/rules.h"
#include "proto/brski/cloud_rules.h"
#include "proto/brski/coap_rules.h"
#include "proto/brski/discovery_rules.h"
#include "proto/brski/masa_rules.h"
#include "proto/brski/pledge_rules.h"
#include "proto/brski/registrar_rules.h"
#include "proto/brski/rules.h"
#include "proto/est/rules.h"
#include "runtime/rules.h"
#include "site/masa_rules.h"
#include "site/operation_rules.h"
#include "site/pledge_rules.h"
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
          chapter("BRSKI: vouchers and requests", brski::kRules),
          chapter("BRSKI: the device", brski::kPledgeRules),
          chapter("BRSKI: the registrar", brski::kRegistrarRules),
          chapter("BRSKI: the registrar's policy", site::kPledgeRules),
          chapter("BRSKI: the maker's default registrar", brski::kCloudRules),
          chapter("BRSKI: the MASA", brski::masa::kRules),
          chapter("BRSKI: the MASA's folder", kMasaFolderRules),
          chapter("BRSKI: vouchers that are kept", kKeptVoucherRules),
          chapter("BRSKI: over CoAP", brski::kCoapRules),
          chapter("BRSKI: discovery", brski::kDiscoveryRules),
          chapter("Makers and their MASAs", site::kMasaRules),
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
