// A maker of `imprint demo`: its CA and its MASA in demo/NAME of the demo's folder, and its file makers/NAME.toml in
// the owner's data.
#pragma once

#include "app/fleet_plan.h"
#include "app/folder_lock.h"
#include "app/masa_folder.h"
#include "factory/line.h"

namespace imprint::app {

// What a maker does in its own manner.
struct DemoManner {
  std::string_view name, title;   // "acme", "Acme"
  bool named_in_devices = false;  // their IDevIDs say where the MASA is (RFC 8995 section 2.3.2)
  bool sold_only = false;         // vouchers only for what the sales data assign to the registrar's owner
  std::string_view content_type;  // of its devices' CMS
  std::string_view file;          // how makers/NAME.toml begins: quirks for all rules
  std::string_view rules;         // further tables [[rules]], each with "MASA" for the address
  std::string_view words;         // for people
};
// Null if nobody is called so.
const DemoManner* demo_manner(std::string_view name);

// To whom the maker has sold its devices.
struct DemoOwner {
  Certificate root;
  Uri registrar;  // and EST server
};

// How many devices and vouchers a MASA has on record, for people.
struct DemoMakerFacts {
  std::string name, masa, words;
  std::int64_t devices = 0, vouchers = 0;
};

class DemoMaker {
 public:
  // Makes the maker unless the folder `data` has it, and listens on loopback: at the port of before if it is free. The
  // loop runs later; it and `rng` stay.
  static OrProblem<std::unique_ptr<DemoMaker>> open(io::Loop& loop, Rng& rng, const DemoManner& manner,
                                                    const std::string& data);
  DemoMaker(const DemoMaker&) = delete;
  DemoMaker& operator=(const DemoMaker&) = delete;
  ~DemoMaker() = default;

  // Devices of this part, on record at the MASA, with where their owner is if they are to ask the maker. Their ids
  // begin with `before`. From any thread.
  Result<std::vector<factory::Born>> make(const FleetPart& part, const std::string& before, const DemoOwner& owner,
                                          Instant now, Rng& rng);

  const DemoManner& manner() const { return manner_; }
  const Certificate& root() const { return folder_.signer.chain.back(); }
  const Certificate& signer() const { return folder_.signer.chain.front(); }  // of its vouchers
  Uri masa() const;                                                           // its default registrar as well
  Result<DemoMakerFacts> facts() const;

 private:
  explicit DemoMaker(const DemoManner& manner) : manner_(manner) {}
  OrProblem<Ok> listen(io::Loop& loop, Rng& rng);
  OrProblem<Ok> tell_owner(const std::string& data) const;

  const DemoManner& manner_;
  FolderLock lock_;
  site::Ca ca_;
  MasaFolder folder_;
  std::unique_ptr<MasaServer> masa_;
};

}  // namespace imprint::app
