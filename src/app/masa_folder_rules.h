// The rules of a MASA's folder. Ids are stable; docs/errors.md is printed from this list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::app {

inline constexpr Rule kMasaNoFolder{"MASA-NO-FOLDER", "there is no MASA here", "ours: docs/masa.md, first steps",
                                    "run `imprint masa init`, or name its folder with --folder"};
inline constexpr Rule kMasaFolderThere{"MASA-FOLDER", "there is a MASA in this folder already",
                                       "ours: docs/masa.md, first steps",
                                       "name another folder with --folder; `imprint masa rollover` changes its keys"};
inline constexpr Rule kMasaMakerCa{"MASA-MAKER-CA", "this folder holds no maker's CA: key.pem and root.pem",
                                   "ours: docs/masa.md, first steps",
                                   "name with --maker the folder factory/ that `imprint factory make` writes to"};
inline constexpr Rule kMasaPin{"MASA-PIN", "it is not clear which certificate the voucher is to pin",
                               "RFC 8995 section 5.5.2",
                               "name with --pin a certificate of the customer's: its domain CA or its registrar"};

inline constexpr Rule kMasaList{"MASA-LIST", "a revocation list of a customer's domain cannot be used",
                                "RFC 8995 section 5.5.3",
                                "put the whole list there, and the certificate of who signed it as lists/NAME.pem"};

inline constexpr std::array kMasaFolderRules{&kMasaNoFolder, &kMasaFolderThere, &kMasaMakerCa, &kMasaPin, &kMasaList};

}  // namespace imprint::app
