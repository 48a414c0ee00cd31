#include "site/masa_book.h"

#include <algorithm>

#include "codec/printable.h"

namespace imprint::site {
namespace {

// What the IDevID says itself.
struct OwnAddress {
  bool named = false;
  std::string text;
  std::optional<Uri> url;  // if it can be used

  static OwnAddress of(const Certificate& idevid) {
    OwnAddress out;
    out.named = brski::names_masa(idevid);
    const auto text = brski::masa_authority(idevid);
    const auto url = text ? brski::masa_url(*text) : Result<Uri>(Error{Fault::malformed, brski::kMasaAddress});
    out.text = text.value_or("");
    out.url = url ? std::optional(*url) : std::nullopt;
    return out;
  }
};

// Of drafts before RFC 8995: the base, unless the address has one of its own.
Uri with_base(Uri url, const brski::Quirks& quirks) {
  if (url.path.empty() || url.path == "/" || url.path == brski::kMasaBase) {
    url.path = quirks.old_paths ? brski::kOldMasaBase : brski::kMasaBase;
  }
  return url;
}

std::string why_not(const MasaRule& rule, const IssuedDevice& device, const OwnAddress& own, Instant now) {
  if (rule.ends && !holds(now < *rule.ends)) {
    return "it counted until " + utc_text(*rule.ends);
  }
  std::string out = rule.match.why_not(device, rule.quirks.serial);
  if (out.empty() && !rule.url && !own.url) {
    return own.named ? "it names no MASA, and what the IDevID names cannot be used"
                     : "it names no MASA, and neither does the IDevID";
  }
  return out;
}

bool own_counts(const MasaRule& rule, const OwnAddress& own) {
  const bool replaced = rule.url && (rule.over_own || rule.orphan);
  return own.url && !replaced;
}

std::string in_place_of(const MasaRule& rule, const OwnAddress& own) {
  if (rule.orphan) {
    return ": the maker is gone, and a MASA of the site's own answers in its place";
  }
  if (own.url) {
    return ", over the IDevID's own address " + own.text;
  }
  return own.named ? ": what the IDevID names cannot be used" : ": the IDevID names no MASA";
}

std::string because(const MasaRule& rule, const OwnAddress& own, Instant now) {
  const std::string name = "rule " + rule.name + " (" + rule.from + ")";
  std::string out = own_counts(rule, own) ? "the IDevID's own address; " + name + " says how it is spoken to"
                                          : name + in_place_of(rule, own);
  if (rule.deprecated && *rule.deprecated <= now) {
    out += "; deprecated since " + utc_text(*rule.deprecated);
    out += rule.ends ? ", it ends at " + utc_text(*rule.ends) : "";
  }
  return printable(out);
}

// A maker's root may speak for that maker's own MASA, and for nobody in whose place another one answers.
std::vector<Certificate> anchors_of(const MasaBook& book, const std::vector<Certificate>& chain, bool makers_own) {
  std::vector<Certificate> out = book.anchors;
  if (makers_own && !chain.empty() && std::ranges::find(out, chain.back()) == out.end()) {
    out.push_back(chain.back());
  }
  return out;
}

// A password is for whom the operator means, and not for whoever a device names: the address of the rule, or a server
// below the rule's own anchors.
bool may_log_in(const MasaRule& rule, const Uri& at) {
  return !rule.anchors.empty() || (rule.url && rule.url->authority() == at.authority());
}

MasaAnswer answer_of(const MasaBook& book, const MasaRule& rule, const IssuedDevice& device, const OwnAddress& own,
                     Instant now) {
  MasaAnswer out;
  out.rule = &rule;
  out.own_address = own_counts(rule, own);
  out.configured = !out.own_address && !rule.outside;
  const bool makers_own = out.own_address || rule.outside || !(rule.over_own || rule.orphan);
  brski::MasaContact& to = out.contact;
  to.url = with_base(out.own_address ? *own.url : *rule.url, rule.quirks);
  to.anchors = rule.anchors.empty() ? anchors_of(book, device.chain, makers_own) : rule.anchors;
  to.as = rule.as;
  to.login = holds(may_log_in(rule, to.url)) ? rule.login : std::nullopt;
  to.quirks = rule.quirks;
  to.voucher_anchors = rule.voucher_anchors;
  to.because = because(rule, own, now);
  return out;
}

MasaAnswer own_answer(const MasaBook& book, const IssuedDevice& device, const OwnAddress& own) {
  MasaAnswer out;
  out.own_address = true;
  out.contact.url = *own.url;
  out.contact.anchors = anchors_of(book, device.chain, true);
  out.contact.because = "the IDevID's own address";
  return out;
}

}  // namespace

Result<MasaAnswer> MasaBook::look_up(const Certificate& idevid, const std::vector<Certificate>& chain,
                                     Instant now) const {
  const IssuedDevice device = IssuedDevice::of(idevid, chain);
  const OwnAddress own = OwnAddress::of(idevid);
  const auto rule =
      std::ranges::find_if(rules, [&](const MasaRule& one) { return why_not(one, device, own, now).empty(); });
  if (rule == rules.end()) {
    // A rule that was for it and has ended leaves it to nobody: else plain EST would be open to it from that day on.
    const bool ended = std::ranges::any_of(rules, [&](const MasaRule& one) {
      return one.ends && *one.ends <= now && why_not(one, device, own, *one.ends - Duration(1)).empty();
    });
    CHECK_OR(own.named || !ended, Error{Fault::refused, kMasaEnded});
    const bool unreadable =
        std::ranges::any_of(chain, [&](const Certificate& c) { return std::ranges::find(unread, c) != unread.end(); });
    CHECK_OR(own.named || !(rules_missing || unreadable), Error{Fault::refused, kMakerFile});
    CHECK_OR(own.named, Error{Fault::refused, kMasaUnknown});
    if (!own.url) {
      return Error{Fault::malformed, brski::kMasaAddress};
    }
  }
  MasaAnswer out = rule == rules.end() ? own_answer(*this, device, own) : answer_of(*this, *rule, device, own, now);
  CHECK_OR(!out.contact.anchors.empty(), Error{Fault::refused, kMasaAnchors});
  return out;
}

Result<brski::MasaContact> MasaBook::find(const Certificate& idevid, const std::vector<Certificate>& chain) const {
  TRY(MasaAnswer answer, look_up(idevid, chain, as_of));
  return std::move(answer.contact);
}

Result<brski::MasaContact> MasaBook::find(const CertificateChain& proven, Instant now) const {
  TRY(MasaAnswer answer, look_up(proven.leaf, above(proven), now));
  return std::move(answer.contact);
}

std::vector<MasaTrial> MasaBook::try_all(const Certificate& idevid, const std::vector<Certificate>& chain,
                                         Instant now) const {
  const IssuedDevice device = IssuedDevice::of(idevid, chain);
  const OwnAddress own = OwnAddress::of(idevid);
  std::vector<MasaTrial> out;
  for (const MasaRule& rule : rules) {
    out.push_back({&rule, why_not(rule, device, own, now)});
  }
  return out;
}

std::vector<Uri> MasaBook::configured() const {
  std::vector<Uri> out;
  for (const MasaRule& rule : rules) {
    if (rule.url && !rule.outside) {
      out.push_back(*rule.url);
    }
  }
  return out;
}

std::vector<Certificate> above(const CertificateChain& chain) {
  std::vector<Certificate> out = chain.via;
  out.push_back(chain.anchor);
  return out;
}

}  // namespace imprint::site
