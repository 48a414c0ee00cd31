// Which MASA speaks for a device, and what its maker does otherwise: ordered rules of the operator and of makers'
// catalogues, then the address that the IDevID itself names (RFC 8995 sections 2.3.2 and 2.8). See docs/brown-field.md.
#pragma once

#include "site/masa_match.h"
#include "site/masa_rules.h"

namespace imprint::site {

// What is known of the MASA of some devices.
struct MasaRule {
  std::string name;  // "acme/lamps"
  std::string from;  // "makers/acme.toml:12", or "catalogue of acme, version 7"
  MasaMatch match;
  // Its address, if the IDevID names none or what it names cannot be used. None: the rule is for devices that name one.
  std::optional<Uri> url;
  bool over_own = false;  // the address counts over the IDevID's own: resale, a maker that moved
  bool orphan = false;    // the maker is gone, and a MASA of the site's own answers; over the IDevID's own as well
  bool outside = false;   // a maker says so and not the operator: the address is not exempt from io::Guard
  std::vector<Certificate> anchors;  // of the MASA's TLS certificate; empty: see MasaBook
  std::optional<Credential> as;
  std::optional<Login> login;  // only sent to `url`, or below `anchors`
  std::vector<Certificate> voucher_anchors;
  brski::Quirks quirks;
  std::optional<Instant> deprecated, ends;  // since when it is not to be relied on; when it counts no longer
};

// What was found, with what the registrar need not know.
struct MasaAnswer {
  brski::MasaContact contact;
  const MasaRule* rule = nullptr;  // in the book; null: the IDevID's own address, and no rule is for the device
  bool own_address = false;        // the IDevID names it
  bool configured = false;         // the operator wrote the address: it may be anywhere
};

// One rule with what keeps it from answering; empty: it answers, or would if none before it did.
struct MasaTrial {
  const MasaRule* rule = nullptr;
  std::string why_not;
};

struct MasaBook {
  std::vector<MasaRule> rules;       // the first that is for the device answers
  std::vector<Certificate> anchors;  // of TLS certificates where a rule names none, beside the maker's own root
  Instant as_of;                     // for find(): rules that have ended by then do not answer
  // Roots of makers whose catalogues cannot be read: what is said of their devices is not known.
  std::vector<Certificate> unread = {};
  // A file of rules cannot be read. Its rules may be for any device: of those that name no MASA, and for which no rule
  // that can be read is, nothing is known.
  bool rules_missing = false;

  // `chain`: what stands above the IDevID, its issuer first and its anchor last, verified by the caller.
  // BRSKI-MASA-UNKNOWN, BRSKI-MASA-ENDED, BRSKI-MASA-ADDRESS, BRSKI-MASA-ANCHORS, MAKER-FILE.
  Result<MasaAnswer> look_up(const Certificate& idevid, const std::vector<Certificate>& chain, Instant now) const;
  Result<brski::MasaContact> find(const Certificate& idevid, const std::vector<Certificate>& chain) const;
  Result<brski::MasaContact> find(const CertificateChain& proven, Instant now) const;
  // Every rule in order, for people.
  std::vector<MasaTrial> try_all(const Certificate& idevid, const std::vector<Certificate>& chain, Instant now) const;
  // The addresses that the operator wrote.
  std::vector<Uri> configured() const;
};

// The chain as look_up() wants it.
std::vector<Certificate> above(const CertificateChain& chain);

}  // namespace imprint::site
