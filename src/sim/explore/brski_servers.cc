// What happens at the owners' servers and at the maker's: registrar, EST server, MASA, their stores and policies.
#include "crypto/cms.h"
#include "proto/brski/wire.h"
#include "proto/est/http.h"
#include "sim/explore/brski_step.h"

namespace imprint::explore::trio {

using brski::Operation;

namespace {

constexpr std::uint8_t kMostAgain = 4;  // as the MASA's server has it
constexpr std::string_view kEstActor = "est", kRegistrarActor = "brski", kMasaActor = "masa";

const Error kBroken{Fault::unreachable, "did not answer"};

template <class T>
Response refusal(const Error& why) {
  if constexpr (std::same_as<T, EstTalk>) {
    return est::wire_error(why);
  } else if constexpr (std::same_as<T, RegistrarTalk>) {
    return brski::wire_error(why);
  } else {
    return brski::masa_error(why);
  }
}

template <class T>
bool rests(const T& talk) {
  return is<typename T::Role::Idle>(talk.state);
}

Result<std::vector<Certificate>> certificates_in(const Response& answer) {
  TRY(const Bytes body, est::decode_body(answer.body));
  return parse_certs_only(body);
}

}  // namespace

bool asks(const Talk& talk) {
  return std::visit([](const auto& t) { return t.asked.has_value(); }, talk);
}

bool waits_for_store(const Talk& talk) {
  const auto stands_on_reading = []<class A>(const A&) {
    return std::same_as<A, Note<brski::Vouched>> || std::same_as<A, Note<Issued>>;
  };
  return std::visit([&](const auto& t) { return !t.todo.empty() && std::visit(stands_on_reading, t.todo.front()); },
                    talk);
}

bool is_busy(const Talk& talk) {
  const bool has_to_do = std::visit([](const auto& t) { return !t.todo.empty(); }, talk);
  return asks(talk) || (has_to_do && !waits_for_store(talk));
}

// ---- turns ----

template <class T>
auto Rules::Step::role(Place at) const {
  if constexpr (std::same_as<T, EstTalk>) {
    return est::Server(domain(at).est);
  } else if constexpr (std::same_as<T, RegistrarTalk>) {
    return brski::Registrar(domain(at).config);
  } else {
    return brski::Masa(cast_.masa_config);
  }
}

template <class T>
void Rules::Step::feed(Served& one, const typename T::Role::Input& input) {
  const std::array memo{std::uint64_t{one.talk} << 8U | number(one.at), one.exchange.id,
                        fingerprint(encode_state(input))};
  auto at = pools_.talked.find(memo);
  if (at == pools_.talked.end()) {
    T talk = std::get<T>(pools_.talks[one.talk]);
    SeededRng rng(1);
    typename T::Role::Turn turn(kNow, rng, awaited(talk.state) + 1);
    auto next = step(role<T>(one.at), talk.state, input, turn);
    if (next) {
      talk.state = *std::move(next);
      talk.todo = turn.take_actions();
      if constexpr (std::same_as<T, RegistrarTalk>) {
        if (setting_.plant == Plant::registrar_replies_before_note) {
          delay_saves<Note<VoucherObtained>, Reply>(talk.todo);
        }
      } else if constexpr (std::same_as<T, MasaTalk>) {
        if (setting_.plant == Plant::masa_replies_before_note) {
          delay_saves<Note<brski::Vouched>, Reply>(talk.todo);
        }
      }
    } else if (!is<Gone>(input)) {
      talk = T{};
      talk.todo.assign(1, Reply{one.exchange, refusal<T>(next.error())});
    }
    at = pools_.talked.emplace(memo, pools_.talks.id(std::move(talk))).first;
  }
  one.talk = at->second;
}

template void Rules::Step::feed<RegistrarTalk>(Served& one, const RegistrarTalk::Role::Input& input);

void Rules::Step::begin(Served& one, const Request& asked) {
  Request request = asked;
  request.session = one.session;
  const auto operation = brski::operation_of(request.path);
  if (one.at == Place::maker) {
    one.talk = pools_.talks.id(MasaTalk{});
    const brski::Masa::Asked what{one.exchange, one.session,          request.login,
                                  request.body, request.content_type, request.accept};
    if (operation == Operation::request_audit_log) {
      feed<MasaTalk>(one, brski::Masa::RequestAuditLog{what});
    } else {
      feed<MasaTalk>(one, brski::Masa::RequestVoucher{what});
    }
    return;
  }
  if (operation) {
    one.talk = pools_.talks.id(RegistrarTalk{});
    const auto message = brski::parse_registrar_request(one.exchange, request);
    message ? std::visit([&](const auto& m) { feed<RegistrarTalk>(one, m); }, *message) : refuse(one, message.error());
    return;
  }
  one.talk = pools_.talks.id(EstTalk{});
  const auto message = est::parse_request(one.exchange, request, *domain(one.at).est);
  message ? std::visit([&](const auto& m) { feed<EstTalk>(one, m); }, *message) : refuse(one, message.error());
}

void Rules::Step::feed_gone(Served& one) {
  std::visit(
      [&]<class T>(const T& talk) {
        if (!rests(talk)) {
          feed<T>(one, Gone{one.exchange});
        }
      },
      Talk(pools_.talks[one.talk]));
}

// It ends with this answer, and nothing else of it leaves.
void Rules::Step::refuse(Served& one, const Error& why) {
  std::visit(
      [&]<class T>(const T&) {
        T talk;
        talk.todo.assign(1, Reply{one.exchange, refusal<T>(why)});
        one.talk = pools_.talks.id(std::move(talk));
      },
      Talk(pools_.talks[one.talk]));
}

// It ends with its connection.
void Rules::Step::drop(Served& one) {
  one.talk = pools_.talks.id(EstTalk{});
  for (Line& x : lines_.edit()) {
    x.wire.cut = x.wire.cut || x.wire.server_side->id == one.session->id;
  }
}

// ---- what a conversation does ----

std::string Rules::Step::act_served(std::size_t i) {
  Served& one = served_.edit()[i];
  return std::visit(
      [&]<class T>(T talk) -> std::string {
        std::string name = one.at == Place::maker ? "maker: " : one.at == Place::owner ? "owner: " : "other owner: ";
        for (bool more = true; more;) {
          const auto action = std::move(talk.todo.front());
          talk.todo.erase(talk.todo.begin());
          more = is<Learn>(action) && !talk.todo.empty();  // nobody else sees it
          if (!more) {
            one.talk = pools_.talks.id(talk);
            name += action_name(action);
            act(one, talk, action);
          }
        }
        return name;
      },
      Talk(pools_.talks[one.talk]));
}

void Rules::Step::act(Served& one, const EstTalk& talk, const EstTalk::Role::Turn::Action& action) {
  std::visit(Cases{
                 [&](const Reply& a) { reply(one, a); },
                 [&](const Learn&) {},
                 [&](const Note<Issued>& a) { note_issued(one, a.fact); },
                 [&](const Note<Pended>& a) { note(one, a.fact, &store::MemoryWriter::pended, kEstActor); },
                 [&](const Note<Denied>& a) { note(one, a.fact, &store::MemoryWriter::denied, kEstActor); },
                 [&]<class Q>(const Ask<Q>& q) {
                   EstTalk next = talk;
                   next.asked = q;
                   one.talk = pools_.talks.id(std::move(next));
                 },
                 [&](const auto&) { wrong("the EST server opens connections or sets timers"); },
             },
             action);
}

void Rules::Step::act(Served& one, const RegistrarTalk& talk, const RegistrarTalk::Role::Turn::Action& action) {
  using store::MemoryWriter;
  const auto ask = [&](auto question) {
    RegistrarTalk next = talk;
    next.asked = std::move(question);
    one.talk = pools_.talks.id(std::move(next));
  };
  std::visit(
      Cases{
          [&](const Reply& a) { reply(one, a); },
          [&](const Learn&) {},
          [&](const SendRequest& a) { send_to_maker(one, a); },
          [&](const Close& a) { close_to_maker(one, a.session); },
          [&](const Open& a) { ask(a); },
          [&]<class Q>(const Ask<Q>& q) { ask(q); },
          [&](const Note<PledgeWaits>& a) { note(one, a.fact, &MemoryWriter::pledge_waits, kRegistrarActor); },
          [&](const Note<VoucherObtained>& a) {
            if (one.attacker) {
              wrong("a replayed request leads to a voucher");
            }
            note(one, a.fact, &MemoryWriter::voucher_obtained, kRegistrarActor);
          },
          [&](const Note<VoucherReported>& a) { note(one, a.fact, &MemoryWriter::voucher_reported, kRegistrarActor); },
          [&](const Note<EnrolmentReported>& a) {
            note(one, a.fact, &MemoryWriter::enrolment_reported, kRegistrarActor);
          },
          [&](const Note<PledgeRefused>& a) { note(one, a.fact, &MemoryWriter::pledge_refused, kRegistrarActor); },
          [&](const Arm&) { wrong("the registrar sets timers"); },
      },
      action);
}

void Rules::Step::act(Served& one, const MasaTalk& talk, const MasaTalk::Role::Turn::Action& action) {
  std::visit(Cases{
                 [&](const Reply& a) { reply(one, a); },
                 [&](const Learn&) {},
                 [&]<class Q>(const Ask<Q>& q) {
                   MasaTalk next = talk;
                   next.asked = q;
                   one.talk = pools_.talks.id(std::move(next));
                 },
                 [&](const Note<brski::Vouched>& a) { note_vouched(one, a.fact); },
                 [&](const Note<brski::ClaimRefused>& a) {
                   store::MakerMemoryWriter book(maker_.edit());
                   if (!book.claim_refused(factory::refused_claim(a.fact, kNow), kMasaActor)) {
                     refuse(one, kBroken);
                   }
                 },
                 [&](const auto&) { wrong("the MASA opens connections or sets timers"); },
             },
             action);
}

// ---- what is put on record ----

// The owner's store takes the fact, or its transaction fails: then nothing after it leaves.
template <class Fact>
void Rules::Step::note(Served& one, const Fact& fact,
                       Status (store::MemoryWriter::*how)(const Fact&, Instant, std::string_view),
                       std::string_view actor) {
  store::MemoryWriter store(owners_[number(one.at)].edit());
  if ((store.*how)(fact, kNow, actor)) {
    one.noted = true;
  } else if (std::holds_alternative<EstTalk>(pools_.talks[one.talk])) {
    drop(one);
  } else {
    refuse(one, kBroken);
  }
}

void Rules::Step::note_issued(Served& one, const Issued& fact) {
  const auto& certificates = owners_[number(one.at)]->certificates;
  const std::size_t before = certificates.size();
  note(one, fact, &store::MemoryWriter::issued, kEstActor);
  if (owners_[number(one.at)]->certificates.size() > before) {
    check_issued(one, fact);
  }
}

// What must hold of a certificate on record, whatever the policy thought.
void Rules::Step::check_issued(const Served& one, const Issued& fact) {
  const store::Tables& owner = *owners_[number(one.at)];
  if (one.attacker || fact.grant.device != kDevice) {
    wrong("a certificate for another device than the one that asked");
  }
  const auto device = std::ranges::find(owner.devices, std::string(kDevice), &imprint::Device::id);
  if (device->admission != Admission::approved) {
    wrong("a certificate for a device that its owner does not want");
  }
  const auto row = std::ranges::find_if(owner.pledges, [&](const PledgeRow& r) { return is_of_device(r); });
  if (row == owner.pledges.end() || row->voucher.empty() || !row->reported) {
    return wrong("a certificate before the device has told that its voucher is good");
  }
  const store::GivenVoucher* const voucher = given(row->voucher);
  if (voucher == nullptr || voucher->entry.pinned_key != key_digest(domain(one.at).ca.certificate)) {
    wrong("a certificate by a voucher that the maker has not given to this owner");
  }
}

// RFC 8995 section 5.8.3, at the moment of the decision: the same device may ask for a voucher again before it is
// carried out.
void Rules::Step::check_admitted(const Served& one, const Decision& decision) {
  const auto& rows = owners_[number(one.at)]->pledges;
  const auto row = std::ranges::find_if(rows, [&](const PledgeRow& r) { return is_of_device(r); });
  const bool is_let_on = decision.verdict == Verdict::issue || decision.verdict == Verdict::already;
  if (is_let_on && (row == rows.end() || !row->cleared || !row->held.empty())) {
    wrong("EST is open to a device whose past nobody has cleared");
  }
}

// The maker's book takes the voucher, or somebody else was first: then it is judged anew.
void Rules::Step::note_vouched(Served& one, const brski::Vouched& fact) {
  const std::size_t entries = maker_->audit.size();
  store::MakerMemoryWriter book(maker_.edit());
  const Status kept = book.vouched(factory::given_voucher(fact, kNow), kMasaActor);
  if (!kept) {
    const bool anew = kept.error().fault == Fault::conflict && one.again < kMostAgain;
    if (!anew) {
      return refuse(one, kBroken);
    }
    ++one.again;
    return begin(one, pools_.requests[one.request]);
  }
  one.noted = true;
  if (maker_->audit.size() != entries + 1) {
    wrong("a voucher without its one audit entry");
  }
  std::uint8_t to = 0;
  for (std::size_t i = 0; i < kOwners; ++i) {
    to = fact.pinned_key == key_digest(cast_.domains[i].ca.certificate) ? static_cast<std::uint8_t>(i + 1) : to;
  }
  if (to == 0) {
    wrong("the maker gives a voucher for nobody's domain");
  }
  if (w.holder != 0 && w.holder != to) {
    wrong("the maker gives one owner's device to another");
  }
  w.holder = to;
  if (setting_.plant == Plant::masa_forgets_claims) {
    MakerDevice& device = maker_.edit().devices.front();
    device.state = Custody::made;
    device.claimant.clear();
    device.claimed_key.clear();
  }
}

// ---- what leaves ----

void Rules::Step::reply(Served& from, const Reply& r) {
  if (r.to != from.exchange) {
    wrong("a server answers another exchange");
  }
  if (std::exchange(from.replied, true)) {
    wrong("a server answers twice");
  }
  check_reply(from, r.what);
  for (std::size_t i = 0; i < lines_->size(); ++i) {
    const Line& x = (*lines_)[i];
    if (x.to == from.at && x.wire.server_side->id == from.session->id && x.wire.client_open && !x.wire.cut) {
      lines_.edit()[i].wire.answers.push_back({from.ticket, r.what});
    }
  }
}

// Whatever a server gives away is on record before.
void Rules::Step::check_reply(const Served& from, const Response& answer) {
  const Request& asked = pools_.requests[from.request];
  const auto operation = brski::operation_of(asked.path);
  if (as_text(answer.body).find("BEGIN TOY KEY") != std::string_view::npos) {
    wrong("a key leaves a server");
  }
  if (answer.status != 200 || asked.method != Method::post) {
    return;
  }
  if (operation == Operation::request_voucher) {
    if (given(answer.body) == nullptr) {
      wrong("a voucher leaves that the maker has no record of");
    }
    if (from.at == Place::maker) {
      return;
    }
    const auto& rows = owners_[number(from.at)]->pledges;
    if (std::ranges::none_of(rows, [&](const PledgeRow& r) { return r.voucher == answer.body; })) {
      wrong("the registrar hands out a voucher that it has no record of");
    }
    if (from.attacker) {
      wrong("a replayed request gets a voucher");
    }
  } else if (!operation) {
    const auto sent = certificates_in(answer);
    const auto& rows = owners_[number(from.at)]->certificates;
    if (!sent || from.attacker ||
        std::ranges::find(rows, sent->front().der, &store::CertificateRow::der) == rows.end()) {
      wrong("the server hands out a certificate that the owner has no record of, or to an attacker");
    }
  }
}

// ---- what they ask, and are answered ----

void Rules::Step::answer_served(std::size_t i, bool well) {
  Served& one = served_.edit()[i];
  std::visit(
      [&]<class T>(const T& before) {
        T after = before;
        after.asked.reset();
        one.talk = pools_.talks.id(std::move(after));
        answer(one, before, well);
      },
      Talk(pools_.talks[one.talk]));
}

void Rules::Step::answer(Served& one, const EstTalk& talk, bool well) {
  std::visit(
      Cases{
          [&](const Ask<Admit>& ask) {
            store::MemoryReader store(*owners_[number(one.at)]);
            const Result<Decision> decision =
                well ? site::admit(domain(one.at).policy, store, ask.question, kNow) : Result<Decision>(kBroken);
            if (decision) {
              check_admitted(one, *decision);
            }
            feed<EstTalk>(one, Done<Decision>{{ask.ticket}, decision});
          },
          [&](const Ask<MakeKeyFor>&) { wrong("the server makes a key that nobody asked for"); },
          [&](const Ask<Issue>& ask) {
            SeededRng rng(one.exchange.id);  // a serial number that follows from the request
            const auto der = site::issue(domain(one.at).ca, ask.question.grant, kNow, rng);
            feed<EstTalk>(
                one, Done<Signed>{{ask.ticket}, well && der ? Result<Signed>(Signed{*der}) : Result<Signed>(kBroken)});
          },
      },
      *talk.asked);
}

void Rules::Step::answer(Served& one, const RegistrarTalk& talk, bool well) {
  const Domain& d = domain(one.at);
  store::MemoryReader store(*owners_[number(one.at)]);
  const site::FindMasa find_masa = [this](const Certificate&, const std::vector<Certificate>&) {
    return Result<brski::MasaContact>(cast_.contact);
  };
  std::visit(
      Cases{
          [&](const Open& open) {
            well ? open_to_maker(one, open) : feed<RegistrarTalk>(one, Done<SessionRef>{{open.ticket}, kBroken});
          },
          [&](const Ask<brski::AdmitPledge>& ask) {
            using Answer = brski::AdmitPledge::Decision;
            feed<RegistrarTalk>(one, Done<Answer>{{ask.ticket},
                                                  well ? site::admit_pledge(d.policy, store, ask.question, find_masa)
                                                       : Result<Answer>(kBroken)});
          },
          [&](const Ask<brski::RecallPledge>& ask) {
            using Answer = brski::RecallPledge::Recalled;
            feed<RegistrarTalk>(one, Done<Answer>{{ask.ticket},
                                                  well ? site::recall_pledge(d.policy, store, ask.question, find_masa)
                                                       : Result<Answer>(kBroken)});
          },
          [&](const Ask<brski::SignRequestArtifact>& ask) {
            const brski::SignRequestArtifact& q = ask.question;
            Signer by = d.registrar;
            by.chain.insert(by.chain.end(), q.along.begin(), q.along.end());
            feed<RegistrarTalk>(
                one, Done<Bytes>{{ask.ticket},
                                 well ? brski::sign_voucher(q.what, q.form, by, q.content_type, q.named_voucher)
                                      : Result<Bytes>(kBroken)});
          },
      },
      *talk.asked);
}

void Rules::Step::answer(Served& one, const MasaTalk& talk, bool well) {
  store::MakerMemoryReader book(*maker_);
  const factory::MasaPolicy& policy = cast_.masa_policy;
  std::visit(
      Cases{
          [&](const Ask<brski::FindIdevid>& ask) {
            using Answer = std::vector<Certificate>;
            feed<MasaTalk>(
                one,
                Done<Answer>{{ask.ticket}, well ? factory::find_idevid(book, ask.question) : Result<Answer>(kBroken)});
          },
          [&](const Ask<brski::JudgeClaim>& ask) {
            using Answer = brski::JudgeClaim::Ruling;
            feed<MasaTalk>(one, Done<Answer>{{ask.ticket},
                                             well ? factory::judge_claim(policy, book, ask.question, kNow)
                                                  : Result<Answer>(kBroken)});
          },
          [&](const Ask<brski::ReadDeviceLog>& ask) {
            using Answer = brski::ReadDeviceLog::Log;
            feed<MasaTalk>(one, Done<Answer>{{ask.ticket},
                                             well ? factory::read_device_log(policy, book, ask.question, kNow)
                                                  : Result<Answer>(kBroken)});
          },
          [&](const Ask<brski::SignVoucher>& ask) {
            feed<MasaTalk>(
                one, Done<Bytes>{{ask.ticket},
                                 well ? brski::sign_voucher(ask.question.what, ask.question.form, cast_.voucher_signer)
                                      : Result<Bytes>(kBroken)});
          },
      },
      *talk.asked);
}

}  // namespace imprint::explore::trio
