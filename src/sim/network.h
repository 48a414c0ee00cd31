// Connections in memory: what io gives over sockets and TLS, given over links of the simulator. Handshakes are not
// simulated; their outcome is: both ends' Session, or why there is none.
#pragma once

#include <map>
#include <memory>

#include "io/https_client.h"
#include "io/https_server.h"
#include "sim/coap_wire.h"

namespace imprint::sim {

// A server's place in the network.
struct Endpoint {
  std::uint16_t port = 443;
  std::vector<Certificate> chain;    // what it presents
  std::vector<Certificate> anchors;  // whose client certificates it takes
};

class NetworkClient;
class NetworkServer;

// Over HTTPS a message may be lost, late, doubled or overtaken: more than TCP lets through, so that the roles are the
// ones that cope; over CoAPS this befalls datagrams. Clients and servers must not outlive the network. One that is
// destroyed has lost its power: it says no more, and its peers hear of it later, or not at all.
class Network {
 public:
  Network(Clock& clock, SeededRng& rng, LinkFaults faults) : clock_(clock), rng_(rng), link_(clock, rng, faults) {}
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  ~Network();

  std::unique_ptr<io::HttpsClient> client(io::HttpsClient::Keys keys, std::function<void(std::uint64_t)> lost);
  std::unique_ptr<io::HttpsServer> server(Endpoint endpoint, io::HttpsServer::Handlers handlers);
  Link& link() { return link_; }
  std::uint64_t connections() const { return last_wire_; }

 private:
  friend class NetworkClient;
  friend class NetworkServer;

  // A connection. An end without power is null.
  struct Wire {
    SessionRef client_side, server_side;
    NetworkClient* client = nullptr;
    NetworkServer* server = nullptr;
    std::shared_ptr<CoapWire> coap;  // what carries messages where the address says coaps; else the link, whole
  };

  Result<std::uint64_t> accept(const Open& what, NetworkClient& by);
  // The connection is over for both ends; the ones still there hear of it after a while.
  void cut(std::uint64_t wire);
  void forget_client(NetworkClient* client);
  void forget_server(NetworkServer* server);

  Clock& clock_;
  SeededRng& rng_;
  Link link_;
  std::map<std::uint64_t, Wire> wires_;
  std::map<std::uint64_t, NetworkClient*> clients_;  // by number: a late arrival asks whether it is still there
  std::map<std::uint16_t, NetworkServer*> servers_;  // by port
  std::uint64_t last_wire_ = 0, last_client_ = 0, last_exchange_ = 0;
};

}  // namespace imprint::sim
