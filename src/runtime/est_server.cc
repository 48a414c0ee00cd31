#include "runtime/est_server.h"

#include <algorithm>

#include "proto/brski/coap.h"
#include "proto/est/rules.h"
#include "runtime/engine.h"
#include "runtime/est_words.h"
#include "site/key_delivery.h"
#include "site/rules.h"

namespace imprint {
namespace {

constexpr std::string_view kActor = "est";
constexpr const char* kLeft = "the client has left; the certificate is signed and recorded all the same";
constexpr const char* kLeftKeyless = "the client has left before its key was made; nothing is signed";
constexpr std::string_view kRevocationListPath = "/.well-known/imprint/crl";
constexpr std::string_view kDiscoveryPath = "/.well-known/core";

// How device and server know each other.
std::string known_by(const Session& session, const std::optional<Login>& login) {
  if (session.protocol.starts_with("DTLS")) {
    return "coaps";
  }
  return session.proven ? "certificate" : !session.srp_user.empty() ? "srp" : login ? "secret" : "nobody";
}

std::string mode_of(const est::Server::Enrol& m) { return m.renewal ? "renewal" : known_by(*m.session, m.login); }

std::string mode_of(const est::Server::GenerateKey& m) { return "server key, " + known_by(*m.session, m.login); }

// Which device it is about, as far as that is proven: the policy names it only when it goes on with it.
std::string device_of(const Decision& decision, const Session& session, store::Reader& reader) {
  if (!decision.grant.device.empty()) {
    return decision.grant.device;
  }
  if (decision.secret) {
    return (*decision.secret)->device;
  }
  if (!session.proven) {
    return {};
  }
  if (!decision.device_identity.empty()) {
    const auto device = reader.device_by_identity(decision.device_identity);
    return device && *device ? (*device)->id : std::string();
  }
  const auto current = reader.certificate((*session.proven)->leaf.serial);
  return current && *current && (*current)->der == (*session.proven)->leaf.der ? (*current)->device : std::string();
}

std::size_t size_of(const Response& r) {
  std::size_t out = r.body.size();
  for (const Part& part : r.parts) {
    out += part.body.size();
  }
  return out;
}

}  // namespace

// One request's way through the server role. Kept alive by the map, and by whoever waits for the store on its behalf.
class EstServer::Conversation : public std::enable_shared_from_this<Conversation> {
 public:
  // An enrolment is told to the journal; a GET is not an onboarding. `proven`: the asker's certificate was verified.
  Conversation(EstServer& server, Exchange from, Request asked, std::optional<est::FullExchange> full, std::string mode,
               bool enrolment, bool proven)
      : server_(server),
        site_(server.site_),
        from_(from),
        asked_(std::move(asked)),
        full_(std::move(full)),
        recorder_("est", std::move(mode), "server", server.schedule_.now(), server.rng_,
                  enrolment ? &server.journal_ : nullptr),
        engine_(est::Server(std::shared_ptr<const est::ServerConfig>(site_, &site_->est)), *this, est::Server::Idle{}) {
    recorder_.run().anonymous = !proven;  // until the policy knows who asks
  }

  void feed(est::Server::Input input) { engine_.feed(std::move(input)); }
  void halt() { engine_.halt(); }

  // ---- what the engine needs ----
  Instant now() const { return server_.schedule_.now(); }
  Rng& rng() { return server_.rng_; }

  void perform(const Reply& reply) {
    recorder_.count_request(size_of(reply.what), 0);
    result_of(reply.what.status);
    server_.reply(reply.to, reply.what, asked_, full_);
  }
  void perform(const Learn& learn) { recorder_.learned(learn.change); }
  void perform(Ask<Admit> ask) {
    auto reader = server_.store_.read();
    Result<Decision> answer =
        reader ? site::admit(site_->policy, **reader, ask.question, now()) : Result<Decision>(reader.error());
    if (answer) {
      if (answer->verdict != Verdict::unauthenticated) {
        server_.front_->known(from_);
      }
      // Strangers are not kept: whoever has no credentials must not be able to fill the disk.
      recorder_.run().anonymous = answer->verdict == Verdict::unauthenticated;
      recorder_.run().device = reader ? device_of(*answer, *ask.question.session, **reader) : std::string();
      decision_ = *answer;
    } else {
      trouble_ = answer.error();
    }
    feed(Done<Decision>{{ask.ticket}, std::move(answer)});
  }
  void perform(const Ask<MakeKeyFor>& ask) {
    const KeyDelivery& delivery = ask.question.delivery;
    site::WrapMeans means{{site_->key_signer}, site_->policy.pepper};
    if (!site_->signer) {  // this loop waits for no token
      means.signers.push_back({site_->ca.key, site_->ca.chain()});
    }
    if (!site_->keys || !takes_long(delivery.type)) {
      key_made(ask.ticket, site::make_key_for(delivery, means));
      return;
    }
    // Not kept alive by the thread: a client that leaves wants no key any more.
    const std::weak_ptr<Conversation> weak = weak_from_this();
    site_->keys->make({delivery, means, decision_ ? decision_->grant.device : std::string(), now(), weak},
                      [weak, gate = server_.gate_, ticket = ask.ticket](Result<MadeKey> made) {
                        gate->post([weak, ticket, made = std::move(made)] {
                          if (const auto self = weak.lock()) {
                            self->key_made(ticket, made);
                          }
                        });
                      });
  }
  void perform(const Ask<Issue>& ask) {
    if (!site_->signer) {
      auto der = site::issue(site_->ca, ask.question.grant, now(), rng());
      signed_by_ca(ask.ticket, der ? Result<Signed>(Signed{*std::move(der)}) : der.error());
      return;
    }
    auto self = shared_from_this();
    site_->signer->issue(ask.question, now(), [self, gate = server_.gate_, ticket = ask.ticket](Result<Signed> answer) {
      gate->post([self, ticket, answer = std::move(answer)] { self->signed_by_ca(ticket, answer); });
    });
  }
  void perform(const SendRequest&) { assert(false && "the EST server asks nobody"); }
  void perform(const Open&) { assert(false && "the EST server opens nothing"); }
  void perform(const Close&) { assert(false && "the EST server closes nothing"); }
  void perform(const Arm&) { assert(false && "the EST server arms nothing"); }

  void keep(Note<Issued> note, std::function<void(Status)> done) {
    recorder_.run().obtained.push_back("certificate " + note.fact.grant.names.subject.text);
    issued_ = certificate_words(note.fact.certificate);
    note.fact.run = recorder_.run().id;
    submit([fact = std::move(note.fact), at = now()](store::Writer& w) { return w.issued(fact, at, kActor); },
           std::move(done));
  }
  void keep(Note<Pended> note, std::function<void(Status)> done) {
    submit([fact = std::move(note.fact), at = now()](store::Writer& w) { return w.pended(fact, at, kActor); },
           std::move(done));
  }
  void keep(Note<Denied> note, std::function<void(Status)> done) {
    submit([fact = std::move(note.fact), at = now()](store::Writer& w) { return w.denied(fact, at, kActor); },
           std::move(done));
  }

  void acted() {
    if (server_.acted_) {
      server_.acted_();
    }
  }
  void entered(const est::Server::State& state, std::string_view name) {
    if (const auto* const admitting = std::get_if<est::Server::Admitting>(&state)) {
      recorder_.entered(name, accepted_words(*admitting, site_->est), now());
    } else if (std::holds_alternative<est::Server::Keying>(state)) {
      recorder_.entered(name, decided_words(*decision_), now());
    } else if (std::holds_alternative<est::Server::Issuing>(state)) {
      recorder_.entered(name, std::exchange(granted_, true) ? kLeft : decided_words(*decision_), now());
    } else {
      tell_end(name);
      finish();
    }
  }
  void refused(const Error& error, const est::Server::Input& input) {
    if (std::holds_alternative<Gone>(input)) {
      return;
    }
    const auto* const enrol = std::get_if<est::Server::Enrol>(&input);
    const auto* const generate = std::get_if<est::Server::GenerateKey>(&input);
    const std::string who = enrol != nullptr      ? applicant_words(*enrol->session, enrol->login)
                            : generate != nullptr ? applicant_words(*generate->session, generate->login)
                                                  : std::string();
    recorder_.failed(state_name<est::Server>(engine_.state()), error, who, now());
    result_ = "refused";
    if (full_) {
      est::blame(*full_, error);
    }
    server_.reply(from_, est::wire_error(error), asked_, full_);
    finish();
  }
  void broken(const Error& error) {
    tell_trouble(state_name<est::Server>(engine_.state()), error);
    result_ = error.rule != nullptr ? "refused" : "failed";
    // Without a rule it is the store's trouble, or another request with the same key or token got there first: the
    // client may simply ask again and get its answer.
    const Error told = error.rule != nullptr ? error : Error{Fault::unreachable, est::kSignerSilent};
    server_.reply(from_, est::wire_error(told), asked_, full_);
    finish();
  }

 private:
  void key_made(std::uint64_t ticket, Result<MadeKey> made) {
    if (!std::holds_alternative<est::Server::Keying>(engine_.state())) {
      return;  // the client has left meanwhile
    }
    if (made) {
      made = still_wanted(*std::move(made));
    }
    if (!made) {
      trouble_ = made.error();
    }
    feed(Done<MadeKey>{{ticket}, std::move(made)});
  }
  // A shared key may have been forgotten while the key that it wraps waited to be made: it may be in other hands.
  Result<MadeKey> still_wanted(MadeKey made) {
    TRY(const auto reader, server_.store_.read());
    TRY(Ok{}, site::check_wrap_key(*reader, *decision_->delivery));
    return made;
  }
  void signed_by_ca(std::uint64_t ticket, Result<Signed> answer) {
    if (answer && answer->handed_on && !answer->certificate.empty()) {
      answer = against_record(*std::move(answer));
    }
    if (!answer) {
      trouble_ = answer.error();
    } else if (answer->certificate.empty()) {
      later_ = answer->retry_after;
    } else if (answer->on_record) {
      issued_ = certificate_words(answer->certificate);
    }
    feed(Done<Signed>{{ticket}, std::move(answer)});
  }
  // Another CA chooses its serial numbers as it likes, and may answer a request twice with one certificate.
  Result<Signed> against_record(Signed answer) const {
    TRY(const auto reader, server_.store_.read());
    TRY(const Certificate certificate, Certificate::parse(answer.certificate));
    TRY(const auto row, reader->certificate(certificate.serial));
    answer.on_record = row && row->der == answer.certificate && row->device == decision_->grant.device && !row->revoked;
    CHECK_OR(!row || answer.on_record, Error{Fault::refused, est::kUpstreamSerial});
    return answer;
  }
  // The last step: what the client got, or the rule that kept it from it.
  void tell_end(std::string_view state) {
    if (trouble_) {
      tell_trouble(state, *trouble_);
    } else if (!issued_.empty()) {
      recorder_.entered(state, issued_ + "; on record before anybody gets it", now());
    } else if (later_) {
      recorder_.run().rule = est::kUpstreamWaits.id;
      recorder_.entered(state, std::string(est::kUpstreamWaits.what) + "; " + waiting_words(202, *later_), now(),
                        std::string(est::kUpstreamWaits.next));
    } else if (!decision_) {  // a question that was answered, or a client that left
      recorder_.entered(state, {}, now());
    } else if (decision_->verdict == Verdict::issue) {
      result_ = "failed";
      recorder_.entered(state, kLeftKeyless, now());
    } else if (decision_->verdict == Verdict::already) {
      recorder_.entered(
          state,
          decided_words(*decision_) + "; the answer of before again: " + certificate_words(decision_->certificate),
          now());
    } else if (decision_->verdict == Verdict::pending) {
      const Rule& rule = decision_->rule != nullptr ? *decision_->rule : est::kRefused;
      recorder_.run().rule = rule.id;
      recorder_.entered(state, decided_words(*decision_) + "; " + waiting_words(202, decision_->retry_after), now(),
                        &rule == &site::kWaiting ? approval_words(recorder_.run().device) : std::string(rule.next));
    } else {
      const bool unknown = decision_->verdict == Verdict::unauthenticated;
      const Rule& rule = decision_->rule != nullptr ? *decision_->rule : unknown ? est::kWhoAreYou : est::kRefused;
      recorder_.failed(state, Error{unknown ? Fault::unauthentic : Fault::refused, rule}, decided_words(*decision_),
                       now());
    }
  }
  // CA and store have no rules of their own; to the client they are one.
  void tell_trouble(std::string_view state, const Error& error) {
    if (error.rule != nullptr) {
      recorder_.failed(state, error, {}, now());
    } else {
      recorder_.failed(state,
                       Error{error.fault, error.fault == Fault::refused ? est::kSignerRefused : est::kSignerSilent},
                       std::string(error.what), now());
    }
  }
  void submit(store::Store::Change change, std::function<void(Status)> done) {
    auto self = shared_from_this();
    server_.store_.submit(std::move(change), [self, gate = server_.gate_, done = std::move(done)](Status kept) {
      gate->post([self, kept, done] { done(kept); });
    });
  }
  void result_of(int status) {
    result_ = status == 200 ? "operational" : status == 202 ? "pending" : status >= 500 ? "failed" : "refused";
  }
  void finish() {
    recorder_.end(result_, now());
    server_.finished(from_.id);
  }

  EstServer& server_;
  std::shared_ptr<const EstSite> site_;
  Exchange from_;
  Request asked_;                          // without its body: for the form of the answer
  std::optional<est::FullExchange> full_;  // the answer goes in an envelope
  std::optional<Decision> decision_;
  std::optional<Error> trouble_;   // of the store or the CA
  std::optional<Duration> later_;  // the CA has to be asked again
  std::string issued_;             // the certificate, in words, once it is to be recorded
  bool granted_ = false;           // the step with the decision has been told
  std::string result_ = "answered";
  Recorder recorder_;
  Engine<est::Server, Conversation> engine_;
};

EstServer::EstServer(io::Schedule& schedule, store::Store& store, Rng& rng, Journal& journal,
                     std::shared_ptr<const EstSite> site)
    : schedule_(schedule),
      gate_(std::make_shared<io::Gate>(schedule)),
      store_(store),
      rng_(rng),
      journal_(journal),
      site_(std::move(site)) {}

EstServer::~EstServer() { gate_->close(); }

io::HttpsServer::Handlers EstServer::handlers() {
  io::HttpsServer::Handlers out;
  out.request = [this](Exchange from, Request request) { take(from, std::move(request)); };
  out.gone = [this](Exchange from) { gone(from); };
  out.handshake_failed = [](std::uint64_t, const Error&) {};
  return out;
}

Status EstServer::listen(io::Loop& loop, io::HttpsServerOptions options) {
  TRY(auto https, io::HttpsServer::listen(loop, std::move(options), handlers()));
  https_ = https.get();
  attach(std::move(https), Binding::https);
  return Ok{};
}

Status EstServer::listen(io::Loop& loop, io::CoapsServerOptions options) {
  io::CoapsServer::Handlers handlers;
  handlers.request = [this](Exchange from, Request request) { take(from, std::move(request)); };
  handlers.gone = [this](Exchange from) { gone(from); };
  TRY(auto coaps, io::CoapsServer::listen(loop, rng_, std::move(options), std::move(handlers)));
  coaps_ = coaps.get();
  attach(std::move(coaps), Binding::coaps);
  return Ok{};
}

void EstServer::attach(std::unique_ptr<io::RequestServer> front, Binding binding) {
  front_ = std::move(front);
  binding_ = binding;
}

void EstServer::serve_registrar(std::unique_ptr<io::RequestClient> masa) {
  registrar_ =
      std::make_unique<RegistrarServer>(schedule_, store_, rng_, journal_, std::move(masa),
                                        [this](Exchange to, const Response& answer) { front_->reply(to, answer); });
  registrar_->on_acted(acted_);
}

void EstServer::on_acted(std::function<void()> acted) {
  acted_ = std::move(acted);
  if (registrar_) {
    registrar_->on_acted(acted_);
  }
}

void EstServer::halt() {
  halted_ = true;
  if (registrar_) {
    registrar_->halt();
  }
  for (const auto& [id, conversation] : conversations_) {
    conversation->halt();
  }
}

void EstServer::take(Exchange from, Request request) {
  if (halted_) {
    return;
  }
  if (const auto open_to_all = public_answer(request)) {
    front_->reply(from, *open_to_all);
    return;
  }
  const auto registrar_binding = binding_ == Binding::coaps ? RegistrarBinding::coaps : RegistrarBinding::https;
  if (registrar_ && site_->registrar && RegistrarServer::is_for(request, registrar_binding)) {
    registrar_->take(from, std::move(request), registrar_binding, site_->registrar,
                     std::shared_ptr<const site::Policy>(site_, &site_->policy));
    return;
  }
  auto [full, message] = parse(from, request);
  if (!message) {
    reply(from, est::wire_error(message.error()), request, full);
    return;
  }
  request.body.clear();
  request.login.reset();
  const auto* enrol = std::get_if<est::Server::Enrol>(&*message);
  const auto* generate = std::get_if<est::Server::GenerateKey>(&*message);
  const SessionRef session = enrol != nullptr ? enrol->session : generate != nullptr ? generate->session : nullptr;
  std::string mode = enrol != nullptr ? mode_of(*enrol) : generate != nullptr ? mode_of(*generate) : "question";
  if (full) {
    mode = "fullcmc, " + mode;
  }
  auto conversation = std::make_shared<Conversation>(*this, from, std::move(request), std::move(full), std::move(mode),
                                                     session != nullptr, session && session->proven.has_value());
  conversations_.emplace(from.id, conversation);
  std::visit([&](auto&& m) { conversation->feed(std::forward<decltype(m)>(m)); }, *std::move(message));
}

// What is no EST, and no secret: the revocation list, and what CoAP calls discovery.
std::optional<Response> EstServer::public_answer(const Request& request) const {
  if (binding_ == Binding::coaps) {
    return request.path == kDiscoveryPath ? std::optional(resources(request)) : std::nullopt;
  }
  std::string_view path = request.path;
  if (request.method != Method::get || !path.starts_with(kRevocationListPath)) {
    return std::nullopt;
  }
  path.remove_prefix(kRevocationListPath.size());
  const auto former = std::ranges::find_if(
      site_->former, [&](const FormerCa& f) { return path == "/" + site::issuer_id(f.ca.certificate); });
  if (!path.empty() && former == site_->former.end()) {
    return std::nullopt;
  }
  const Bytes& list = path.empty() ? site_->revocation_list : former->revocation_list;
  return list.empty() ? Response{404} : Response{200, "application/pkix-crl", list};
}

// One list for all that is served on the port.
Response EstServer::resources(const Request& request) const {
  if (!registrar_ || !site_->registrar) {
    return est::discovery(request, site_->est);
  }
  std::vector<Link> links = est::coap_resources(site_->est);
  std::ranges::move(brski::registrar_resources(), std::back_inserter(links));
  return brski::list_resources(request, links);
}

est::HttpRequest EstServer::parse(Exchange from, const Request& request) const {
  if (binding_ == Binding::coaps) {
    return {std::nullopt, est::parse_coap_request(from, request, site_->est)};
  }
  return est::parse_http_request(from, request, site_->est, schedule_.now(), answerer().key.operator bool());
}

void EstServer::reply(Exchange to, const Response& answer, const Request& asked,
                      const std::optional<est::FullExchange>& full) {
  Response out = est::wants_envelope(full, answer) ? in_envelope(*full, answer) : answer;
  out = binding_ == Binding::coaps ? est::to_coap(out, asked) : est::to_http(out, asked);
  front_->reply(to, out);
  wipe(out.body);  // it may be a key
}

// Who of us can sign CMS; without a key if nobody can.
Signer EstServer::answerer() const {
  const Signer ca =
      site_->signer ? Signer{} : Signer{site_->ca.key, site_->ca.chain()};  // this loop waits for no token
  for (const Signer& one : {site_->key_signer, ca}) {
    if (one.key && signs_cms(one.key.public_key().type)) {
      return one;
    }
  }
  return {};
}

Response EstServer::in_envelope(const est::FullExchange& full, const Response& answer) {
  std::array<std::uint8_t, 16> nonce{};
  rng_.fill(nonce);
  auto out = est::to_full_response(full, answer, answerer(), nonce, schedule_.now());
  return out ? *std::move(out) : est::wire_error(out.error());
}

void EstServer::gone(Exchange from) {
  if (registrar_) {
    registrar_->gone(from);
  }
  if (const auto it = conversations_.find(from.id); it != conversations_.end()) {
    const auto keep = it->second;
    keep->feed(Gone{from});
  }
}

void EstServer::finished(std::uint64_t exchange) {
  const auto it = conversations_.find(exchange);
  if (it == conversations_.end()) {
    return;
  }
  // The engine is still on the stack: let it go when the loop comes round.
  schedule_.post([dead = std::move(it->second)] {});
  conversations_.erase(it);
}

std::uint16_t EstServer::port() const { return front_->port(); }

std::uint16_t EstServer::wrapped_port() const { return coaps_ == nullptr ? std::uint16_t{0} : coaps_->wrapped_port(); }

void EstServer::set_tls(std::shared_ptr<io::TlsContext> tls) { https_->set_tls(std::move(tls)); }

void EstServer::set_dtls(std::shared_ptr<io::DtlsContext> dtls) { coaps_->set_context(std::move(dtls)); }

void EstServer::drain(Duration grace, std::function<void()> done) { front_->drain(grace, std::move(done)); }

io::HttpsServerStats EstServer::stats() const { return https_->stats(); }

io::CoapsServerStats EstServer::coaps_stats() const { return coaps_->stats(); }

}  // namespace imprint
