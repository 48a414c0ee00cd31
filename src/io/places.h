// Who has to go when a server is full: the order in which connections are ended to make room for others.
#pragma once

#include <map>
#include <unordered_map>

#include "io/connection.h"

namespace imprint::io {

// Knows the connections that have proven nothing and have no request under way. The others are kept always.
class Places {
 public:
  // It is in its handshake.
  void shake(Connection& c, Instant now);
  // It has shaken hands and waits, from now on.
  void rest(Connection& c, Instant now);
  // It has something under way, or has proven who it is, or is gone.
  void release(const Connection& c);

  std::size_t shaking() const { return shaking_.size(); }
  bool empty() const { return shaking_.empty() && resting_.empty(); }

  // The longest handshake that has said nothing, or that has had its time. Null: all are too young, ask again soon.
  Connection* handshake_to_end(Instant now) const;
  // That, or else the one that has rested longest.
  Connection* to_end(Instant now) const;

 private:
  struct Place {
    Connection* connection;
    Instant since;
  };
  std::map<std::uint64_t, Place> shaking_;  // by the connection's id: ids only grow, so the longest there is first
  std::map<std::uint64_t, Place> resting_;  // by a number that only grows
  std::unordered_map<std::uint64_t, std::uint64_t> number_of_;  // in resting_, by the connection's id
  std::uint64_t last_number_ = 0;
};

}  // namespace imprint::io
