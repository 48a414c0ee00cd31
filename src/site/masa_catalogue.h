// A maker's catalogue ("MASA map"): signed and versioned, it says which MASA serves which of the maker's devices, where
// pools of serial numbers have moved, and what is deprecated. The format is in docs/brown-field.md.
#pragma once

#include "crypto/jws.h"
#include "site/masa_book.h"

namespace imprint::site {

// A pool of serial numbers that another MASA has taken over.
struct MovedPool {
  Bytes issuer;  // key identifier of the CA of its IDevIDs: serial numbers count within it
  SerialPattern serials;
  Uri moved_to;
  bool operator==(const MovedPool&) const = default;
};

struct MasaCatalogue {
  std::string maker;  // the name of the maker's file: "acme"
  std::uint64_t version = 0;
  Instant issued, expires;
  // Of a rule a catalogue holds its name, match (but for anchors and makers), url, over_own, anchors, voucher_anchors,
  // deprecated, ends, and those quirks that say how things are written.
  std::vector<MasaRule> rules;
  std::vector<MovedPool> pools;  // before the rules
  Bytes payload = {};            // as received
};

// The JSON of a catalogue; nothing is verified. Members that are not known are passed over, but not those of a match:
// a rule would be for more devices than its maker meant. Faults: malformed, limit (256 rules, 1,024 pools), unsupported
// (another format). All CATALOGUE-SYNTAX, with the member in the error's text.
Result<MasaCatalogue> parse_catalogue(BytesView payload);
Bytes encode_catalogue(const MasaCatalogue& catalogue);

// For the maker: a JWS in general JSON serialization (RFC 7515 section 7.2.1) with typ kCatalogueType. `chain`: the
// signer's certificate first. Faults: those of sign_jws() and parse_catalogue().
inline constexpr std::string_view kCatalogueType = "imprint-masa-map+json";
Result<std::string> make_catalogue(const MasaCatalogue& catalogue, const PrivateKey& key,
                                   const std::vector<Certificate>& chain);

// Who may say what.
struct CatalogueTrust {
  std::string maker;
  std::vector<Certificate> signers;  // a signer's own certificate, or a CA above it
  std::optional<Instant> now;        // none: time is not looked at, to learn the version of one that is over
  bool unmarked = false;             // nothing tells the maker's IDevIDs from signers: these are `signers` themselves
};
// CATALOGUE-SYNTAX, CATALOGUE-SIGNER, CATALOGUE-MAKER, CATALOGUE-EARLY, CATALOGUE-EXPIRED.
Result<Verified<MasaCatalogue>> verify_catalogue(std::string_view text, const CatalogueTrust& trust);

// Whether `fresh` may take the place of `held`: a higher version, or the very same. CATALOGUE-OLD.
Status may_replace(const MasaCatalogue& fresh, const MasaCatalogue& held);

// The catalogue as rules for devices below these anchors of the maker: it has no say on others. None without anchors.
std::vector<MasaRule> rules_of(const Verified<MasaCatalogue>& catalogue, const std::vector<Certificate>& maker_anchors);

}  // namespace imprint::site
