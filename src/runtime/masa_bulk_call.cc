// A bulk call as it goes: slices of its requests out to the pool, lines in.
#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "runtime/masa_bulk.h"

namespace imprint {
namespace {

constexpr std::size_t kSlice = 16;      // requests that one thread does one after the other
constexpr std::size_t kTogether = 384;  // requests of one call that are under way or not said: some wait for the disk
constexpr std::size_t kAhead = 256 * 1024;  // octets of answers that may wait to be read
constexpr std::size_t kPiece = 16 * 1024;   // what leaves at once, about: a record of TLS has so much at most
constexpr Duration kLookAgain{20};

}  // namespace

// An asker that reads more slowly than we sign is waited for: what it lacks would have to be asked for again. But not
// for ever: it holds a place. Half of what waits has to be read in time.
bool MasaServer::BulkCall::has_to_wait() {
  if (server_.https_->waiting(from_) <= (full_ ? kAhead / 2 : kAhead)) {
    full_.reset();
    return false;
  }
  const Instant now = server_.schedule_.now();
  full_ = full_.value_or(now);
  if (!holds(now - *full_ < server_.site_->bulk_patience)) {
    server_.https_->end_stream(from_);
    end();
    return true;
  }
  if (!waits_) {
    waits_ = true;
    server_.schedule_.after(kLookAgain, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->waits_ = false;
        self->go_on();
      }
    });
  }
  return true;
}

void MasaServer::BulkCall::go_on() {
  while (!over_ && say_next()) {
  }
  while (!over_ && !full_ && next_ < items_.size() && next_ - said_ < kTogether) {
    begin_slice();
  }
  if (!over_ && said_ == items_.size()) {
    finish();
  }
}

void MasaServer::BulkCall::begin_slice() {
  const std::size_t first = next_;
  next_ = std::min(items_.size(), first + kSlice);
  const auto from = items_.begin() + static_cast<std::ptrdiff_t>(first),
             to = items_.begin() + static_cast<std::ptrdiff_t>(next_);
  run_bulk_slice(common_, first, {std::make_move_iterator(from), std::make_move_iterator(to)},
                 [gate = server_.gate_, &server = server_, weak = weak_from_this(), first](std::vector<BulkEnd> ends) {
                   gate->post([&server, weak, first, ends = std::move(ends)]() mutable {
                     for (const BulkEnd& one : ends) {
                       if (!one.told.path.empty()) {
                         server.tell(one.told);  // also if nobody waits for it any more
                       }
                     }
                     if (const auto self = weak.lock()) {
                       self->ended(first, std::move(ends));
                     }
                   });
                 });
}

void MasaServer::BulkCall::ended(std::size_t first, std::vector<BulkEnd> ends) {
  ended_[first] = std::move(ends);
  go_on();
}

// The next slice, as far as its lines are read. False: it is not done yet, or it has to wait.
bool MasaServer::BulkCall::say_next() {
  const auto slice = ended_.begin();
  if (slice == ended_.end() || slice->first > said_) {
    return false;
  }
  const std::vector<BulkEnd>& ends = slice->second;
  std::size_t at = said_ - slice->first;
  while (at < ends.size()) {
    if (has_to_wait()) {
      return false;
    }
    std::string piece;
    for (; at < ends.size() && piece.size() < kPiece; ++at, ++said_) {
      piece += ends[at].line;
      ++(ends[at].good ? good_ : bad_);
    }
    if (!server_.https_->stream(from_, piece)) {
      end();  // it has left: what it lacks it asks for again
      return false;
    }
  }
  ended_.erase(slice);
  return true;
}

void MasaServer::BulkCall::finish() {
  const Json last{{"end", true}, {"api", kMasaApi}, {"vouchers", good_}, {"errors", bad_}};
  server_.https_->stream(from_, last.dump() + "\n");
  server_.https_->end_stream(from_);
  end();
}

void MasaServer::BulkCall::leave() {
  over_ = true;
  common_->over = true;
}

void MasaServer::BulkCall::end() {
  leave();
  server_.gate_->post([self = shared_from_this()] { self->server_.bulk_.erase(self->from_.id); });
}

}  // namespace imprint
