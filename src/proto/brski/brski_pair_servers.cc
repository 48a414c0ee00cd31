// The two that answer: the registrar with its records, and the MASA with its own.
#include <algorithm>

#include "proto/brski/brski_pair.h"
#include "proto/brski/masa_rules.h"
#include "proto/brski/registrar_rules.h"
#include "proto/brski/wire.h"

namespace imprint::brski::testing {
namespace {

template <class... F>
struct Cases : F... {
  using F::operator()...;
};
template <class... F>
Cases(F...) -> Cases<F...>;  // clang 14 deduces none for aggregates

const Error kPowerOff{Fault::unreachable, "connection: ended"};

std::vector<Certificate> chain_of(const CertificateChain& chain) {
  std::vector<Certificate> out{chain.leaf};
  out.insert(out.end(), chain.via.begin(), chain.via.end());
  out.push_back(chain.anchor);
  return out;
}

// What may have been pinned by an earlier voucher, if it was for this domain.
bool leads_to(const CertificateChain& chain, const Bytes& pinned_key) {
  return std::ranges::any_of(chain_of(chain),
                             [&](const Certificate& c) { return equal(sha256(c.key.spki), pinned_key); });
}

// As the store changes a row with each fact (store/pledges.cc).
void apply(std::map<std::string, PledgeRow>& rows, const VoucherObtained& fact, Instant at) {
  PledgeRow& row = rows[fact.id.serial];
  row.id = fact.id;
  row.device = fact.device;
  row.stage = PledgeStage::vouchered;
  row.cleared = false;
  row.request = fact.request.empty() ? row.request : fact.request;
  row.voucher = fact.voucher;
  row.domain_id = fact.domain_id;
  row.vouchered = at;
  row.rule.clear();
}

void apply(std::map<std::string, PledgeRow>& rows, const VoucherReported& fact) {
  PledgeRow& row = rows[fact.id.serial];
  row.stage = fact.told.status ? PledgeStage::imprinted : PledgeStage::refused;
  row.cleared = fact.told.status && fact.cleared;
  row.rule = fact.rule;
  row.log = fact.log;
}

// EST is closed to a device whose voucher is not accepted, or whose past is not clear (RFC 8995 section 5.8.3).
bool est_is_open(const RegistrarSide& at, const Session& session) {
  if (!session.proven || (*session.proven)->anchor != players().maker.certificate) {
    return true;
  }
  const auto row = at.rows.find(serial_of((*session.proven)->leaf));
  return row != at.rows.end() && row->second.cleared;
}

}  // namespace

// One request's way through the registrar.
struct Trio::RegistrarRun {
  RegistrarSide& at;
  std::deque<Registrar::Input> inputs;
  Registrar::State state = Registrar::Idle{};
  std::optional<Response> reply;
};

// ---- the registrar ----

Result<Response> Trio::serve(RegistrarSide& at, Request request, const SessionRef& session) {
  request.session = session;
  if (operation_of(request.path)) {
    auto out = serve_brski(at, request);
    if (out) {
      heard(Player::registrar, *out);
    }
    return out;
  }
  if (!est_is_open(at, *session)) {
    Response early{403, "text/plain", to_bytes("not yet (BRSKI-EST-EARLY, RFC 8995 section 5.8.3)\n")};
    heard(Player::registrar, early);
    return early;
  }
  at.est.now = now;
  return at.est.serve(request, session);
}

Result<Response> Trio::serve_brski(RegistrarSide& at, const Request& request) {
  auto message = parse_registrar_request({7}, request);
  if (!message) {
    return wire_error(message.error());
  }
  RegistrarRun run{at, {}, Registrar::Idle{}, {}};
  std::visit([&](auto&& m) { run.inputs.emplace_back(std::forward<decltype(m)>(m)); }, *std::move(message));
  const Registrar role(std::make_shared<const RegistrarConfig>(at.config));
  for (; !run.inputs.empty(); run.inputs.pop_front()) {
    Registrar::Turn turn(now, rng_, ticket_);
    auto next = step(role, run.state, run.inputs.front(), turn);
    if (!next) {
      return wire_error(next.error());
    }
    ticket_ = turn.next_ticket();
    run.state = *std::move(next);
    for (const auto& action : turn.take_actions()) {
      if (off(Player::registrar)) {
        return kPowerOff;
      }
      perform(run, action);
    }
  }
  return run.reply ? Result<Response>(*run.reply) : Result<Response>(kPowerOff);
}

void Trio::perform(RegistrarRun& run, const Registrar::Turn::Action& action) {
  std::visit(Cases{
                 [&](const Reply& a) { run.reply = a.what; },
                 [&](const Open& a) { open(run, a); },
                 [&](const SendRequest& a) { send(run, a); },
                 [&](const Ask<AdmitPledge>& a) {
                   run.inputs.emplace_back(Done<AdmitPledge::Decision>{{a.ticket}, admit(run.at, a.question)});
                 },
                 [&](const Ask<RecallPledge>& a) {
                   run.inputs.emplace_back(Done<RecallPledge::Recalled>{{a.ticket}, recall(run.at, a.question)});
                 },
                 [&](const Ask<SignRequestArtifact>& a) {
                   Voucher what = a.question.what;
                   Signer by{run.at.who.key, run.at.config.chain};
                   by.chain.insert(by.chain.end(), a.question.along.begin(), a.question.along.end());
                   if (registrar_signs) {
                     registrar_signs(what, by);
                   }
                   run.inputs.emplace_back(Done<Bytes>{
                       {a.ticket},
                       sign_voucher(what, a.question.form, by, a.question.content_type, a.question.named_voucher)});
                 },
                 [&](const Note<VoucherObtained>& a) {
                   run.at.obtained.push_back(a.fact.voucher);
                   apply(run.at.rows, a.fact, now);
                 },
                 [&](const Note<VoucherReported>& a) {
                   if (!a.fact.rule.empty()) {
                     rules.emplace(Player::registrar, a.fact.rule);
                   }
                   apply(run.at.rows, a.fact);
                 },
                 [&](const Note<EnrolmentReported>& a) { run.at.rows[a.fact.id.serial].enrolled = now; },
                 [&](const Note<PledgeRefused>& a) { rules.emplace(Player::registrar, a.fact.rule); },
                 [](const auto&) {},
             },
             action);
}

void Trio::open(RegistrarRun& run, const Open& action) {
  const auto answer = [&](Result<SessionRef> r) {
    run.inputs.emplace_back(Done<SessionRef>{{action.ticket}, std::move(r)});
  };
  const std::uint64_t id = ++session_;
  Session client{id, action.trust, action.to.host, {masa.server.certificate}, {}, {}, "TLSv1.3"};
  Session server{id, Trust::anchors, {}, run.at.config.chain, {}, {}, "TLSv1.3"};
  if (upstream.on_session) {
    upstream.on_session(client, server);
  }
  const auto path = verify_chain(client.presented.front(), client.presented, action.anchors, {Purpose::any, now, true});
  if (!path) {
    return answer(path.error());
  }
  client.proven = *path;
  to_masa_[id] = std::make_shared<const Session>(server);
  answer(std::make_shared<const Session>(client));
}

void Trio::send(RegistrarRun& run, const SendRequest& action) {
  const auto answer = [&](Result<Response> r) {
    run.inputs.emplace_back(Done<Response>{{action.ticket}, std::move(r)});
  };
  if (upstream.before) {
    if (const auto why = upstream.before(action.what)) {
      return answer(*why);
    }
  }
  Request request = action.what;
  if (upstream.on_request) {
    upstream.on_request(request);
  }
  asked_masa.push_back(request);
  Result<Response> out = ask_masa(request, to_masa_.at(action.session));
  if (out) {
    heard(Player::masa, *out);
  }
  if (out && upstream.on_response) {
    upstream.on_response(*out, action.what);
  }
  if (const auto why = upstream.after ? upstream.after(action.what) : std::nullopt) {
    out = *why;
  }
  answer(std::move(out));
}

Result<AdmitPledge::Decision> Trio::admit(const RegistrarSide& at, const AdmitPledge& question) const {
  const Certificate& leaf = (*question.session->proven)->leaf;
  AdmitPledge::Decision out;
  out.verdict = at.verdict;
  out.id = {serial_of(leaf), issuer_key_id(leaf), to_bytes(sha256(leaf.key.spki))};
  out.device = out.id.serial;
  out.retry_after = std::chrono::seconds(5);
  out.rule = &kNoIdevid;
  out.masa = at.masa;
  if (const auto row = at.rows.find(out.id.serial); row != at.rows.end() && !row->second.voucher.empty()) {
    out.kept = row->second.voucher;
  }
  return out;
}

Result<RecallPledge::Recalled> Trio::recall(const RegistrarSide& at, const RecallPledge& question) const {
  const CertificateChain& chain = **question.session->proven;
  RecallPledge::Recalled out;
  if (chain.anchor == players().maker.certificate) {
    const auto row = at.rows.find(serial_of(chain.leaf));
    CHECK_OR(row != at.rows.end() && row->second.vouchered, Error{Fault::refused, kNoIdevid});
    out.row = row->second;
    out.masa = at.masa;
    return out;
  }
  const bool ours =
      std::ranges::any_of(at.est.issued, [&](const Issued& i) { return i.certificate == chain.leaf.der; });
  const auto row = at.rows.find(serial_of(device.idevid.certificate));
  CHECK_OR(ours && row != at.rows.end(), Error{Fault::refused, kNoIdevid});
  out.row = row->second;
  out.certificate = hex(chain.leaf.serial);
  return out;
}

// ---- the MASA ----

Result<Response> Trio::ask_masa(const Request& request, const SessionRef& session) {
  Masa::Asked asked{{9}, session, {}, request.body, request.content_type, request.accept};
  std::deque<Masa::Input> inputs;
  if (request.path.ends_with(kRequestAuditLog)) {
    inputs.emplace_back(Masa::RequestAuditLog{std::move(asked)});
  } else {
    inputs.emplace_back(Masa::RequestVoucher{std::move(asked)});
  }
  const Masa role(std::make_shared<const MasaConfig>(masa.config));
  Masa::State at = Masa::Idle{};
  std::optional<Response> reply;
  std::uint64_t ticket = 1;
  for (; !inputs.empty(); inputs.pop_front()) {
    Masa::Turn turn(now, rng_, ticket);
    auto next = step(role, at, inputs.front(), turn);
    if (!next) {
      return masa_error(next.error());
    }
    ticket = turn.next_ticket();
    at = *std::move(next);
    for (const auto& action : turn.take_actions()) {
      if (off(Player::masa)) {
        return kPowerOff;
      }
      std::visit(
          Cases{
              [&](const Reply& a) { reply = a.what; },
              [&](const Ask<FindIdevid>& a) {
                const auto known = masa.devices.find(a.question.serial);
                inputs.emplace_back(Done<std::vector<Certificate>>{
                    {a.ticket}, known == masa.devices.end() ? std::vector<Certificate>{} : std::vector{known->second}});
              },
              [&](const Ask<JudgeClaim>& a) {
                JudgeClaim::Ruling ruling = judge(a.question);
                if (on_ruling) {
                  on_ruling(ruling);
                }
                inputs.emplace_back(Done<JudgeClaim::Ruling>{{a.ticket}, std::move(ruling)});
              },
              [&](const Ask<ReadDeviceLog>& a) {
                inputs.emplace_back(Done<ReadDeviceLog::Log>{{a.ticket}, read_log(a.question)});
              },
              [&](const Ask<SignVoucher>& a) {
                Voucher what = a.question.what;
                Signer by{masa.signer.key, {masa.signer.certificate}};
                if (masa_signs) {
                  masa_signs(what, by);
                }
                inputs.emplace_back(Done<Bytes>{{a.ticket}, sign_voucher(what, a.question.form, by)});
              },
              [&](const Note<Vouched>& a) { masa.log.push_back(a.fact); },
              [&](const Note<ClaimRefused>& a) { rules.emplace(Player::masa, a.fact.rule); },
              [](const auto&) {},
          },
          action);
    }
  }
  return reply ? Result<Response>(*reply) : Result<Response>(kPowerOff);
}

// As a MASA decides that lets whoever asks first have a device (factory/masa_policy.cc).
JudgeClaim::Ruling Trio::judge(const JudgeClaim& question) const {
  JudgeClaim::Ruling out;
  const RequestFacts& facts = *question.facts;
  const std::string serial = facts.request.serial_number.value_or("");
  const auto known = masa.devices.find(serial);
  if (known == masa.devices.end()) {
    out.rule = &masa::kDeviceUnknown;
    return out;
  }
  out.device = DeviceKey{issuer_key_id(known->second), serial};
  out.customer = masa.knows_registrars ? "customer" : "";
  out.assertion = facts.assertion;
  out.lifetime = 30 * est::kDay;
  out.verdict = JudgeClaim::Ruling::Verdict::grant;
  for (const Vouched& before : masa.log) {
    if (before.device.serial == serial && !leads_to(facts.registrar, before.pinned_key)) {
      out.verdict = JudgeClaim::Ruling::Verdict::refused;
      out.rule = &masa::kClaimed;
    } else if (before.request == question.request && before.form == question.form) {
      out.verdict = JudgeClaim::Ruling::Verdict::already;
      out.voucher = before.voucher;
    }
  }
  return out;
}

ReadDeviceLog::Log Trio::read_log(const ReadDeviceLog& question) const {
  ReadDeviceLog::Log out;
  out.log.events = masa.history;
  for (const Vouched& one : masa.log) {
    if (one.device.serial == question.facts->request.serial_number) {
      out.entitled = out.entitled || leads_to(question.facts->registrar, one.pinned_key);
      out.log.events.push_back({DateTime::of(now), one.domain_id, one.nonce, one.assertion, 0});
    }
  }
  return out;
}

void Trio::order_nonceless() {
  RegistrarSide& at = owner();
  Voucher what;
  what.kind = Voucher::Kind::request;
  what.serial_number = serial_of(device.idevid.certificate);
  what.idevid_issuer = encode_idevid_issuer(issuer_key_id(device.idevid.certificate));
  what.created_on = DateTime::of(now);
  Request request{Method::post,
                  path_of(Operation::request_voucher),
                  {},
                  std::string(media_type(plan.form)),
                  std::string(media_type(plan.form)),
                  *sign_voucher(what, plan.form, {at.who.key, at.config.chain})};
  masa.knows_registrars = true;
  const auto answer = ask_masa(request, std::make_shared<const Session>());
  PledgeRow& row = at.rows[*what.serial_number];
  row.id.serial = *what.serial_number;
  row.request = request.body;
  row.voucher = answer ? answer->body : Bytes{};
}

}  // namespace imprint::brski::testing
