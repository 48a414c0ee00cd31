#include "app/voucher_fetch.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "codec/base64.h"
#include "codec/printable.h"
#include "crypto/random.h"
#include "io/https_client.h"
#include "io/key_file.h"
#include "io/loop.h"
#include "proto/brski/registrar_judge.h"
#include "proto/brski/registrar_rules.h"
#include "proto/brski/wire.h"
#include "role/digest.h"

namespace imprint::app {
namespace {

constexpr Duration kLongCall = std::chrono::minutes(5);
constexpr std::size_t kMostOctets = std::size_t{64} << 20U;
constexpr std::string_view kLines = "application/x-ndjson", kOwnKey = "registrar";
constexpr std::size_t kMostWords = 200;

std::string first_line(BytesView body) {
  const std::string_view text = as_text(body);
  return printable(text.substr(0, std::min(text.find_first_of("\r\n"), kMostWords)));
}

// One connection to a MASA, asked in turn.
class MasaLine {
 public:
  MasaLine(const RegistrarSite& site, const brski::MasaContact& masa) : masa_(masa) {
    for (const Uri& uri : site.masas) {
      guard_.allow(uri);
    }
    io::HttpsClientOptions options;
    options.request_timeout = kLongCall;
    options.max_response_bytes = kMostOctets;
    client_ = io::HttpsClient::make(
        loop_, guard_, options,
        [key = site.signer.key](const std::string& id) -> Result<PrivateKey> {
          return id == kOwnKey ? Result<PrivateKey>(key) : io::load_key(id);
        },
        [](std::uint64_t) {});
  }

  Result<Response> ask(Request what) {
    if (!session_) {
      TRY(session_, open());
    }
    auto answer = send(what);
    if (!answer) {  // it may have been closed for being idle
      client_->close((*session_)->id);
      TRY(session_, open());
      answer = send(what);
    }
    if (answer && log_in(what, *answer)) {
      answer = send(what);
    }
    return answer;
  }

 private:
  // By HTTP Digest where that is asked for.
  bool log_in(Request& again, const Response& answer) {
    constexpr int kUnauthorized = 401;
    const auto challenge = find_challenge(answer.authenticate);
    if (answer.status != kUnauthorized || !masa_.login || (!challenge && !offers_basic(answer.authenticate))) {
      return false;
    }
    std::array<std::uint8_t, 16> nonce{};
    rng_.fill(nonce);
    again.login = challenge ? answer_challenge(*challenge, *masa_.login, again, 1, nonce) : *masa_.login;
    return true;
  }
  Result<SessionRef> open() {
    std::optional<Result<SessionRef>> got;
    Open what;
    what.to = masa_.url;
    what.trust = Trust::anchors;
    what.anchors = masa_.anchors;
    what.as = masa_.as;
    client_->open(std::move(what), [&](Result<SessionRef> r) {
      got = std::move(r);
      loop_.stop();
    });
    loop_.run();
    CHECK_OR(got.has_value(), Error{Fault::unreachable, brski::kMasaAway});
    TRY(const SessionRef session, *std::move(got));
    // RFC 8995 section 5.4: the server's certificate speaks for the host of the address.
    const bool there = session->proven && speaks_for_host((*session->proven)->leaf, masa_.url.host);
    CHECK_OR(there, Error{Fault::unauthentic, brski::kMasaServer});
    return session;
  }
  Result<Response> send(const Request& what) {
    std::optional<Result<Response>> got;
    client_->request((*session_)->id, what, [&](Result<Response> r) {
      got = std::move(r);
      loop_.stop();
    });
    loop_.run();
    return got ? *std::move(got) : Result<Response>(Error{Fault::unreachable, brski::kMasaAway});
  }

  const brski::MasaContact& masa_;
  SystemRng rng_;
  io::Loop loop_;
  io::Guard guard_;
  std::unique_ptr<io::RequestClient> client_;
  std::optional<SessionRef> session_;
};

std::string_view base_of(const brski::MasaContact& masa) {
  return masa.url.path.size() > 1 ? std::string_view(masa.url.path)
         : masa.quirks.old_paths  ? std::string_view("/.well-known/est")
                                  : std::string_view();
}

// Where many may be asked for at once, and how many; none: one by one.
struct Bulk {
  std::string path;
  std::size_t most = 0;
};
std::optional<Bulk> bulk_of(MasaLine& line, const brski::MasaContact& masa) {
  Request ask;
  ask.path = brski::path_of(brski::Operation::describe, base_of(masa));
  ask.accept = brski::kJsonType;
  const auto answer = line.ask(std::move(ask));
  const auto json = answer && answer->status == 200 ? parse_json(as_text(answer->body)) : parse_json("{}");
  if (!json || !json->is_object()) {
    return std::nullopt;
  }
  // What a later version means by its members nobody knows here; RFC 8995's own paths stay.
  const auto api = json->find("api");
  if (api != json->end() && *api != 1) {
    return std::nullopt;
  }
  const Json::json_pointer where("/endpoints/requestvouchers"), how_many("/limits/bulk_requests");
  const bool said = json->contains(where) && json->at(where).is_string();
  const bool counted = json->contains(how_many) && json->at(how_many).is_number_unsigned();
  const std::string path = said ? json->at(where).get<std::string>() : std::string();
  const std::size_t most = counted ? json->at(how_many).get<std::size_t>() : 1;
  return path.starts_with('/') && most > 0 ? std::optional(Bulk{path, most}) : std::nullopt;
}

std::string body_of(const std::vector<FetchItem>& items, std::size_t from, std::size_t to, brski::Form form) {
  std::string out;
  for (std::size_t i = from; i < to; ++i) {
    out += Json{{"id", std::to_string(i)}, {"request", base64(items[i].request)}, {"accept", media_type(form)}}.dump();
    out += '\n';
  }
  return out;
}

// One line of the answer; nothing if it is of none of these items.
std::optional<Fetched> line_of(std::string_view text, std::size_t from, std::size_t to) {
  const auto json = parse_json(text);
  if (!json || !json->is_object() || !json->contains("id") || !(*json)["id"].is_string()) {
    return std::nullopt;
  }
  Fetched out;
  const std::string id = (*json)["id"].get<std::string>();
  const bool number =
      !id.empty() && id.size() < 10 && std::ranges::all_of(id, [](char c) { return c >= '0' && c <= '9'; });
  out.item = number ? std::stoul(id) : to;
  if (out.item < from || out.item >= to) {
    return std::nullopt;
  }
  const auto status = json->find("status");
  out.status = status != json->end() && status->is_number_integer() ? status->get<int>() : 0;
  const auto error = json->find("error");
  out.why = error != json->end() && error->is_string() ? first_line(view(error->get<std::string>())) : std::string();
  const auto voucher = json->find("voucher");
  if (out.status == 200 && voucher != json->end() && voucher->is_string()) {
    const auto octets = parse_base64(voucher->get<std::string>());
    out.voucher = octets ? *octets : Bytes();
  }
  return out;
}

// False: the MASA has no such resource after all.
Result<bool> fetch_many(MasaLine& line, const std::vector<FetchItem>& items, const Bulk& bulk, const FetchPlan& plan,
                        std::size_t from, std::size_t to, const std::function<void(Fetched)>& fetched) {
  Request ask;
  ask.method = Method::post;
  ask.path = bulk.path;
  ask.content_type = kLines;
  ask.accept = kLines;
  ask.body = to_bytes(body_of(items, from, to, plan.form));
  if (!items[from].masa.as) {
    ask.login = items[from].masa.login;  // it would not ask for one
  }
  TRY(const Response answer, line.ask(std::move(ask)));
  if (answer.status == 404 || answer.status == 405) {
    return false;
  }
  std::set<std::size_t> open;
  for (std::size_t i = from; i < to; ++i) {
    open.insert(i);
  }
  std::string_view rest = answer.status == 200 ? as_text(answer.body) : std::string_view();
  while (!rest.empty()) {
    const std::string_view one = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    auto got = line_of(one, from, to);
    if (got && open.erase(got->item) == 1) {
      fetched(*std::move(got));
    }
  }
  for (const std::size_t i : open) {
    fetched({i,
             answer.status == 200 ? 0 : answer.status,
             answer.status == 200 ? "no line for it in the answer" : first_line(answer.body),
             {}});
  }
  return true;
}

Status fetch_one(MasaLine& line, const FetchItem& item, std::size_t index, brski::Form form,
                 const std::function<void(Fetched)>& fetched) {
  Request ask;
  ask.method = Method::post;
  ask.path = brski::path_of(brski::Operation::request_voucher, base_of(item.masa));
  ask.query = item.masa.url.query;
  ask.content_type = ask.accept = brski::media_type(form, item.masa.quirks);
  ask.body = item.masa.quirks.base64_bodies ? to_bytes(base64(item.request)) : item.request;
  TRY(const Response answer, line.ask(std::move(ask)));
  Fetched out{index, answer.status, {}, {}};
  if (answer.status == 200) {
    const auto read = brski::read_body(answer.body, form, item.masa.quirks);
    out.voucher = read ? read->received : Bytes();
    out.why = read ? std::string() : std::string(read.error().what);
  } else {
    out.why = first_line(answer.body);
  }
  fetched(std::move(out));
  return Ok{};
}

}  // namespace

Result<Bytes> sign_nonceless_request(const RegistrarSite& site, const ExpectedDevice& device,
                                     const brski::Quirks& quirks, brski::Form form, Instant now) {
  CHECK_OR(device.idevid, Error{Fault::refused, "fetch: the device's IDevID is not known"});
  brski::Voucher v = brski::make_registrar_request(brski::Artifact{}, *device.idevid, quirks, now);
  v.prior_signed_voucher_request.reset();
  v.assertion.reset();
  v.nonce.reset();
  Signer by = site.signer;
  if (form == brski::Form::cose) {
    by.chain.push_back(*device.idevid);
  }
  return brski::sign_voucher(v, form, by, quirks.content_type, quirks.requests_named_voucher);
}

Status fetch_vouchers(const RegistrarSite& site, const std::vector<FetchItem>& items, const FetchPlan& plan,
                      const std::function<void(Fetched)>& fetched, const std::function<void(std::string_view)>& told) {
  if (items.empty()) {
    return Ok{};
  }
  const brski::MasaContact& masa = items.front().masa;
  MasaLine line(site, masa);
  std::size_t next = 0;
  const auto bulk = plan.one_by_one || masa.quirks.base64_bodies ? std::nullopt : bulk_of(line, masa);
  told(masa.url.text() + (bulk ? ": many at once" : ": one by one"));
  const std::size_t together = bulk ? std::max<std::size_t>(1, std::min(plan.together, bulk->most)) : 0;
  while (bulk && next < items.size()) {
    const std::size_t to = std::min(items.size(), next + together);
    TRY(const bool there, fetch_many(line, items, *bulk, plan, next, to, fetched));
    if (!there) {
      told(masa.url.text() + ": not many at once, after all");
      break;
    }
    next = to;
    told(std::to_string(next) + " of " + std::to_string(items.size()));
  }
  for (; next < items.size(); ++next) {
    TRY([[maybe_unused]] const Ok asked, fetch_one(line, items[next], next, plan.form, fetched));
  }
  return Ok{};
}

}  // namespace imprint::app
