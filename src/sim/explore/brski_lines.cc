// What happens on the connections: what arrives, what breaks, what is sent again; and what people do.
#include "proto/brski/wire.h"
#include "sim/explore/brski_step.h"
#include "site/operations.h"

namespace imprint::explore::trio {

using brski::Operation;

namespace {

constexpr std::uint64_t kAttackerSession = 1'000'000, kMakerSession = 10'000'000;
constexpr std::uint64_t kTicketsPerConversation = 16;  // more than a registrar asks for in one

}  // namespace

// ---- requests come ----

void Rules::Step::arrive(std::size_t line, bool again) {
  const Line from = (*lines_)[line];
  const Wire::Sent& sent = from.wire.requests.front();
  if (again) {
    ++w.dups;
  } else {
    auto& requests = lines_.edit()[line].wire.requests;
    requests.erase(requests.begin());
  }
  Served one;
  // An id that follows from the request: a counter would keep worlds apart that differ in nothing else.
  const std::uint64_t base = from.to == Place::maker ? from.wire.server_side->id * kTicketsPerConversation : 0;
  one.exchange = {2 * (base + sent.ticket) + (again ? 1 : 0)};
  one.ticket = sent.ticket;
  one.session = from.wire.server_side;
  one.at = from.to;
  serve(std::move(one), sent.what);
}

// On a connection of its own: by nobody in particular, or by another device under its own IDevID.
void Rules::Step::replay_to_owner(Place place, bool by_insider) {
  ++w.replays;
  Session session;
  session.id = kAttackerSession + 2 * w.replays + (by_insider ? 1 : 0);
  if (by_insider) {
    session.presented = {cast_.insider};
    session.proven = *verify_chain(cast_.insider, {}, {cast_.maker}, {Purpose::tls_client, kNow, true});
  }
  Served one;
  one.exchange = {2 * session.id};
  one.session = std::make_shared<const Session>(std::move(session));
  one.at = place;
  one.attacker = true;
  serve(std::move(one), *heard_->of_device);
}

void Rules::Step::replay_to_maker() {
  ++w.replays;
  Session session;
  session.id = kAttackerSession + 2 * w.replays;
  Served one;
  one.exchange = {2 * session.id * kTicketsPerConversation};
  one.session = std::make_shared<const Session>(std::move(session));
  one.at = Place::maker;
  one.attacker = true;
  serve(std::move(one), *heard_->of_registrar);
}

// Whoever is at the other end has this voucher, and nothing that it was asked for.
void Rules::Step::answer_with(const Bytes& voucher) {
  ++w.replays;
  const auto& asking = std::get<brski::Pledge::Asking>(pools_.device[w.device]);
  for (Line& x : lines_.edit()) {
    if (x.conversation == Exchange{} && x.wire.client_side->id == asking.tls->id) {
      x.wire.answers.push_back({asking.awaits.id, {200, std::string(brski::media_type(setting_.form)), voucher}});
      x.wire.requests.clear();
      x.wire.cut = true;
    }
  }
}

void Rules::Step::lose(std::size_t line) {
  ++w.losses;
  lines_.edit()[line].wire.cut = true;
}

void Rules::Step::serve(Served one, Request request) {
  request.session = nullptr;  // it is on record beside it
  one.request = pools_.requests.id(request);
  begin(one, request);
  served_.edit().push_back(std::move(one));
}

// ---- answers come ----

void Rules::Step::deliver(std::size_t line) {
  Line& x = lines_.edit()[line];
  const Wire::Answer got = x.wire.answers.front();
  x.wire.answers.erase(x.wire.answers.begin());
  const bool waited_for = std::erase(x.wire.unanswered, got.ticket) > 0;
  const Done<Response> done{{got.ticket}, got.what};
  if (x.conversation != Exchange{}) {
    const auto asker =
        std::ranges::find_if(*served_, [&](const Served& s) { return s.at == x.from && s.exchange == x.conversation; });
    if (asker != served_->end()) {
      const auto i = static_cast<std::size_t>(asker - served_->begin());
      feed<RegistrarTalk>(served_.edit()[i], done);
    }
    return;
  }
  if (feed(done) && !waited_for) {
    wrong("the device takes the answer to one request twice");
  }
}

void Rules::Step::notice(std::size_t line) {
  Line& x = lines_.edit()[line];
  x.wire.client_open = false;
  const auto unanswered = std::exchange(x.wire.unanswered, {});
  const std::uint64_t session = x.wire.client_side->id;
  const Error gone{Fault::unreachable, "connection"};
  if (x.conversation != Exchange{}) {
    for (Served& s : served_.edit()) {
      for (const std::uint64_t ticket : unanswered) {
        if (s.at == x.from && s.exchange == x.conversation) {
          feed<RegistrarTalk>(s, Done<Response>{{ticket}, gone});
        }
      }
    }
    return;
  }
  for (const std::uint64_t ticket : unanswered) {
    feed(Done<Response>{{ticket}, gone});
  }
  if (unanswered.empty()) {
    feed(Lost{session});
  }
}

// On a connection that has ended already: nothing leaves, and the asker hears of it.
void Rules::Step::send_to_nobody(Exchange conversation, Place from, const SendRequest& action) {
  Session session;
  session.id = action.session;
  Line line;
  line.from = from;
  line.conversation = conversation;
  line.wire.client_side = line.wire.server_side = std::make_shared<const Session>(std::move(session));
  line.wire.server_open = false;
  line.wire.cut = true;
  line.wire.unanswered = {action.ticket};
  lines_.edit().push_back(std::move(line));
}

// ---- registrar and MASA ----

void Rules::Step::open_to_maker(Served& one, const Open& open) {
  Session client;
  client.id = kMakerSession + 2 * one.exchange.id + number(one.at);
  client.trust = open.trust;
  client.host = open.to.host;
  client.presented = cast_.masa.chain;
  client.protocol = "TLSv1.3";
  Session server;
  server.id = client.id;
  const auto proven =
      verify_chain(client.presented.front(), client.presented, open.anchors, {Purpose::tls_server, kNow, true});
  if (!proven) {
    return feed<RegistrarTalk>(one, Done<SessionRef>{{open.ticket}, proven.error()});
  }
  client.proven = *proven;
  Line line;
  line.from = one.at;
  line.to = Place::maker;
  line.conversation = one.exchange;
  line.wire.client_side = std::make_shared<const Session>(std::move(client));
  line.wire.server_side = std::make_shared<const Session>(std::move(server));
  const SessionRef session = line.wire.client_side;
  lines_.edit().push_back(std::move(line));
  feed<RegistrarTalk>(one, Done<SessionRef>{{open.ticket}, session});
}

void Rules::Step::send_to_maker(const Served& one, const SendRequest& action) {
  auto& lines = lines_.edit();
  const auto line = std::ranges::find_if(lines, [&](const Line& x) {
    return x.conversation == one.exchange && x.from == one.at && x.wire.client_open &&
           x.wire.client_side->id == action.session;
  });
  if (line == lines.end()) {
    return send_to_nobody(one.exchange, one.at, action);
  }
  if (setting_.bounds.replay > 0 && brski::operation_of(action.what.path) == Operation::request_voucher) {
    heard_.edit().of_registrar = action.what;
  }
  line->wire.unanswered.push_back(action.ticket);
  if (!line->wire.cut) {
    line->wire.requests.push_back({action.ticket, action.what});
  }
}

void Rules::Step::close_to_maker(const Served& one, std::uint64_t session) {
  for (Line& x : lines_.edit()) {
    if (x.conversation == one.exchange && x.from == one.at && x.wire.client_side->id == session) {
      x.wire.client_open = false;
      x.wire.cut = true;
    }
  }
}

// ---- ends ----

void Rules::Step::server_notices(std::size_t line) {
  Line& x = lines_.edit()[line];
  x.wire.server_open = false;
  x.wire.requests.clear();
  const std::uint64_t session = x.wire.server_side->id;
  const Place at = x.to;
  for (Served& one : served_.edit()) {
    if (one.at == at && one.session->id == session) {
      feed_gone(one);
    }
  }
}

void Rules::Step::crash_server(Place place) {
  ++w.crashes;
  std::erase_if(served_.edit(), [&](const Served& one) { return one.at == place; });
  for (Line& x : lines_.edit()) {
    if (x.to == place) {
      x.wire.server_open = false;
      x.wire.cut = true;
      x.wire.requests.clear();
    }
    if (x.conversation != Exchange{} && x.from == place) {
      x.wire.client_open = false;
      x.wire.cut = true;
    }
  }
}

// ---- people ----

void Rules::Step::act_of_person(Status done) {
  if (!done) {
    wrong("a person cannot have their way: " + std::string(done.error().what));
  }
}

void Rules::Step::approve(bool yes) {
  store::MemoryWriter store(owners_[number(Place::owner)].edit());
  const site::Word word{std::string(kDevice), std::nullopt};
  act_of_person(yes ? site::approve_device(store, word, {"admin", kNow})
                    : site::refuse_device(store, word, {"admin", kNow}));
}

void Rules::Step::let_on(Place place) {
  store::Tables& owner = owners_[number(place)].edit();
  const auto row = std::ranges::find_if(owner.pledges, [&](const PledgeRow& r) { return is_of_device(r); });
  store::MemoryWriter store(owner);
  act_of_person(store.clear_pledge(row->id, true, "its past is known", kNow, "admin"));
}

void Rules::Step::give_up() {
  ++w.acts;
  w.holder = 0;
  store::MakerMemoryWriter book(maker_.edit());
  act_of_person(factory::release_device(book, maker_->devices.front(), kNow, "admin"));
}

}  // namespace imprint::explore::trio
