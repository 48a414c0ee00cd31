// Who may have a voucher for which device: the maker's side of the answer (RFC 8995 section 5.5.4), and what changes
// it: sales, release, transfer, retirement.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "proto/brski/masa_questions.h"
#include "store/maker/maker_store.h"

namespace imprint::factory {

struct MasaPolicy {
  bool first_claim = true;      // a device that nobody owns is whoever's registrar claims it first (audit only)
  bool proximity_only = false;  // … and only if the device itself says that it saw this registrar
  bool pin_registrar = false;   // the registrar's own certificate is pinned, not the farthest above it
  Duration nonceless_lifetime = std::chrono::hours(24 * 90);  // until expires-on; 0: none is set
  Secret pepper;                                              // of the customers' passwords
  bool basic = true;                                          // a password in HTTP Basic counts
  bool digest = false;                                        // an answer to a challenge of HTTP Digest does
};

// The account of who asks: by the chain of the signed request, by the login, or by the certificate shown in TLS. Empty
// if it is nobody's. MASA-LOGIN: a login that is wrong; MASA-ACCOUNTS: two accounts at once.
Result<std::string> account_of(const MasaPolicy& policy, store::MakerReader& reader, const Session& session,
                               const std::optional<Login>& login, const brski::RequestFacts* facts, Instant now);

// What answers the questions of a MASA. The error is the store's.
Result<std::vector<Certificate>> find_idevid(store::MakerReader& reader, const brski::FindIdevid& question);
Result<brski::JudgeClaim::Ruling> judge_claim(const MasaPolicy& policy, store::MakerReader& reader,
                                              const brski::JudgeClaim& question, Instant now);
Result<brski::ReadDeviceLog::Log> read_device_log(const MasaPolicy& policy, store::MakerReader& reader,
                                                  const brski::ReadDeviceLog& question, Instant now);

// The facts as changes of the store.
store::GivenVoucher given_voucher(const brski::Vouched& fact, Instant at);
store::RefusedClaim refused_claim(const brski::ClaimRefused& fact, Instant at);

// ---- what the maker, or a customer by the maker's hand, does with a device ----

// The device that is meant: by serial number, and by its CA's key identifier if that is given. refused: there is none;
// conflict: several have this serial number.
Result<MakerDevice> find_maker_device(store::MakerReader& reader, std::string_view serial, BytesView issuer);

// The owner gives it up: the next one may claim it. The vouchers that were given stay in the log. refused: retired.
Status release_device(store::MakerWriter& writer, MakerDevice device, Instant at, std::string_view actor);
// Sold to this customer, by the sales data or by the owner of before; empty: to nobody. What was claimed ends. refused:
// retired, or no such customer.
Status transfer_device(store::MakerWriter& writer, MakerDevice device, std::string_view customer, Instant at,
                       std::string_view actor);
// It gets no vouchers any more.
Status retire_device(store::MakerWriter& writer, MakerDevice device, Instant at, std::string_view actor);

// One line of an order or of what was made. JSON: serial, and idevid (PEM) or issuer (key identifier in hexadecimal);
// model and customer if there are any. Other members are passed over: a factory's manifest is one, too.
struct OrderLine {
  std::string serial, model, customer;
  Bytes issuer;
  std::optional<Certificate> idevid;
};
Result<OrderLine> parse_order_line(std::string_view line);

struct OrderProblem {
  std::size_t line = 0;
  std::string text;
};
struct OrderOutcome {
  std::size_t lines = 0, added = 0, assigned = 0, unchanged = 0;
  std::vector<OrderProblem> problems;  // the first 1,000
};
// Takes an order over, a line a change: what is on record is assigned to the line's customer, the rest is added. Taken
// again it changes nothing, so that an import that was cut short is simply run again. A device that somebody else has
// is a problem, not a change: that is a transfer. `customer`: of lines that name none. The error is the store's.
Result<OrderOutcome> import_order(store::MakerStore& store, std::string_view text, std::string_view customer,
                                  Instant at, std::string_view actor);

}  // namespace imprint::factory
