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
inline constexpr Rule kDataPart{
    "DATA-PART", "a part of the data folder is missing or damaged", "ours: docs/guide.md, data folder",
    "bring the file back from a backup; only if the very first `imprint init` here was cut short, empty the folder and "
    "run it again"};
inline constexpr Rule kDataTls{"DATA-TLS", "tls/ holds no pair of key and certificate to serve with",
                               "ours: docs/guide.md, data folder",
                               "put the file that fits in its place, or move key.pem and chain.pem out of tls/: the "
                               "next start makes a fresh pair"};
inline constexpr Rule kUpstreamFile{"UPSTREAM-FILE", "a file of [upstream] is missing or does not fit",
                                    "ours: docs/guide.md, a gateway",
                                    "put the file that the message names in its place; `imprint onboard est` brings "
                                    "certificate, key and anchors"};
inline constexpr Rule kUpstreamTls{"UPSTREAM-TLS", "a gateway has no certificate that its devices would take",
                                   "RFC 7030 section 3.6.1; ours: docs/guide.md, a gateway",
                                   "have the CA upstream give upstream.certificate the use serverAuth as well, or put "
                                   "key.pem and chain.pem of a TLS server into tls/ of the data folder"};
inline constexpr Rule kDataInUse{"DATA-IN-USE", "another server works on this data folder",
                                 "ours: docs/guide.md, data folder",
                                 "stop that server, or name another folder with --data"};
inline constexpr Rule kDemoFolder{"DEMO-FOLDER", "the folder holds something that is not the demo's",
                                  "ours: docs/threats.md",
                                  "name a new or empty folder: the demo admits everybody, with the CA that it finds"};
inline constexpr Rule kListenCoaps{"SERVE-COAPS-LISTEN", "no listening at the address of est.coaps",
                                   "ours: docs/guide.md, configuration",
                                   "end what listens there (UDP), or choose another address or port: est.coaps"};
inline constexpr Rule kListenEst{"SERVE-EST-LISTEN", "no listening at the address of est.listen",
                                 "ours: docs/guide.md, configuration",
                                 "end what listens there, or choose another address or port: est.listen"};
inline constexpr Rule kAdministrators{"SERVE-ADMINISTRATORS", "a file of administrators cannot be used",
                                      "ours: docs/guide.md, administrators by certificate",
                                      "the log names the file: mend it, or take it out of api.administrators or "
                                      "api.revocation_lists"};
inline constexpr Rule kListenApi{"SERVE-API-LISTEN", "no listening at the address of api.listen",
                                 "ours: docs/guide.md, configuration",
                                 "end what listens there, or choose another address or port: api.listen"};
inline constexpr Rule kListenStatus{"SERVE-STATUS-LISTEN", "no listening at the address of ca.listen",
                                    "ours: docs/guide.md, configuration",
                                    "end what listens there, or choose another address or port: ca.listen"};
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

inline constexpr Rule kProtocol{
    "CLI-PROTOCOL", "this program does not speak the protocol", "ours: docs/roadmap.md",
    "`imprint demo --help` names those it speaks; docs/roadmap.md says when the others come"};
inline constexpr Rule kFactoryFolder{"FACTORY-FOLDER", "the folder for the devices is not empty",
                                     "ours: docs/guide.md, devices from the factory", "name a new or empty folder"};
inline constexpr Rule kFleet{"DEMO-FLEET", "not every device is operational", "ours: docs/guide.md, demo",
                             "the table names the rule that each one broke"};
inline constexpr Rule kSimulation{"SIMULATION", "the simulation found something wrong",
                                  "ours: docs/guide.md, a fleet without devices",
                                  "run it again with the same --seed: it will find the same"};
inline constexpr Rule kBench{"BENCH", "the measurement could not be made", "ours: docs/guide.md, speed",
                             "mend what the message names, and run it again on a machine with less other work"};
inline constexpr Rule kContent{"CLI-CONTENT", "what is there is not what it should be",
                               "ours: docs/guide.md, command line", "look at what the message names"};
inline constexpr Rule kConflict{"CLI-CONFLICT", "something else is there already, or was changed meanwhile",
                                "ours: docs/guide.md, command line", "look at it as it is now, and decide again"};
inline constexpr Rule kInternal{"CLI-INTERNAL", "a fault of ours", "ours: docs/guide.md, operation",
                                "please report it, with the command and what it printed"};

inline constexpr Rule kWordUnknown{"CLI-WORD", "no protocol of the survey uses this word, and it is no word of ours",
                                   "ours: docs/glossary.md", "see the terms in `imprint compare`"};

inline constexpr Rule kWatchInUse{"WATCH-IN-USE", "another watch works on this device folder",
                                  "ours: docs/guide.md, a certificate that stays good",
                                  "stop that one, or name another folder with --out"};
inline constexpr Rule kWatchNothing{"WATCH-NOTHING", "the certificate has gone from the device folder",
                                    "ours: docs/guide.md, a certificate that stays good",
                                    "bring the folder back, or start the command again: it enrols anew"};
inline constexpr Rule kWatchExpired{"WATCH-EXPIRED", "the certificate has expired before it could be renewed",
                                    "ours: docs/guide.md, a certificate that stays good",
                                    "look at the failures before and at the clock; it goes on trying, with the "
                                    "credential of the first time if it has one"};
inline constexpr Rule kWatchHook{"WATCH-HOOK", "the command of --on-renew failed",
                                 "ours: docs/guide.md, a certificate that stays good",
                                 "the new certificate is installed; mend the command, and run it by hand for this one"};

inline constexpr Rule kProfileUnknown{"PROFILE-UNKNOWN", "no profile has this name",
                                      "ours: docs/guide.md, several credentials", "see `imprint profile list`"};
inline constexpr Rule kProfileOptions{"PROFILE-OPTIONS", "this does not go together with a profile",
                                      "ours: docs/guide.md, several credentials", "see `imprint onboard est --help`"};

inline constexpr std::array kCliRules{
    &kUpstreamFile, &kUpstreamTls,    &kProfileUnknown, &kProfileOptions, &kOption,        &kConfig,
    &kNoData,       &kDataPart,       &kDataTls,        &kDataInUse,      &kDemoFolder,    &kListenCoaps,
    &kListenEst,    &kAdministrators, &kListenApi,      &kListenStatus,   &kStoreClosed,   &kFile,
    &kPem,          &kAuditBroken,    &kTimeout,        &kProtocol,       &kFactoryFolder, &kFleet,
    &kSimulation,   &kBench,          &kContent,        &kConflict,       &kInternal,      &kWordUnknown,
    &kWatchInUse,   &kWatchNothing,   &kWatchExpired,   &kWatchHook};

}  // namespace imprint::app
