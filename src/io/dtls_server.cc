#include "io/dtls_server.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "io/deadlines.h"
#include "io/dtls_record.h"
#include "io/places.h"
#include "io/udp.h"

namespace imprint::io {
namespace {

using State = DtlsConnection::State;

constexpr Duration kQuiet{10000};  // after this one who is known may make room, too

// Empty: nobody known.
std::string identity_of(const Session& session) {
  if (session.proven) {
    return "x509 " + hex((*session.proven)->leaf.fingerprint());
  }
  return session.psk_identity.empty() ? std::string() : "psk " + session.psk_identity;
}

class Server final : public DtlsServer {
 public:
  Server(Loop& loop, DtlsListenOptions options, Handlers handlers)
      : loop_(loop),
        options_(std::move(options)),
        handlers_(std::move(handlers)),
        acceptor_(options_.dtls->acceptor()),
        deadlines_(loop, [this](std::uint64_t id) { on_time(id); }) {}
  ~Server() override { loop_.cancel(drain_timer_); }

  Status listen() {
    UdpSocket::Handlers to{[this](const Address& from, BytesView datagram) {
                             count(datagram);
                             on_datagram(from, datagram);
                           },
                           nullptr};
    TRY(socket_, UdpSocket::bind(loop_, {options_.address, options_.port, options_.reuse_port}, std::move(to)));
    if (options_.wrapped) {
      UdpSocket::Handlers at{[this](const Address& proxy, BytesView datagram) {
                               count(datagram);
                               on_wrapped(proxy, datagram);
                             },
                             nullptr};
      const std::uint16_t port = options_.wrapped->port;
      TRY(wrapped_, UdpSocket::bind(loop_, {options_.address, port, options_.reuse_port}, std::move(at)));
    }
    return Ok{};
  }

  std::uint16_t port() const override { return socket_->port(); }
  std::uint16_t wrapped_port() const override { return wrapped_ == nullptr ? std::uint16_t{0} : wrapped_->port(); }

  Status send(std::uint64_t id, BytesView message) override {
    Member* m = find(id);
    CHECK_OR(m != nullptr, Error{Fault::stale, "dtls: the association is over"});
    const Status done = m->dtls->send(message);
    flush(*m);
    if (m->dtls->state() == State::closed) {
      deadlines_.set(id, now());  // not here: the caller may be in the middle of it
    }
    return done;
  }

  std::size_t max_message(std::uint64_t id) const override {
    const auto it = members_.find(id);
    return it == members_.end() ? 0 : it->second.dtls->max_message();
  }

  void close(std::uint64_t id) override {
    if (Member* m = find(id)) {
      m->dtls->close();
      flush(*m);
      remove(*m);
    }
  }

  void set_context(std::shared_ptr<DtlsContext> dtls) override {
    options_.dtls = std::move(dtls);
    acceptor_ = options_.dtls->acceptor();
    end_handshakes({Fault::stale, "dtls: the server has new credentials"});  // whom the old ones would still let in
  }

  void drain(Duration grace, std::function<void()> done) override {
    draining_ = true;
    drained_ = std::move(done);
    end_handshakes({Fault::unreachable, "dtls: the server is about to stop"});
    drain_timer_ = loop_.after(grace, [this] {
      for (const std::uint64_t id : ids()) {
        close(id);
      }
    });
    finish_drain();
  }

  DtlsServerStats stats() const override {
    DtlsServerStats out = stats_;
    out.open = members_.size();
    return out;
  }

 private:
  static Instant now() { return steady_clock(); }  // a person who sets the clock ends nobody

  struct Member {
    std::uint64_t id() const { return dtls->id(); }
    bool silent() const { return !spoken; }

    std::unique_ptr<DtlsConnection> dtls;
    DatagramPath peer;
    std::array<std::uint8_t, 32> random{};  // of the hello that began it
    Instant since, heard;                   // accepted; the last message
    bool handshaking = true;
    bool spoken = false;     // something came after the hello
    bool known = false;      // has proven who it is
    std::string identity{};  // of its certificate or key
  };
  // What a path has. Never both 0.
  struct Seat {
    std::uint64_t open = 0, shaking = 0;
  };

  Member* find(std::uint64_t id) {
    const auto it = members_.find(id);
    return it == members_.end() ? nullptr : &it->second;
  }

  std::vector<std::uint64_t> ids() const {
    std::vector<std::uint64_t> out;
    for (const auto& [id, member] : members_) {
      out.push_back(id);
    }
    return out;
  }

  void end_handshakes(const Error& why) {
    for (const std::uint64_t id : ids()) {
      if (Member* m = find(id); m != nullptr && m->handshaking) {
        end(*m, why);
      }
    }
  }

  // ---- datagrams in ----

  void count(BytesView datagram) {
    ++stats_.datagrams_in;
    stats_.bytes_in += datagram.size();
  }

  void on_wrapped(const Address& proxy, BytesView datagram) {
    const auto inner = options_.wrapped->envelope.open(datagram);
    if (!inner) {
      ++stats_.unreadable;
      return;
    }
    on_datagram({proxy, inner->header}, inner->content);
  }

  void on_datagram(const DatagramPath& from, BytesView datagram) {
    const auto it = seats_.find(from);
    const Seat seat = it == seats_.end() ? Seat{} : it->second;
    if (const auto hello = client_hello(datagram)) {
      Member* again = begun_by(seat, *hello);
      again != nullptr ? give(*again, datagram) : greet(from, *hello, datagram);
    } else if (Member* m = find(concerned(seat, datagram))) {
      give(*m, datagram);
    }
  }

  // The association that this hello, sent once more, has begun.
  Member* begun_by(const Seat& seat, const HelloHead& hello) {
    for (const std::uint64_t id : {seat.shaking, seat.open}) {
      if (Member* m = find(id); m != nullptr && hello.has_cookie && m->random == hello.random) {
        return m;
      }
    }
    return nullptr;
  }

  // While a new handshake goes on beside an open association: what is in the clear, and Finished, is the handshake's.
  static std::uint64_t concerned(const Seat& seat, BytesView datagram) {
    if (seat.open == 0 || seat.shaking == 0) {
      return seat.open + seat.shaking;
    }
    const auto records = dtls_records(datagram);
    const bool shaking = !records.empty() && (records[0].epoch == 0 || records[0].type == DtlsType::handshake);
    return shaking ? seat.shaking : seat.open;
  }

  void give(Member& m, BytesView datagram) {
    m.spoken = true;
    m.dtls->receive(datagram);
    settle(m.id());
  }

  void greet(const DatagramPath& from, const HelloHead& hello, BytesView datagram) {
    if (draining_) {
      return;
    }
    DtlsAnswer answer = acceptor_->accept(from, datagram, now());
    if (answer.reply) {
      ++stats_.cookies;
      send_datagram(from, *answer.reply);
    }
    if (answer.connection != nullptr) {
      take_in(from, hello, std::move(answer.connection));
    }
  }

  void take_in(const DatagramPath& from, const HelloHead& hello, std::unique_ptr<DtlsConnection> dtls) {
    ++stats_.accepted;
    const auto seat = seats_.find(from);
    if (Member* before = seat == seats_.end() ? nullptr : find(seat->second.shaking)) {
      end(*before, Error{Fault::stale, "dtls: the client began anew"});
    }
    if (!has_place()) {
      ++stats_.shed;
      return;  // its hello will come again
    }
    const std::uint64_t id = dtls->id();
    Member& m = members_[id];
    m.dtls = std::move(dtls);
    m.peer = from;
    m.random = hello.random;
    m.since = now();
    seats_[from].shaking = id;
    places_.shake(m, m.since);
    m.dtls->start();
    settle(id);
  }

  // Whether there is a place: if need be, another one goes for it.
  bool has_place() {
    const Instant at = now();
    if (places_.shaking() >= options_.max_handshakes && !make_room(places_.handshake_to_end(at))) {
      return false;
    }
    return members_.size() < options_.max_associations || make_room(places_.to_end(at)) || make_room(idle_known(at));
  }

  // Of those who have proven who they are, the one that has been quiet longest, if that is long.
  Member* idle_known(Instant at) const {
    Member* m = known_.to_end(at);
    return m != nullptr && at - m->heard >= kQuiet ? m : nullptr;
  }

  bool make_room(Member* m) {
    if (m == nullptr) {
      return false;
    }
    ++stats_.shed;
    m->dtls->close();
    flush(*m);
    end(*m, Error{Fault::limit, "dtls: it made room for others"});
    return true;
  }

  // ---- what became of an association ----

  // Handlers may close any association: each is looked up again after each call.
  void settle(std::uint64_t id) {
    Member* m = find(id);
    flush(*m);
    if (m->handshaking && m->dtls->session() != nullptr) {
      become_open(*m);
    }
    while ((m = find(id)) != nullptr) {
      std::optional<Bytes> message = m->dtls->take_message();
      if (!message) {
        break;
      }
      m->heard = now();
      rest(*m);
      handlers_.message(id, *message);
      wipe(*message);
    }
    if (m != nullptr && m->dtls->state() == State::closed) {
      end(*m, m->dtls->error());
    } else if (m != nullptr && m->handshaking) {
      set_deadline(*m);
    }
  }

  void become_open(Member& m) {
    const std::uint64_t id = m.id();
    const SessionRef session = m.dtls->session();
    ++stats_.handshakes;
    m.handshaking = false;
    m.heard = now();
    m.identity = identity_of(*session);
    m.known = !m.identity.empty();
    places_.release(m);
    rest(m);
    deadlines_.set(id, m.heard + options_.idle_timeout);
    Seat& seat = seats_[m.peer];
    seat.shaking = 0;
    const std::uint64_t before = std::exchange(seat.open, id);
    if (Member* old = find(before)) {
      end(*old, Error{Fault::stale, "dtls: the client has a new association"});
    }
    if (Member* own = find(id); own != nullptr && own->known) {
      const std::string who = own->identity;
      by_identity_[who].push_back(id);
      hold_to_bound(who);
    }
    if (find(id) != nullptr) {
      handlers_.opened(id, session);
    }
  }

  void rest(Member& m) {
    if (!m.handshaking) {
      (m.known ? known_ : places_).rest(m, m.heard);
    }
  }

  // One certificate or key has so many associations: one more, and the one that has been quiet longest ends.
  void hold_to_bound(const std::string& who) {
    const std::vector<std::uint64_t>& own = by_identity_[who];
    if (own.size() <= options_.max_of_one) {
      return;
    }
    const auto oldest = std::ranges::min_element(own, {}, [this](std::uint64_t id) { return members_.at(id).heard; });
    make_room(find(*oldest));
  }

  // It is gone, and whom it concerns hears of it.
  void end(Member& m, std::optional<Error> why) {
    const std::uint64_t id = m.id();
    const bool was_handshaking = m.handshaking;
    remove(m);
    if (!was_handshaking) {
      handlers_.closed(id, why);
      return;
    }
    ++stats_.handshake_failures;
    if (handlers_.handshake_failed) {
      handlers_.handshake_failed(id, why.value_or(Error{Fault::unreachable, "dtls: the peer left"}));
    }
  }

  void remove(Member& m) {
    const std::uint64_t id = m.id();
    const auto seat = seats_.find(m.peer);
    for (std::uint64_t* one : {&seat->second.open, &seat->second.shaking}) {
      *one = *one == id ? 0 : *one;
    }
    if (seat->second.open == 0 && seat->second.shaking == 0) {
      seats_.erase(seat);
    }
    places_.release(m);
    known_.release(m);
    if (const auto own = by_identity_.find(m.identity); own != by_identity_.end()) {
      std::erase(own->second, id);
      if (own->second.empty()) {
        by_identity_.erase(own);
      }
    }
    deadlines_.clear(id);
    members_.erase(id);
    finish_drain();
  }

  // ---- time ----

  void set_deadline(const Member& m) {
    const Instant end = m.since + options_.handshake_timeout;
    const std::optional<Duration> timeout = m.dtls->timeout();
    deadlines_.set(m.id(), timeout ? std::min(end, now() + *timeout) : end);
  }

  void on_time(std::uint64_t id) {
    Member* m = find(id);
    if (m == nullptr) {
      return;
    }
    const Instant at = now();
    if (m->dtls->state() == State::closed) {  // a send has found out
      end(*m, m->dtls->error());
    } else if (m->handshaking) {
      at >= m->since + options_.handshake_timeout ? m->dtls->give_up() : m->dtls->expire();
      settle(id);
    } else if (const Instant end_of_rest = m->heard + options_.idle_timeout; end_of_rest > at) {
      deadlines_.set(id, end_of_rest);  // it has spoken meanwhile
    } else {
      m->dtls->close();
      flush(*m);
      end(*m, Error{Fault::unreachable, "dtls: idle for too long"});
    }
  }

  void finish_drain() {
    if (draining_ && members_.empty() && drained_) {
      loop_.cancel(drain_timer_);
      loop_.post(std::exchange(drained_, nullptr));  // it may destroy this server
    }
  }

  // ---- datagrams out ----

  void flush(Member& m) {
    while (const auto datagram = m.dtls->take_datagram()) {
      send_datagram(m.peer, *datagram);
    }
  }

  void send_datagram(const DatagramPath& to, BytesView datagram) {
    if (to.header) {
      send_by(*wrapped_, to.address, options_.wrapped->envelope.wrap(*to.header, datagram));
    } else {
      send_by(*socket_, to.address, datagram);
    }
  }

  // What the kernel does not take is lost, as it may be on the way.
  void send_by(UdpSocket& socket, const Address& to, BytesView datagram) {
    if (socket.send_to(to, datagram)) {
      ++stats_.datagrams_out;
      stats_.bytes_out += datagram.size();
    }
  }

  Loop& loop_;
  DtlsListenOptions options_;
  Handlers handlers_;
  std::unique_ptr<DtlsAcceptor> acceptor_;
  std::unique_ptr<UdpSocket> socket_, wrapped_;        // the latter for join proxies; null if there are none
  std::unordered_map<std::uint64_t, Member> members_;  // by id; their addresses stay
  std::unordered_map<DatagramPath, Seat> seats_;
  Places<Member> places_, known_;                                            // who may make room, first and last
  std::unordered_map<std::string, std::vector<std::uint64_t>> by_identity_;  // open associations
  Deadlines deadlines_;
  DtlsServerStats stats_;
  bool draining_ = false;
  std::function<void()> drained_;
  std::uint64_t drain_timer_ = 0;
};

}  // namespace

DtlsServer::~DtlsServer() = default;

Result<std::unique_ptr<DtlsServer>> DtlsServer::listen(Loop& loop, DtlsListenOptions options, Handlers handlers) {
  auto server = std::make_unique<Server>(loop, std::move(options), std::move(handlers));
  TRY([[maybe_unused]] const Ok ok, server->listen());
  return std::unique_ptr<DtlsServer>(std::move(server));
}

}  // namespace imprint::io
