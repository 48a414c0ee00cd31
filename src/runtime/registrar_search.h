// A device's search for its owner among those who announce themselves (RFC 8995 sections 4.1 and 5.1): whom it tries
// when, how many at a time, and when it gives up. It has no socket: what was heard and what comes of an attempt is
// told.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/rng.h"
#include "io/schedule.h"
#include "proto/brski/discovery.h"
#include "proto/brski/pledge.h"

namespace imprint {

class RegistrarSearch {
 public:
  struct Options {
    Duration longest = std::chrono::seconds(75);  // then nothing new is begun; what is under way goes on
    // Between the beginnings of two attempts, at random (section 4.1).
    Duration gap_least = std::chrono::seconds(3), gap_most = std::chrono::seconds(5);
    Duration stalled = std::chrono::seconds(5);  // without progress: another one may have its place (section 5.1)
    std::size_t most = 4;                        // attempts at a time
    // With one that has the device wait (202), when others are to be tried: it comes again in its turn.
    Duration patience = std::chrono::seconds(20);
    // More than can be heard at a time (FloodCache, Browser): announcing many does not shut the others out.
    brski::Candidates::Options candidates = {.most = 512};
    // When the time is up there is somebody else to ask, the maker's cloud: who only has the device wait is left then.
    bool others_remain = false;
    std::function<Instant()> clock;  // only goes forward
  };
  // One try at one place. It has a nonce of its own (section 4.1), and may say what comes of it later, never while it
  // is made.
  class Attempt {
   public:
    Attempt() = default;
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;
    virtual ~Attempt() = default;
    virtual void halt() = 0;  // nothing more leaves it; it is destroyed soon
  };
  enum class End : std::uint8_t {
    worked,    // the device has its owner
    failed,    // this one is not the owner's registrar, or nobody is there: others may be
    hopeless,  // what is wrong is wrong with the device
  };
  struct Hooks {
    std::function<std::unique_ptr<Attempt>(std::uint64_t id, const brski::Announced& where)> begin;
    // Called once: the attempt that worked, or none. The search may not be destroyed in it.
    std::function<void(std::optional<std::uint64_t> worked)> over;
  };

  // Begins at once. `rng` stays.
  RegistrarSearch(io::Schedule& schedule, Rng& rng, Options options, Hooks hooks);
  RegistrarSearch(const RegistrarSearch&) = delete;
  RegistrarSearch& operator=(const RegistrarSearch&) = delete;
  ~RegistrarSearch();

  // These are announced now, and no others; the first is tried first.
  void heard(const std::vector<brski::Announced>& all);
  // What was heard so far, the latest word on each place. There is a limit: what was heard longest ago makes room.
  const std::vector<brski::Announced>& remembered() const { return remembered_; }

  // ---- what attempts say; that of one that is no longer counts for nothing ----
  // It has entered this state of its own machine. Only the first time is progress; to wait is none (a registrar may
  // answer 202 for ever).
  void entered(std::uint64_t id, const std::string& state, bool waits);
  // It has found the owner by a voucher: all others are cut off before anything else happens, and none is begun while
  // this one goes on. False: it is cut off itself.
  bool claim(std::uint64_t id);
  void ended(std::uint64_t id, End how);

  std::size_t under_way() const { return attempts_.size(); }
  std::uint64_t begun() const { return last_id_; }

 private:
  struct Running {
    brski::Place place;
    std::unique_ptr<Attempt> attempt;
    Instant progress;
    std::set<std::string> states;  // as many as its machine has
    bool waits = false;            // since its progress
  };

  void work();
  void begin_due(Instant now);
  bool has_room(Instant now);
  Instant makes_room(const std::pair<const std::uint64_t, Running>& one) const;
  void leave_who_waits(Instant now);
  void begin(const brski::Place& place, Instant now);
  void rearm(Instant now);
  void remember(const brski::Announced& one);
  void make_room(std::map<std::uint64_t, Running>::iterator one, Instant now);
  void bury(std::map<std::uint64_t, Running>::iterator one);
  void finish(std::optional<std::uint64_t> worked);
  bool time_is_up(Instant now) const { return now >= ends_; }

  io::Schedule& schedule_;
  Rng& rng_;
  Options options_;
  Hooks hooks_;
  Instant ends_, next_begin_;
  brski::Candidates candidates_;
  std::vector<brski::Announced> announced_, remembered_;  // now; ever
  std::map<std::uint64_t, Running> attempts_;
  std::map<std::uint64_t, std::unique_ptr<Attempt>> buried_;
  std::optional<std::uint64_t> claimed_;
  std::uint64_t last_id_ = 0, timer_ = 0;
  bool over_ = false;
  std::shared_ptr<bool> here_ = std::make_shared<bool>(true);
};

}  // namespace imprint
