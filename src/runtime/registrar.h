// The owner's registrar on one loop (RFC 8995): devices' requests in, the role in the middle, policy, store, key and
// MASAs behind. It is fed by whoever has the listener: EST is served on the same connection.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

#include "io/gate.h"
#include "io/requests.h"
#include "io/schedule.h"
#include "proto/brski/description.h"
#include "proto/brski/registrar.h"
#include "runtime/pledge_pace.h"
#include "runtime/recorder.h"
#include "site/pledges.h"

namespace imprint {

// How a device's request came, and how it is answered.
enum class RegistrarBinding : std::uint8_t { https, coaps };

// What may be exchanged while the server runs; shared by all loops, never changed in place.
struct RegistrarSite {
  std::shared_ptr<const brski::RegistrarConfig> role;
  Signer signer;             // of requests to MASAs: id-kp-cmcRA, and the chain up to what may be pinned
  site::FindMasa find_masa;  // called on any loop's thread
  // Our keys towards MASAs, by Credential::key_id, read beforehand: a file or token may be slow, and no loop waits.
  std::map<std::string, Result<PrivateKey>, std::less<>> keys = {};
  std::vector<Uri> masas = {};       // whose addresses the operator wrote: they may be anywhere (io::Guard)
  PaceLimits pace = {};              // of each device, on each loop
  brski::RegistrarAbout about = {};  // what is told to whoever asks
};

class RegistrarServer {
 public:
  // `masa`: connections to MASAs, on this schedule. `reply`: how a device is answered.
  RegistrarServer(io::Schedule& schedule, store::Store& store, Rng& rng, Journal& journal,
                  std::unique_ptr<io::RequestClient> masa, std::function<void(Exchange, const Response&)> reply);
  RegistrarServer(const RegistrarServer&) = delete;
  RegistrarServer& operator=(const RegistrarServer&) = delete;
  ~RegistrarServer();

  // Whether a request is for the registrar, by its path.
  static bool is_for(const Request& request, RegistrarBinding binding);
  // Answers it, in its own time.
  void take(Exchange from, Request request, RegistrarBinding binding, std::shared_ptr<const RegistrarSite> site,
            std::shared_ptr<const site::Policy> policy);
  void gone(Exchange from);
  // The power is cut: nothing more leaves, and nothing is taken any more.
  void halt();
  // Called after every single action of every conversation.
  void on_acted(std::function<void()> acted) { acted_ = std::move(acted); }

 private:
  class Conversation;
  // How a request came, and what for: its answer depends on it.
  struct Asked {
    Exchange from;
    RegistrarBinding binding = RegistrarBinding::https;
    brski::Operation operation = brski::Operation::describe;
  };
  void answer(const Asked& to, const Response& what);
  // Whether it is answered here and now, because the device has asked too often.
  bool put_off(const Asked& asked, const SessionRef& session, const PaceLimits& limits);
  void finished(std::uint64_t exchange);

  io::Schedule& schedule_;
  const std::shared_ptr<io::Gate> gate_;  // for the store's answers, which may come after we are gone
  store::Store& store_;
  Rng& rng_;
  Journal& journal_;
  std::unique_ptr<io::RequestClient> masa_;
  std::function<void(Exchange, const Response&)> reply_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Conversation>> conversations_;
  PledgePace pace_;
  std::function<void()> acted_;
  bool halted_ = false;
};

}  // namespace imprint
