// A service of ours on multicast DNS: probes for its name, announces itself, answers, and says good-bye (RFC 6762).
// A value over bytes and time: it has no socket.
#pragma once

#include <optional>
#include <vector>

#include "proto/brski/dnssd.h"

namespace imprint::brski {

class Responder {
 public:
  // Errors: those of Service::check(). The first probe is due within 250 ms (section 8.1).
  static Result<Responder> make(Service service, Instant now, Rng& rng);

  // A packet of the group or to us. A simple resolver's question has its answer at once, to be sent to where the packet
  // came from; everything else is for due(). What cannot be read changes nothing.
  std::optional<Bytes> on(const DnsPacket& packet, Rng& rng);
  // When due() has something; none: nothing until something comes.
  std::optional<Instant> wakes() const;
  // What is to be sent to the group now.
  std::vector<Bytes> due(Instant now);
  // The last word, with all times 0 (section 10.1). Empty if nothing was announced.
  Bytes goodbye() const;

  // As it is named now: "Hall" becomes "Hall-2" if somebody else is "Hall" already (section 9).
  const Service& service() const { return service_; }
  // Whether the name is ours, and the service announced.
  bool announced() const { return phase_ != Phase::probing; }

 private:
  enum class Phase : std::uint8_t { probing, announcing, running };

  explicit Responder(Service service) : service_(std::move(service)) {}
  void query(const DnsMessage& message, Instant now, Rng& rng);
  Bytes direct_answer(const DnsMessage& message) const;
  void compete(const DnsMessage& probe, Instant now);
  void notice_conflict(const DnsMessage& response, Instant now);
  void rename(bool host);
  void probe_from(Instant when);
  Bytes probe() const;
  Bytes answer_of(const std::vector<Part>& parts) const;
  Bytes announcement(Instant now);

  Service service_;
  Phase phase_ = Phase::probing;
  unsigned sent_ = 0;       // probes or announcements
  unsigned conflicts_ = 0;  // since the name was ours
  unsigned number_ = 1;     // of the name
  std::string first_instance_, first_host_;
  Instant next_;                                               // probe or announcement
  std::array<std::optional<Instant>, kParts.size()> wanted_;   // when each part is to be sent
  std::array<std::optional<Instant>, kParts.size()> sent_at_;  // when it was sent last
};

}  // namespace imprint::brski
