// The rules of the command line. Ids are stable; docs/errors.md is printed from this list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::app {

inline constexpr Rule kOption{"CLI-OPTION", "the command line is wrong", "ours: docs/guide.md, command line",
                              "see --help of the command"};
inline constexpr Rule kConfig{"CONFIG", "the configuration is wrong", "ours: docs/guide.md, configuration",
                              "mend the lines named; `imprint config defaults` shows every key"};
inline constexpr Rule kNoData{"CLI-NO-DATA", "there is no data folder here", "ours: docs/guide.md, first steps",
                              "run `imprint init`, or name the folder with --data"};
inline constexpr Rule kStoreClosed{"CLI-STORE", "the database cannot be opened or written",
                                   "ours: docs/guide.md, operation",
                                   "check free space and permissions of the data folder"};
inline constexpr Rule kFile{"CLI-FILE", "a file cannot be read or written", "ours: docs/guide.md, command line",
                            "check path, permissions and free space"};
inline constexpr Rule kPem{"CLI-PEM", "a file does not hold what it should", "RFC 7468",
                           "`openssl x509 -in FILE -text` and `openssl pkey -in FILE -check` show what is in it"};
inline constexpr Rule kAuditBroken{
    "AUDIT-CHAIN", "the audit log has been changed", "ours: docs/threats.md",
    "compare with a copy of the database from before; the entries up to there still hold"};
inline constexpr Rule kTimeout{"CLI-TIMEOUT", "it took longer than --timeout allows",
                               "ours: docs/guide.md, command line",
                               "run the command again: it resumes with the same key"};

inline constexpr Rule kWordUnknown{"CLI-WORD", "no protocol of the survey uses this word, and it is no word of ours",
                                   "ours: docs/glossary.md", "see the terms in `imprint compare`"};

inline constexpr std::array kCliRules{&kOption, &kConfig,      &kNoData,  &kStoreClosed, &kFile,
                                      &kPem,    &kAuditBroken, &kTimeout, &kWordUnknown};

}  // namespace imprint::app
