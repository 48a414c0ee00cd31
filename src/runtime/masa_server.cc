#include "runtime/masa_server.h"

#include <algorithm>

#include "base/reader.h"
#include "codec/base64.h"
#include "crypto/random.h"
#include "factory/masa_login.h"
#include "proto/brski/masa_rules.h"
#include "proto/brski/wire.h"
#include "role/digest.h"
#include "runtime/masa_bulk.h"
#include "runtime/masa_parts.h"

namespace imprint {
namespace {

constexpr std::string_view kLinesType = "application/x-ndjson";
constexpr std::size_t kMostBulk = 8;                     // bulk calls at once, with the bodies of those that come
constexpr std::size_t kMostBulkOfOne = 2;                // of them, of one account
constexpr Duration kBodyTime = std::chrono::minutes(1);  // the connection ends sooner if a body does not come

bool is_ours(std::string_view path) {
  const auto operation = brski::operation_of(path);
  return path == kMasaBulkPath || operation == brski::Operation::request_voucher ||
         operation == brski::Operation::request_audit_log;
}

bool is_bulk(const Request& head) { return holds(head.method == Method::post) && head.path == kMasaBulkPath; }

// Somebody who has not said who it is, where one may log in.
bool may_be_customer(const Request& request, const MasaSite& site) {
  return !request.login && request.session->presented.empty() && (site.policy.basic || site.policy.digest);
}

bool is_artifact_in_base64(BytesView body) {
  const auto octets = parse_base64(as_text(body));
  return octets && brski::form_of(*octets).has_value();
}

}  // namespace

MasaServer::MasaServer(io::Schedule& schedule, store::MakerStore& store, Rng& rng, std::shared_ptr<const MasaSite> site)
    : schedule_(schedule),
      gate_(std::make_shared<io::Gate>(schedule)),
      store_(store),
      rng_(rng),
      site_(std::move(site)),
      guesses_(rng),
      cloud_(schedule, store, rng, [this](Exchange to, const Response& answer) { front_->reply(to, answer); }) {
  cloud_.on_told([this](const CloudRegistrar::Told& t) { tell({t.path, t.status, t.device, {}, t.rule}); });
}

MasaServer::~MasaServer() {
  gate_->close();
  pool_.reset();  // its threads use what follows
}

io::HttpsServer::Handlers MasaServer::handlers() {
  io::HttpsServer::Handlers out;
  out.request = [this](Exchange from, Request request) { take(from, std::move(request)); };
  out.gone = [this](Exchange from) { gone(from); };
  out.body_comes = [this](const Request& head) { return screen(head); };
  // Strangers must not be able to fill the memory with what nobody reads: what screen() lets pass unseen is small.
  out.body_limit = [](const Request& head) { return is_bulk(head) ? kMasaBulkBytes : brski::kMaxArtifact; };
  return out;
}

Status MasaServer::listen(io::Loop& loop, io::HttpsServerOptions options) {
  TRY(auto https, io::HttpsServer::listen(loop, std::move(options), handlers()));
  https_ = https.get();
  attach(std::move(https));
  return Ok{};
}

void MasaServer::halt() {
  halted_ = true;
  cloud_.halt();
  for (const auto& [id, conversation] : conversations_) {
    conversation->halt();
  }
  for (const auto& [id, call] : bulk_) {
    call->leave();
  }
}

void MasaServer::tell(const Told& told) const {
  if (told_) {
    told_(told);
  }
}

Response MasaServer::with_challenges(Response refused, bool stale) {
  constexpr int kUnauthorized = 401;
  if (refused.status != kUnauthorized) {
    return refused;
  }
  std::vector<std::string> basic = std::exchange(refused.authenticate, {});
  if (site_->policy.digest) {
    if (!nonces_) {
      nonces_ = std::make_unique<site::NonceBook>(random_secret(rng_, 32));
    }
    std::array<std::uint8_t, 8> luck{};
    rng_.fill(luck);
    DigestChallenge challenge{std::string(factory::kCustomerRealm), {}, {}, stale};
    challenge.nonce = make_nonce(nonces_->key(), schedule_.now(), luck);
    refused.authenticate.push_back(challenge_text(challenge));
  }
  if (site_->policy.basic) {
    refused.authenticate.insert(refused.authenticate.end(), basic.begin(), basic.end());
  }
  return refused;
}

Response MasaServer::refusal(std::string_view path, const Error& error) {
  Response out = with_challenges(brski::masa_error(error), error.rule == &brski::masa::kNonceOld);
  tell({path, out.status, {}, {}, std::string(error.rule != nullptr ? error.rule->id : error.what)});
  return out;
}

std::optional<Response> MasaServer::screen(const Request& head) {
  if (halted_ && is_bulk(head)) {
    return refusal(kMasaBulkPath, Error{Fault::unreachable, brski::masa::kBusy});
  }
  if (halted_ || head.method != Method::post || !is_ours(head.path)) {
    return std::nullopt;  // so small a body may come
  }
  if (auto refused = refuse_login(head, false)) {
    return refused;
  }
  if (head.path != kMasaBulkPath) {
    return std::nullopt;
  }
  const auto account = bulk_account(head);
  const Status place = account ? bulk_place(*account) : Status(account.error());
  if (!place) {
    return refusal(kMasaBulkPath, place.error());
  }
  bodies_[head.session->id] = {schedule_.now(), *account};
  return std::nullopt;
}

Status MasaServer::bulk_place(const std::string& account) {
  const Instant now = schedule_.now();
  std::erase_if(bodies_, [&](const auto& body) {
    const bool left = https_->address_of(body.first).empty();
    return left || now - body.second.since >= kBodyTime || now < body.second.since;
  });
  const auto come = std::ranges::count_if(bodies_, [&](const auto& body) { return body.second.account == account; });
  const auto run = std::ranges::count_if(bulk_, [&](const auto& call) { return call.second->account() == account; });
  const Error busy{Fault::unreachable, brski::masa::kBusy};
  CHECK_OR(bodies_.size() + bulk_.size() < kMostBulk, busy);
  CHECK_OR(static_cast<std::size_t>(come + run) < kMostBulkOfOne, busy);
  return Ok{};
}

bool MasaServer::nonce_counts(const Login& login, bool spend) {
  if (!login.digest) {
    return true;
  }
  const DigestAnswer& answer = *login.digest;
  const auto count = from_hex(answer.nc);
  const Instant now = schedule_.now();
  const auto made = nonces_ ? nonce_made(nonces_->key(), answer.nonce) : std::nullopt;
  const bool fresh = made && *made <= now && now - *made <= kNonceLife;
  if (!spend || !fresh || !count) {
    return fresh;
  }
  Reader octets(*count);
  return nonces_->take(answer.nonce, octets.u32(), now);
}

bool MasaServer::takes_base64(const Request& request) {
  if (site_->base64_bodies) {
    return true;
  }
  auto reader = store_.read();
  const auto account =
      reader ? factory::account_of(site_->policy, **reader, *request.session, request.login, nullptr, schedule_.now())
             : Result<std::string>(reader.error());
  const auto customer =
      account && !account->empty() ? (*reader)->customer(*account) : Result<std::optional<Customer>>(std::nullopt);
  return customer && *customer && (*customer)->base64_bodies;
}

std::optional<Response> MasaServer::refuse_login(const Request& request, bool spend) {
  if (!request.login) {
    return std::nullopt;
  }
  const std::string& user = request.login->user;
  const std::string address = https_ != nullptr ? https_->address_of(request.session->id) : std::string();
  const Instant now = schedule_.now();
  if (const auto wait = guesses_.wait(user, address, now)) {
    Response out = refusal(request.path, Error{Fault::refused, brski::masa::kGuesses});
    out.retry_after_s = std::chrono::ceil<std::chrono::seconds>(*wait).count();
    return out;
  }
  auto reader = store_.read();
  const auto account = reader
                           ? factory::account_of(site_->policy, **reader, *request.session, request.login, nullptr, now)
                           : Result<std::string>(reader.error());
  if (account) {
    guesses_.right(user, address, now);
    return nonce_counts(*request.login, spend)
               ? std::nullopt
               : std::optional(refusal(request.path, Error{Fault::unauthentic, brski::masa::kNonceOld}));
  }
  const bool wrong = account.error().rule == &brski::masa::kLogin;
  const bool looked_at = request.login->digest ? site_->policy.digest : site_->policy.basic;
  if (wrong && looked_at) {
    guesses_.wrong(user, address, now);
  }
  return refusal(request.path, wrong ? account.error() : Error{Fault::unreachable, brski::masa::kBusy});
}

Result<std::string> MasaServer::bulk_account(const Request& request) {
  auto reader = store_.read();
  auto account =
      reader ? factory::account_of(site_->policy, **reader, *request.session, request.login, nullptr, schedule_.now())
             : Result<std::string>(reader.error());
  const bool trouble = !account && account.error().rule == nullptr;
  CHECK_OR(!trouble && https_ != nullptr, Error{Fault::unreachable, brski::masa::kBusy});
  TRY(std::string id, std::move(account));
  CHECK_OR(!id.empty(), Error{Fault::refused, brski::masa::kBulkUnknown});
  return id;
}

void MasaServer::take(Exchange from, Request request) {
  if (halted_) {
    if (is_bulk(request)) {  // its body came with its head: nobody has told it yet
      front_->reply(from, refusal(kMasaBulkPath, Error{Fault::unreachable, brski::masa::kBusy}));
    }
    return;
  }
  if (const auto answer = public_answer(request)) {
    front_->reply(from, *answer);
    return;
  }
  if (site_->cloud && CloudRegistrar::is_for(request, *site_->cloud, schedule_.now())) {
    cloud_.take(from, std::move(request), site_->cloud);
    return;
  }
  if (!is_ours(request.path) || request.method != Method::post) {
    const bool ours = is_ours(request.path);
    Response out = refusal(request.path, ours ? Error{Fault::unexpected, brski::masa::kMethod}
                                              : Error{Fault::unsupported, brski::masa::kNoPath});
    out.allow = ours ? "POST" : "";
    front_->reply(from, out);
    return;
  }
  if (request.path == kMasaBulkPath) {
    bodies_.erase(request.session->id);  // it has come
  }
  if (const auto refused = refuse_login(request, true)) {
    front_->reply(from, *refused);
    return;
  }
  // Who means to answer a challenge may well ask for it first, with nothing (curl does).
  if (request.body.empty() && !request.login && site_->policy.digest) {
    front_->reply(from, refusal(request.path, Error{Fault::unauthentic, brski::masa::kLoginWanted}));
    return;
  }
  if (request.path == kMasaBulkPath) {
    take_bulk(from, std::move(request));
    return;
  }
  const bool bare = brski::form_of(request.body).has_value();
  const bool in_base64 = !bare && takes_base64(request);
  // Who it is would say whether its registrars send base64, and clients log in where they are asked to.
  if (!bare && !in_base64 && may_be_customer(request, *site_) && is_artifact_in_base64(request.body)) {
    front_->reply(from, refusal(request.path, Error{Fault::unauthentic, brski::masa::kLoginWanted}));
    return;
  }
  Asked asked;
  asked.for_log = brski::operation_of(request.path) == brski::Operation::request_audit_log;
  asked.what = {from,
                request.session,
                request.login,
                std::move(request.body),
                std::move(request.content_type),
                std::move(request.accept),
                in_base64};
  asked.answer = [this, from](const Response& answer) {
    of_exchange_.erase(from.id);
    front_->reply(from, answer);
  };
  of_exchange_[from.id] = next_;
  begin(std::move(asked));
}

void MasaServer::take_bulk(Exchange from, Request request) {
  const auto account = bulk_account(request);
  const Status place = account ? bulk_place(*account) : Status(account.error());
  if (!place) {
    front_->reply(from, refusal(kMasaBulkPath, place.error()));
    return;
  }
  const auto body = std::make_shared<const Bytes>(std::move(request.body));
  auto items = parse_bulk(as_text(*body), site_->most_at_once);
  if (!items) {
    front_->reply(from, refusal(kMasaBulkPath, items.error()));
    return;
  }
  front_->known(from);
  Response head;
  head.status = 200;
  head.content_type = kLinesType;
  if (!https_->start_stream(from, head)) {
    return;
  }
  tell({kMasaBulkPath, 200, {}, *account, {}});
  if (!pool_) {
    pool_ = std::make_unique<WorkPool>(WorkPool::cores());
  }
  std::shared_ptr<BulkCommon> common(
      new BulkCommon{site_, store_, schedule_, request.session, request.login, body, pool_->queue()});
  const auto call = std::make_shared<BulkCall>(*this, from, *account, std::move(common), *std::move(items));
  bulk_[from.id] = call;
  call->go_on();
}

std::uint64_t MasaServer::begin(Asked asked) {
  const std::uint64_t id = next_++;
  begin_again(id, std::move(asked));
  return id;
}

// Under the same id: whoever leaves meanwhile is found.
void MasaServer::begin_again(std::uint64_t id, Asked asked) {
  auto conversation = std::make_shared<Conversation>(*this, id, std::move(asked));
  conversations_[id] = conversation;
  conversation->start();
}

void MasaServer::finished(std::uint64_t id) {
  const auto it = conversations_.find(id);
  if (it == conversations_.end()) {
    return;
  }
  // The engine is still on the stack: let it go when the loop comes round.
  schedule_.post([dead = std::move(it->second)] {});
  conversations_.erase(it);
}

void MasaServer::gone(Exchange from) {
  cloud_.gone(from);
  if (const auto call = bulk_.find(from.id); call != bulk_.end()) {
    call->second->leave();
    bulk_.erase(call);
    return;
  }
  const auto id = of_exchange_.find(from.id);
  if (id == of_exchange_.end()) {
    return;
  }
  const auto it = conversations_.find(id->second);
  of_exchange_.erase(id);
  if (it != conversations_.end()) {
    const auto keep = it->second;
    keep->leave();
  }
}

}  // namespace imprint
