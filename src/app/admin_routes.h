// Inside the admin API: the table of routes, what a handler gets and what it gives back.
#pragma once

#include <span>
#include <variant>

#include "app/admin_api.h"
#include "base/rng.h"
#include "codec/json.h"
#include "role/session.h"
#include "site/operations.h"

namespace imprint::app::admin {

// What every handler may use.
struct Env {
  store::Store& store;
  Hub& hub;
  const AdminApi::Site& site;
  Rng& rng;
  Instant now;
  std::string actor;  // who asks, as the audit log says it
};

// A checked request: its path, query and body have what the route's table says, and nothing else.
struct Call {
  const Request& request;
  std::string id;                            // what stands for {…} in the pattern, decoded
  std::map<std::string, std::string> query;  // decoded
  std::shared_ptr<const Json> body;          // an object; empty if none was sent

  // A member of the body or a parameter of the query; empty or the default if it was not sent.
  std::string text(const std::string& member) const;
  bool flag(const std::string& member) const;
  std::int64_t number(const std::string& parameter, std::int64_t otherwise) const;
  std::optional<std::int64_t> version;  // of If-Match
};

// A change of the store, then an answer, and what the event stream is told once it is on disk.
struct Changed {
  Response answer;
  std::string event;  // name; empty: nothing is told
  std::string event_json;
  bool has_secret = false;  // the answer shows a secret: it must not be kept
};
struct Change {
  std::function<Result<Changed>(store::Writer&)> run;
  std::function<Response(const Error&)> refused;  // empty: problem()
  std::optional<Sha256> once = {};                // see OnceKey; none: asked for without a key
};
// Something that takes long and changes nothing: it runs on a thread of its own.
using Work = std::function<Result<Response>()>;
// The event stream.
struct Stream {};
using Outcome = std::variant<Response, Change, Work, Stream>;

enum class Kind : std::uint8_t { text, flag, number };

// A parameter of the query or a member of the body.
struct Field {
  std::string_view name = {};
  Kind kind = Kind::text;
  std::string_view what = {};
  bool required = false;
  std::int64_t least = 0, most = INT64_MAX;  // of a number
};

struct Route {
  Method method = Method::get;
  std::string_view pattern;    // "/v1/devices/{id}"
  std::string_view operation;  // operationId
  std::string_view summary;
  Result<Outcome> (*handler)(const Env&, const Call&) = nullptr;
  std::string_view schema = {};  // of the answer, a name of components.schemas; empty: not JSON
  std::span<const Field> query = {};
  std::span<const Field> body = {};
  std::string_view takes = {};  // media type of a body that is not a JSON object
  int status = 200;
  bool open = false;                                      // needs no token
  bool conditional = false;                               // takes If-Match
  bool changes() const { return method != Method::get; }  // takes Idempotency-Key
};

// Every route; the parts are in admin_devices.cc, admin_import.cc, admin_records.cc, admin_pledges.cc and
// admin_program.cc.
std::vector<Route> routes();
std::span<const Route> device_routes();
std::span<const Route> import_routes();
std::span<const Route> record_routes();
std::span<const Route> pledge_routes();
std::span<const Route> program_routes();

// The OpenAPI 3.1 document of the routes.
std::string openapi(std::span<const Route> routes);

// The administrator, now.
site::Act act_of(const Env& env);

// ---- answers ----

std::string dumped(const Json& json);  // on one line; what is not UTF-8 is replaced

Response json_answer(int status, const Json& json);
// RFC 9457. `detail` says what exactly; empty: the error's own text.
Response problem(const Error& error, const std::string& detail = {});
// Its members, for a problem with more to say.
Json problem_json(const Error& error, const std::string& detail);
int status_of(const Error& error);

Json device_json(const Device& device);
std::string etag_of(const Device& device);
Json certificate_json(const store::CertificateRow& row);
Json pending_json(const store::PendingRow& row);
Json run_json(const Run& run);  // without steps and beliefs
Json whole_run_json(const Run& run);
Json step_json(const Run& run, const RunStep& step);
// The beliefs in the order of the run, each with the strength with which it was held: that of the weakest thing it
// stands on. "none" for one that went, or whose evidence does not hold.
Json beliefs_json(const Run& run);
// What walking the audit log has shown; the head is the last entry's hash, zeros without entries.
struct AuditVerdict {
  std::int64_t entries = 0;
  std::optional<std::int64_t> first_bad;
  Sha256 head{};
};
Json audit_verdict_json(const AuditVerdict& verdict);
Json audit_json(const AuditEntry& entry);

}  // namespace imprint::app::admin
