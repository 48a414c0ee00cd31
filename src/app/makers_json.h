// Makers and their rules as the command line and the admin API show them: no password, and of no key more than where
// its certificate is.
#pragma once

#include <nlohmann/json.hpp>

#include "app/makers.h"
#include "codec/json.h"

namespace imprint::app {

Json rule_json(const site::MasaRule& rule);
Json maker_json(const MakerFile& maker);  // {"name", "anchors", "rules"}
Json catalogue_json(const CatalogueFacts& one);
Json catalogues_json(const Makers& makers);
Json unread_json(const Makers& makers);

}  // namespace imprint::app
