// Two connected sockets joined: what one says the other hears, byte by byte, and nothing is looked at.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "io/loop.h"

struct event;

namespace imprint::io {

class TcpPipe {
 public:
  // Why it has ended.
  enum class End : std::uint8_t {
    done,         // both have said all
    unreachable,  // the far end did not take the connection
    broken,       // one of them was cut off
    idle,         // nothing was said for too long
    stopped,      // by us
  };
  struct Sides {
    int near = -1;  // accepted; ours from now on
    int far = -1;   // connect() is under way; ours from now on
  };
  struct Limits {
    std::size_t buffer_bytes = std::size_t{64} << 10U;  // each way: more is not read before that is sent
    Duration connect = std::chrono::seconds(10);
    Duration idle = std::chrono::minutes(5);        // nothing comes and nothing leaves
    Duration half_open = std::chrono::seconds(60);  // the same, once one of them has said all
  };

  // `ended` is called once, from the loop, never inside another call on this; destroy it in there or later.
  TcpPipe(Loop& loop, Sides sides, Limits limits, std::function<void(End)> ended);
  TcpPipe(const TcpPipe&) = delete;
  TcpPipe& operator=(const TcpPipe&) = delete;
  ~TcpPipe();

  // Ends it at once, both ends hear of it as a cut; `ended` is not called.
  void stop();
  bool connected() const { return connected_; }
  std::uint64_t bytes_up() const { return up_.total; }      // near to far
  std::uint64_t bytes_down() const { return down_.total; }  // far to near

 private:
  // One way.
  struct Way {
    int from = -1, to = -1;
    Bytes held;
    std::size_t at = 0;  // sent of what is held
    bool ended = false;  // `from` has said all
    bool told = false;   // and `to` knows it
    std::uint64_t total = 0;
    std::size_t waiting() const { return held.size() - at; }
  };
  struct Side {
    event* readable = nullptr;
    event* writable = nullptr;
  };

  void turn();
  bool finish_connect();
  bool move(Way& way);
  bool read(Way& way);
  bool write(Way& way);
  void rearm();
  void wait(Side& side, const Way& from, const Way& to);
  void end(End why);
  void set_timer(Duration delay);

  Loop& loop_;
  Limits limits_;
  std::function<void(End)> ended_;
  Way up_, down_;
  Side near_, far_;
  event* timer_ = nullptr;
  bool connected_ = false, over_ = false, moved_ = false;
};

// For people: "done", "unreachable", "broken", "idle", "stopped".
std::string_view name(TcpPipe::End end);

}  // namespace imprint::io
