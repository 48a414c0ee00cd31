// One socket, accepted or outgoing, with TLS on it or not: handshake, reading, a write queue, deadlines, orderly end.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "io/loop.h"
#include "io/tls.h"

struct event;

namespace imprint::io {

class Connection;

// Whom a connection tells. All calls come from the loop, never from inside a call on the connection. Inside of them a
// connection must not be destroyed but in on_gone; between them it may be.
class ConnectionOwner {
 public:
  virtual void on_ready(Connection& c) = 0;                    // connected and shaken hands: session() is there
  virtual void on_bytes(Connection& c, BytesView bytes) = 0;   // the bytes are wiped after the call
  virtual void on_drained(Connection& /*c*/) {}                // what had to wait for the socket is sent
  virtual void on_timeout(Connection& c) = 0;                  // the deadline has come
  virtual void on_ended(Connection& c, const Error& why) = 0;  // nothing more will be read; called once at most
  virtual void on_gone(Connection& c) = 0;                     // the last call: destroy it

 protected:
  ~ConnectionOwner() = default;
};

// A number for a session or an exchange that this process has not used before. From any thread.
std::uint64_t fresh_id();

class Connection {
 public:
  struct Start {
    int fd = -1;                      // non-blocking; ours from now on
    bool accepted = true;             // else: connect() is under way
    std::shared_ptr<TlsContext> tls;  // none: the bytes as they are
    Trust trust = Trust::anchors;
    std::string host;  // whom we mean to reach; sent as SNI unless it is an address
  };

  Connection(Loop& loop, ConnectionOwner& owner, Start start);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  std::uint64_t id() const { return id_; }                // of the session too
  const SessionRef& session() const { return session_; }  // null until on_ready
  // Whether the peer ended the stream itself (close_notify, or FIN without TLS): nothing was cut off.
  bool ended_cleanly() const { return clean_end_; }

  // Whether the peer has still to say its first word of TLS.
  bool silent() const;

  // Sends, now or when the socket takes it. Without effect once the connection ends.
  void write(BytesView bytes);
  std::size_t waiting() const { return out_.size() - out_at_; }
  // Stops and resumes reading: the peer is held back by its own full buffers.
  void pause(bool paused);
  // One deadline at a time: a new one replaces the old one.
  void set_deadline(Duration from_now);
  void clear_deadline();
  // Sends what is waiting, says good-bye and goes. No on_bytes follows.
  void close();
  // Goes at once; what is waiting is lost.
  void abort();

 private:
  enum class State : std::uint8_t { connecting, handshaking, open, closing, lingering, gone };

  void pump();
  void finish_connect();
  void shake();
  void become_open();
  void tell_drained();
  void receive();
  std::size_t read_some(std::span<std::uint8_t> into);
  std::size_t write_some(BytesView from);
  bool again(int result);
  void flush();
  void say_goodbye();
  void discard();
  void fail(const Error& why);
  void linger();
  void rearm();
  void wake();
  void arm(Duration from_now);
  void expire();

  Loop& loop_;
  ConnectionOwner& owner_;
  std::uint64_t id_;
  int fd_;
  State state_;
  bool accepted_;
  Trust trust_;
  bool pumping_ = false, paused_ = false, wants_write_ = false, clean_end_ = false, told_ = false, stalled_ = false;
  bool read_armed_ = false, write_armed_ = false;
  std::size_t discarded_ = 0;
  std::shared_ptr<TlsContext> tls_;
  ssl_st* ssl_ = nullptr;
  std::unique_ptr<PeerCheck> check_;
  std::string host_;
  SessionRef session_;
  std::optional<Error> end_;
  Bytes out_;
  std::size_t out_at_ = 0;
  event* read_event_ = nullptr;
  event* write_event_ = nullptr;
  event* timer_ = nullptr;
};

}  // namespace imprint::io
