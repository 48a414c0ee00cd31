// The rules of who speaks for a device's maker. Ids are stable; docs/errors.md is printed from this list.
#pragma once

#include <array>

#include "proto/brski/masa_url.h"

namespace imprint::site {

inline constexpr Rule kMasaUnknown{
    "BRSKI-MASA-UNKNOWN", "nobody knows which MASA speaks for this device",
    "RFC 8995 section 2.8; ours: docs/brown-field.md, rules",
    "write a rule for it into a file of makers/; `imprint maker test --idevid FILE` says why no rule is for it"};
inline constexpr Rule kMasaAnchors{"BRSKI-MASA-ANCHORS", "no anchors are known for the TLS certificate of this MASA",
                                   "RFC 8995 section 5.4",
                                   "name them with masa_anchors in the maker's file of makers/"};
inline constexpr Rule kMasaEnded{"BRSKI-MASA-ENDED",
                                 "the rule or catalogue that says which MASA speaks for this device has ended",
                                 "ours: docs/brown-field.md, catalogues",
                                 "fetch the maker's newest catalogue, or write a rule for the device; take the old "
                                 "rule away if it needs no voucher"};
inline constexpr Rule kMakerFile{"MAKER-FILE", "a maker's file is wrong", "ours: docs/brown-field.md, the file",
                                 "mend the lines named; `imprint maker example` shows every key"};
inline constexpr Rule kMakerUnknown{"MAKER-UNKNOWN", "there is no file of this maker",
                                    "ours: docs/brown-field.md, the file",
                                    "`imprint maker list` shows those that are there; `imprint maker add` adds one"};

// ---- catalogues ----
inline constexpr Rule kCatalogueSyntax{"CATALOGUE-SYNTAX", "no maker's catalogue that can be read",
                                       "ours: docs/brown-field.md, catalogues",
                                       "fetch it again; the message says which member is wrong"};
inline constexpr Rule kCatalogueSigner{
    "CATALOGUE-SIGNER", "who signed the catalogue does not lead to the anchors given for it, or may not sign one",
    "ours: docs/brown-field.md, catalogues",
    "have catalogue_anchors of the maker's file hold the certificate that the maker names; devices and registrars "
    "never sign a catalogue"};
inline constexpr Rule kCatalogueMaker{"CATALOGUE-MAKER", "the catalogue is another maker's, or the file has no anchors",
                                      "ours: docs/brown-field.md, catalogues",
                                      "import it for the maker that it names; `anchors` says whose devices it is for"};
inline constexpr Rule kCatalogueEarly{"CATALOGUE-EARLY", "the catalogue was issued in the future",
                                      "ours: docs/brown-field.md, catalogues", "set the clocks of both sides right"};
inline constexpr Rule kCatalogueExpired{"CATALOGUE-EXPIRED", "the catalogue is over: its rules have ended with it",
                                        "ours: docs/brown-field.md, catalogues", "fetch the maker's newest one"};
inline constexpr Rule kCatalogueOld{
    "CATALOGUE-OLD", "a newer catalogue of this maker is on record, or another of this very version",
    "ours: docs/brown-field.md, catalogues", "fetch the maker's newest one; a version is never given out twice"};
inline constexpr Rule kCatalogueAway{"CATALOGUE-AWAY",
                                     "the catalogue cannot be fetched from where the maker gives it out",
                                     "ours: docs/brown-field.md, catalogues",
                                     "see that its address is right and can be reached; masa_anchors of the maker's "
                                     "file, or its anchors, have to be above the server's certificate"};

inline constexpr std::array kMasaRules{&kMasaUnknown,    &kMasaEnded,      &brski::kMasaAddress, &kMasaAnchors,
                                       &kMakerFile,      &kMakerUnknown,   &kCatalogueSyntax,    &kCatalogueSigner,
                                       &kCatalogueMaker, &kCatalogueEarly, &kCatalogueExpired,   &kCatalogueOld,
                                       &kCatalogueAway};

}  // namespace imprint::site
