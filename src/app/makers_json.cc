#include "app/makers_json.h"

#include "site/masa_words.h"

namespace imprint::app {

Json rule_json(const site::MasaRule& rule) {
  return {{"name", rule.name},
          {"from", rule.from},
          {"match", rule.match.text()},
          {"masa", rule.url ? Json(rule.url->text()) : Json()},
          {"override", rule.over_own},
          {"orphan", rule.orphan},
          {"quirks", site::in_words(rule.quirks)},
          {"deprecated", rule.deprecated ? Json(utc_text(*rule.deprecated)) : Json()},
          {"ends", rule.ends ? Json(utc_text(*rule.ends)) : Json()}};
}

Json maker_json(const MakerFile& maker) {
  Json out{{"name", maker.name}, {"anchors", Json::array()}, {"rules", Json::array()}};
  for (const Certificate& root : maker.anchors) {
    out["anchors"].push_back(root.subject.text);
  }
  for (const site::MasaRule& rule : maker.rules) {
    out["rules"].push_back(rule_json(rule));
  }
  return out;
}

Json unread_json(const Makers& makers) {
  Json out = Json::array();
  for (const Makers::Unread& one : makers.unread) {
    out.push_back({{"file", one.file}, {"why", one.why}});
  }
  return out;
}

Json catalogue_json(const CatalogueFacts& one) {
  return {{"maker", one.maker},
          {"version", one.version},
          {"issued", utc_text(one.issued)},
          {"expires", utc_text(one.expires)},
          {"rules", one.rules},
          {"pools", one.pools}};
}

Json catalogues_json(const Makers& makers) {
  Json out = Json::array();
  for (const CatalogueFacts& one : makers.catalogues) {
    out.push_back(catalogue_json(one));
  }
  return out;
}

}  // namespace imprint::app
