// A bulk call: its requests are judged, and its vouchers signed, in slices on every core; its lines leave in the order
// of the requests. For masa_*.cc alone.
#pragma once

#include <atomic>
#include <map>

#include "runtime/masa_server.h"
#include "runtime/work_pool.h"

namespace imprint {

// What the slices of one call have in common. They are on several threads: nothing here is changed but `over`.
struct BulkCommon {
  std::shared_ptr<const MasaSite> site;
  store::MakerStore& store;
  io::Schedule& clock;  // for now() alone
  SessionRef session;
  std::optional<Login> login;
  std::shared_ptr<const Bytes> body;         // what the items are views of
  std::shared_ptr<WorkPool::Queue> workers;  // with whom it goes on once the store has answered
  std::atomic<bool> over = false;            // nobody waits for the rest: what is not begun is left out
};

// How a request ended: its line, and what is told of it.
struct BulkEnd {
  std::string line;
  bool good = false;      // with a voucher
  MasaServer::Told told;  // without a path: nothing is told, it was no request
};

// The requests from `first` on, as many as there are items. Begins on one of the pool's threads; `done` is called on
// one of them once every voucher of the slice is on record or refused: nothing of it has been said before.
void run_bulk_slice(std::shared_ptr<const BulkCommon> common, std::size_t first, std::vector<BulkItem> items,
                    std::function<void(std::vector<BulkEnd>)> done);

// Many requests of one call: some at a time, each answered by a line, in their order.
class MasaServer::BulkCall : public std::enable_shared_from_this<BulkCall> {
 public:
  BulkCall(MasaServer& server, Exchange from, std::string account, std::shared_ptr<BulkCommon> common,
           std::vector<BulkItem> items)
      : server_(server),
        from_(from),
        account_(std::move(account)),
        common_(std::move(common)),
        items_(std::move(items)) {}

  void go_on();
  void leave();
  const std::string& account() const { return account_; }

 private:
  bool has_to_wait();
  void begin_slice();
  void ended(std::size_t first, std::vector<BulkEnd> ends);
  bool say_next();
  void finish();
  void end();

  MasaServer& server_;
  Exchange from_;
  std::string account_;
  std::shared_ptr<BulkCommon> common_;
  std::vector<BulkItem> items_;
  std::map<std::size_t, std::vector<BulkEnd>> ended_;  // slices that are done and not said, by their first request
  std::optional<Instant> full_;                        // since when it waits for its reader
  std::size_t next_ = 0, said_ = 0, good_ = 0, bad_ = 0;
  bool over_ = false, waits_ = false;
};

}  // namespace imprint
