#include "io/udp_join_proxy.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "io/deadlines.h"

namespace imprint::io {
namespace {

// An address without its port: a pledge, as far as one can tell.
Address without_port(Address a) {
  a.port = 0;
  return a;
}

class Proxy : public UdpJoinProxy {
 public:
  Proxy(Loop& loop, UdpJoinProxyOptions options) : loop_(loop), options_(std::move(options)) {}

  std::uint16_t port() const override { return pledges_->port(); }

 protected:
  Status listen() {
    UdpSocket::Handlers handlers{[this](const Address& from, BytesView datagram) {
                                   if (may_pass(datagram)) {
                                     stats_.bytes_from_pledges += datagram.size();
                                     ++stats_.from_pledges;
                                     from_pledge(from, datagram);
                                   }
                                 },
                                 nullptr};
    TRY(pledges_, UdpSocket::bind(loop_, options_.listen, std::move(handlers)));
    return Ok{};
  }
  virtual void from_pledge(const Address& pledge, BytesView datagram) = 0;

  void to_pledge(const Address& pledge, BytesView datagram) {
    if (pledges_->send_to(pledge, datagram)) {
      ++stats_.to_pledges;
      stats_.bytes_to_pledges += datagram.size();
    } else {
      ++stats_.lost;
    }
  }

  bool may_pass(BytesView datagram) {
    const bool small = datagram.size() <= options_.max_datagram;
    stats_.over_limit += small ? 0U : 1U;
    return small && !datagram.empty();
  }

  Loop& loop_;
  UdpJoinProxyOptions options_;
  UdpJoinProxyStats stats_;
  std::unique_ptr<UdpSocket> pledges_;
};

class Stateful final : public Proxy {
 public:
  Stateful(Loop& loop, UdpJoinProxyOptions options)
      : Proxy(loop, std::move(options)), deadlines_(loop, [this](std::uint64_t id) { on_time(id); }) {}
  using Proxy::listen;

  Status set_registrar(const Address& registrar) override {
    options_.registrar = registrar;
    while (!ways_.empty()) {
      end(ways_.begin()->first);
    }
    return Ok{};
  }

  UdpJoinProxyStats stats() const override {
    UdpJoinProxyStats out = stats_;
    out.open = ways_.size();
    return out;
  }

 private:
  struct Way {
    Address pledge;
    Instant heard;  // the registrar's last datagram; before there is one the pledge's first
    bool answered = false;
    std::unique_ptr<UdpSocket> registrar;
  };

  void from_pledge(const Address& pledge, BytesView datagram) override {
    Way* const way = options_.registrar.port != 0 ? way_of(pledge) : nobody_known();
    if (way == nullptr) {
      return;
    }
    if (!way->registrar->send(datagram)) {
      ++stats_.lost;
    }
  }

  Way* nobody_known() {
    ++stats_.lost;
    return nullptr;
  }

  Way* way_of(const Address& pledge) {
    const auto known = by_pledge_.find(pledge);
    if (known != by_pledge_.end()) {
      return &ways_.at(known->second);
    }
    if (!has_place(pledge) && !make_room(pledge)) {
      ++stats_.over_limit;  // the draft has an ICMPv6 error here, type 1 code 1
      return nullptr;
    }
    return begin(pledge);
  }

  // They are few: ten on an interface.
  bool has_place(const Address& pledge) const {
    std::size_t of_address = 0, of_interface = 0;
    for (const auto& [id, way] : ways_) {
      of_address += without_port(way.pledge) == without_port(pledge) ? 1U : 0U;
      of_interface += way.pledge.scope == pledge.scope ? 1U : 0U;
    }
    return of_address < options_.max_of_address && of_interface < options_.max_of_interface;
  }

  // Invented neighbours, whom the registrar has nothing to say to, do not keep the others out.
  bool make_room(const Address& pledge) {
    const Instant now = steady_clock();
    const auto mute = std::ranges::find_if(ways_, [&](const auto& one) {
      const Way& way = one.second;
      return way.pledge.scope == pledge.scope && !way.answered && way.heard + options_.unanswered <= now;
    });
    if (mute == ways_.end()) {
      return false;
    }
    end(mute->first);
    return has_place(pledge);
  }

  Way* begin(const Address& pledge) {
    const std::uint64_t id = ++last_id_;
    UdpSocket::Handlers handlers{[this, id](const Address&, BytesView datagram) { from_registrar(id, datagram); },
                                 [this, id] { nobody_there(id); }};
    auto socket = UdpSocket::connect(loop_, options_.registrar, std::move(handlers));
    if (!socket) {
      ++stats_.lost;
      return nullptr;
    }
    Way& way = ways_[id] = Way{pledge, steady_clock(), false, *std::move(socket)};
    by_pledge_[pledge] = id;
    deadlines_.set(id, way.heard + options_.idle);
    return &way;
  }

  void from_registrar(std::uint64_t id, BytesView datagram) {
    Way& way = ways_.at(id);
    if (may_pass(datagram)) {
      way.heard = steady_clock();
      way.answered = true;
      to_pledge(way.pledge, datagram);
    }
  }

  void nobody_there(std::uint64_t id) {
    ++stats_.unreachable;
    end(id);
  }

  void on_time(std::uint64_t id) {
    if (const Instant over = ways_.at(id).heard + options_.idle; over > steady_clock()) {
      deadlines_.set(id, over);
    } else {
      end(id);
    }
  }

  void end(std::uint64_t id) {
    deadlines_.clear(id);
    by_pledge_.erase(ways_.at(id).pledge);
    ways_.erase(id);
  }

  std::unordered_map<std::uint64_t, Way> ways_;
  std::unordered_map<Address, std::uint64_t> by_pledge_;
  std::uint64_t last_id_ = 0;
  Deadlines deadlines_;
};

class Stateless final : public Proxy {
 public:
  Stateless(Loop& loop, UdpJoinProxyOptions options, ReturnEnvelope envelope)
      : Proxy(loop, std::move(options)), envelope_(std::move(envelope)) {}

  Status begin() {
    if (options_.registrar.port != 0) {
      TRY([[maybe_unused]] const Ok there, set_registrar(options_.registrar));
    }
    return listen();
  }

  Status set_registrar(const Address& registrar) override {
    UdpSocket::Handlers handlers{[this](const Address&, BytesView datagram) { from_registrar(datagram); }, nullptr};
    TRY(registrar_, UdpSocket::connect(loop_, registrar, std::move(handlers)));
    return Ok{};
  }

  UdpJoinProxyStats stats() const override { return stats_; }

 private:
  void from_pledge(const Address& pledge, BytesView datagram) override {
    const Instant now = steady_clock();
    if (now - second_ >= Duration(1000)) {
      second_ = now;
      in_second_ = 0;
      of_address_.clear();
    }
    if (in_second_ >= options_.max_per_second ||
        of_address_[without_port(pledge)] >= options_.max_of_address_per_second) {
      ++stats_.over_limit;
      return;
    }
    ++in_second_;
    ++of_address_[without_port(pledge)];
    if (!registrar_ || !registrar_->send(envelope_.wrap(pledge, datagram, now))) {
      ++stats_.lost;
    }
  }

  void from_registrar(BytesView datagram) {
    const auto answer = envelope_.open(datagram, steady_clock());
    if (!answer) {
      ++stats_.unreadable;
    } else if (may_pass(answer->content)) {
      to_pledge(answer->to, answer->content);
    }
  }

  ReturnEnvelope envelope_;
  std::unique_ptr<UdpSocket> registrar_;
  Instant second_;  // the one that is counted in
  std::size_t in_second_ = 0;
  std::unordered_map<Address, std::size_t> of_address_;  // in it; no more than there were datagrams
};

}  // namespace

UdpJoinProxy::~UdpJoinProxy() = default;

Result<std::unique_ptr<UdpJoinProxy>> UdpJoinProxy::stateful(Loop& loop, UdpJoinProxyOptions options) {
  auto out = std::make_unique<Stateful>(loop, std::move(options));
  TRY([[maybe_unused]] const Ok listens, out->listen());
  return std::unique_ptr<UdpJoinProxy>(std::move(out));
}

Result<std::unique_ptr<UdpJoinProxy>> UdpJoinProxy::stateless(Loop& loop, UdpJoinProxyOptions options,
                                                              ReturnEnvelope envelope) {
  auto out = std::make_unique<Stateless>(loop, std::move(options), std::move(envelope));
  TRY([[maybe_unused]] const Ok begun, out->begin());
  return std::unique_ptr<UdpJoinProxy>(std::move(out));
}

}  // namespace imprint::io
