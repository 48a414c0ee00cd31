// The circuit proxy of RFC 8995 section 4: takes connections on one side, makes one of its own on the other for each,
// and copies bytes. It knows nothing of TLS (section 4: it must not assume a version).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "io/address.h"
#include "io/listener.h"
#include "io/tcp_pipe.h"

namespace imprint::io {

struct TcpProxyOptions {
  Listener::Where listen;
  std::size_t most = 256;            // pipes in all
  std::size_t most_of_a_source = 8;  // of one address; of global IPv6, of one /64
  TcpPipe::Limits limits;
};

class TcpProxy {
 public:
  struct Stats {
    std::uint64_t taken = 0;              // pipes begun
    std::uint64_t refused_full = 0;       // turned away: too many in all
    std::uint64_t refused_source = 0;     // turned away: too many of one source
    std::uint64_t refused_no_target = 0;  // turned away: nobody is there to connect to
    std::uint64_t unreachable = 0, broken = 0, idle = 0, done = 0, stopped = 0;  // how pipes ended
    std::uint64_t bytes_up = 0, bytes_down = 0;                                  // of those that ended
  };
  // One that ended, or (source and why alone) was turned away.
  struct Ended {
    std::uint64_t id = 0;
    Address source;
    TcpPipe::End why = TcpPipe::End::done;
    std::uint64_t bytes_up = 0, bytes_down = 0;
  };
  struct Handlers {
    std::function<void(std::uint64_t id, const Address& source)> began;            // may be empty
    std::function<void(const Ended& ended)> ended;                                 // may be empty
    std::function<void(const Address& source, std::string_view why)> turned_away;  // may be empty
  };

  // Takes nobody before there is a target. Errors: those of Listener::open().
  static Result<std::unique_ptr<TcpProxy>> listen(Loop& loop, TcpProxyOptions options, Handlers handlers);
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;
  ~TcpProxy();

  std::uint16_t port() const { return port_; }
  // Where new pipes lead; none: who comes is turned away at once. Those there are stay.
  void set_target(std::optional<Address> target) { target_ = target; }
  // Takes nobody any more, and calls back once all pipes have ended, at the latest after `grace`, when they are cut.
  void drain(Duration grace, std::function<void()> drained);

  std::size_t open() const { return pipes_.size(); }
  const Stats& stats() const { return stats_; }

 private:
  struct One {
    Address source;
    Bytes group;  // counted together
    std::unique_ptr<TcpPipe> pipe;
  };

  TcpProxy(Loop& loop, TcpProxyOptions options, Handlers handlers);
  void take();
  void begin(int fd);
  std::string_view reason_against(const Bytes& group);
  void end(std::uint64_t id, TcpPipe::End why);
  void drained();

  Loop& loop_;
  TcpProxyOptions options_;
  Handlers handlers_;
  std::unique_ptr<Listener> listener_;
  std::uint16_t port_ = 0;
  std::optional<Address> target_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, One> pipes_;
  std::map<Bytes, std::size_t> of_source_;
  Stats stats_;
  std::function<void()> drained_;
  std::uint64_t grace_timer_ = 0;
};

}  // namespace imprint::io
