// `imprint onboard brski --interface`: the device hears who is there, and tries one after the other.
#pragma once

#include "app/cli.h"
#include "app/onboard_run.h"
#include "proto/brski/pledge.h"

namespace imprint::app {

struct SearchOptions {
  std::vector<std::string> interfaces;  // to listen on; empty: nothing is searched for
  std::uint32_t seconds = 75;           // floods come once a minute (RFC 8995 section 4.3)
};
// --interface, which takes the place of `registrar`, and --search.
void add_search(const Command& command, SearchOptions& options, Arg registrar);

// How a pledge's run ended, for whoever asked for it.
Ending ending_of(const brski::Pledge::State& state, const Run& run, const std::optional<Error>& broken);

// What a search needs besides its options.
struct Searcher {
  const brski::PledgePlan& plan;  // without registrars; its cloud is tried when the search is over
  FolderStorage& storage;
  std::string device;            // id, as far as known
  bool redirect_inside = false;  // as --redirect-inside
  bool own_subject = false;      // over CoAPS the device asks for the name in its IDevID
};
// Onboards by whoever is found, until `timeout_s`. A device that has its owner's certificate looks for nobody: it goes
// back to its owner. BRSKI-DISCOVERY-INTERFACE if an interface cannot be heard, BRSKI-SEARCH-NOBODY if nobody is there;
// else the problem of the last attempt.
Ending onboard_by_search(const Context& context, const SearchOptions& options, const Searcher& searcher,
                         std::int64_t timeout_s);

}  // namespace imprint::app
